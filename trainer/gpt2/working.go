package gpt2

// What the stages compute with: the weights in the compute precision, and where their gradients go.

import (
	"slices"

	"frugal/torch"
)

// prepare sets the weights that the stages use to the compute precision.
func (w *weights) prepare(precision torch.DType) {
	if w.frozen {
		return
	}
	w.precision = precision
	if precision != torch.Float32 {
		w.makeRounded(precision)
	}
	if w.courier != nil {
		w.courier.prepare(precision)
		return
	}
	if w.stale && precision != torch.Float32 {
		torch.NoGrad(func() { w.rounded.Copy_(w.masters) })
		w.stale = false
	}
	for _, p := range w.params {
		p.weight.full, p.weight.working = p.weight.master, p.weight.master
		if precision != torch.Float32 {
			p.weight.working = p.weight.rounded
		}
	}
}

// makeRounded has the buffer of copies in half precision be there.
func (w *weights) makeRounded(precision torch.DType) {
	if w.rounded != nil && w.rounded.DType() != precision {
		w.freeRounded()
	}
	if w.rounded != nil {
		return
	}
	torch.CountAs(torch.MemoryWeights, func() { w.rounded = w.Buffer(precision) })
	for _, p := range w.params {
		p.weight.rounded = p.weight.view(w.rounded)
	}
	w.Changed()
}

// makeGradients allocates them, before the first pass.
func (w *weights) makeGradients() {
	if w.gradients == nil {
		torch.CountAs(torch.MemoryGradients, func() { w.gradients = w.Buffer(torch.Float32) })
		for _, p := range w.params {
			p.weight.sum = p.weight.view(w.gradients)
			p.weight.gradient = p.weight.sum
		}
	}
	if w.courier != nil {
		w.courier.makeGradients()
	}
}

// freeze keeps in fp32 only what is in keep, and all in precision.
func (w *weights) freeze(precision torch.DType, keep []*weight) {
	w.prepare(precision)
	w.frozen = true
	if precision == torch.Float32 {
		return
	}
	for i := range w.params {
		p := &w.params[i]
		kept := p.weight.rounded
		if slices.Contains(keep, p.weight) {
			torch.CountAs(torch.MemoryWeights, func() { kept = torch.Scoped(p.weight.master.Clone).Detached() })
		}
		p.weight.master.Free()
		p.weight.master, p.Tensor = nil, kept
		if kept != p.weight.rounded {
			p.weight.master = kept
		}
		p.weight.full = p.weight.master
	}
	w.masters.Free()
	w.masters = nil
}

func (w *weights) freeRounded() {
	for _, p := range w.params {
		p.weight.rounded.Free()
		p.weight.rounded = nil
	}
	w.rounded.Free()
	w.rounded = nil
}
