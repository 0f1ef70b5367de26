// Package distill is knowledge distillation (Hinton et al., arXiv 1503.02531): a student learns from a teacher's probabilities
// as well as from the text. The teacher's part of the loss is computed with the head, a chunk of rows at a time, so that
// neither model's logits [B·T, V] ever exist whole; the teacher is a model, or what was kept of one.
package distill

import (
	"frugal/torch"
	"frugal/trainer/gpt2"
)

// Loss is α·T²·KL(softmax(teacher/T) ‖ softmax(student/T)) + (1−α)·CE for each target, of which the cross entropy CE is the
// head's own. T² keeps the size of the gradient, which falls with it.
type Loss struct {
	Temperature float64 // T
	Alpha       float64 // α
	// Sum receives the batch's sum of T²·KL, without α: a float64 scalar on the device.
	Sum *torch.Tensor
}

// TaskWeight is the cross entropy's share.
func (l Loss) TaskWeight() float64 { return 1 - l.Alpha }

// add counts a chunk's divergences [n], KL, and its gradients by logits/T [n, V], which it overwrites; nil without gradients.
func (l Loss) add(c gpt2.Chunk, divergences, gradient *torch.Tensor) {
	l.Sum.Add_(divergences.Mul(c.Valid).SumTo(torch.Float64).MulScalar(l.Temperature * l.Temperature))
	if gradient != nil {
		// By the logits it is 1/T of that by logits/T, of T²·KL so T times.
		factor := c.Valid.Mul(c.Weight).MulScalar(l.Alpha * l.Temperature)
		c.Gradient.Add_(gradient.Mul_(factor.Reshape(-1, 1)))
	}
}

// softened is log softmax(logits/T) in fp32: [n, V].
func (l Loss) softened(logits *torch.Tensor) *torch.Tensor {
	return torch.Scoped(func() *torch.Tensor {
		inFull := logits.To(torch.Float32, logits.Device())
		scaled := inFull.MulScalar(1 / l.Temperature)
		inFull.Free()
		return scaled.LogSoftmax(-1, torch.Float32)
	})
}

// Teacher is a model that a student learns from.
type Teacher struct {
	model     *gpt2.Model
	precision torch.DType
}

// NewTeacher freezes m, which is the Teacher's from now on, in the compute precision.
func NewTeacher(m *gpt2.Model, precision torch.DType) *Teacher {
	m.Freeze(precision)
	return &Teacher{m, precision}
}

// Free releases the model.
func (t *Teacher) Free() { t.model.Free() }

// Bytes is the memory of its weights.
func (t *Teacher) Bytes() int64 { return t.model.WeightBytes() }

// Guide is the teacher's loss for the batch of ids [B, T] int64. Its hidden states are computed here, once, and belong to the
// open scope: [B·T, C].
func (t *Teacher) Guide(ids *torch.Tensor, l Loss) gpt2.Guide {
	return &exact{Loss: l, teacher: t.model, hidden: t.model.Hidden(ids, t.precision)}
}

type exact struct {
	Loss
	teacher *gpt2.Model
	hidden  *torch.Tensor // [B·T, C]
}

// Rows: with p and q the teacher's and the student's softened probabilities, KL is Σ p·(log p − log q), and its gradient by
// the student's logits/T is q − p.
func (e *exact) Rows(c gpt2.Chunk) {
	torch.NoGrad(func() {
		student := e.softened(c.Logits)
		n := c.Valid.NumElements()
		c.Logits.Free()
		logits := e.teacher.Output(e.hidden.Narrow(0, c.First, n))
		teacher := e.softened(logits)
		logits.Free()
		terms := teacher.Sub(student)
		divergences := terms.Mul_(teacher.Exp_()).SumDim(-1)
		terms.Free()
		if c.Gradient == nil {
			student = nil
		} else {
			student.Exp_().Sub_(teacher)
		}
		e.add(c, divergences, student)
	})
}
