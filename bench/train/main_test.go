package main

// What the comparison itself computes. The comparison needs Python and a quiet machine, and is no test.

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
	curve := func(losses ...float64) (r result) {
		for _, l := range losses {
			r.steps = append(r.steps, step{Loss: l, GradNorm: 1})
		}
		return r
	}
	otherNorm := curve(8, 4)
	otherNorm.steps[1].GradNorm = 1.01
	ours := curve(8, 4)
	for name, c := range map[string]struct {
		peer    result
		largest float64
		want    string // "": equal enough
	}{
		"equal":                           {curve(8, 4), 0, ""},
		"a later loss within tolerance":   {curve(8, 4.00002), 5e-6, ""},
		"a later loss beyond it":          {curve(8, 4.0002), 0, "step 2"},
		"a first loss as far as a later":  {curve(8.00004, 4), 0, "step 1"},
		"not a number":                    {curve(math.NaN(), 4), 0, "step 1"},
		"norms of the gradients differ":   {otherNorm, 0, "step 2"},
		"both, of which the first counts": {curve(9, 5), 0, "step 1"},
	} {
		largest, err := compare(ours, c.peer, "fp32")
		switch {
		case c.want == "" && err != nil:
			t.Errorf("%s: %v", name, err)
		case c.want == "" && math.Abs(largest-c.largest) > 1e-8:
			t.Errorf("%s: largest difference %g, want %g", name, largest, c.largest)
		case c.want != "" && (err == nil || !strings.Contains(err.Error(), c.want)):
			t.Errorf("%s: error %v, want one about %s", name, err, c.want)
		}
	}
}

func TestReadStepsTakesTrainLinesOnly(t *testing.T) {
	file := filepath.Join(t.TempDir(), "metrics.jsonl")
	lines := `{"event":"run","step":0,"loss":"none"}
{"event":"train","step":1,"loss":10.5,"grad_norm":2,"step_seconds":0.5,"time":"2026-01-02T15:04:05.678Z"}
{"event":"train","step":2,"loss":10.25,"grad_norm":3,"step_seconds":0.25,"time":"2026-01-02T15:04:06.123456+00:00"}
`
	if err := os.WriteFile(file, []byte(lines), 0o666); err != nil {
		t.Fatal(err)
	}
	steps, err := readSteps(file)
	if err != nil {
		t.Fatal(err)
	}
	if len(steps) != 2 || steps[1].Loss != 10.25 || steps[1].GradNorm != 3 || steps[0].Seconds != 0.5 ||
		math.Abs(steps[1].Time.Sub(steps[0].Time).Seconds()-0.445456) > 1e-9 {
		t.Errorf("got %+v", steps)
	}
	if err := os.WriteFile(file, []byte(lines+`{"event":"train","step":3,"loss":"NaN"}`), 0o666); err != nil {
		t.Fatal(err)
	}
	if _, err := readSteps(file); err == nil || !strings.Contains(err.Error(), "line 4") {
		t.Errorf("error %v, want one about line 4", err)
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

func TestTableHasMediansAndPairedRatios(t *testing.T) {
	b := &bench{options: options{rounds: 3, steps: 8, dropped: 2, threads: 2, models: "demo", precisions: "fp32"}}
	run := func(speed, others float64) result {
		return result{speed: speed, memory: 100, firstStep: 2, others: others}
	}
	c := &testCase{model: models[1], precision: "fp32", decided: decided{Layers: 4, Width: 192, Heads: 3, VocabSize: 257, BatchSize: 8, Positions: 128},
		ours: []result{run(10, 0), run(30, 0), run(40, 0)}, peer: []result{run(10, 0), run(20, 0), run(80, 0)}}
	b.cases = []*testCase{c}
	text := b.markdown("a processor")
	for _, want := range []string{"| demo fp32 | tokens per second | 30 | 20 | 1.00 (0.50–1.50) |", "demo: 4 layers of width 192, 3 heads, 257 tokens, batch 8 × 128. ", "a processor", "-rounds 3 -steps 8", "0.00 processors busy."} {
		if !strings.Contains(text, want) {
			t.Errorf("no %q in:\n%s", want, text)
		}
	}
	c.peer[0].others = 1.5
	if text := b.markdown("a processor"); !strings.Contains(text, "1.50 processors busy: too much") {
		t.Errorf("nothing about the other work in:\n%s", text)
	}
}

func TestReplaceBetweenMarkers(t *testing.T) {
	got, err := replaceBetweenMarkers([]byte("above\n"+beginMarker+"old\n"+endMarker+"below\n"), "new\n")
	if want := "above\n" + beginMarker + "new\n" + endMarker + "below\n"; err != nil || string(got) != want {
		t.Errorf("got %q, %v, want %q", got, err, want)
	}
	for _, document := range []string{"", beginMarker, endMarker + beginMarker} {
		if _, err := replaceBetweenMarkers([]byte(document), "new\n"); err == nil {
			t.Errorf("%q was taken", document)
		}
	}
}
