package monitor

import (
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"syscall"
	"testing"

	"frugal/trainer/internal/vfs"
)

const metricsPath = "out/metrics.jsonl"

// metricsLines are the lines of steps from … to, as the sink writes them.
func metricsLines(from, to int64) string {
	var b []byte
	for step := from; step <= to; step++ {
		b, _ = appendLine(b, trainRecord(step))
	}
	return string(b)
}

func openMetrics(t *testing.T, fsys vfs.FS, resumeStep int64) Sink {
	t.Helper()
	sink, err := OpenJSONL(fsys, metricsPath, resumeStep)
	if err != nil {
		t.Fatal(err)
	}
	return sink
}

func TestResumeDropsLinesPastTheCheckpoint(t *testing.T) {
	whole := metricsLines(1, 3)
	tests := []struct {
		name   string
		file   string
		resume int64
		want   string
	}{
		{"all of it is past", whole, 0, ""},
		{"the checkpoint's own step stays", whole, 2, metricsLines(1, 2)},
		{"nothing is past", whole, 9, whole},
		{"several lines of one step", whole + metricsLines(3, 4), 3, whole + metricsLines(3, 3)},
		{"a later session's lines behind a cut one", metricsLines(5, 6) + whole, 4, ""},
		{"half a line behind", whole + `{"event":"train","st`, 9, whole},
		{"a whole line but for its newline", strings.TrimSuffix(whole, "\n"), 9, metricsLines(1, 2)},
		{"zeros that a power failure left", whole + "\x00\x00\x00\n\x00", 9, whole},
		{"a damaged line in the middle stays where it was", whole + "xx\n" + metricsLines(4, 5), 4, whole + "xx\n" + metricsLines(4, 4)},
		{"a line without a step", "{}\n", 9, ""},
		{"an empty file", "", 9, ""},
	}
	for _, test := range tests {
		t.Run(test.name, func(t *testing.T) {
			disk := vfs.NewMem()
			disk.Mkdir("out", 0o777)
			write(t, disk, metricsPath, test.file)
			sink := openMetrics(t, disk, test.resume)
			if err := sink.Write(trainRecord(7)); err != nil {
				t.Fatal(err)
			}
			if err := sink.Close(); err != nil {
				t.Fatal(err)
			}
			if got, want := read(t, disk, metricsPath), test.want+metricsLines(7, 7); got != want {
				t.Errorf("got\n%swant\n%s", got, want)
			}
		})
	}
}

func TestResumeFromAFileCutAtAnyByte(t *testing.T) {
	whole := metricsLines(1, 4)
	for size := range len(whole) + 1 {
		disk := vfs.NewMem()
		disk.Mkdir("out", 0o777)
		write(t, disk, metricsPath, whole[:size])
		openMetrics(t, disk, 3).Close()
		want := whole[:strings.LastIndexByte(whole[:size], '\n')+1]
		want = want[:min(len(want), len(metricsLines(1, 3)))]
		if got := read(t, disk, metricsPath); got != want {
			t.Fatalf("cut at %d: got\n%swant\n%s", size, got, want)
		}
	}
}

func TestResumeWithoutAMetricsFileBeginsOne(t *testing.T) {
	disk := vfs.NewMem()
	openMetrics(t, disk, 5).Close()
	if got := read(t, disk, metricsPath); got != "" {
		t.Errorf("got %q", got)
	}
}

func TestFreshRunKeepsTheOldMetrics(t *testing.T) {
	disk := vfs.NewMem()
	for step := int64(1); step <= 3; step++ {
		sink := openMetrics(t, disk, -1)
		sink.Write(trainRecord(step))
		sink.Close()
	}
	openMetrics(t, disk, -1).Close() // and again: now the file is empty, which is not worth keeping
	openMetrics(t, disk, -1).Close()
	for path, want := range map[string]string{
		metricsPath + ".1": metricsLines(1, 1), metricsPath + ".2": metricsLines(2, 2),
		metricsPath + ".3": metricsLines(3, 3), metricsPath: "",
	} {
		if got := read(t, disk, path); got != want {
			t.Errorf("%s: got %q, want %q", path, got, want)
		}
	}
	if entries, _ := disk.ReadDir("out"); len(entries) != 4 {
		t.Errorf("%d files, want 4", len(entries))
	}
}

func TestOneWriteCallALine(t *testing.T) {
	var writes []int
	disk := vfs.Fault(vfs.NewMem(), func(op vfs.Op) error {
		if op.Kind == vfs.OpWrite {
			writes = append(writes, op.Bytes)
		}
		return nil
	})
	sink := openMetrics(t, disk, -1)
	sink.Write(trainRecord(1))
	sink.Write(trainRecord(2))
	want := []int{len(metricsLines(1, 1)), len(metricsLines(2, 2))}
	if fmt.Sprint(writes) != fmt.Sprint(want) {
		t.Errorf("writes of %v bytes, want %v", writes, want)
	}
}

// Whatever fails once, in whatever operation: no line is lost, doubled or torn.
func TestMetricsSurviveEveryPassingFault(t *testing.T) {
	faults := 0
	for _, injector := range vfs.EveryFault(vfs.FailAt, syscall.EIO) {
		disk := vfs.NewMem()
		sink, err := OpenJSONL(vfs.Fault(disk, injector.Decide), metricsPath, 0)
		if err != nil {
			if injector.Fired() == nil || !errors.Is(err, syscall.EIO) || !strings.HasPrefix(err.Error(), "metrics: ") {
				t.Fatal(err)
			}
			continue
		}
		failed := 0
		for step := int64(1); step <= 5; step++ {
			if sink.Write(trainRecord(step)) != nil {
				failed++
			}
			if step == 3 && sink.(syncer).Sync() != nil {
				failed++
			}
		}
		if sink.Close() != nil {
			failed++
		}
		if injector.Fired() != nil {
			faults++
			if failed != 1 {
				t.Errorf("%+v: %d errors told of one fault", injector.Fired(), failed)
			}
		}
		if got := read(t, disk, metricsPath); got != metricsLines(1, 5) {
			t.Errorf("%+v: got\n%s", injector.Fired(), got)
		}
	}
	if faults < 7 { // five writes, two syncs, a close
		t.Errorf("only %d faults after opening", faults)
	}
}

// At every number of bytes left: the lines that fit are whole, and when there is room again the others follow.
func TestMetricsOnAFullDiskAtEveryByte(t *testing.T) {
	whole := metricsLines(1, 3)
	for budget := int64(1); budget < int64(len(whole)); budget++ {
		disk := vfs.NewMem()
		write(t, disk, "ballast", strings.Repeat("x", 4000))
		full := vfs.DiskFull(disk, budget)
		sink := openMetrics(t, full, -1)
		errs := 0
		for step := int64(1); step <= 3; step++ {
			if err := sink.Write(trainRecord(step)); err != nil {
				errs++
				if !errors.Is(err, syscall.ENOSPC) || !strings.Contains(err.Error(), metricsPath) {
					t.Fatal(err)
				}
			}
		}
		if got := read(t, disk, metricsPath); errs == 0 || !strings.HasPrefix(whole, got) || got != "" && got[len(got)-1] != '\n' {
			t.Fatalf("budget %d: %d errors, file %q", budget, errs, got)
		}
		full.Remove("ballast")
		if err := sink.Write(trainRecord(4)); err != nil {
			t.Fatal(err)
		}
		if got := read(t, disk, metricsPath); got != metricsLines(1, 4) {
			t.Fatalf("budget %d: got\n%s", budget, got)
		}
		sink.Close()
	}
}

// A disk that takes half a line and then refuses even to cut it off.
func TestATornLineIsCutWhenTheDiskAllowsIt(t *testing.T) {
	disk := vfs.NewMem()
	write(t, disk, "ballast", strings.Repeat("x", 4000))
	stuck := true
	full := vfs.DiskFull(disk, 50)
	sink := openMetrics(t, vfs.Fault(full, func(op vfs.Op) error {
		if op.Kind == vfs.OpTruncate && stuck && op.Index > 8 {
			return syscall.EIO
		}
		return nil
	}), -1)
	if sink.Write(trainRecord(1)) == nil || sink.Write(trainRecord(2)) == nil {
		t.Fatal("no error")
	}
	if got := read(t, disk, metricsPath); len(got) != 50 {
		t.Fatalf("the file is %q: no torn line to cut", got)
	}
	stuck = false
	full.Remove("ballast")
	if err := sink.Write(trainRecord(3)); err != nil {
		t.Fatal(err)
	}
	if got := read(t, disk, metricsPath); got != metricsLines(1, 3) {
		t.Errorf("got\n%s", got)
	}
}

func TestLinesKeptForAFullDiskAreBounded(t *testing.T) {
	disk := vfs.NewMem()
	write(t, disk, "ballast", strings.Repeat("x", maxPending+1000))
	full := vfs.DiskFull(disk, 1)
	sink := openMetrics(t, full, -1)
	big := Record{Event: "sample", Fields: []Field{{"text", strings.Repeat("x", 1<<20)}}}
	for range 10 {
		if sink.Write(big) == nil {
			t.Fatal("no error")
		}
	}
	if kept := len(sink.(*jsonl).out.pending); kept > maxPending || kept < maxPending/2 {
		t.Errorf("%d bytes kept", kept)
	}
	full.Remove("ballast")
	if err := sink.Write(trainRecord(1)); err != nil {
		t.Fatal(err)
	}
	if got := read(t, disk, metricsPath); strings.Count(got, "\n") != 4 || !strings.HasSuffix(got, metricsLines(1, 1)) {
		t.Errorf("%d lines", strings.Count(got, "\n"))
	}
}

// What Sync promised is there after a crash, and resuming repairs the rest. (vfs.Torn is for files that are overwritten: it
// damages what was synced, too. The zeros it leaves stand in the table above.)
func TestMetricsNeverLagACheckpoint(t *testing.T) {
	for _, mode := range []vfs.CrashMode{vfs.KeepAll, vfs.LoseUnsynced, vfs.KeepSome} {
		for seed := range uint64(20) {
			disk := vfs.NewMem()
			disk.Mkdir("out", 0o777)
			disk.SyncDir(".")
			sink := openMetrics(t, disk, -1)
			for step := int64(1); step <= 30; step++ {
				sink.Write(trainRecord(step))
				if step == 20 {
					if err := sink.(syncer).Sync(); err != nil {
						t.Fatal(err)
					}
				}
			}
			crashed := disk.Crash(mode, seed)
			openMetrics(t, crashed, 20).Close()
			if got := read(t, crashed, metricsPath); got != metricsLines(1, 20) {
				t.Fatalf("%v, seed %d: got\n%s", mode, seed, got)
			}
		}
	}
}

func FuzzLinesThrough(f *testing.F) {
	f.Add([]byte(metricsLines(1, 3)), int64(2))
	f.Add([]byte("{\"step\":1}\n{\"step\":1e3}\n\n{"), int64(5))
	f.Fuzz(func(t *testing.T, file []byte, step int64) {
		size, err := linesThrough(strings.NewReader(string(file)), step)
		if err != nil || size < 0 || size > int64(len(file)) || size > 0 && file[size-1] != '\n' {
			t.Fatalf("%d of %d: %v", size, len(file), err)
		}
		again, _ := linesThrough(strings.NewReader(string(file[:size])), step)
		if again != size {
			t.Fatalf("what was kept, %d bytes, is cut to %d the second time", size, again)
		}
	})
}

func TestAMetricsFileThatIsADeviceIsRefused(t *testing.T) {
	link := filepath.Join(t.TempDir(), "metrics.jsonl")
	if err := os.Symlink("/dev/full", link); err != nil {
		t.Fatal(err)
	}
	if _, err := OpenJSONL(vfs.OS, link, 3); err == nil || !strings.Contains(err.Error(), "not a regular file") {
		t.Errorf("error %v", err)
	}
}

func TestADirectoryInTheMetricsPlaceIsRefusedAndStays(t *testing.T) {
	dir := filepath.Join(t.TempDir(), "metrics.jsonl")
	if err := os.Mkdir(dir, 0o777); err != nil {
		t.Fatal(err)
	}
	write(t, vfs.OS, filepath.Join(dir, "file"), "somebody's")
	for _, resumeStep := range []int64{-1, 3} {
		if _, err := OpenJSONL(vfs.OS, dir, resumeStep); err == nil || !strings.Contains(err.Error(), "not a regular file") {
			t.Errorf("resume step %d: error %v", resumeStep, err)
		}
	}
	if got := read(t, vfs.OS, filepath.Join(dir, "file")); got != "somebody's" {
		t.Errorf("in it: %q", got)
	}
}

func TestRecordedFindsTheEventOfAStep(t *testing.T) {
	disk := vfs.NewMem()
	write(t, disk, "m.jsonl", `{"event":"train","step":4}`+"\nnonsense\n"+`{"event":"eval","step":4,"loss":1}`+"\n"+`{"event":"eval","step":8`)
	for _, c := range []struct {
		path, event string
		step        int64
		want        bool
	}{{"m.jsonl", "eval", 4, true}, {"m.jsonl", "sample", 4, false}, {"m.jsonl", "eval", 8, false}, {"none", "eval", 4, false}} {
		if got, err := Recorded(disk, c.path, c.event, c.step); got != c.want || err != nil {
			t.Errorf("%+v: %v, %v", c, got, err)
		}
	}
}
