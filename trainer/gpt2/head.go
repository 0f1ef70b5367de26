package gpt2

// The head: final LayerNorm, tied output, cross entropy and their gradients, a chunk of rows at a time, so that the logits
// [B·T, V] never exist whole.

import "frugal/torch"

// chunkElements bounds a chunk's logits: 64 MiB in fp32. With fewer rows than minChunkRows products run below the processor's
// speed. 1,024 rows in place of 256 gain 12% of the head's time in bf16 and nothing in fp32, for four times the memory.
const (
	chunkElements = 1 << 24
	minChunkRows  = 128
)

// ChunkRows is the largest number of rows whose logits exist at once.
func (m *Model) ChunkRows() int64 {
	if m.HeadRows > 0 {
		return int64(m.HeadRows)
	}
	return max(minChunkRows, chunkElements/int64(m.VocabSize))
}

// headLoss adds the sum of losses of x [B, T, C] against targets [B, T] to p.LossSum. With p.Weight it also adds the
// gradients of Weight·sum to lnF's and wte's, and returns that of x.
func (m *Model) headLoss(x, targets *torch.Tensor, p Pass) *torch.Tensor {
	scope := torch.OpenScope()
	defer scope.Close()
	C := int64(m.HiddenSize)
	y := m.lnF.forward(m, x)
	var dx *torch.Tensor
	torch.NoGrad(func() {
		rows := y.Detach().Reshape(-1, C)
		flat := targets.Reshape(-1)
		h := head{m: m, p: p, weight: m.wte.Detach().To(p.Precision, m.Device), taskWeight: p.Weight}
		if p.Guide != nil && p.Weight != nil {
			h.taskWeight = p.Weight.MulScalar(p.Guide.TaskWeight())
		}
		if p.Weight != nil {
			h.gradient = torch.Empty(rows.Shape(), torch.Float32, m.Device)
		}
		n := rows.Shape()[0]
		size := evenly(n, m.ChunkRows())
		for start := int64(0); start < n; start += size {
			h.chunk(rows, flat, start, min(size, n-start))
		}
		dx = h.gradient
	})
	if dx == nil {
		return nil
	}
	backward(y, dx.Reshape(y.Shape()...), nil)
	arrived := x.Grad()
	scope.Keep(arrived)
	return arrived
}

// evenly is the size of chunks of at most most that n is cut into with the least left over for the last.
func evenly(n, most int64) int64 {
	chunks := max(1, (n+most-1)/most)
	return (n + chunks - 1) / chunks
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
	weight   *torch.Tensor // wte in the compute precision, [V, C]
	gradient *torch.Tensor // of the normalised rows, [N, C]; nil without gradients

	taskWeight *torch.Tensor // of the cross entropy's gradient: p.Weight, or a Guide's share of it
}

// chunk: with p = softmax(z), the gradient of -log p[target] by the logits z is p - onehot(target).
func (h *head) chunk(rows, targets *torch.Tensor, start, n int64) {
	scope := torch.OpenScope()
	defer scope.Close()
	hidden := rows.Narrow(0, start, n).To(h.p.Precision, h.m.Device)
	target := targets.Narrow(0, start, n)
	valid := target.GreaterEqual(0).To(torch.Float32, h.m.Device) // [n]: 1 where there is a target
	target = target.ClampMin(0)

	logits := hidden.MatMul(h.weight.Transpose(0, 1)) // [n, V]
	logProbs := logits.LogSoftmax(-1, torch.Float32)
	if h.p.Guide == nil {
		logits.Free()
	}
	losses := logProbs.Gather(1, target.Reshape(n, 1)).Reshape(n).Mul(valid)
	h.p.LossSum.Add_(losses.SumTo(torch.Float64).MulScalar(-1))
	if h.gradient != nil {
		logProbs.Exp_().ScatterAdd_(1, target.Reshape(n, 1), torch.Full([]int64{n, 1}, -1, torch.Float32, h.m.Device))
		logProbs.Mul_(valid.Mul(h.taskWeight).Reshape(n, 1))
	}
	if h.p.Guide != nil {
		h.guide(Chunk{First: start, Logits: logits, Valid: valid, Weight: h.p.Weight}, logProbs)
		logits.Free()
	}
	if h.gradient == nil {
		return
	}
	d := logProbs.To(h.p.Precision, h.m.Device) // the same elements where the precision is fp32
	logProbs.Free()
	h.gradient.Narrow(0, start, n).Copy_(d.MatMul(h.weight))
	h.m.addGradient(h.m.wte, d.Transpose(0, 1), hidden)
}

// guide shows the Guide a chunk; buffer is the gradient, or of no more use where there are no gradients.
func (h *head) guide(c Chunk, buffer *torch.Tensor) {
	scope := torch.OpenScope()
	defer scope.Close()
	if h.gradient == nil {
		buffer.Free()
	} else {
		c.Gradient = buffer
	}
	h.p.Guide.Rows(c)
}

// addGradient adds a·b to the gradient of parameter w: in place when all are fp32, else the product is rounded to the compute
// precision first, as autocast rounds a weight's gradient.
func (m *Model) addGradient(w, a, b *torch.Tensor) {
	g := w.Grad()
	switch {
	case g == nil:
		product := a.MatMul(b)
		w.SetGrad(product.To(torch.Float32, m.Device))
	case a.DType() == torch.Float32:
		g.AddMM_(a, b)
	default:
		g.Add_(a.MatMul(b))
	}
}
