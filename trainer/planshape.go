package trainer

// What the memory of a run depends on, from its configuration: known before the model is made, and again once its kernels are chosen.

import (
	"frugal/torch"
	"frugal/trainer/gpt2"
)

// modelConfig is the architecture of the run's model.
func (r *run) modelConfig() gpt2.Config {
	c := r.config
	m := gpt2.Config{VocabSize: c.VocabSize, HiddenSize: c.HiddenSize, NumLayers: c.NumLayers, NumHeads: c.NumHeads,
		IntermediateSize: c.IntermediateSize, MaxPositionEmbeddings: c.MaxPositionEmbeddings, LayerNormEpsilon: 1e-5, Dropout: c.Dropout}
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
	c, m := r.config, r.modelConfig()
	s := stepShape{model: m, rows: rows, length: int64(c.MaxPositionEmbeddings), precision: r.precision,
		offload: offloads[c.CPUOffload], checkpointing: c.GradientCheckpointing,
		accumulates: rows < int64(c.EffectiveBatchSize()), card: r.device.Type != torch.CPUType, chunkRows: m.ChunkRows()}
	if atOnce > 0 && int64(atOnce) < rows {
		s.rows, s.accumulates = int64(atOnce), true
	}
	if d := r.distillation; d != nil {
		if c.Distillation.Cache == "" {
			s.teacher = &d.found.config
		} else {
			s.topK = int64(min(c.Distillation.CacheTopK, c.VocabSize))
		}
	}
	return s
}
