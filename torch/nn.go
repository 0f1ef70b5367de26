package torch

// The operations of a transformer that are libtorch's as they are.

/*
#include "binding.h"
#cgo noescape ft_embedding
#cgo nocallback ft_embedding
#cgo noescape ft_gelu
#cgo nocallback ft_gelu
#cgo noescape ft_dropout
#cgo nocallback ft_dropout
*/
import "C"

// Embedding picks rows of weight: [V, C], int64 [B, T] → [B, T, C].
func Embedding(weight, ids *Tensor) *Tensor {
	var out C.ft_tensor
	check(C.ft_embedding(weight.p(), ids.p(), &out))
	return wrap(out)
}

// GELU is x·Φ(x), exact.
func (t *Tensor) GELU() *Tensor {
	var out C.ft_tensor
	check(C.ft_gelu(t.p(), &out))
	return wrap(out)
}

// Dropout zeroes elements with probability p and scales the rest by 1/(1-p), from the device's generator. p 0 returns t.
func (t *Tensor) Dropout(p float64) *Tensor {
	if p == 0 {
		return t
	}
	var out C.ft_tensor
	check(C.ft_dropout(t.p(), C.double(p), &out))
	return wrap(out)
}
