package trainer

// The plan of a step for who only asks: bench/memory plans models that this machine could not hold.

import (
	"frugal/torch"
	"frugal/trainer/config"
	"frugal/trainer/gpt2"
)

// PeakPart is one of the things that a device's memory goes to, and how many bytes of it at a step's peak.
type PeakPart struct {
	Name  string
	Bytes int64
}

// PlannedPeak is what the peak of a step is planned to consist of where attention needs no scores in memory: on a card, and on a CPU by flash.
// It follows from the configuration alone, which must name vocab_size and a precision; no tensor is made.
func PlannedPeak(c *config.TrainingConfig) (parts []PeakPart) {
	precisions := map[string]torch.DType{"fp32": torch.Float32, "fp16": torch.Float16, "bf16": torch.BFloat16}
	m := gpt2.Config{VocabSize: c.VocabSize, HiddenSize: c.HiddenSize, NumLayers: c.NumLayers, NumHeads: c.NumHeads,
		IntermediateSize: c.IntermediateSize, MaxPositionEmbeddings: c.MaxPositionEmbeddings, LayerNormEpsilon: 1e-5, Dropout: c.Dropout}
	s := stepShape{model: m, rows: int64(c.BatchSize), length: int64(c.MaxPositionEmbeddings), precision: precisions[c.Precision],
		checkpointing: c.GradientCheckpointing, accumulates: c.GradientAccumulationSteps > 1, chunkRows: m.ChunkRows()}
	for part, bytes := range s.plan() {
		if bytes > 0 {
			parts = append(parts, PeakPart{memoryPart(part).name(false), bytes})
		}
	}
	return parts
}
