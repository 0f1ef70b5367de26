package distill

// What is kept of a teacher: at each position its k largest log-probabilities, and the mass of all others as one more.

import (
	"frugal/torch"
	"frugal/trainer/gpt2"
)

// TopK is a teacher's softened distribution at N positions: k probabilities of its own and a bucket for the rest.
type TopK struct {
	IDs      *torch.Tensor // int64 [N, k], all different in a row
	LogProbs *torch.Tensor // float32 [N, k]
	Rest     *torch.Tensor // float32 [N]: log of the mass that all others have, -Inf where there are none
}

// leastRest is the log of the smallest mass of a rest that is told from none. e^-80 is a normal number of fp32.
const leastRest = -80

// Guide is the loss against what was kept: the divergence of k+1 buckets.
func (k TopK) Guide(l Loss) gpt2.Guide { return &kept{l, k} }

type kept struct {
	Loss
	TopK
}

// Rows: with p the teacher's probabilities and q the student's, P and Q what they leave for all others, the loss is
// Σ p·(log p − log q) + P·(log P − log Q), and its gradient by logits/T is q − p for the k, and q·(1 − P/Q) for the others.
// Q is summed over the others, not 1 − Σq, in which all figures cancel where it is small.
func (b *kept) Rows(c gpt2.Chunk) {
	torch.NoGrad(func() {
		n := c.Valid.NumElements()
		ids := b.IDs.Narrow(0, c.First, n)
		logP, logRest := normalised(b.LogProbs.Narrow(0, c.First, n), b.Rest.Narrow(0, c.First, n))
		p, rest := logP.Clone().Exp_(), logRest.Clone().Exp_()

		student := b.softened(c.Logits)
		c.Logits.Free()
		logQ := student.Gather(1, ids)
		others := student.Exp_().ScatterFill_(1, ids, 0)
		// An underflow of all others is held where log and division stay finite.
		studentRest := others.SumDim(-1).ClampMin(1e-36)

		divergences := logP.Sub(logQ).Mul_(p).SumDim(-1).Add_(logRest.Sub(studentRest.Log()).Mul_(rest))
		if c.Gradient == nil {
			others = nil
		} else {
			share := rest.Mul(studentRest.Reciprocal()).MulScalar(-1).AddScalar_(1)
			others.Mul_(share.Reshape(-1, 1)).ScatterAdd_(1, ids, logQ.Exp_().Sub_(p))
		}
		b.add(c, divergences, others)
	})
}

// normalised makes the buckets' masses sum to 1 again, which rounding has changed.
func normalised(logProbs, logRest *torch.Tensor) (_, _ *torch.Tensor) {
	logRest = logRest.ClampMin(leastRest)
	total := logProbs.Clone().Exp_().SumDim(-1).Add_(logRest.Clone().Exp_()).Log()
	return logProbs.Sub(total.Reshape(-1, 1)), logRest.Sub_(total)
}

// Kept is TopK on the host, in the order of its tensors' elements.
type Kept struct {
	IDs            []int64
	LogProbs, Rest []float32
}

// TopK is the teacher's softened distribution for ids [B, T] int64: at each of the B·T positions its k largest log-probabilities,
// the largest first, and the log of the rest.
func (t *Teacher) TopK(ids *torch.Tensor, k int, temperature float64) (all Kept) {
	scope := torch.OpenScope()
	defer scope.Close()
	torch.NoGrad(func() {
		hidden := t.model.Hidden(ids, t.precision)
		n := ids.NumElements()
		for start := int64(0); start < n; start += t.model.ChunkRows() {
			all.appendRows(t, hidden.Narrow(0, start, min(t.model.ChunkRows(), n-start)), int64(k), temperature)
		}
	})
	return all
}

func (all *Kept) appendRows(t *Teacher, hidden *torch.Tensor, k int64, temperature float64) {
	scope := torch.OpenScope()
	defer scope.Close()
	logProbs := Loss{Temperature: temperature}.softened(t.model.Output(hidden))
	values, ids := logProbs.TopK(k)
	rest := logProbs.Exp_().ScatterFill_(1, ids, 0).SumDim(-1).Log()
	all.IDs = append(all.IDs, ids.Int64s()...)
	all.LogProbs = append(all.LogProbs, values.Float32s()...)
	all.Rest = append(all.Rest, rest.Float32s()...)
}

// Tensors copies to a device what has N·k elements, and of the rest N.
func (all Kept) Tensors(device torch.Device) TopK {
	n := int64(len(all.Rest))
	shape := []int64{n, int64(len(all.IDs)) / max(1, n)}
	return TopK{torch.FromInt64s(all.IDs, shape, device), torch.FromFloat32s(all.LogProbs, shape, device),
		torch.FromFloat32s(all.Rest, []int64{n}, device)}
}
