package torch

// Layers whose weights' gradients go straight into buffers of the caller's, and what the head and the update are made of.

/*
#include "binding.h"
#cgo noescape ft_linear
#cgo nocallback ft_linear
#cgo noescape ft_layer_norm
#cgo nocallback ft_layer_norm
#cgo noescape ft_gelu_tanh
#cgo nocallback ft_gelu_tanh
#cgo noescape ft_add_widened
#cgo nocallback ft_add_widened
#cgo noescape ft_self_attention
#cgo nocallback ft_self_attention
#cgo noescape ft_product
#cgo nocallback ft_product
#cgo noescape ft_add_product_
#cgo nocallback ft_add_product_
#cgo noescape ft_has_onednn
#cgo nocallback ft_has_onednn
#cgo noescape ft_cross_entropy
#cgo nocallback ft_cross_entropy
#cgo noescape ft_add_rows_
#cgo nocallback ft_add_rows_
#cgo noescape ft_norm
#cgo nocallback ft_norm
*/
import "C"

// Library is what multiplies matrices of fp32 on a CPU. Other precisions and devices have one each, which libtorch knows.
type Library int

// The libraries. Gradients of weights always come from BLAS, which is the faster for them.
const (
	BLAS   Library = iota // MKL on x86-64, OpenBLAS on aarch64
	OneDNN                // where this libtorch has it; else BLAS
)

// HasOneDNN says whether OneDNN is more than another name for BLAS here.
func HasOneDNN() bool {
	var n C.int
	check(C.ft_has_onednn(&n))
	return n != 0
}

// AttentionKernel is how a CPU computes attention. A card's is libtorch's choice.
type AttentionKernel int

// The kernels. With dropout it is always Composed: Flash has none.
const (
	Flash    AttentionKernel = iota // block by block, in fp32 (Dao, arXiv 2307.08691)
	Composed                        // all scores, [B, H, T, T], exist at once, rounded to the compute precision
)

// Affine is a weight and a bias, and where a backward pass puts their gradients: float32 tensors of their shapes, nil for none.
// Accumulate adds to what is there instead of replacing it.
type Affine struct {
	Weight, Bias                 *Tensor
	WeightGradient, BiasGradient *Tensor
	Accumulate                   bool
}

// Linear is x·weight + bias in weight's dtype, to which x is rounded: [.., in], [in, out], [out] → [.., out].
func Linear(x *Tensor, a Affine, l Library) *Tensor {
	var out C.ft_tensor
	check(C.ft_linear(x.p(), a.Weight.p(), a.Bias.p(), a.WeightGradient.optional(), a.BiasGradient.optional(), flag(a.Accumulate), C.int(l), &out))
	return wrap(out)
}

// LayerNorm normalises the last dimension in float32, then scales and shifts (Ba et al., 2016): [.., C] float32 → [.., C] of dtype.
func LayerNorm(x *Tensor, a Affine, eps float64, dtype DType) *Tensor {
	var out C.ft_tensor
	check(C.ft_layer_norm(x.p(), a.Weight.p(), a.Bias.p(), a.WeightGradient.optional(), a.BiasGradient.optional(), flag(a.Accumulate), C.double(eps), C.int8_t(dtype), &out))
	return wrap(out)
}

// GELUTanh is 0.5x(1 + tanh(√(2/π)(x + 0.044715x³))) (Hendrycks and Gimpel, 2016): GPT-2's gelu_new.
func (t *Tensor) GELUTanh() *Tensor {
	var out C.ft_tensor
	check(C.ft_gelu_tanh(t.p(), &out))
	return wrap(out)
}

// AddWidened is t + y in float32, of t in float32 and y in half precision: [..] both. The gradient by y is rounded to its dtype.
func (t *Tensor) AddWidened(y *Tensor) *Tensor {
	var out C.ft_tensor
	check(C.ft_add_widened(t.p(), y.p(), &out))
	return wrap(out)
}

// SelfAttention is softmax(q·kᵀ/√d)·v, where a position sees itself and those before it: [B, T, 3C], which is q, k and v of the
// heads, each of size d, side by side → [B, T, C].
func SelfAttention(qkv *Tensor, heads int, dropout float64, kernel AttentionKernel) *Tensor {
	var out C.ft_tensor
	check(C.ft_self_attention(qkv.p(), C.int64_t(heads), C.double(dropout), C.int(kernel), &out))
	return wrap(out)
}

// Product is a·b, without gradients: [N, K], [K, M] → [N, M].
func Product(a, b *Tensor, l Library) *Tensor {
	var out C.ft_tensor
	check(C.ft_product(a.p(), b.p(), C.int(l), &out))
	return wrap(out)
}

// AddProduct_ adds a·b to t, or replaces t by it where accumulate is false: [K, N], [N, M] → [K, M] float32. In half precision the
// product is rounded to it first, as autocast rounds a weight's gradient.
func (t *Tensor) AddProduct_(a, b *Tensor, accumulate bool) *Tensor {
	check(C.ft_add_product_(t.p(), a.p(), b.p(), flag(accumulate)))
	return t
}

// CrossEntropy adds to lossSum, a float64 scalar, the sum of -log softmax(logits)[target] over the rows: logits [n, V], targets [n]
// int64, of which -1 is none. All arithmetic is in float32. gradient, unless nil, becomes that of weight·sum by the logits: [n, V],
// float32, or the logits themselves, whose place it then takes. weight is a float32 scalar; nil without gradient.
func CrossEntropy(logits, targets, weight, lossSum, gradient *Tensor) {
	check(C.ft_cross_entropy(logits.p(), targets.p(), weight.optional(), lossSum.p(), gradient.optional()))
}

// AddRows_ adds rows[i] to row ids[i] of t: t [V, C], ids int64 [..], rows [.., C], float32 both.
func (t *Tensor) AddRows_(ids, rows *Tensor) *Tensor {
	check(C.ft_add_rows_(t.p(), ids.p(), rows.p()))
	return t
}

// Norm is the 2-norm of all elements: a float32 scalar on the device.
func (t *Tensor) Norm() *Tensor {
	var out C.ft_tensor
	check(C.ft_norm(t.p(), &out))
	return wrap(out)
}

func flag(on bool) C.int {
	if on {
		return 1
	}
	return 0
}
