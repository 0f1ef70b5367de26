package trainer

import (
	"bytes"
	"errors"
	"fmt"
	"strings"
	"testing"

	"frugal/torch"
	"frugal/trainer/gpt2"
)

// TestOffloadedRunsHaveTheSameBits compares whole runs, with clipping, loss scaling, dropout, histograms, evaluations and samples, in
// what they record and in the weights that they leave; the offloaded ones are interrupted, and their checkpoints are resumed by the other
// kind of run.
func TestOffloadedRunsHaveTheSameBits(t *testing.T) {
	for _, precision := range []string{"fp32", "fp16", "bf16"} {
		t.Run(precision, func(t *testing.T) {
			settings := []string{"precision=" + precision, "dropout=0.1", "num_layers=3", "max_steps=6", "eval_steps=3", "save_steps=2", "logging_steps=1",
				"max_grad_norm=0.5", "warmup_steps=0", "gradient_accumulation_steps=2", "data.eval_fraction=0.1",
				"monitoring.sample_steps=3", "monitoring.prompts=[\"A maré\"]", "monitoring.histogram_steps=2"}
			want := smallRun(t, t.TempDir(), settings...)
			mustRun(t, want)
			for _, offload := range []string{"true", "full"} {
				o := smallRun(t, t.TempDir(), append(settings, "cpu_offload="+offload)...)
				for i := range 3 {
					if err := runOneStep(o); err == nil {
						t.Fatalf("session %d was not interrupted", i)
					}
				}
				in := o
				plain := *o.Config
				plain.CPUOffload = "false"
				in.Config = &plain
				if err := runOneStep(in); err == nil {
					t.Fatal("a session without offload was not interrupted")
				}
				mustRun(t, o)
				if !bytes.Equal(finalWeights(t, o), finalWeights(t, want)) {
					t.Errorf("cpu_offload %s: the final weights differ", offload)
				}
				for _, event := range []string{"train", "eval", "sample"} {
					a, b := recorded(t, o, event), recorded(t, want, event)
					if len(b) == 0 || strings.Join(a, "\n") != strings.Join(b, "\n") {
						t.Errorf("cpu_offload %s: %s lines\n%s\nwant\n%s", offload, event, strings.Join(a, "\n"), strings.Join(b, "\n"))
					}
				}
			}
		})
	}
}

// recorded are an event's lines, without what differs from run to run.
func recorded(t *testing.T, o Options, event string) (lines []string) {
	t.Helper()
	for _, e := range events(t, o, event) {
		for key := range e {
			for _, part := range []string{"time", "seconds", "memory", "rss", "cpu", "tokens_per_second", "disk"} {
				if strings.Contains(key, part) {
					delete(e, key)
				}
			}
		}
		lines = append(lines, fmt.Sprint(e))
	}
	return lines
}

// What the host's memory cannot hold is refused before anything is made.
func TestOffloadNeedsTheHostsMemory(t *testing.T) {
	thread := torch.StartThread()
	defer thread.Stop()
	thread.Do(func() {
		r := newRun(smallRun(t, t.TempDir(), "cpu_offload=true"))
		defer r.close()
		if err := r.openOutput(); err != nil {
			t.Fatal(err)
		}
		err := r.checkHostMemory("true", gpt2.Config{VocabSize: 50257, HiddenSize: 65536, NumLayers: 500, NumHeads: 1, IntermediateSize: 4 * 65536, MaxPositionEmbeddings: 1024})
		var e *torch.Error
		if !errors.As(err, &e) || e.Kind != torch.OutOfMemory || !strings.Contains(e.Message, "cpu_offload true keeps ") {
			t.Errorf("error %v", err)
		}
	})
}
