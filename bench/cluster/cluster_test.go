package main

// What the bench computes itself. Its runs take minutes, and are no test.

import (
	"bytes"
	"context"
	"errors"
	"flag"
	"io"
	"math"
	"os"
	"path/filepath"
	"strings"
	"testing"
)

func near(t *testing.T, what string, got, want float64) {
	t.Helper()
	if math.Abs(got-want) > 1e-9*math.Abs(want) {
		t.Errorf("%s is %v, want %v", what, got, want)
	}
}

func TestSizesHaveAsManyWeightsAsOpenAIs(t *testing.T) {
	if small.parameters() != 124_439_808 || large.parameters() != 1_557_611_200 {
		t.Errorf("%d, %d", small.parameters(), large.parameters())
	}
	if small.million() != "124M" || large.million() != "1558M" {
		t.Errorf("%s, %s", small.million(), large.million())
	}
}

func TestBytesThatAProcessSends(t *testing.T) {
	const n = 1000
	for _, c := range []struct {
		way       way
		processes int
		want      float64
	}{{fp32, 2, 4 * n}, {fp32, 4, 6 * n}, {bf16, 2, 2 * n}, {bf16, 4, 3 * n}, {shard, 2, 6 * n}, {shard, 4, 9 * n}, {local, 2, n}, {local, 4, 1.5 * n}, {fp32, 1, 0}} {
		near(t, c.way.name, c.way.sent(n, c.processes), c.want)
	}
}

func TestARingsTimeIsItsBytesAndItsRounds(t *testing.T) {
	near(t, "two machines", link{1000, 0.5}.allReduce(250, 4, 2), 1+1)
	near(t, "five", link{1000, 0.01}.allReduce(250, 4, 5), 1.6+0.08)
}

// A link too fast to be seen hides all but what comes last; one that is slow hides no more than the overlap.
func TestWhatALinkAddsToAStep(t *testing.T) {
	s := shape{4, 64, 1000, 24}
	w := work{1, 0.5}
	near(t, "the overlap", s.overlap(0.5), 0.5*2/3*3*float64(s.block())/float64(s.parameters()))
	seconds := func(weights int64, bandwidth float64) float64 { return 4 * float64(weights) / bandwidth }
	fast := s.cross(w, fp32, link{1e9, 0}, 2)
	near(t, "late", fast.late, seconds(s.embedding()+s.block(), 1e9))
	near(t, "shown", fast.shown, fast.late)
	near(t, "whole", fast.whole, seconds(s.parameters(), 1e9))
	slow := s.cross(w, fp32, link{1e5, 0}, 2)
	near(t, "shown", slow.shown, seconds(s.parameters(), 1e5)-s.overlap(0.5))
	near(t, "bf16's", s.cross(w, bf16, link{1e5, 0}, 2).whole, slow.whole/2)
	near(t, "of messages alone", s.cross(w, fp32, link{math.Inf(1), 1}, 3).whole, 4*6) // as many rounds for each of six stages
}

func TestWhatIsAssumedOfAMachine(t *testing.T) {
	w := small.assumed(20, 32768, 4)
	near(t, "a step", w.step, 6*124_439_808*32768/20e12)
	near(t, "a micro-batch", w.micro, w.step/4)
}

func TestMicroBatchesFromWhichEnoughIsWork(t *testing.T) {
	for shown, want := range map[float64]int{0: 1, 0.01: 1, 1.0 / 9: 1, 0.12: 2, 1: 9, 1.01: 10, 2: 18} {
		if got := (crossing{shown: shown}).hiddenFrom(1); got != want {
			t.Errorf("%v: %d, want %d", shown, got, want)
		}
	}
	if got := (crossing{shown: 1}).hiddenFrom(0.5); got != 18 {
		t.Errorf("of half the time: %d", got)
	}
}

func TestAMicroBatchIsWhatOneMoreAdds(t *testing.T) {
	l := &linked{batches: [2]int{1, 4}, apart: [2]sample{{1.2}, {4.2}}}
	if w := l.work(); w.step != 1.2 || math.Abs(w.micro-1) > 1e-12 {
		t.Errorf("%+v", w)
	}
	l.batches = [2]int{2, 2}
	if w := l.work(); w.micro != 0.6 {
		t.Errorf("%+v", w)
	}
}

func TestALoopbackDevicesBytes(t *testing.T) {
	text := "Inter-|   Receive                                                |  Transmit\n face |bytes    packets errs drop fifo frame compressed multicast|bytes\n" +
		"    lo: 12345678    1234    0    0    0     0          0         0 12345678    1234\n  wire:99 1 0 0\n"
	for device, want := range map[string]int64{"lo": 12345678, "wire": 99} {
		if got, err := receivedBy(device, text); got != want || err != nil {
			t.Errorf("%s: %d, %v", device, got, err)
		}
	}
	for _, text := range []string{"", "lo: x 1\n", "eth0: 1 2\n"} {
		if _, err := receivedBy("lo", text); err == nil {
			t.Errorf("%q was taken", text)
		}
	}
}

func TestStepsAreReadAndTheFirstDropped(t *testing.T) {
	file := filepath.Join(t.TempDir(), "metrics.jsonl")
	if err := os.WriteFile(file, []byte(`{"event":"run","step":0}
{"event":"train","step":1,"step_seconds":9,"tokens_per_second":1}
{"event":"train","step":2,"step_seconds":2,"tokens_per_second":50}
{"event":"epoch","step":2,"seconds":11}
{"event":"train","step":3,"step_seconds":1,"tokens_per_second":100}
{"event":"train","step":4,"step_seconds":3,"tokens_per_second":33}
`), 0o666); err != nil {
		t.Fatal(err)
	}
	steps, err := readSteps(file)
	if err != nil {
		t.Fatal(err)
	}
	b := &bench{options: options{dropped: 1}}
	if p, err := b.paceOf(steps); p != (pace{2, 50}) || err != nil {
		t.Errorf("%+v, %v", p, err)
	}
	b.dropped = 4
	if _, err := b.paceOf(steps); err == nil {
		t.Error("no step is left, and no error")
	}
}

func TestARoundCountsWhenItIsComplete(t *testing.T) {
	var a, b sample
	r := &round{}
	r.keep(&a, 1, "")
	if err := r.end(); err != nil || len(a) != 1 {
		t.Errorf("%v, %v", a, err)
	}
	r = &round{}
	r.keep(&a, 2, "")
	r.err = errors.New("no")
	r.keep(&b, 3, "")
	if err := r.end(); err == nil || len(a) != 1 || len(b) != 0 {
		t.Errorf("%v, %v, %v", a, b, err)
	}
	if p := r.measure(context.Background(), nil, nil); p != (pace{}) {
		t.Errorf("after an error %+v was measured", p)
	}
}

func TestCells(t *testing.T) {
	if got := (sample{3, 1, 2}).cell("%.1f", 2); got != "4.0 (2.0–6.0)" {
		t.Error(got)
	}
	if got := (sample{3}).cell("%.0f", 1); got != "3" {
		t.Error(got)
	}
	if got := (sample{4, 9}).by(sample{2, 3}).cell("%.2f", 1); got != "2.50 (2.00–3.00)" {
		t.Error(got)
	}
	for n, want := range map[int64]string{7: "7", 999: "999", 1000: "1,000", 13842432: "13,842,432"} {
		if got := thousands(n); got != want {
			t.Errorf("%d: %s", n, got)
		}
	}
	for x, want := range map[float64]string{0.004: "0.00", 1.234: "1.23", 12.34: "12.3", 123.4: "123"} {
		if got := figures(x); got != want {
			t.Errorf("%v: %s", x, got)
		}
	}
}

func flagsOf(t *testing.T, args ...string) options {
	t.Helper()
	o, err := parseFlags(args, io.Discard)
	if err != nil {
		t.Fatal(err)
	}
	return o
}

func TestFlags(t *testing.T) {
	o := flagsOf(t)
	if o.shape != (shape{6, 384, 8192, 128}) || len(o.accumulation) != 2 || o.accumulation[1] != 4 || len(o.rates) != 5 || o.rates[0] != 50 || o.networks[2] != 25 || o.given != "" {
		t.Errorf("%+v", o)
	}
	if o := flagsOf(t, "-parts", "prediction", "-tflops=7.5", "-write", "a.md"); o.given != " -parts prediction -tflops 7.5" || o.write != "a.md" {
		t.Errorf("%+v", o)
	}
	for args, want := range map[string]string{
		"more":                "unexpected argument",
		"-no":                 "-no",
		"-parts x":            "-parts: no part",
		"-accumulation 4,1":   "-accumulation: ",
		"-accumulation 1.5":   "-accumulation: ",
		"-accumulation 0,1":   "-accumulation: ",
		"-rates 10,x":         "-rates: ",
		"-rates NaN":          "-rates: ",
		"-processes 1,2":      "-processes: ",
		"-machines 1":         "-machines: ",
		"-rounds 0":           "-rounds: ",
		"-dropped 5":          "-link-steps: ",
		"-hidden 100":         "-hidden: ",
		"-tflops 0":           "-tflops: ",
		"-tflops Inf":         "-tflops: ",
		"-tflops NaN":         "-tflops: ",
		"-latency -1s":        "-latency: ",
		"-micro-batches -1":   "-micro-batches: ",
		"-networks 1,10,10":   "-networks: ",
		"-vocabulary 256":     "-vocabulary: ",
		"-parts speed,,bytes": "-parts: ",
	} {
		if _, err := parseFlags(strings.Fields(args), io.Discard); err == nil || !strings.Contains(err.Error(), want) || strings.Contains(err.Error(), "\n") {
			t.Errorf("%s: %v, want %s", args, err, want)
		}
	}
	var help bytes.Buffer
	if _, err := parseFlags([]string{"-help"}, &help); !errors.Is(err, flag.ErrHelp) || !strings.Contains(help.String(), "t_work + t_late") || !strings.Contains(help.String(), "-tflops") {
		t.Errorf("%v:\n%s", err, &help)
	}
}

func TestSettingsHaveTheModel(t *testing.T) {
	b := &bench{options: flagsOf(t, "-hidden", "128", "-layers", "3"), folder: "/x"}
	text := strings.Join(b.settings(4, 7), " ") + " "
	for _, want := range []string{" num_layers=3 ", " hidden_size=128 ", " num_heads=2 ", " intermediate_size=512 ", " vocab_size=8192 ", " gradient_accumulation_steps=4 ", " max_steps=7 ",
		" batch_size=4 ", " data.cache_dir=/x/tokens ", " eval_steps=0 ", " save_steps=0 "} {
		if !strings.Contains(text, want) {
			t.Errorf("no %q in %s", want, text)
		}
	}
}

func has(t *testing.T, text string, all ...string) {
	t.Helper()
	for _, want := range all {
		if !strings.Contains(text, want) {
			t.Errorf("no %q in:\n%s", want, text)
		}
	}
}

func TestTables(t *testing.T) {
	o := flagsOf(t, "-rates", "100,1000", "-latency", "0")
	r := &results{options: o, version: "frugal (devel), libtorch 2.11.0, go1.26, linux/amd64\n", failed: map[string]error{}}
	r.speeds = []*speeds{{accumulation: 4, alone: sample{1000, 1000}, apart: sample{1600, 1800}, ways: []way{fp32, bf16}, together: []sample{{1440, 1440}, {1500, 1500}}}}
	r.traffic = []traffic{{2, fp32, 56e6, 55.37e6}, {2, bf16, 28e6, 27.68e6}, {3, fp32, 74e6, 73.83e6}}
	r.linked = &linked{rates: []float64{100, 1000}, ways: []way{fp32}, batches: [2]int{1, 4}, apart: [2]sample{{0.5}, {1.7}}, free: []sample{{0.6}}, measured: [][]sample{{{5}, {1}}}}
	text := r.markdown()
	has(t, text, ", libtorch 2.11.0, ", "go run ./bench/cluster -latency 0s -rates 100,1000\n",
		"| 4 | one process | 1000 (1000–1000) | | |\n",
		"| 4 | two, each by itself | 1700 (1600–1800) | 0.85 (0.80–0.90) | |\n",
		"| 4 | two together, fp32 | 1440 (1440–1440) | 0.72 (0.72–0.72) | **0.85 (0.80–0.90)** |\n",
		"| 2 | fp32 | 56.00 | 55.37 | 1.011 |\n| 2 | reduce_precision bf16 |", "| 3 | fp32 |",
		law, "and 0.400 s for a micro-batch", "| no limit | fp32 | | 0.600 | | |\n",
		"GPT-2 124M: t_work 1.22 s", "GPT-2 1558M: t_work 15.3 s", "| machines | reduce_precision | GB that each sends | 1 Gbit/s: cross | a step | 90% from |",
		"| 64 | fp32 | 0.98 | 8.", "| 64 | bf16 | 0.49 | 4.")
	if n := strings.Count(text, law); n != 1 {
		t.Errorf("the law stands there %d times", n)
	}
	for line := range strings.Lines(text) { // each row has its table's columns
		if strings.HasPrefix(line, "| ") && strings.Count(line, "|") < 6 {
			t.Errorf("a short row: %s", line)
		}
	}
	// 100 Mbit/s: 4 bytes a weight less the frames' headers, less the overlap, and the work.
	want := 0.5 + 4*float64(o.shape.parameters())/(100e6/8*shareOfFrame) - o.shape.overlap(0.4)
	near(t, "the prediction", r.linked.predicted(o.shape, 0, fp32, 100), want)
}

func TestWhatFailedIsSaidAndTheRestIsThere(t *testing.T) {
	r := &results{options: flagsOf(t, "-parts", "bytes,link,prediction"), failed: map[string]error{bytesPart: errors.New("it needs root\nand | more")}}
	text := r.markdown()
	has(t, text, "**Not all of it was measured**: it needs root and \\| more.\n", "### A step's time by the network's rate\n\n"+law+"\n\nNot measured.\n", "GPT-2 1558M")
	if strings.Contains(text, "### Two processes") {
		t.Error("a part that was not asked for is there")
	}
}

func TestAPageWithoutMarkersIsRefusedBeforeAnythingRuns(t *testing.T) {
	page := filepath.Join(t.TempDir(), "page.md")
	if err := run(options{write: page}); err == nil || !strings.HasPrefix(err.Error(), "-write: ") {
		t.Errorf("no file: %v", err)
	}
	if err := os.WriteFile(page, []byte("nothing here\n"), 0o666); err != nil {
		t.Fatal(err)
	}
	if err := run(options{write: page}); err == nil || !strings.HasPrefix(err.Error(), "-write: the markers are missing") {
		t.Errorf("no markers: %v", err)
	}
}
