package torch

// What an update consists of: fused AdamW, norms, and the kernels of loss scaling.

/*
#include "binding.h"
#cgo noescape ft_fused_adamw_
#cgo nocallback ft_fused_adamw_
#cgo noescape ft_global_norm
#cgo nocallback ft_global_norm
#cgo noescape ft_clip_coefficient
#cgo nocallback ft_clip_coefficient
#cgo noescape ft_foreach_mul_
#cgo nocallback ft_foreach_mul_
#cgo noescape ft_amp_unscale_
#cgo nocallback ft_amp_unscale_
#cgo noescape ft_amp_update_scale_
#cgo nocallback ft_amp_update_scale_
*/
import "C"

// AdamW names the hyperparameters of one parameter group (Loshchilov and Hutter, arXiv 1711.05101).
type AdamW struct {
	Beta1, Beta2, WeightDecay, Epsilon float64
}

// FusedAdamW_ updates params in place from grads. expAvgs and expAvgSqs are the moments, steps the float32 scalar counts of
// updates, lr a scalar tensor. Where foundInf (float32 scalar, may be nil) is 1, nothing changes.
func FusedAdamW_(o AdamW, params, grads, expAvgs, expAvgSqs, steps []*Tensor, lr, foundInf *Tensor) {
	p, n := pointers(params)
	check(C.ft_fused_adamw_(p, pointersOf(grads, n), pointersOf(expAvgs, n), pointersOf(expAvgSqs, n), pointersOf(steps, n), n, lr.p(), C.double(o.Beta1), C.double(o.Beta2), C.double(o.WeightDecay),
		C.double(o.Epsilon), foundInf.optional()))
}

// GlobalNorm is the 2-norm of all elements of all tensors: a scalar on the device.
func GlobalNorm(tensors []*Tensor) *Tensor {
	var out C.ft_tensor
	p, n := pointers(tensors)
	check(C.ft_global_norm(p, n, &out))
	return wrap(out)
}

// ClipCoefficient is min(1, maxNorm/(norm + 1e-6)), as torch.nn.utils.clip_grad_norm_ has it: a scalar on the device.
func ClipCoefficient(norm *Tensor, maxNorm float64) *Tensor {
	var out C.ft_tensor
	check(C.ft_clip_coefficient(norm.p(), C.double(maxNorm), &out))
	return wrap(out)
}

// ForeachMul_ multiplies each tensor by the scalar tensor factor.
func ForeachMul_(tensors []*Tensor, factor *Tensor) {
	p, n := pointers(tensors)
	check(C.ft_foreach_mul_(p, n, factor.p()))
}

// AMPUnscale_ multiplies each gradient by inverseScale and sets foundInf to 1 where an element is not finite.
func AMPUnscale_(grads []*Tensor, foundInf, inverseScale *Tensor) {
	p, n := pointers(grads)
	check(C.ft_amp_unscale_(p, n, foundInf.p(), inverseScale.p()))
}

// AMPUpdateScale_ backs the scale off after a skipped update and grows it after interval clean ones. scale is a float32
// scalar, growthTracker an int32 one.
func AMPUpdateScale_(scale, growthTracker, foundInf *Tensor, growth, backoff float64, interval int64) {
	check(C.ft_amp_update_scale_(scale.p(), growthTracker.p(), foundInf.p(), C.double(growth), C.double(backoff), C.int64_t(interval)))
}
