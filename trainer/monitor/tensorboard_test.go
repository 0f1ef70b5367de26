package monitor

import (
	"bytes"
	"errors"
	"fmt"
	"math"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"syscall"
	"testing"
	"time"

	"google.golang.org/protobuf/encoding/protowire"

	"frugal/trainer/internal/vfs"
)

// readEvents returns every event of the event files in dir, as "step tag=value …", in the order of a reader, without purging.
func readEvents(t *testing.T, fsys vfs.FS, dir string) (events []string) {
	t.Helper()
	entries, err := fsys.ReadDir(dir)
	if err != nil {
		t.Fatal(err)
	}
	for _, entry := range entries {
		file := bytes.NewReader([]byte(read(t, fsys, filepath.Join(dir, entry.Name()))))
		var frame bytes.Buffer
		for {
			event, err := readFramed(file, &frame)
			if err != nil {
				break
			}
			events = append(events, describe(t, event))
		}
	}
	return events
}

// fields hands each field of a message to visit.
func fields(t *testing.T, message []byte, visit func(field protowire.Number, x uint64, data []byte)) {
	t.Helper()
	for len(message) > 0 {
		field, kind, n := protowire.ConsumeTag(message)
		if n < 0 {
			t.Fatal("not a protocol buffer")
		}
		message = message[n:]
		var x uint64
		var data []byte
		switch kind {
		case protowire.VarintType:
			x, n = protowire.ConsumeVarint(message)
		case protowire.Fixed32Type:
			var y uint32
			y, n = protowire.ConsumeFixed32(message)
			x = uint64(y)
		case protowire.Fixed64Type:
			x, n = protowire.ConsumeFixed64(message)
		default:
			data, n = protowire.ConsumeBytes(message)
		}
		if n < 0 {
			t.Fatal("not a protocol buffer")
		}
		message = message[n:]
		visit(field, x, data)
	}
}

func describe(t *testing.T, event []byte) string {
	t.Helper()
	var step uint64
	var what []string
	fields(t, event, func(field protowire.Number, x uint64, data []byte) {
		switch field {
		case eventStep:
			step = x
		case eventFileVersion:
			what = append(what, string(data))
		case eventSessionLog:
			what = append(what, "start")
		case eventSummary:
			fields(t, data, func(_ protowire.Number, _ uint64, value []byte) { what = append(what, describeValue(t, value)) })
		}
	})
	return fmt.Sprintf("%d %s", step, strings.Join(what, " "))
}

func describeValue(t *testing.T, value []byte) string {
	t.Helper()
	var tag, content string
	fields(t, value, func(field protowire.Number, x uint64, data []byte) {
		switch field {
		case valueTag:
			tag = string(data)
		case valueSimple:
			content = fmt.Sprint(math.Float32frombits(uint32(x)))
		case valueTensor:
			fields(t, data, func(field protowire.Number, _ uint64, text []byte) {
				if field == tensorString {
					content = fmt.Sprintf("%q", text)
				}
			})
		case valueHistogram:
			content = describeHistogram(t, data)
		case valueMeta:
			content += describeHParams(t, data)
		}
	})
	return tag + "=" + content
}

func TestMaskedCRC(t *testing.T) {
	// RFC 3720, B.4: 32 bytes of zeros have the CRC-32C 0x8a9136aa.
	crc := uint32(0x8a9136aa)
	if got, want := maskedCRC(make([]byte, 32)), (crc>>15|crc<<17)+0xa282ead8; got != want {
		t.Errorf("got %#x, want %#x", got, want)
	}
}

func TestEventFileIsTensorBoardsOwnBytes(t *testing.T) {
	want, err := os.ReadFile("testdata/golden.tfevents")
	if err != nil {
		t.Fatal(err)
	}
	disk := vfs.NewMem()
	sink, err := openEventFile(disk, "events", at, 300)
	if err != nil {
		t.Fatal(err)
	}
	for _, r := range []Record{
		{Event: "run", Step: 300, Fields: []Field{{"status", "started"}, {"config", map[string]any{"data": map[string]any{"packing": false},
			"learning_rate": 6e-4, "preset": "ação"}}}},
		{Event: "save", Step: 300, Fields: []Field{{"bytes", 12}}},
		{Event: "train", Step: 310, Fields: []Field{
			{"loss", 3.4121}, {"learning_rate", 4.2e-4}, {"loss_scale", 0}, {"grad_norm", math.Inf(1)}, {"tokens", 99}}},
		{Event: "histogram", Step: 310, Fields: []Field{{"weights/w", histogramOf(0.25, 0.25, 0.375)}, {"weights/none", histogramOf()}}},
		{Event: "run", Step: 310, Fields: []Field{{"status", "complete"}, {"seconds", 1.5}}},
	} {
		r.Time = at
		if err := sink.Write(r); err != nil {
			t.Fatal(err)
		}
	}
	if err := sink.Close(); err != nil {
		t.Fatal(err)
	}
	if got := read(t, disk, "events"); got != string(want) {
		t.Errorf("got\n%q\nwant\n%q\nthe golden is made anew by: python3 scripts/check_tensorboard.py --golden trainer/monitor/testdata/golden.tfevents", got, want)
	}
}

func TestTagsOfEachEvent(t *testing.T) {
	const gb = 1 << 30
	tests := []struct {
		record Record
		want   string
	}{
		{Record{Event: "train", Step: 5, Fields: []Field{{"loss", 1.0}, {"perplexity", 9.5}, {"epoch", 0.5}, {"step_seconds", 2.0},
			{"tokens_per_second", 100}, {"text", "x"}, {"unknown", 1}}},
			"5 train/loss=1 train/perplexity=9.5 train/epoch=0.5 train/step_seconds=2 train/tokens_per_second=100"},
		{Record{Event: "train", Step: 5, Fields: []Field{{"peak_memory_bytes", int64(3 * gb)}, {"resident_memory_bytes", gb / 2},
			{"allocated_memory_bytes", gb}, {"reserved_memory_bytes", 2 * gb}, {"gpu_memory_used_bytes", 3 * gb},
			{"gpu_utilization", 55}, {"gpu_temperature_celsius", 71}, {"gpu_power_watts", 250.5}, {"cpu_percent", 190.5}}},
			"5 system/peak_memory_gb=3 system/resident_memory_gb=0.5 system/allocated_memory_gb=1 system/reserved_memory_gb=2" +
				" system/gpu_memory_used_gb=3 system/gpu_utilization=55 system/gpu_temperature_celsius=71 system/gpu_power_watts=250.5" +
				" system/cpu_percent=190.5"},
		{Record{Event: "train", Step: 5, Fields: []Field{{"peak_memory_by_kind", []Field{{"weights", int64(3 * gb)}, {"a new kind", int64(gb / 4)}, {"head", int64(0)}}}}},
			"5 peak_memory/weights_gb=3 peak_memory/a new kind_gb=0.25 peak_memory/head_gb=0"},
		{Record{Event: "train", Step: 5, Fields: []Field{{"allocated_memory_by_kind", []Field{{"weights", int64(2 * gb)}}}}}, "5 allocated_memory/weights_gb=2"},
		{Record{Event: "train", Step: 5, Fields: []Field{{"curriculum_weights", []Field{{"fácil", 0.75}, {"hard", 0.25}}}, {"curriculum_drawn", []Field{{"fácil", int64(9)}, {"hard", int64(3)}}}}},
			"5 curriculum/fácil=0.75 curriculum/hard=0.25 curriculum_drawn/fácil=9 curriculum_drawn/hard=3"},
		{Record{Event: "train", Step: 6, Fields: []Field{{"loss", 0.5}, {"task_loss", 0.0}, {"distillation_loss", 0.75}}},
			"6 train/loss=0.5 train/task_loss=0 train/distillation_loss=0.75 train/perplexity=1"},
		{Record{Event: "eval", Step: 7, Fields: []Field{{"loss", 2.0}, {"perplexity", 7.5}, {"bits_per_byte", 1.25}, {"tokens", 12}}},
			"7 eval/loss=2 eval/perplexity=7.5 eval/bits_per_byte=1.25"},
		{Record{Event: "sample", Step: 8, Fields: []Field{{"prompt_index", 1}, {"sample_index", 2}, {"text", "Era\n*uma*\n"}}},
			`8 generation/prompt_1_sample_2="Era<br>&#42;uma&#42;<br>"`},
		{Record{Event: "run", Fields: []Field{{"config", []Field{{"seed", 42}}}}},
			`0 config="    {\n      \"seed\": 42\n    }" _hparams_/session_start_info=seed:42`},
		{Record{Event: "run", Fields: []Field{{"config", "seed: 42\n"}}}, `0 config="    seed: 42"`},
		{Record{Event: "run", Fields: []Field{{"config", map[string]any{"z": true, "a": "x", "list": []int{1}, "none": nil, "seed": 42, "output_dir": "o",
			"monitoring": map[string]any{"top_p": 0.9}, "data": map[string]any{"cache_dir": "c", "packing": false}}}}},
			`0 config="    {\n      \"a\": \"x\",\n      \"data\": {\n        \"cache_dir\": \"c\",\n        \"packing\": false\n      },\n` +
				`      \"list\": [\n        1\n      ],\n      \"monitoring\": {\n        \"top_p\": 0.9\n      },\n      \"none\": null,\n` +
				`      \"output_dir\": \"o\",\n      \"seed\": 42,\n      \"z\": true\n    }" _hparams_/session_start_info=a:"x",data.packing:false,seed:42,z:true`},
		{Record{Event: "run", Step: 9, Fields: []Field{{"status", "complete"}}}, "9 _hparams_/session_end_info=success"},
		{Record{Event: "run", Step: 9, Fields: []Field{{"status", "stopped"}}}, "9 _hparams_/session_end_info=failure"},
	}
	for _, test := range tests {
		values, err := summaryValues(test.record)
		if err != nil {
			t.Fatal(err)
		}
		if got := describe(t, summaryEvent(at, test.record.Step, values)); got != test.want {
			t.Errorf("got\n%s\nwant\n%s", got, test.want)
		}
	}
	if _, err := summaryValues(Record{Event: "run", Fields: []Field{{"config", 1i}}}); err == nil {
		t.Error("no error for a configuration that cannot be written")
	}
}

func openBoard(t *testing.T, fsys vfs.FS, resumeStep int64) Sink {
	t.Helper()
	sink, err := OpenTensorBoard(fsys, "logs", "run", resumeStep)
	if err != nil {
		t.Fatal(err)
	}
	return sink
}

func lossRecord(step int64) Record {
	return Record{Event: "eval", Step: step, Time: at, Fields: []Field{{"loss", float64(step)}}}
}

func TestResumedRunLeavesOneCurve(t *testing.T) {
	disk := vfs.NewMem()
	session := func(resume int64, steps ...int64) {
		sink := openBoard(t, disk, resume)
		for _, step := range steps {
			if err := sink.Write(lossRecord(step)); err != nil {
				t.Fatal(err)
			}
		}
		// No Close: the run was killed.
	}
	session(-1, 10, 20, 30, 40)
	session(20, 20, 30)
	session(20, 30, 40, 50)
	session(40, 50)
	want := []string{
		"0 brain.Event:2", "0 start", "10 eval/loss=10", "20 eval/loss=20",
		"0 brain.Event:2", "21 start", "20 eval/loss=20",
		"0 brain.Event:2", "21 start", "30 eval/loss=30", "40 eval/loss=40",
		"0 brain.Event:2", "41 start", "50 eval/loss=50",
	}
	if got := readEvents(t, disk, "logs"); !slices.Equal(got, want) {
		t.Errorf("got\n%s\nwant\n%s", strings.Join(got, "\n"), strings.Join(want, "\n"))
	}
}

func TestFreshRunLeavesOldEventFilesAsTheyAre(t *testing.T) {
	disk := vfs.NewMem()
	openBoard(t, disk, -1).Write(lossRecord(40))
	openBoard(t, disk, -1).Write(lossRecord(10))
	want := "[0 brain.Event:2 0 start 40 eval/loss=40 0 brain.Event:2 0 start 10 eval/loss=10]"
	if got := fmt.Sprint(readEvents(t, disk, "logs")); got != want {
		t.Errorf("got %s, want %s", got, want)
	}
}

func TestEventFileNamesSortByAge(t *testing.T) {
	disk := vfs.NewMem()
	disk.Mkdir("logs", 0o777)
	write(t, disk, "logs/events.out.tfevents.1800000000.zz.9.9", "")
	write(t, disk, "logs/events.out.tfevents.notanumber", "")
	write(t, disk, "logs/other", "")
	for i := range 3 {
		now := time.Unix(1700000000, 0) // the clock went back, and stands
		name, err := eventFileName(disk, "logs", "run", now)
		if err != nil {
			t.Fatal(err)
		}
		if want := fmt.Sprintf("events.out.tfevents.%d.", 1800000001+i); !strings.HasPrefix(name, want) ||
			!strings.Contains(name, fmt.Sprintf(".%d.", os.Getpid())) {
			t.Errorf("got %s, want %s…", name, want)
		}
		write(t, disk, "logs/"+name, "")
	}
}

func TestKilledRunsEventFileIsCutBehindItsLastWholeEvent(t *testing.T) {
	disk := vfs.NewMem()
	sink := openBoard(t, disk, -1)
	for step := int64(1); step <= 3; step++ {
		sink.Write(lossRecord(step))
	}
	entries, _ := disk.ReadDir("logs")
	whole := read(t, disk, "logs/"+entries[0].Name())
	ends := map[int64]bool{}
	for end, rest := int64(0), strings.NewReader(whole); ; {
		var frame bytes.Buffer
		ends[end] = true
		if _, err := readFramed(rest, &frame); err != nil {
			break
		}
		end += int64(frame.Len())
	}
	if len(ends) != 6 || !ends[int64(len(whole))] {
		t.Fatalf("events end at %v of %d", ends, len(whole))
	}
	last := int64(0)
	for size := range int64(len(whole) + 1) {
		if ends[size] {
			last = size
		}
		if got, err := eventsThrough(strings.NewReader(whole[:size]), 9); got != last || err != nil {
			t.Fatalf("cut at %d: kept %d, want %d (%v)", size, got, last, err)
		}
	}
	for i := range len(whole) { // and any damaged byte ends it before
		damaged := []byte(whole)
		damaged[i] ^= 0x40
		got, err := eventsThrough(bytes.NewReader(damaged), 9)
		if err != nil || got > int64(i) || !ends[got] {
			t.Fatalf("damaged at %d: kept %d (%v)", i, got, err)
		}
	}
}

func TestOpeningTensorBoardFailsWithTheFilesName(t *testing.T) {
	for at, injector := range vfs.EveryFault(vfs.FailAt, syscall.EACCES) {
		disk := vfs.NewMem()
		openBoard(t, disk, -1).Write(lossRecord(10))
		_, err := OpenTensorBoard(vfs.Fault(disk, injector.Decide), "logs", "run", 5)
		if injector.Fired() == nil {
			break
		}
		if injector.Fired().Kind == vfs.OpClose {
			continue // of a file that was read and cut: nothing is lost
		}
		if !errors.Is(err, syscall.EACCES) || !strings.HasPrefix(err.Error(), "tensorboard: ") || !strings.Contains(err.Error(), "logs") {
			t.Errorf("fault %d (%+v): %v", at, injector.Fired(), err)
		}
	}
}

func FuzzEventsThrough(f *testing.F) {
	golden, err := os.ReadFile("testdata/golden.tfevents")
	if err != nil {
		f.Fatal(err)
	}
	f.Add(golden, int64(305))
	f.Add(appendFramed(nil, []byte{0x10, 0xff, 0x80}), int64(1))
	f.Fuzz(func(t *testing.T, file []byte, step int64) {
		size, err := eventsThrough(bytes.NewReader(file), step)
		if err != nil || size < 0 || size > int64(len(file)) {
			t.Fatalf("%d of %d: %v", size, len(file), err)
		}
		if again, _ := eventsThrough(bytes.NewReader(file[:size]), step); again != size {
			t.Fatalf("what was kept, %d bytes, is cut to %d the second time", size, again)
		}
		eventPosition(file) // without its checksums: whatever comes
	})
}

func TestAnotherRunsEventFilesInTheDirectoryStayWhole(t *testing.T) {
	disk := vfs.NewMem()
	other, err := OpenTensorBoard(disk, "logs", "other", -1)
	if err != nil {
		t.Fatal(err)
	}
	for step := int64(1); step <= 3; step++ {
		other.Write(lossRecord(step))
	}
	entries, _ := disk.ReadDir("logs")
	before := read(t, disk, "logs/"+entries[0].Name())
	if _, err := OpenTensorBoard(disk, "logs", "run", 1); err != nil {
		t.Fatal(err)
	}
	if read(t, disk, "logs/"+entries[0].Name()) != before {
		t.Error("a resume cut the event file of another run")
	}
}
