package gpt2

// Where the weights lie: all of them end to end in one buffer, and so their gradients, so that an update goes over memory once
// instead of parameter by parameter; and once more in the compute precision, to which they are rounded once an update.

import (
	"slices"

	"frugal/torch"
)

// Parameter is a named weight.
type Parameter struct {
	Name   string        // Hugging Face's: transformer.h.0.attn.c_attn.weight
	Tensor *torch.Tensor // fp32; of a frozen model in its precision
	Decay  bool          // weight decay applies: matrices and embeddings, not biases nor LayerNorm
	weight *weight
}

// weight is a parameter as the stages use it.
type weight struct {
	shape    []int64
	offset   int64         // in the buffers
	master   *torch.Tensor // fp32; nil in a frozen model, of what is used in the compute precision only
	rounded  *torch.Tensor // a copy in the half precision that was last asked for
	working  *torch.Tensor // one of the two: that of the present compute precision
	gradient *torch.Tensor // fp32; nil before the first pass with gradients
}

func (w *weight) elements() int64 {
	n := int64(1)
	for _, size := range w.shape {
		n *= size
	}
	return n
}

// view is the part of a buffer that belongs to w, in its shape.
func (w *weight) view(buffer *torch.Tensor) *torch.Tensor {
	return torch.Scoped(func() *torch.Tensor { return buffer.Narrow(0, w.offset, w.elements()).Reshape(w.shape...) }).Detached()
}

// Slice is a part of the buffers whose weights decay alike.
type Slice struct {
	Offset, Length int64
	Decay          bool
}

// weights are a model's parameters and the buffers that they lie in.
type weights struct {
	params    []Parameter // in the order of Hugging Face's named_parameters
	slices    []Slice     // stage by stage: matrices, then the rest
	declared  int         // parameters that slices cover
	length    int64
	masters   *torch.Tensor // [length] fp32
	rounded   *torch.Tensor // [length] in half precision
	gradients *torch.Tensor // [length] fp32

	precision  torch.DType // what working is set for
	stale      bool        // rounded is older than masters
	accumulate bool        // gradients hold a part of the window's
	frozen     bool
}

// alignment of a parameter in the buffers, in elements: a cache line of fp32.
const alignment = 16

func (w *weights) declare(name string, decay bool, shape ...int64) *weight {
	one := &weight{shape: shape}
	w.params = append(w.params, Parameter{Name: name, Decay: decay, weight: one})
	return one
}

// endStage gives the parameters declared since the last one their places.
func (w *weights) endStage() {
	for _, decay := range []bool{true, false} {
		start := w.length
		for _, p := range w.params[w.declared:] {
			if p.Decay == decay {
				p.weight.offset = w.length
				w.length += (p.weight.elements() + alignment - 1) / alignment * alignment
			}
		}
		if w.length > start {
			w.slices = append(w.slices, Slice{start, w.length - start, decay})
		}
	}
	w.declared = len(w.params)
}

func (w *weights) allocate(device torch.Device) {
	torch.CountAs(torch.MemoryWeights, func() { w.masters = torch.Zeros([]int64{w.length}, torch.Float32, device).Detached() })
	for i := range w.params {
		p := &w.params[i]
		p.weight.master = p.weight.view(w.masters)
		p.Tensor = p.weight.master
	}
	w.stale = true
}

// Parameters lists the weights in the order of Hugging Face's named_parameters.
func (w *weights) Parameters() []Parameter { return w.params }

// Slices are the parts of Weights and Gradients by weight decay. Between parameters lie elements that are always 0.
func (w *weights) Slices() []Slice { return w.slices }

// Weights is all weights end to end: fp32. Whoever changes it calls Changed.
func (w *weights) Weights() *torch.Tensor { return w.masters }

// Gradients is all gradients end to end, like Weights; nil before the first pass.
func (w *weights) Gradients() *torch.Tensor { return w.gradients }

// Changed has the next pass round the weights again.
func (w *weights) Changed() { w.stale = true }

// ClearGradients has the next pass replace the gradients instead of adding to them.
func (w *weights) ClearGradients() { w.accumulate = false }

// View is the part of a buffer like Weights that belongs to p, in its shape. It belongs to no scope.
func (p Parameter) View(buffer *torch.Tensor) *torch.Tensor { return p.weight.view(buffer) }

// Gradient is p's part of Gradients; nil before the first pass.
func (p Parameter) Gradient() *torch.Tensor { return p.weight.gradient }

// prepare sets the weights that the stages use to the compute precision.
func (w *weights) prepare(precision torch.DType) {
	if w.frozen {
		return
	}
	w.precision = precision
	if precision != torch.Float32 {
		w.round(precision)
	}
	for _, p := range w.params {
		p.weight.working = p.weight.master
		if precision != torch.Float32 {
			p.weight.working = p.weight.rounded
		}
	}
}

// round brings the copies in half precision up to date.
func (w *weights) round(precision torch.DType) {
	if w.rounded != nil && w.rounded.DType() != precision {
		w.freeRounded()
	}
	if w.rounded == nil {
		torch.CountAs(torch.MemoryWeights, func() { w.rounded = torch.Empty([]int64{w.length}, precision, w.masters.Device()).Detached() })
		for _, p := range w.params {
			p.weight.rounded = p.weight.view(w.rounded)
		}
		w.stale = true
	}
	if w.stale {
		torch.NoGrad(func() { w.rounded.Copy_(w.masters) })
		w.stale = false
	}
}

// makeGradients allocates them, before the first pass.
func (w *weights) makeGradients() {
	if w.gradients != nil {
		return
	}
	torch.CountAs(torch.MemoryGradients, func() { w.gradients = torch.Zeros([]int64{w.length}, torch.Float32, w.masters.Device()).Detached() })
	for _, p := range w.params {
		p.weight.gradient = p.weight.view(w.gradients)
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
	}
	w.masters.Free()
	w.masters = nil
}

// WeightBytes is the memory of the weights.
func (w *weights) WeightBytes() (n int64) {
	if w.rounded != nil {
		n += w.rounded.NumBytes()
	}
	if w.masters != nil {
		return n + w.masters.NumBytes()
	}
	for _, p := range w.params {
		if p.weight.master != nil {
			n += p.weight.master.NumBytes()
		}
	}
	return n
}

// Free releases the weights and their gradients.
func (w *weights) Free() {
	for _, p := range w.params {
		p.weight.master.Free()
		p.weight.gradient.Free()
	}
	w.freeRounded()
	w.masters.Free()
	w.gradients.Free()
}

func (w *weights) freeRounded() {
	for _, p := range w.params {
		p.weight.rounded.Free()
		p.weight.rounded = nil
	}
	w.rounded.Free()
	w.rounded = nil
}
