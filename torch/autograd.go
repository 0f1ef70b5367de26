package torch

// Gradients: the backward pass, and gradient mode as closures, so that a panic restores it.

/*
#include "binding.h"
#cgo noescape ft_set_requires_grad
#cgo nocallback ft_set_requires_grad
#cgo noescape ft_grad
#cgo nocallback ft_grad
#cgo noescape ft_set_grad
#cgo nocallback ft_set_grad
#cgo noescape ft_backward
#cgo nocallback ft_backward
#cgo noescape ft_grad_mode
#cgo nocallback ft_grad_mode
*/
import "C"

// RequiresGrad says whether operations on t are recorded.
func (t *Tensor) RequiresGrad() bool { return t.info().requiresGrad }

// SetRequiresGrad makes a leaf record the operations on it, or stop.
func (t *Tensor) SetRequiresGrad(on bool) *Tensor {
	check(C.ft_set_requires_grad(t.p(), flag(on)))
	return t
}

// Grad is a new handle on the gradient accumulated in a leaf; nil when there is none.
func (t *Tensor) Grad() *Tensor {
	var out C.ft_tensor
	check(C.ft_grad(t.p(), &out))
	if out == nil {
		return nil
	}
	return wrap(out)
}

// SetGrad makes grad the gradient of a leaf; nil removes it, and the memory with it.
func (t *Tensor) SetGrad(grad *Tensor) { check(C.ft_set_grad(t.p(), grad.optional())) }

// Backward propagates to the leaves and adds to their gradients: grads[i] is the gradient of outputs[i], of its shape. With
// nil grads the outputs must be scalars.
func Backward(outputs, grads []*Tensor) {
	o, n := pointers(outputs)
	var g *C.ft_tensor
	if grads != nil {
		g = pointersOf(grads, n)
	}
	check(C.ft_backward(o, g, n))
}

// Backward propagates from a scalar.
func (t *Tensor) Backward() { Backward([]*Tensor{t}, nil) }

// NoGrad runs f without recording operations.
func NoGrad(f func()) { withGradMode(0, f) }

// EnableGrad runs f with operations recorded, also inside NoGrad.
func EnableGrad(f func()) { withGradMode(1, f) }

func withGradMode(on C.int, f func()) {
	var before, ignored C.int
	check(C.ft_grad_mode(on, &before))
	defer func() { check(C.ft_grad_mode(before, &ignored)) }()
	f()
}
