package data

import (
	"bufio"
	"os"
	"os/exec"
	"path/filepath"
	"runtime"
	"runtime/debug"
	"strings"
	"testing"
	"time"
)

// writeLongText writes n bytes of paragraphs.
func writeLongText(t testing.TB, name string, n int) {
	t.Helper()
	f, err := os.Create(name)
	if err != nil {
		t.Fatal(err)
	}
	w := bufio.NewWriterSize(f, 1<<20)
	for written, i := 0, 0; written < n; i++ {
		k, _ := w.WriteString(story(i, 10))
		written += k
	}
	if err := w.Flush(); err != nil {
		t.Fatal(err)
	}
	if err := f.Close(); err != nil {
		t.Fatal(err)
	}
}

// A text of any length is tokenised in the same few megabytes.
func TestLongTextsAreTokenisedInConstantMemory(t *testing.T) {
	defer debug.SetGCPercent(debug.SetGCPercent(10)) // so that the heap is what is in use
	dir := t.TempDir()
	writeLongText(t, filepath.Join(dir, "a.txt"), 64<<20) // 128 MiB of ids
	o := testOptions(dir, "a.txt")
	o.EvalFraction = 0.1
	runtime.GC()
	var m runtime.MemStats
	runtime.ReadMemStats(&m)
	before, peak := m.HeapAlloc, uint64(0)
	o.Progress = func(string, int64, int64) {
		runtime.ReadMemStats(&m)
		peak = max(peak, m.HeapAlloc-min(before, m.HeapAlloc))
	}
	mustOpen(t, o)
	if t.Logf("%.1f MiB of heap", float64(peak)/(1<<20)); peak > 20<<20 {
		t.Errorf("%d bytes of heap in use", peak)
	}
}

// A process killed while it builds leaves nothing that the next one takes for a cache, and the files that it finished.
func TestKilledBuildsGoOnBehindWhatTheyFinished(t *testing.T) {
	const variable = "FRUGAL_TEST_BUILD_IN"
	noteAlways(t)
	if dir := os.Getenv(variable); dir != "" {
		o := testOptions(dir, "*.txt")
		mustOpen(t, o)
		return
	}
	dir := t.TempDir()
	for _, name := range []string{"a.txt", "b.txt", "c.txt"} {
		writeLongText(t, filepath.Join(dir, name), 8<<20)
	}
	o := testOptions(dir, "*.txt")
	killed := 0
	for i := range 6 {
		child := exec.Command(os.Args[0], "-test.run=^"+t.Name()+"$")
		child.Env = append(os.Environ(), variable+"="+dir)
		if err := child.Start(); err != nil {
			t.Fatal(err)
		}
		for deadline := time.Now().Add(5 * time.Second); time.Now().Before(deadline); time.Sleep(time.Millisecond) {
			if info, err := os.Stat(temporaryIn(o.CacheDir)); err == nil && info.Size() >= int64(i)*8<<20 { // two bytes an id: 48 MiB in the end
				break
			}
		}
		child.Process.Kill()
		if child.Wait() != nil {
			killed++
		}
	}
	if killed < 4 || temporaryIn(o.CacheDir) == "" {
		t.Errorf("only %d of 6 were killed while they built", killed)
	}
	log := logged(&o)
	got := mustOpen(t, o).Fingerprint()
	if !strings.Contains(log.String(), "an interrupted run has finished 2 of 3 files") {
		t.Errorf("the log: %s", log)
	}
	if left := cacheFiles(t, o.FS, o.CacheDir); len(left) != 1 {
		t.Errorf("left behind: %v", left)
	}
	o.CacheDir = t.TempDir()
	if got != mustOpen(t, o).Fingerprint() {
		t.Error("it is not what a fresh build makes")
	}
}

// temporaryIn returns the temporary file of a build.
func temporaryIn(dir string) string {
	names, _ := filepath.Glob(filepath.Join(dir, "*.tmp"))
	return strings.Join(names, "")
}
