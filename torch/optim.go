package torch

// What an update consists of: clipping, fused AdamW and the scale of the loss.

/*
#include "binding.h"
#cgo noescape ft_fused_adamw_
#cgo nocallback ft_fused_adamw_
#cgo noescape ft_count_update_
#cgo nocallback ft_count_update_
#cgo noescape ft_clip_coefficient
#cgo nocallback ft_clip_coefficient
#cgo noescape ft_amp_update_scale_
#cgo nocallback ft_amp_update_scale_
*/
import "C"

// AdamW names the hyperparameters of one parameter group (Loshchilov and Hutter, arXiv 1711.05101).
type AdamW struct {
	Beta1, Beta2, WeightDecay, Epsilon float64
}

// CountUpdate_ adds an update to a count, a float32 scalar, unless foundInf (float32 scalar, may be nil) is 1.
func CountUpdate_(count, foundInf *Tensor) { check(C.ft_count_update_(count.p(), foundInf.optional())) }

// FusedAdamW_ updates params in place from grads, divided by gradScale. expAvgs and expAvgSqs are the moments, step the count of updates
// of CountUpdate_, this one included, lr a scalar tensor; gradScale is a float32 scalar or nil for 1, and what it leaves in grads is not
// defined. Where foundInf (float32 scalar, may be nil) is 1, nothing changes.
func FusedAdamW_(o AdamW, params, grads, expAvgs, expAvgSqs []*Tensor, step, lr, gradScale, foundInf *Tensor) {
	p, n := pointers(params)
	check(C.ft_fused_adamw_(p, pointersOf(grads, n), pointersOf(expAvgs, n), pointersOf(expAvgSqs, n), n, step.p(), lr.p(), C.double(o.Beta1), C.double(o.Beta2),
		C.double(o.WeightDecay), C.double(o.Epsilon), gradScale.optional(), foundInf.optional()))
}

// ClipCoefficient is min(1, maxNorm/(norm + 1e-6)), as torch.nn.utils.clip_grad_norm_ has it: a scalar on the device.
func ClipCoefficient(norm *Tensor, maxNorm float64) *Tensor {
	var out C.ft_tensor
	check(C.ft_clip_coefficient(norm.p(), C.double(maxNorm), &out))
	return wrap(out)
}

// AMPUpdateScale_ backs the scale off after a skipped update and grows it after interval clean ones. scale is a float32
// scalar, growthTracker an int32 one.
func AMPUpdateScale_(scale, growthTracker, foundInf *Tensor, growth, backoff float64, interval int64) {
	check(C.ft_amp_update_scale_(scale.p(), growthTracker.p(), foundInf.p(), C.double(growth), C.double(backoff), C.int64_t(interval)))
}
