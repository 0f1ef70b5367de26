package gpt2

// The head: final LayerNorm, tied output, cross entropy and their gradients, a chunk of rows at a time, so that the logits
// [B·T, V] never exist whole.

import "frugal/torch"

// chunkElements bounds a chunk's logits: 64 MiB in half precision. With fewer rows than minChunkRows products run below the
// processor's speed. Half as many cost 5% of a step in bf16, 2% in fp32; twice as many gain nothing.
const (
	chunkElements = 1 << 25
	minChunkRows  = 128
)

// ChunkRows is the largest number of rows whose logits exist at once.
func (m *Model) ChunkRows() int64 {
	if m.HeadRows > 0 {
		return int64(m.HeadRows)
	}
	return m.Config.ChunkRows()
}

// ChunkRows is what a model chooses by its vocabulary.
func (c Config) ChunkRows() int64 { return max(minChunkRows, chunkElements/int64(c.VocabSize)) }

// EvenRows is the HeadRows, no more than most, that cut a batch of n rows with the least left over for the last chunk. It is for the
// largest batch: a smaller one that was cut evenly by itself could have larger chunks, and take more memory.
func EvenRows(n, most int64) int64 {
	chunks := max(1, (n+most-1)/most)
	return (n + chunks - 1) / chunks
}

// headLoss adds the sum of losses of x [B, T, C] against targets [B, T] to p.LossSum. With p.Weight it also adds the
// gradients of Weight·sum to lnF's and wte's, and returns that of x.
func (m *Model) headLoss(x, targets *torch.Tensor, p Pass) *torch.Tensor {
	scope := torch.OpenScope()
	defer scope.Close()
	m.headArrives()
	defer m.headLeaves()
	if p.Weight != nil {
		m.gradientArrives(embedding, m.lastNorm())
		m.gradientArrives(m.lastNorm(), noStage)
	}
	y := m.lnF.forward(m, x)
	var dy *torch.Tensor
	torch.NoGrad(func() {
		rows := y.Detach().Reshape(-1, int64(m.HiddenSize))
		h := head{m: m, p: p, rows: rows, targets: targets.Reshape(-1), weight: m.wte.working, taskWeight: p.Weight}
		if p.Guide != nil && p.Weight != nil {
			h.taskWeight = p.Weight.MulScalar(p.Guide.TaskWeight())
		}
		if p.Weight != nil {
			h.gradient = torch.Empty(rows.Shape(), rows.DType(), m.Device)
			dy = h.gradient.Reshape(y.Shape()...)
		}
		n := rows.Shape()[0]
		size := m.ChunkRows()
		for start := int64(0); start < n; start += size {
			h.chunk(start, min(size, n-start))
		}
	})
	if dy == nil {
		return nil
	}
	torch.Backward([]*torch.Tensor{y}, []*torch.Tensor{dy})
	m.gradientLeaves(m.lastNorm())
	m.complete(m.lastNorm(), p)
	arrived := x.Grad()
	scope.Keep(arrived)
	return arrived
}

// Guide is a second loss on the logits, such as what a teacher says of them. The objective is TaskWeight times the cross entropy
// and what the Guide adds to the gradient.
type Guide interface {
	// TaskWeight is the cross entropy's share of the objective.
	TaskWeight() float64
	// Rows takes the chunks of a batch in their order, once each.
	Rows(c Chunk)
}

// Chunk is what a Guide is shown: n rows of a batch's B·T. It must keep none of the tensors.
type Chunk struct {
	First    int64         // the first of them
	Logits   *torch.Tensor // [n, V], in the compute precision
	Valid    *torch.Tensor // [n], float32: 1 where there is a target, else 0
	Weight   *torch.Tensor // float32 scalar: the gradient is that of Weight·loss; nil without gradients
	Gradient *torch.Tensor // [n, V], float32: to be added to; nil without gradients
}

// head is the state shared by the chunks of one batch.
type head struct {
	m        *Model
	p        Pass
	rows     *torch.Tensor // normalised, in the compute precision: [N, C]
	targets  *torch.Tensor // [N]
	weight   *torch.Tensor // wte in the compute precision, [V, C]
	gradient *torch.Tensor // of rows; nil without gradients

	taskWeight *torch.Tensor // of the cross entropy's gradient: p.Weight, or a Guide's share of it
}

// chunk: with p = softmax(z), the gradient of -log p[target] by the logits z is p - onehot(target).
func (h *head) chunk(start, n int64) {
	scope := torch.OpenScope()
	defer scope.Close()
	rows, targets := h.rows.Narrow(0, start, n), h.targets.Narrow(0, start, n)
	logits := torch.Product(rows, h.weight.Transpose(0, 1), h.m.Library) // [n, V]
	d := h.loss(logits, targets, start)
	if h.gradient == nil {
		return
	}
	h.gradient.Narrow(0, start, n).Copy_(torch.Product(d, h.weight, h.m.Library))
	h.m.wte.gradient.AddProduct_(d.Transpose(0, 1), rows, h.m.accumulate || start > 0)
}

// loss adds the losses of a chunk and returns their gradient by the logits, in the compute precision: the logits' memory, unless a
// Guide has to see them.
func (h *head) loss(logits, targets *torch.Tensor, start int64) (d *torch.Tensor) {
	if h.p.Guide == nil {
		if h.gradient != nil {
			d = logits
		}
		torch.CrossEntropy(logits, targets, h.taskWeight, h.p.LossSum, d)
		return d
	}
	c := Chunk{First: start, Logits: logits, Valid: targets.GreaterEqual(0).To(torch.Float32, h.m.Device), Weight: h.p.Weight}
	if h.gradient != nil {
		c.Gradient = torch.Empty(logits.Shape(), torch.Float32, h.m.Device)
	}
	torch.CrossEntropy(logits, targets, h.taskWeight, h.p.LossSum, c.Gradient)
	h.guide(c)
	logits.Free()
	if c.Gradient == nil {
		return nil
	}
	d = c.Gradient.To(h.p.Precision, h.m.Device) // the same elements where the precision is fp32
	c.Gradient.Free()
	return d
}

// guide shows the Guide a chunk, in a scope of its own.
func (h *head) guide(c Chunk) {
	scope := torch.OpenScope()
	defer scope.Close()
	h.p.Guide.Rows(c)
}
