package torch

// Arithmetic. A name that ends in _ works in place and returns its receiver.

/*
#include "binding.h"
#cgo noescape ft_add
#cgo nocallback ft_add
#cgo noescape ft_add_
#cgo nocallback ft_add_
#cgo noescape ft_add_scalar_
#cgo nocallback ft_add_scalar_
#cgo noescape ft_sub
#cgo nocallback ft_sub
#cgo noescape ft_mul
#cgo nocallback ft_mul
#cgo noescape ft_mul_
#cgo nocallback ft_mul_
#cgo noescape ft_mul_scalar
#cgo nocallback ft_mul_scalar
#cgo noescape ft_fill_
#cgo nocallback ft_fill_
#cgo noescape ft_reciprocal
#cgo nocallback ft_reciprocal
#cgo noescape ft_exp_
#cgo nocallback ft_exp_
#cgo noescape ft_log
#cgo nocallback ft_log
#cgo noescape ft_sum
#cgo nocallback ft_sum
#cgo noescape ft_sum_dim
#cgo nocallback ft_sum_dim
#cgo noescape ft_ge_scalar
#cgo nocallback ft_ge_scalar
#cgo noescape ft_clamp_min
#cgo nocallback ft_clamp_min
#cgo noescape ft_matmul
#cgo nocallback ft_matmul
#cgo noescape ft_log_softmax
#cgo nocallback ft_log_softmax
#cgo noescape ft_gather
#cgo nocallback ft_gather
#cgo noescape ft_scatter_add_
#cgo nocallback ft_scatter_add_
#cgo noescape ft_scatter_fill_
#cgo nocallback ft_scatter_fill_
#cgo noescape ft_topk
#cgo nocallback ft_topk
#cgo noescape ft_where
#cgo nocallback ft_where
#cgo noescape ft_normal_
#cgo nocallback ft_normal_
*/
import "C"

// Add is t + other, broadcasting.
func (t *Tensor) Add(other *Tensor) *Tensor { return t.AddScaled(other, 1) }

// AddScaled is t + alpha·other, broadcasting.
func (t *Tensor) AddScaled(other *Tensor, alpha float64) *Tensor {
	var out C.ft_tensor
	check(C.ft_add(t.p(), other.p(), C.double(alpha), &out))
	return wrap(out)
}

// Add_ adds other to t; other may have a lower precision.
func (t *Tensor) Add_(other *Tensor) *Tensor {
	check(C.ft_add_(t.p(), other.p(), 1))
	return t
}

// Sub_ subtracts other from t; other may have a lower precision.
func (t *Tensor) Sub_(other *Tensor) *Tensor {
	check(C.ft_add_(t.p(), other.p(), -1))
	return t
}

// AddScalar_ adds v to each element.
func (t *Tensor) AddScalar_(v float64) *Tensor {
	check(C.ft_add_scalar_(t.p(), C.double(v)))
	return t
}

// Sub is t - other, broadcasting.
func (t *Tensor) Sub(other *Tensor) *Tensor {
	var out C.ft_tensor
	check(C.ft_sub(t.p(), other.p(), &out))
	return wrap(out)
}

// Mul is the elementwise product, broadcasting.
func (t *Tensor) Mul(other *Tensor) *Tensor {
	var out C.ft_tensor
	check(C.ft_mul(t.p(), other.p(), &out))
	return wrap(out)
}

// Mul_ multiplies elementwise in place, broadcasting other.
func (t *Tensor) Mul_(other *Tensor) *Tensor {
	check(C.ft_mul_(t.p(), other.p()))
	return t
}

// MulScalar is t·v.
func (t *Tensor) MulScalar(v float64) *Tensor {
	var out C.ft_tensor
	check(C.ft_mul_scalar(t.p(), C.double(v), &out))
	return wrap(out)
}

// Fill_ sets each element to v.
func (t *Tensor) Fill_(v float64) *Tensor {
	check(C.ft_fill_(t.p(), C.double(v)))
	return t
}

// Reciprocal is 1/t.
func (t *Tensor) Reciprocal() *Tensor {
	var out C.ft_tensor
	check(C.ft_reciprocal(t.p(), &out))
	return wrap(out)
}

// Exp_ is e^t in place.
func (t *Tensor) Exp_() *Tensor {
	check(C.ft_exp_(t.p()))
	return t
}

// Log is the natural logarithm.
func (t *Tensor) Log() *Tensor {
	var out C.ft_tensor
	check(C.ft_log(t.p(), &out))
	return wrap(out)
}

// Sum adds all elements in t's dtype: a scalar.
func (t *Tensor) Sum() *Tensor { return t.SumTo(t.DType()) }

// SumTo converts the elements to dtype, then adds them all: a scalar.
func (t *Tensor) SumTo(dtype DType) *Tensor {
	var out C.ft_tensor
	check(C.ft_sum(t.p(), C.int8_t(dtype), &out))
	return wrap(out)
}

// SumDim adds along dim, which the result no longer has.
func (t *Tensor) SumDim(dim int64) *Tensor {
	var out C.ft_tensor
	check(C.ft_sum_dim(t.p(), C.int64_t(dim), &out))
	return wrap(out)
}

// GreaterEqual is t ≥ v, elementwise: bool.
func (t *Tensor) GreaterEqual(v float64) *Tensor {
	var out C.ft_tensor
	check(C.ft_ge_scalar(t.p(), C.double(v), &out))
	return wrap(out)
}

// ClampMin raises each element to at least v.
func (t *Tensor) ClampMin(v float64) *Tensor {
	var out C.ft_tensor
	check(C.ft_clamp_min(t.p(), C.double(v), &out))
	return wrap(out)
}

// MatMul is the matrix product, batched and broadcast as torch.matmul: [.., n, m]·[.., m, p] → [.., n, p].
func (t *Tensor) MatMul(other *Tensor) *Tensor {
	var out C.ft_tensor
	check(C.ft_matmul(t.p(), other.p(), &out))
	return wrap(out)
}

// LogSoftmax is log softmax along dim, computed and returned in dtype.
func (t *Tensor) LogSoftmax(dim int64, dtype DType) *Tensor {
	var out C.ft_tensor
	check(C.ft_log_softmax(t.p(), C.int64_t(dim), C.int8_t(dtype), &out))
	return wrap(out)
}

// Gather picks along dim the entries that index (int64, of t's number of dimensions) names.
func (t *Tensor) Gather(dim int64, index *Tensor) *Tensor {
	var out C.ft_tensor
	check(C.ft_gather(t.p(), C.int64_t(dim), index.p(), &out))
	return wrap(out)
}

// ScatterAdd_ adds each element of src to the entry of t that index (int64, of src's shape) names along dim.
func (t *Tensor) ScatterAdd_(dim int64, index, src *Tensor) *Tensor {
	check(C.ft_scatter_add_(t.p(), C.int64_t(dim), index.p(), src.p()))
	return t
}

// ScatterFill_ sets the entries of t that index (int64) names along dim to value.
func (t *Tensor) ScatterFill_(dim int64, index *Tensor, value float64) *Tensor {
	check(C.ft_scatter_fill_(t.p(), C.int64_t(dim), index.p(), C.double(value)))
	return t
}

// TopK is the k largest elements of each row of the last dimension, the largest first, and their places (int64): [.., V] →
// [.., k] both.
func (t *Tensor) TopK(k int64) (values, indices *Tensor) {
	var v, i C.ft_tensor
	check(C.ft_topk(t.p(), C.int64_t(k), &v, &i))
	return wrap(v), wrap(i)
}

// Where takes a's elements where condition is not zero, else b's.
func Where(condition, a, b *Tensor) *Tensor {
	var out C.ft_tensor
	check(C.ft_where(condition.p(), a.p(), b.p(), &out))
	return wrap(out)
}

// Normal_ fills t with normal numbers from the device's generator.
func (t *Tensor) Normal_(mean, std float64) *Tensor {
	check(C.ft_normal_(t.p(), C.double(mean), C.double(std)))
	return t
}
