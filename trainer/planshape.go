package trainer

// What the memory of a run depends on, from its configuration: known before the model is made, and again once its kernels are chosen.

import (
	"frugal/torch"
	"frugal/trainer/config"
	"frugal/trainer/gpt2"
)

// architectureOf is the model that a configuration alone describes.
func architectureOf(c *config.TrainingConfig) gpt2.Config {
	return gpt2.Config{VocabSize: c.VocabSize, HiddenSize: c.HiddenSize, NumLayers: c.NumLayers, NumHeads: c.NumHeads,
		IntermediateSize: c.IntermediateSize, MaxPositionEmbeddings: c.MaxPositionEmbeddings, LayerNormEpsilon: 1e-5, Dropout: c.Dropout}
}

// modelConfig is the architecture of the run's model.
func (r *run) modelConfig() gpt2.Config {
	m := architectureOf(r.config)
	if r.source != "" {
		m.LayerNormEpsilon, m.ExactGELU = r.architecture.LayerNormEpsilon, r.architecture.ExactGELU
	}
	return m
}

// stepShape is that of the run's largest micro-batch.
func (r *run) stepShape() stepShape {
	s := r.shapeOf(int64(r.config.BatchSize), r.done.MicroBatchRows)
	s.composed = !s.card && (s.model.Dropout > 0 || r.model.Attention == torch.Composed)
	return s
}

// shapeOf is that of micro-batches of so many rows, of which a step takes at most some at once since memory ran out (0: all), but for
// attention's kernel, which only a model has.
func (r *run) shapeOf(rows int64, atOnce int) stepShape {
	c := r.config
	s := shapeOf(c, r.modelConfig(), rows, r.precision)
	s.card = r.device.Type != torch.CPUType
	r.planCompany(&s)
	if atOnce > 0 && int64(atOnce) < rows {
		s.rows = int64(atOnce)
	}
	if d := r.distillation; d != nil {
		if c.Distillation.Cache == "" {
			s.teacher = &d.found.config
		} else {
			s.topK = int64(min(c.Distillation.CacheTopK, c.VocabSize))
			if d.unfilled {
				s.filler = &d.found.config
			}
		}
	}
	return s
}

// headRows is how many rows of logits are made at once, of micro-batches of so many rows and of smaller ones.
func headRows(c *config.TrainingConfig, m gpt2.Config, rows int64) int64 {
	return gpt2.EvenRows(rows*int64(c.MaxPositionEmbeddings), m.ChunkRows())
}

// shapeOf is that of a student's step on a CPU by flash.
func shapeOf(c *config.TrainingConfig, m gpt2.Config, rows int64, precision torch.DType) stepShape {
	return stepShape{model: m, rows: rows, length: int64(c.MaxPositionEmbeddings), precision: precision, offload: offloads[c.CPUOffload],
		checkpointing: c.GradientCheckpointing, chunkRows: headRows(c, m, rows)}
}

// planCompany adds what a process keeps because it is one of several.
func (r *run) planCompany(s *stepShape) {
	if r.processes() == 1 {
		return
	}
	if r.config.ShardOptimizer {
		s.moments = divideBuffers(r.processes(), s.model.BufferLength())[r.rank()].Length
	}
	s.local = r.config.LocalSteps > 0
	if r.config.ReducePrecision == "bf16" && (!s.card || r.cardToCard()) {
		s.reduced = int64(torch.BFloat16.Size())
	}
}
