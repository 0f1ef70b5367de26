package main

// What the bench computes itself. Its runs take gigabytes and minutes, and are no test.

import (
	"os"
	"path/filepath"
	"strings"
	"testing"

	"frugal/trainer/config"
)

func load(t *testing.T, name string) *config.TrainingConfig {
	t.Helper()
	c, _, err := config.Load(config.LoadOptions{Path: name + ".yaml"})
	if err != nil {
		t.Fatal(err)
	}
	return c
}

// GPT-2 as OpenAI counts it has 124,439,808 parameters.
func TestParametersOf(t *testing.T) {
	if got := parametersOf(load(t, "124m")); got != 124439808 {
		t.Errorf("got %d", got)
	}
}

// The first target: inside 4 GB without offload, with nanoGPT's effective batch.
func TestTheSmallestSizeFitsByThePlan(t *testing.T) {
	c := load(t, "124m")
	if c.CPUOffload != config.OffloadOff || c.MaxPositionEmbeddings != 1024 || c.EffectiveBatchSize() != 480 {
		t.Errorf("cpu_offload %s, %d positions, %d rows an update", c.CPUOffload, c.MaxPositionEmbeddings, c.EffectiveBatchSize())
	}
	if r := planned(t, targets[0]); r.plannedBytes() > r.limitBytes() {
		t.Errorf("planned %s GB of %g", gib(r.plannedBytes()), r.limit)
	}
}

// planned plans from this directory's parent's parent, as the bench is run.
func planned(t *testing.T, of target) *row {
	t.Helper()
	t.Chdir("../..")
	r, err := planTarget(of, options{plan: true})
	if err != nil {
		t.Fatal(err)
	}
	return r
}

func TestWhatCannotBeMeasuredIsRefused(t *testing.T) {
	for want, o := range map[string]options{
		"-sizes":        {sizes: "124", accumulation: 1},
		"-accumulation": {sizes: "none"},
		"-threads":      {sizes: "none", accumulation: 1, threads: -1},
	} {
		if err := measure(o); err == nil || !strings.HasPrefix(err.Error(), want+":") {
			t.Errorf("error %v, want one about %s", err, want)
		}
	}
}

func TestSettingsOfARunAgreeWithThemselves(t *testing.T) {
	file := filepath.Join(t.TempDir(), "settings.json")
	if err := writeSettings(load(t, "124m"), t.TempDir(), file, options{accumulation: 2, threads: 1}); err != nil {
		t.Fatal(err)
	}
	c, _, err := config.Load(config.LoadOptions{Path: file})
	if err != nil {
		t.Fatal(err)
	}
	if c.GradientAccumulationSteps != 2 || c.MaxSteps != 1 || c.Device != "cpu" || c.Precision != "bf16" {
		t.Errorf("got %+v", c)
	}
}

func TestReadPeakTakesTheUpdate(t *testing.T) {
	file := filepath.Join(t.TempDir(), "metrics.jsonl")
	write := func(text string) {
		if err := os.WriteFile(file, []byte(text), 0o666); err != nil {
			t.Fatal(err)
		}
	}
	write(`{"event":"run","step":0}` + "\n" + `{"event":"train","step":1,"loss":10.5,"peak_memory_bytes":30,"peak_memory_by_kind":{"weights":10,"a new kind":20},"step_seconds":2}` + "\n")
	if c, err := readPeak(file); err != nil || c.Peak != 30 || c.Kinds["a new kind"] != 20 || c.Seconds != 2 || c.Loss != 10.5 {
		t.Errorf("got %+v, %v", c, err)
	}
	write(`{"event":"run","step":0}` + "\n")
	if _, err := readPeak(file); err == nil || !strings.Contains(err.Error(), "no update") {
		t.Errorf("error %v", err)
	}
}

func TestTableSaysWhatWasPlannedCountedAndNotRun(t *testing.T) {
	of := planned(t, targets[0])
	of.counted, of.resident = &counted{Loss: 10.5, Peak: 3 << 30, Kinds: map[string]int64{"weights": 2 << 30, "a new kind": 1 << 30}, Seconds: 8}, 5<<30
	large := *of
	large.counted, large.why, large.limit = nil, "by the plan alone", 1
	text := markdown([]*row{of, &large}, options{accumulation: 2})
	for _, want := range []string{"| GPT-2 124M: 124 million | 4 | bf16 (on a card fp16 or bf16), 4 × 120 |", "| 2 micro-batches, loss 10.50 | 2.00 | 0.00 | 0.00 | 0.00 | 0.00 (a new kind 1.00) | **3.00** | 4.0 | 5.00 |",
		"by the plan alone", ": too much**"} {
		if !strings.Contains(text, want) {
			t.Errorf("no %q in:\n%s", want, text)
		}
	}
	if err := problems([]*row{of, &large}); err == nil || !strings.Contains(err.Error(), "the limit is 1") {
		t.Errorf("error %v, want one about the limit", err)
	}
	if err := problems([]*row{of}); err != nil {
		t.Error(err)
	}
}
