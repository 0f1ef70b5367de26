package torch

// A few rows through a transformer's parts, for generating text a token at a time.

/*
#include "binding.h"
#cgo noescape ft_linear_rows
#cgo nocallback ft_linear_rows
#cgo noescape ft_attention_rows
#cgo nocallback ft_attention_rows
#cgo noescape ft_gelu_rows_
#cgo nocallback ft_gelu_rows_
*/
import "C"

// LinearRows is x·weight + bias for a few rows x, without gradients: [.., in], [in, out], [out] → [.., out] in weight's dtype, to
// which x is rounded; sums are in fp32. bias may be nil. weight's rows or its columns must lie together. On a CPU each row of the
// result has the same bits whatever the number of rows and of threads, and a single row takes little longer than reading weight;
// a card computes what it computes in Linear.
func LinearRows(x, weight, bias *Tensor) *Tensor {
	var out C.ft_tensor
	check(C.ft_linear_rows(x.p(), weight.p(), bias.optional(), &out))
	return wrap(out)
}

// AttentionRows is softmax(q·kᵀ/√d)·v, without gradients, where q are the last T of the L positions in k and v, each of which sees
// itself and those before it: [B, H, T, d], [B, H, L, d] twice → [B, H, T, d]. On a CPU each query's result has the same bits
// whatever the number of queries, of sequences and of threads; on a card T must be 1 or L.
func AttentionRows(q, k, v *Tensor) *Tensor {
	var out C.ft_tensor
	check(C.ft_attention_rows(q.p(), k.p(), v.p(), &out))
	return wrap(out)
}

// GELURows_ is GELU in place, without gradients. On a CPU each row has the same bits whatever the number of rows and of threads, as it
// has with GELUTanh.
func (t *Tensor) GELURows_() *Tensor {
	check(C.ft_gelu_rows_(t.p()))
	return t
}
