package gpt2

// Forward and backward over the row of stages. Go walks them, so what is kept between the two passes is plain Go: each
// block's graph, or only its input, from which the block is computed again (Chen et al., arXiv 1604.06174).

import "frugal/torch"

// Pass says how a batch goes through the model.
type Pass struct {
	Precision     torch.DType // of products and activations, as autocast has it; Float32 for all
	Checkpointing bool        // keep block inputs only and recompute
	// Seed gives the dropout seed of a stage (0 embed, 1.. blocks). It is asked again for a recomputation, and must answer alike.
	Seed func(stage int) uint64
	// Weight multiplies the gradient of the sum of losses: loss scale / targets of the window. A float32 scalar on the device.
	Weight *torch.Tensor
	// LossSum receives the sum of the batch's losses, which are cross entropies: a float64 scalar on the device.
	LossSum *torch.Tensor
	// Guide adds a second loss; nil for none.
	Guide Guide
	// Complete is told of each stage, as its part of Gradients' buffer, when this pass adds nothing to it any more; nil: nobody is.
	Complete func(offset, length int64)
}

// complete tells of a stage whose gradients have left.
func (m *Model) complete(stage int, p Pass) {
	if p.Complete != nil {
		if m.courier != nil {
			m.courier.gradientPlaces[stage].left.Synchronize()
		}
		s := m.stages[stage]
		p.Complete(s.offset, s.length)
	}
}

// Completion is the parts of Gradients' buffer in the order in which Complete is told of them.
func (m *Model) Completion() (parts []Slice) {
	for i := len(m.stages) - 1; i >= 0; i-- {
		parts = append(parts, Slice{Offset: m.stages[i].offset, Length: m.stages[i].length})
	}
	return parts
}

// MakeGradients has Gradients be there before the first pass.
func (m *Model) MakeGradients() { m.makeGradients() }

// ZeroGradients is what no pass at all leaves as gradients, where others have some.
func (m *Model) ZeroGradients() {
	m.makeGradients()
	torch.NoGrad(func() { m.Gradients().Fill_(0) })
}

// ForwardBackward adds the batch's gradients to the parameters' and its sum of losses to p.LossSum. ids and targets are int64
// [B, T]; a target of -1 is none. Losses are computed in fp32 (next-token cross entropy).
func (m *Model) ForwardBackward(ids, targets *torch.Tensor, p Pass) {
	torch.CountAs(torch.MemoryActivations, func() { m.forwardBackward(ids, targets, p) })
}

func (m *Model) forwardBackward(ids, targets *torch.Tensor, p Pass) {
	scope := torch.OpenScope()
	defer scope.Close()
	m.prepare(p.Precision)
	m.makeGradients()
	inputs := make([]*torch.Tensor, len(m.blocks)+1) // inputs[i] enters block i; the last enters the head
	outputs := make([]*torch.Tensor, len(m.blocks))  // with their graphs, unless checkpointing

	embedded := leaf(m.embed(ids, 0))
	dropped := m.stage(0, p, func() *torch.Tensor { return embedded.Dropout(m.Dropout) })
	inputs[0] = leaf(dropped)
	for i := range m.blocks {
		run := func() { outputs[i] = m.runBlock(i, inputs[i], p, m.following(i)) }
		if p.Checkpointing {
			torch.NoGrad(run)
		} else {
			run()
		}
		inputs[i+1] = leaf(outputs[i])
	}

	var gradient *torch.Tensor
	torch.CountAs(torch.MemoryHead, func() { gradient = m.headLoss(inputs[len(m.blocks)], targets, p) })
	inputs[len(m.blocks)].Free()
	for i := len(m.blocks) - 1; i >= 0; i-- {
		m.gradientArrives(i+1, m.preceding(i))
		if p.Checkpointing {
			outputs[i].Free()
			outputs[i] = m.runBlock(i, inputs[i], p, noStage)
		} else {
			m.arrive(i + 1)
		}
		gradient = backward(outputs[i], gradient, inputs[i])
		m.leave(i+1, m.preceding(i))
		m.gradientLeaves(i + 1)
		m.complete(i+1, p)
	}
	if m.Dropout > 0 {
		gradient = backward(dropped, gradient, embedded)
	}
	m.embedBackward(ids, gradient)
	m.gradientLeaves(embedding)
	m.complete(embedding, p)
	m.accumulate = true
}

// Loss adds the batch's sum of losses to lossSum, without gradients and without dropout.
func (m *Model) Loss(ids, targets *torch.Tensor, precision torch.DType, lossSum *torch.Tensor) {
	torch.CountAs(torch.MemoryActivations, func() {
		m.evaluate(ids, precision, func(x *torch.Tensor) *torch.Tensor {
			torch.CountAs(torch.MemoryHead, func() { m.headLoss(x, targets, Pass{Precision: precision, LossSum: lossSum}) })
			return nil
		})
	})
}

// Logits is [B, T, V] for ids [B, T] int64, without gradients and without dropout. For tests and small inputs: training
// never holds the whole of it.
func (m *Model) Logits(ids *torch.Tensor, precision torch.DType) *torch.Tensor {
	return m.evaluate(ids, precision, func(x *torch.Tensor) *torch.Tensor {
		m.headArrives()
		defer m.headLeaves()
		return m.lnF.forward(m, x).MatMul(m.wte.working.Transpose(0, 1))
	})
}

// evaluate runs embed and blocks without gradients or dropout and hands the last hidden state [B, T, C] to f.
func (m *Model) evaluate(ids *torch.Tensor, precision torch.DType, f func(x *torch.Tensor) *torch.Tensor) (y *torch.Tensor) {
	dropout := m.Dropout
	m.Dropout = 0
	defer func() { m.Dropout = dropout }()
	p := Pass{Precision: precision, Seed: func(int) uint64 { return 0 }}
	torch.NoGrad(func() {
		s := torch.OpenScope()
		defer s.Close()
		m.prepare(precision)
		x := m.embed(ids, 0)
		for i := range m.blocks {
			next := m.runBlock(i, x, p, m.following(i))
			x.Free()
			x = next
		}
		y = f(x)
		s.Keep(y)
	})
	return y
}

// runBlock is block i's forward pass; next is the stage that follows.
func (m *Model) runBlock(i int, x *torch.Tensor, p Pass, next int) *torch.Tensor {
	m.arrive(i + 1)
	defer m.leave(i+1, next)
	return m.stage(i+1, p, func() *torch.Tensor { return m.blocks[i].forward(m, x, nil) })
}

// following is the stage whose weights are needed after block i's in a forward pass.
func (m *Model) following(i int) int {
	if i+1 == len(m.blocks) {
		return embedding // whose weight is the head's
	}
	return i + 2
}

// preceding is the one whose are needed after block i's in a backward pass.
func (m *Model) preceding(i int) int {
	if i == 0 {
		return noStage
	}
	return i
}

func (m *Model) headArrives() {
	m.arrive(embedding)
	m.arrive(m.lastNorm())
}

func (m *Model) headLeaves() {
	m.leave(embedding, noStage)
	m.leave(m.lastNorm(), noStage)
}

// stage runs f with the stage's own dropout seed: recomputation and resume need no saved generator state.
func (m *Model) stage(i int, p Pass, f func() *torch.Tensor) *torch.Tensor {
	if m.Dropout > 0 {
		torch.ManualSeed(m.Device, p.Seed(i))
	}
	return f()
}

// leaf is x cut off from its graph, recording what follows.
func leaf(x *torch.Tensor) *torch.Tensor { return x.Detach().SetRequiresGrad(true) }

// backward sends gradient through output's graph, frees both and input, and returns what arrived there.
func backward(output, gradient, input *torch.Tensor) (arrived *torch.Tensor) {
	torch.Backward([]*torch.Tensor{output}, []*torch.Tensor{gradient})
	output.Free()
	gradient.Free()
	arrived = input.Grad()
	input.Free()
	return arrived
}
