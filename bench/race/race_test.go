package main

// What the race itself computes. The race needs Python and a quiet machine, and is no test.

import (
	"encoding/binary"
	"math"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"
)

func TestFirstEpochVisitsEveryRowOnce(t *testing.T) {
	for _, n := range []int{1, 2, 7, 64, 100} {
		order := firstEpoch(1337, n)
		sorted := slices.Sorted(slices.Values(order))
		for i, row := range sorted {
			if row != i {
				t.Fatalf("%d rows: visited %v", n, order)
			}
		}
	}
	if slices.IsSorted(firstEpoch(1337, 100)) {
		t.Error("100 rows come in their own order")
	}
	if slices.Equal(firstEpoch(1, 100), firstEpoch(2, 100)) {
		t.Error("two seeds give the same order")
	}
}

func TestRowsAreTheTokensInTheOrderOfTheEpoch(t *testing.T) {
	folder := t.TempDir()
	const rows, positions, seed = 6, 4, 3
	if err := writeTokens(folder, []uint16{10, 11, 12, 13, 14}, rows, positions, seed); err != nil {
		t.Fatal(err)
	}
	read := func(name string) (ids []uint16) {
		b, err := os.ReadFile(filepath.Join(folder, name))
		if err != nil {
			t.Fatal(err)
		}
		for ; len(b) > 0; b = b[2:] {
			ids = append(ids, binary.LittleEndian.Uint16(b))
		}
		return ids
	}
	stream, ordered := read("tokens.bin"), read("rows.bin")
	for i, id := range stream {
		if want := uint16(10 + i%5); id != want {
			t.Fatalf("token %d is %d, want %d", i, id, want)
		}
	}
	for i, row := range firstEpoch(seed, rows) {
		if got, want := ordered[i*positions:(i+1)*positions], stream[row*positions:(row+1)*positions]; !slices.Equal(got, want) {
			t.Errorf("row %d is %v, want row %d of the tokens, %v", i, got, row, want)
		}
	}
	if err := writeTokens(folder, nil, rows, positions, seed); err == nil {
		t.Error("an empty corpus was taken")
	}
}

func TestOverlayKeepsWhatItDoesNotName(t *testing.T) {
	settings := map[string]any{"a": 1, "section": map[string]any{"x": 1, "y": 2}}
	overlay(settings, map[string]any{"b": 3, "section": map[string]any{"y": 4}})
	section := settings["section"].(map[string]any)
	if settings["a"] != 1 || settings["b"] != 3 || section["x"] != 1 || section["y"] != 4 {
		t.Errorf("got %v", settings)
	}
}

func TestCompare(t *testing.T) {
	curve := func(losses ...float64) (r run) {
		for _, l := range losses {
			r.steps = append(r.steps, step{Loss: l, GradNorm: 1})
		}
		return r
	}
	firstNorm, otherNorm, noNorm := curve(8, 4), curve(8, 4), curve(8, 4)
	firstNorm.steps[0].GradNorm, otherNorm.steps[1].GradNorm = 1.000005, 1.00002
	noNorm.steps[0].GradNorm, noNorm.steps[1].GradNorm = 0, 0
	ours := curve(8, 4)
	for name, c := range map[string]struct {
		peer     run
		compiled bool
		largest  float64
		want     string // "": equal enough
	}{
		"equal":                           {curve(8, 4), false, 0, ""},
		"a norm as far as a later one's":  {firstNorm, false, 0, "step 1"},
		"the same norm, compiled":         {firstNorm, true, 0, ""},
		"a later loss within tolerance":   {curve(8, 4.00002), false, 5e-6, ""},
		"a later loss beyond it":          {curve(8, 4.0002), false, 0, "step 2"},
		"a first loss as far as a later":  {curve(8.00004, 4), false, 0, "step 1"},
		"the same of what is compiled":    {curve(8.00004, 4), true, 5e-6, ""},
		"compiled, and beyond that":       {curve(8.0004, 4), true, 0, "step 1"},
		"not a number":                    {curve(math.NaN(), 4), false, 0, "step 1"},
		"norms of the gradients differ":   {otherNorm, false, 0, "step 2"},
		"norms that are not told":         {noNorm, false, 0, ""},
		"both, of which the first counts": {curve(9, 5), false, 0, "step 1"},
	} {
		largest, err := compare(ours, c.peer, peer{compiled: c.compiled}.bounds("fp32"))
		switch {
		case c.want == "" && err != nil:
			t.Errorf("%s: %v", name, err)
		case c.want == "" && math.Abs(largest.loss-c.largest) > 1e-8:
			t.Errorf("%s: largest difference of losses %g, want %g", name, largest.loss, c.largest)
		case c.want != "" && (err == nil || !strings.Contains(err.Error(), c.want)):
			t.Errorf("%s: error %v, want one about %s", name, err, c.want)
		}
	}
}

// Were it not refused, peers that do not exist would end the race before anything is installed.
func TestWhatCannotBeRacedIsRefused(t *testing.T) {
	for want, change := range map[string]func(*options){
		"want at least one round": func(o *options) { o.rounds = 0 },
		"one thread":              func(o *options) { o.threads = 0 },
		"more steps (4)":          func(o *options) { o.steps = 4 },
		"than are dropped (-1)":   func(o *options) { o.dropped = -1 },
		"-drift: -1 is no":        func(o *options) { o.drift = -1 },
		"-drift: NaN is no":       func(o *options) { o.drift = math.NaN() },
		"-drift: +Inf is no":      func(o *options) { o.drift = math.Inf(1) },
	} {
		o := options{rounds: 1, steps: 12, dropped: 4, threads: 1, parts: "steps", peers: "none"}
		change(&o)
		if err := race(o); err == nil || !strings.Contains(err.Error(), want) {
			t.Errorf("error %v, want one with %q", err, want)
		}
	}
}

func TestReadEventsTakesOneEventOnly(t *testing.T) {
	file := filepath.Join(t.TempDir(), "metrics.jsonl")
	lines := `{"event":"run","step":0,"loss":"none"}
{"event":"train","step":1,"loss":10.5,"grad_norm":2,"step_seconds":0.5,"peak_memory_bytes":3000000,"time":"2026-01-02T15:04:05.678Z"}
{"event":"train","step":2,"loss":10.25,"grad_norm":3,"step_seconds":0.25,"time":"2026-01-02T15:04:06.123456+00:00"}
`
	if err := os.WriteFile(file, []byte(lines), 0o666); err != nil {
		t.Fatal(err)
	}
	steps, err := readEvents[step](file, "train")
	if err != nil {
		t.Fatal(err)
	}
	if len(steps) != 2 || steps[1].Loss != 10.25 || steps[1].GradNorm != 3 || steps[0].Seconds != 0.5 || steps[0].Peak != 3e6 ||
		math.Abs(steps[1].Time.Sub(steps[0].Time).Seconds()-0.445456) > 1e-9 {
		t.Errorf("got %+v", steps)
	}
	if err := os.WriteFile(file, []byte(lines+`{"event":"train","step":3,"loss":"NaN"}`), 0o666); err != nil {
		t.Fatal(err)
	}
	if _, err := readEvents[step](file, "train"); err == nil || !strings.Contains(err.Error(), "line 4") {
		t.Errorf("error %v, want one about line 4", err)
	}
}

func TestSummariseLeavesOutTheFirstSteps(t *testing.T) {
	share := func(x float64) *float64 { return &x }
	told := run{steps: []step{{Seconds: 90, Waited: share(80)}, {Seconds: 2, Waited: share(0.5)}, {Seconds: 4, Waited: share(0.25)}, {Seconds: 2, Waited: share(0.25), Peak: 7e6}}}
	told.summarise(100, 1)
	if told.Speed != 50 || told.Counted != 7 || told.Waited == nil || *told.Waited != 0.125 {
		t.Errorf("got %+v", told)
	}
	silent := run{steps: []step{{Seconds: 1, Waited: share(1)}, {Seconds: 2}}}
	silent.summarise(100, 0)
	if silent.Waited != nil {
		t.Errorf("a step did not tell what it waited, but the run waited %v", *silent.Waited)
	}
}

func TestMedian(t *testing.T) {
	for _, c := range []struct {
		list []float64
		want float64
	}{{[]float64{5}, 5}, {[]float64{9, 1, 2}, 2}, {[]float64{4, 1, 2, 9}, 3}} {
		if got := median(c.list); got != c.want {
			t.Errorf("median(%v) = %v, want %v", c.list, got, c.want)
		}
	}
}

func TestLoadSeconds(t *testing.T) {
	const fresh = "2026-01-02T15:04:05.100Z INFO    precision: fp32 (it says so)\n2026-01-02T15:04:05.150Z INFO    tokenizer: 257 tokens\n" +
		"2026-01-02T15:04:05.200Z INFO    model: 1 parameter\n"
	const resumed = "2026-01-02T16:00:00.000Z INFO    precision: fp32 (it says so)\n2026-01-02T16:00:01.050Z INFO    tokenizer: 257 tokens\n" +
		"2026-01-02T16:00:02.000Z INFO    model: 1 parameter\n2026-01-02T16:00:02.500Z INFO    resume: going on from there, step 3\n"
	if got, err := loadSeconds(fresh + resumed); err != nil || math.Abs(got-1.5) > 1e-9 {
		t.Errorf("got %v, %v, want 1 s of verifying and 0.5 s of restoring", got, err)
	}
	for name, log := range map[string]string{"one session": fresh, "nothing resumed": fresh + fresh, "no line": ""} {
		if got, err := loadSeconds(log); err == nil {
			t.Errorf("%s: got %v, want an error", name, got)
		}
	}
}
