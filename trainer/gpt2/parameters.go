package gpt2

// Where the weights lie: all of them end to end in one buffer, and so their gradients, so that an update goes over memory once
// instead of parameter by parameter; and once more in the compute precision, to which they are rounded once an update. Home, where
// these buffers are, is the compute device, or with an Offload the host.

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

// weight is a parameter: what lies at home, and what the stages use on the compute device, which without an Offload is the same.
type weight struct {
	shape   []int64
	offset  int64         // in the buffers
	master  *torch.Tensor // fp32; nil in a frozen model, of what is used in the compute precision only
	rounded *torch.Tensor // a copy in the half precision that was last asked for
	sum     *torch.Tensor // the window's gradient in fp32; nil before the first pass with gradients

	full     *torch.Tensor // fp32: what LayerNorm multiplies by and adds
	working  *torch.Tensor // in the present compute precision
	gradient *torch.Tensor // fp32: where a backward pass puts it
}

func (w *weight) elements() int64 {
	n := int64(1)
	for _, size := range w.shape {
		n *= size
	}
	return n
}

// view is the part of a buffer that belongs to w, in its shape.
func (w *weight) view(buffer *torch.Tensor) *torch.Tensor { return w.viewAt(buffer, w.offset) }

func (w *weight) viewAt(buffer *torch.Tensor, offset int64) *torch.Tensor {
	return torch.Scoped(func() *torch.Tensor { return buffer.Narrow(0, offset, w.elements()).Reshape(w.shape...) }).Detached()
}

// Slice is a part of the buffers whose weights decay alike.
type Slice struct {
	Offset, Length int64
	Decay          bool
}

// weights are a model's parameters and the buffers that they lie in.
type weights struct {
	params    []Parameter // in the order of Hugging Face's named_parameters
	stages    []stage
	length    int64
	home      torch.Device
	masters   *torch.Tensor // [length] fp32
	rounded   *torch.Tensor // [length] in half precision
	gradients *torch.Tensor // [length] fp32
	courier   *courier      // between home and the device; nil: they are one

	precision  torch.DType // what working is set for
	stale      bool        // rounded is older than masters
	accumulate bool        // gradients hold a part of the window's
	frozen     bool
}

// stage is a stage's part of the buffers: its matrices, then the rest.
type stage struct {
	offset, length int64
	slices         []Slice
	params         []Parameter
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
	s, declared := stage{offset: w.length}, 0
	for _, before := range w.stages {
		declared += len(before.params)
	}
	s.params = w.params[declared:]
	for _, decay := range []bool{true, false} {
		start := w.length
		for _, p := range s.params {
			if p.Decay == decay {
				p.weight.offset = w.length
				w.length += (p.weight.elements() + alignment - 1) / alignment * alignment
			}
		}
		if w.length > start {
			s.slices = append(s.slices, Slice{start, w.length - start, decay})
		}
	}
	s.length = w.length - s.offset
	w.stages = append(w.stages, s)
}

// allocate makes the weights, all 0.
func (w *weights) allocate(device torch.Device, o Offload) {
	w.home = device
	if o != NoOffload {
		w.home = torch.CPU
		w.courier = newCourier(w, device, o)
	}
	torch.CountAs(torch.MemoryWeights, func() { w.masters = w.Buffer(torch.Float32) })
	for i := range w.params {
		p := &w.params[i]
		p.weight.master = p.weight.view(w.masters)
		p.Tensor = p.weight.master
	}
	w.stale = true
}

// Home is where the weights, their gradients and whatever an update needs of their size lie.
func (w *weights) Home() torch.Device { return w.home }

// Buffer makes a tensor of zeros like Weights, at home. It belongs to no scope.
func (w *weights) Buffer(dtype torch.DType) *torch.Tensor { return w.PartBuffer(w.length, dtype) }

// PartBuffer is Buffer for a part of so many elements.
func (w *weights) PartBuffer(length int64, dtype torch.DType) *torch.Tensor {
	if w.courier != nil {
		return w.courier.hostBuffer(length, dtype)
	}
	return torch.Zeros([]int64{length}, dtype, w.home).Detached()
}

// Parameters lists the weights in the order of Hugging Face's named_parameters.
func (w *weights) Parameters() []Parameter { return w.params }

// Units are the parts of the buffers that Update goes through, each as its parts by weight decay. Between parameters lie elements that
// are always 0.
func (w *weights) Units() (units [][]Slice) {
	for _, s := range w.stages {
		if w.courier == nil && len(units) > 0 {
			units[0] = append(units[0], s.slices...)
		} else {
			units = append(units, slices.Clone(s.slices))
		}
	}
	return units
}

// Weights is all weights end to end: fp32. Whoever changes it calls Changed.
func (w *weights) Weights() *torch.Tensor {
	w.Settle()
	return w.masters
}

// Gradients is all gradients of the window end to end, like Weights; nil before the first pass.
func (w *weights) Gradients() *torch.Tensor {
	if w.courier != nil {
		w.courier.gather()
	}
	return w.gradients
}

// Changed has the next pass round the weights again.
func (w *weights) Changed() {
	w.Settle()
	w.stale = true
	if w.courier != nil {
		w.courier.changed()
	}
}

// ClearGradients has the next pass replace the gradients instead of adding to them.
func (w *weights) ClearGradients() { w.accumulate = false }

// Update has f change the weights unit by unit and clears the gradients. With an Offload to a card's host f is called on another
// thread, in which it makes no tensors, while the next pass goes on with the units that are done; holds are tensors that f uses,
// which are then kept for it. Settle waits for the last unit.
func (w *weights) Update(f func(unit int), holds ...*torch.Tensor) {
	if w.courier == nil {
		f(0)
		w.stale = true
	} else {
		w.courier.update(f, holds)
	}
	w.ClearGradients()
}

// Settle waits until an Update is complete. It panics with what made one fail, again and again: the weights are lost then.
func (w *weights) Settle() {
	if w.courier != nil {
		w.courier.settle()
	}
}

// Finish waits until an Update is over, whether it failed or not: what it uses may be freed then.
func (w *weights) Finish() {
	if w.courier != nil {
		w.courier.finish()
	}
}

// View is the part of a buffer like Weights that belongs to p, in its shape. It belongs to no scope.
func (p Parameter) View(buffer *torch.Tensor) *torch.Tensor { return p.weight.view(buffer) }

// Offset is where p begins in a buffer like Weights, in elements.
func (p Parameter) Offset() int64 { return p.weight.offset }

// Gradient is p's part of Gradients, which is to be asked for before; nil before the first pass.
func (p Parameter) Gradient() *torch.Tensor { return p.weight.sum }

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
	if w.courier != nil {
		w.courier.free()
	}
	for _, p := range w.params {
		p.weight.master.Free()
		p.weight.sum.Free()
	}
	w.freeRounded()
	w.masters.Free()
	w.gradients.Free()
}
