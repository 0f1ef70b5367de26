package trainer

// Small runs for the tests: a configuration as a user writes one, run in this process on one thread.

import (
	"bytes"
	"context"
	"encoding/json"
	"fmt"
	"io"
	"maps"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"syscall"
	"testing"

	"frugal/torch"
	"frugal/trainer/config"
)

// small is a model that takes about a millisecond a step. One thread: the tests of several packages run at once, and
// OpenMP's threads wait for each other by spinning.
var small = []string{
	"threads=1", "device=cpu", "tokenizer.type=byte", "hidden_size=16", "num_layers=2", "num_heads=2", "intermediate_size=32",
	"max_position_embeddings=32", "batch_size=2", "gradient_accumulation_steps=2", "learning_rate=1e-3", "warmup_steps=4",
	"precision=fp32", "gradient_checkpointing=false", "logging_steps=1", "eval_steps=0", "save_steps=0", "max_steps=8",
	"monitoring.tensorboard=false", "monitoring.progress=off",
}

// smallRun is a run in a directory of the test's own. Later settings win.
func smallRun(t *testing.T, dir string, settings ...string) Options {
	t.Helper()
	set := append(slices.Clone(small), "output_dir="+filepath.Join(dir, "output"), "logging_dir="+filepath.Join(dir, "logs"),
		"data.cache_dir="+filepath.Join(dir, "cache"), "data.train=["+textFile(t, dir)+"]")
	c, choices, err := config.Load(config.LoadOptions{Set: append(set, settings...)})
	if err != nil {
		t.Fatal(err)
	}
	return Options{Config: c, Choices: choices, Version: "test", Stderr: io.Discard}
}

// textFile makes a corpus of some hundred rows in dir, the same each time.
func textFile(t *testing.T, dir string) string {
	path := filepath.Join(dir, "text.txt")
	var b strings.Builder
	for i := range 60 {
		fmt.Fprintf(&b, "%d. A maré subiu %d vezes e o barco número %d ficou na areia, à espera da lua cheia.\n\n", i, i*7%13, i*i%31)
		if i%6 == 5 {
			b.WriteString("<|endoftext|>\n")
		}
	}
	if err := os.WriteFile(path, []byte(b.String()), 0o666); err != nil {
		t.Fatal(err)
	}
	return path
}

func mustRun(t *testing.T, o Options) {
	t.Helper()
	if err := Run(context.Background(), o); err != nil {
		t.Fatal(err)
	}
	if n := torch.LiveTensors(); n != 0 {
		t.Fatalf("%d tensors are still alive after the run", n)
	}
}

// inRun makes all parts of a run on a tensor thread, with fresh weights, and hands it to f.
func inRun(t *testing.T, o Options, f func(r *run)) {
	t.Helper()
	thread := torch.StartThread()
	defer thread.Stop()
	thread.Do(func() {
		r := newRun(o)
		defer r.close()
		if err := r.openOutput(); err != nil {
			t.Fatal(err)
		}
		if err := r.build(context.Background(), r.findCheckpoint); err != nil {
			t.Fatal(err)
		}
		if err := r.initialise(); err != nil {
			t.Fatal(err)
		}
		scope := torch.OpenScope()
		defer scope.Close()
		f(r)
	})
	if n := torch.LiveTensors(); n != 0 {
		t.Fatalf("%d tensors are still alive", n)
	}
}

// events reads the metrics of an event, without what depends on the clock and the machine.
func events(t *testing.T, o Options, event string) (list []map[string]any) {
	t.Helper()
	text, err := os.ReadFile(filepath.Join(o.Config.OutputDir, "metrics.jsonl"))
	if err != nil {
		t.Fatal(err)
	}
	for line := range bytes.Lines(text) {
		var m map[string]any
		if err := json.Unmarshal(line, &m); err != nil {
			t.Fatalf("%s: %v", line, err)
		}
		maps.DeleteFunc(m, func(key string, _ any) bool {
			return slices.Contains([]string{"time", "seconds", "tokens_per_second", "step_seconds", "data_wait_seconds", "peak_memory_bytes", "peak_memory_by_kind", "allocated_memory_by_kind", "resident_memory_bytes", "cpu_percent"}, key)
		})
		if m["event"] == event {
			list = append(list, m)
		}
	}
	return list
}

func losses(t *testing.T, o Options) (list []float64) {
	t.Helper()
	for _, e := range events(t, o, "train") {
		list = append(list, e["loss"].(float64))
	}
	return list
}

func finalWeights(t *testing.T, o Options) []byte {
	t.Helper()
	text, err := os.ReadFile(filepath.Join(o.Config.OutputDir, "final_model", "model.safetensors"))
	if err != nil {
		t.Fatal(err)
	}
	return text
}

// runOneStep is Run with a signal during the first step of the session, so that it ends after it.
func runOneStep(o Options) error {
	thread := torch.StartThread()
	defer thread.Stop()
	return torch.Call(thread, func() error {
		signals := make(chan os.Signal, 1)
		o.Signals = signals
		r := newRun(o)
		defer r.close()
		r.beforeUpdate = func(*run) { signals <- syscall.SIGTERM }
		return r.run(context.Background())
	})
}
