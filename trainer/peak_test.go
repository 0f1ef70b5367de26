package trainer

import (
	"slices"
	"testing"

	"frugal/torch"
)

// What is planned from a configuration alone is what a run of it plans, with its model made.
func TestPlannedPeakIsTheRunsOwnPlan(t *testing.T) {
	for _, c := range []planCase{
		{precision: "fp32", rows: 1, length: 256, hidden: 128, layers: 3, heads: 4, vocab: 8192, accumulation: 1},
		{precision: "bf16", rows: 2, length: 64, hidden: 64, layers: 2, heads: 2, vocab: 257, accumulation: 3, checkpointing: true},
		{precision: "bf16", rows: 2, length: 64, hidden: 64, layers: 4, heads: 2, vocab: 257, accumulation: 1, offload: "full"},
		{precision: "fp16", rows: 2, length: 64, hidden: 64, layers: 2, heads: 2, vocab: 257, accumulation: 1},
	} {
		c.attention = "flash"
		if c.offload == "" {
			c.offload = "false"
		}
		t.Run(c.String(), func(t *testing.T) {
			inRun(t, smallRun(t, t.TempDir(), c.settings()...), func(r *run) {
				if err := r.chooseKernels(); err != nil {
					t.Fatal(err)
				}
				var want []PeakPart
				for part, bytes := range r.stepShape().plan() {
					if bytes > 0 {
						want = append(want, PeakPart{memoryPart(part).name(false), bytes})
					}
				}
				if got := PlannedPeak(r.config); !slices.Equal(got, want) || len(got) < 4 {
					t.Errorf("got %v, want %v", got, want)
				}
			})
		})
	}
}

// GPT-2's largest size is planned without a tensor.
func TestPlannedPeakMakesNoTensor(t *testing.T) {
	o := smallRun(t, t.TempDir(), "vocab_size=50257", "hidden_size=1600", "intermediate_size=6400", "num_layers=48", "num_heads=25", "max_position_embeddings=1024", "precision=bf16",
		"batch_size=1", "gradient_checkpointing=true")
	before, err := torch.MemoryStats(torch.CPU)
	if err != nil {
		t.Fatal(err)
	}
	torch.ResetPeakMemory(torch.CPU)
	sum := int64(0)
	for _, p := range PlannedPeak(o.Config) {
		sum += p.Bytes
	}
	const parameters = 1557611200
	if sum < 18*parameters || sum > 19*parameters {
		t.Errorf("planned %d bytes for %d parameters, want 18 each and the activations", sum, parameters)
	}
	if after, err := torch.MemoryStats(torch.CPU); err != nil || after.AllocatedPeak > before.Allocated {
		t.Errorf("%v: %d bytes at the peak, %d before", err, after.AllocatedPeak, before.Allocated)
	}
}
