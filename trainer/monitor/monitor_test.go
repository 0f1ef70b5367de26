package monitor

import (
	"bytes"
	"errors"
	"io"
	"strings"
	"sync"
	"testing"
	"time"

	"frugal/trainer/internal/vfs"
)

// fakeSink fails when told to and remembers what it got.
type fakeSink struct {
	err    error
	got    []Record
	syncs  int
	closed bool
}

func (f *fakeSink) Write(r Record) error { f.got = append(f.got, r); return f.err }
func (f *fakeSink) Sync() error          { f.syncs++; return f.err }
func (f *fakeSink) Close() error         { f.closed = true; return f.err }

func TestAFailingSinkWarnsOnceAndSaysAtTheEndHowOften(t *testing.T) {
	var log bytes.Buffer
	bad, good := &fakeSink{}, &fakeSink{}
	m := New(logTo(&log), bad, good)
	lines := func() string {
		defer log.Reset()
		return strings.Join(removeTimes(log.String()), "|")
	}
	record := func(err error) string {
		bad.err = err
		m.Record(Record{Event: "train"})
		return lines()
	}
	full := errors.New("metrics: no space left")
	for i, step := range []struct {
		err  error
		want string
	}{
		{nil, ""},
		{full, "warning: metrics: no space left (the run goes on)"},
		{full, ""},
		{nil, ""},
		{nil, ""},
		{full, ""},
	} {
		if got := record(step.err); got != step.want {
			t.Errorf("record %d: log %q, want %q", i, got, step.want)
		}
	}
	if len(good.got) != 6 {
		t.Errorf("the other sink got %d records, want 6", len(good.got))
	}
	bad.err = nil
	m.Sync()
	m.Close()
	if got := lines(); got != "warning: metrics: no space left (3 times in this session)" || good.syncs != 1 || !good.closed || !bad.closed {
		t.Errorf("log %q, %d syncs, closed %v %v", got, good.syncs, good.closed, bad.closed)
	}
}

// removeTimes cuts the time of day off each line.
func removeTimes(log string) (lines []string) {
	for line := range strings.Lines(log) {
		lines = append(lines, strings.TrimSuffix(line[len("15:04:05 "):], "\n"))
	}
	return lines
}

func TestARecordWithoutATimeHappenedNow(t *testing.T) {
	sink := &fakeSink{}
	m := New(logTo(&bytes.Buffer{}), sink)
	before := time.Now()
	m.Record(Record{Event: "train"})
	m.Record(Record{Event: "train", Time: at})
	if got := sink.got[0].Time; got.Before(before) || got.After(time.Now()) {
		t.Errorf("time %v", got)
	}
	if !sink.got[1].Time.Equal(at) {
		t.Errorf("time %v", sink.got[1].Time)
	}
}

// A whole disk's worth of trouble: every sink on it fails, the log says so, the run's calls all return.
func TestAFullDiskIsOneWarningASinkAndNothingIsLost(t *testing.T) {
	leaksNothing(t)
	disk := vfs.NewMem()
	write(t, disk, "ballast", strings.Repeat("x", 100000))
	full := vfs.DiskFull(disk, 1200)
	var stderr bytes.Buffer
	file, err := full.Create("train.log")
	if err != nil {
		t.Fatal(err)
	}
	log := SetupLog(&stderr, file)
	metrics := openMetrics(t, full, -1)
	board, err := OpenTensorBoard(full, "logs", "run", -1)
	if err != nil {
		t.Fatal(err)
	}
	m := New(log, metrics, board)
	for step := int64(1); step <= 50; step++ {
		m.Record(trainRecord(step))
		log.Infof("line %d", step)
	}
	if got := strings.Count(stderr.String(), "warning: "); got != 3 {
		t.Errorf("%d warnings, want one each for metrics, event file and log:\n%s", got, stderr.String())
	}
	full.Remove("ballast")
	m.Record(trainRecord(51))
	log.Info("line 51")
	m.Close()
	if got := read(t, disk, metricsPath); got != metricsLines(1, 51) {
		t.Errorf("metrics: got\n%s", got)
	}
	if got := strings.Count(read(t, disk, "train.log"), " line "); got != 51 {
		t.Errorf("train.log has %d lines of 51", got)
	}
	if got := len(readEvents(t, disk, "logs")); got != 2+51 {
		t.Errorf("%d events, want 53", got)
	}
}

func TestMonitorIsSafeForConcurrentUse(t *testing.T) {
	leaksNothing(t)
	disk := vfs.NewMem()
	screen := newTerminal(80)
	console, _ := screen.console(modeBar)
	log := SetupLog(console, nil)
	progress := NewProgress(console, log)
	m := New(log, progress, openMetrics(t, disk, -1))
	progress.Start(Plan{TotalSteps: 400, Epochs: 3})
	var all sync.WaitGroup
	for g := range int64(4) {
		all.Go(func() {
			for i := range int64(100) {
				progress.Step(4*i + g)
				m.Record(trainRecord(4*i + g))
				log.Debug("not shown")
			}
		})
	}
	all.Wait()
	m.Close()
	if got := strings.Count(read(t, disk, metricsPath), "\n"); got != 400 {
		t.Errorf("%d lines, want 400", got)
	}
}

// What a logging interval costs the training thread: bar, metrics.jsonl and event file on a real disk.
func BenchmarkRecord(b *testing.B) {
	dir := b.TempDir()
	console, err := NewConsole(io.Discard, modeBar)
	if err != nil {
		b.Fatal(err)
	}
	log := SetupLog(console, nil)
	progress := NewProgress(console, log)
	metrics, err := OpenJSONL(vfs.OS, dir+"/metrics.jsonl", -1)
	if err != nil {
		b.Fatal(err)
	}
	board, err := OpenTensorBoard(vfs.OS, dir+"/logs", "run", -1)
	if err != nil {
		b.Fatal(err)
	}
	m := New(log, progress, metrics, board)
	progress.Start(Plan{TotalSteps: int64(b.N) + 1})
	stats := NewSystemStats(vfs.OS)
	for step := int64(1); b.Loop(); step++ {
		progress.Step(step)
		r := trainRecord(step)
		r.Fields = append(r.Fields, stats.Fields()...)
		m.Record(r)
	}
	m.Close()
}
