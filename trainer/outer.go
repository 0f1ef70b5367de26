package trainer

// local_steps: each process trains on its own for some updates; then all take an outer step, by SGD with Nesterov momentum, along the mean
// of how far they have come (DiLoCo: Douillard et al., arXiv 2311.08105).

import (
	"frugal/torch"
	"frugal/trainer/gpt2"
)

// With Δ the mean over the processes of θ₀ − θ, an outer step is m ← μm + Δ, θ ← θ₀ − η(Δ + μm); μ is outer_momentum, η outer_learning_rate.
type outer struct {
	start    *torch.Tensor            // [length] fp32, θ₀: the weights that all began with
	momentum *torch.Tensor            // [length] fp32, m
	views    map[string]*torch.Tensor // of the momentum, by name in a checkpoint
}

func newOuter(m *gpt2.Model) *outer {
	o := &outer{views: make(map[string]*torch.Tensor)}
	torch.CountAs(torch.MemoryOptimizer, func() { o.start, o.momentum = m.Buffer(torch.Float32), m.Buffer(torch.Float32) })
	for _, p := range m.Parameters() {
		o.views["outer_momentum."+p.Name] = p.View(o.momentum)
	}
	return o
}

// begin takes the weights to start from.
func (o *outer) begin(weights *torch.Tensor) {
	torch.NoGrad(func() { o.start.Copy_(weights) })
}

func (o *outer) free() {
	for _, view := range o.views {
		view.Free()
	}
	o.start.Free()
	o.momentum.Free()
}

// synchronise takes the outer step. The gradients' buffer, which an update has emptied, holds the change. The processes learn of signals.
func (r *run) synchronise() (err error) {
	defer protect("synchronising", &err)
	if _, err := r.agree(nil, false); err != nil {
		return err
	}
	scope := torch.OpenScope()
	defer scope.Close()
	o, weights, change := r.outer, r.model.Weights(), r.model.Gradients()
	torch.NoGrad(func() { change.Copy_(o.start).Sub_(weights) })
	reduction := r.newReduction()
	for _, part := range r.model.Completion() {
		reduction.begin(part.Offset, part.Length)
	}
	if err := reduction.wait(); err != nil {
		return err
	}
	rate, momentum := r.config.OuterLearningRate, r.config.OuterMomentum
	torch.NoGrad(func() {
		scale := func(t *torch.Tensor, x float64) { t.Mul_(torch.Full(nil, x, torch.Float32, t.Device())) }
		scale(change, 1/float64(r.processes()))
		scale(o.momentum, momentum)
		o.momentum.Add_(change)
		scale(change, rate)
		o.start.Sub_(change)
		change.Copy_(o.momentum)
		scale(change, rate*momentum)
		weights.Copy_(o.start.Sub_(change))
	})
	r.model.Changed()
	r.model.ClearGradients()
	return nil
}

// gatherLosses sums what the processes have learnt of their losses since they last did: with local_steps each knows of its own. They
// learn of signals with it.
func (r *run) gatherLosses() error {
	if r.outer == nil {
		return nil
	}
	tensors := r.ownLosses()
	numbers := make([]float64, len(tensors))
	for i, t := range tensors {
		numbers[i] = t.Item()
	}
	if _, err := r.agree(numbers, false); err != nil {
		return err
	}
	for i, t := range tensors {
		t.Fill_(numbers[i])
	}
	return nil
}

// leaveLosses leaves to rank 0 what gatherLosses has summed and nobody has read.
func (r *run) leaveLosses() {
	if r.outer == nil || r.leads() {
		return
	}
	for _, t := range r.ownLosses() {
		t.Fill_(0)
	}
}

func (r *run) ownLosses() []*torch.Tensor {
	tensors := []*torch.Tensor{r.lossSum}
	if d := r.distillation; d != nil {
		tensors = append(tensors, d.task, d.sum)
	}
	if s := r.scaler; s != nil {
		tensors = append(tensors, s.lost)
	}
	return tensors
}

// unite gives all processes one optimizer's state, as a checkpoint holds it: the moments' means, the rest rank 0's.
func (r *run) unite() (err error) {
	defer protect("synchronising", &err)
	scope := torch.OpenScope()
	defer scope.Close()
	for _, moments := range []*torch.Tensor{r.optimizer.expAvg, r.optimizer.expAvgSq} {
		if err := r.world.AllReduce(moments).Wait(); err != nil {
			return err
		}
		torch.NoGrad(func() { moments.Mul_(torch.Full(nil, 1/float64(r.processes()), torch.Float32, moments.Device())) })
	}
	tensors := r.optimizer.small()
	if s := r.scaler; s != nil {
		tensors = append(tensors, s.scale, s.growth, s.skipped)
	}
	for _, t := range tensors {
		if err := r.world.Broadcast(t).Wait(); err != nil {
			return err
		}
	}
	k := [2]int64{r.known.step, r.known.skipped}
	err = r.fromFirst(&k)
	r.known = known{k[0], k[1]}
	return err
}
