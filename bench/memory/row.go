package main

// A row: what is planned of a size, whether this machine can run it, and what a run said.

import (
	"context"
	"encoding/json"
	"fmt"
	"os"
	"path/filepath"

	"frugal/torch"
	"frugal/trainer"
	"frugal/trainer/config"
	"frugal/trainer/gpt2"
)

// row is a target's.
type row struct {
	target
	settings   *config.TrainingConfig
	parameters int64
	planned    []trainer.PeakPart
	host       int64    // bytes that a run takes of this machine, estimated
	why        string   // "" where it runs; otherwise why it does not
	counted    *counted // of the run; nil: none, or it failed
	resident   int64    // the most that the system saw of its process
	failed     error
}

// counted is what a run's metrics.jsonl says of its update.
type counted struct {
	Event   string
	Loss    float64
	Peak    int64            `json:"peak_memory_bytes"`
	Kinds   map[string]int64 `json:"peak_memory_by_kind"`
	Seconds float64          `json:"step_seconds"`
}

func (t target) limitBytes() int64 { return int64(t.limit * (1 << 30)) }

func (r *row) plannedBytes() (sum int64) {
	for _, p := range r.planned {
		sum += p.Bytes
	}
	return sum
}

// beside is what the process takes apart from tensors: libtorch's code, Go's heap, kernels' buffers.
const beside = 1 << 30

// planTarget reads a size's configuration and plans it.
func planTarget(t target, o options) (*row, error) {
	c, _, err := config.Load(config.LoadOptions{Path: filepath.Join(folder, t.name+".yaml")})
	if err != nil {
		return nil, err
	}
	r := &row{target: t, settings: c, planned: trainer.PlannedPeak(c), parameters: parametersOf(c)}
	r.host = r.plannedBytes() + trainer.HostBytes(c) + beside
	m, err := torch.MemoryStats(torch.CPU)
	if err != nil {
		return nil, err
	}
	switch {
	case o.plan:
		r.why = "by the plan alone"
	case r.plannedBytes() > r.limitBytes():
		r.why = "not run: the plan does not fit"
	case r.host > m.Free:
		r.why = fmt.Sprintf("by the plan alone: a run would take some %s of this machine, which has %s free", gib(r.host), gib(m.Free))
	}
	return r, nil
}

// parametersOf is the number of weights, the tied output's once.
func parametersOf(c *config.TrainingConfig) int64 {
	return gpt2.Config{VocabSize: c.VocabSize, HiddenSize: c.HiddenSize, NumLayers: c.NumLayers, IntermediateSize: c.IntermediateSize,
		MaxPositionEmbeddings: c.MaxPositionEmbeddings}.NumParameters()
}

// writeSettings writes the size's configuration as the bench runs it: one update, on the CPU, into scratch.
func writeSettings(c *config.TrainingConfig, scratch, file string, o options) error {
	text, err := c.JSON()
	if err != nil {
		return err
	}
	var settings map[string]any
	if err := json.Unmarshal(text, &settings); err != nil {
		return err
	}
	for key, value := range map[string]any{"device": "cpu", "threads": o.threads, "gradient_accumulation_steps": o.accumulation, "max_steps": 1,
		"warmup_steps": 0, "resume": "never", "output_dir": filepath.Join(scratch, "output"), "logging_dir": filepath.Join(scratch, "logs")} {
		settings[key] = value
	}
	delete(settings, "effective_batch_size") // which the accumulation makes another
	data := settings["data"].(map[string]any)
	data["cache_dir"] = filepath.Join(scratch, "cache")
	if text, err = json.MarshalIndent(settings, "", "  "); err != nil {
		return err
	}
	return os.WriteFile(file, text, 0o666)
}

// trainCapped is the child: cmd/train's own run, with the allocator's limit set before it.
func trainCapped(file string, limit int64) error {
	c, choices, err := config.Load(config.LoadOptions{Path: file})
	if err != nil {
		return err
	}
	if err := torch.SetMemoryLimit(torch.CPU, limit); err != nil {
		return err
	}
	return trainer.Run(context.Background(), trainer.Options{Config: c, Choices: choices, Version: "bench/memory", Stderr: os.Stderr})
}
