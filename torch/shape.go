package torch

// Views: the same elements in another shape.

/*
#include "binding.h"
#cgo noescape ft_reshape
#cgo nocallback ft_reshape
#cgo noescape ft_transpose
#cgo nocallback ft_transpose
#cgo noescape ft_narrow
#cgo nocallback ft_narrow
#cgo noescape ft_index_select
#cgo nocallback ft_index_select
*/
import "C"

// Reshape is the same elements in another shape; one size may be -1. Copies only where a view is impossible.
func (t *Tensor) Reshape(shape ...int64) *Tensor {
	var out C.ft_tensor
	s, n := shapePointer(shape)
	check(C.ft_reshape(t.p(), s, n, &out))
	return wrap(out)
}

// Transpose swaps two dimensions: a view.
func (t *Tensor) Transpose(a, b int64) *Tensor {
	var out C.ft_tensor
	check(C.ft_transpose(t.p(), C.int64_t(a), C.int64_t(b), &out))
	return wrap(out)
}

// Narrow is the view [start, start+length) of dimension dim.
func (t *Tensor) Narrow(dim, start, length int64) *Tensor {
	var out C.ft_tensor
	check(C.ft_narrow(t.p(), C.int64_t(dim), C.int64_t(start), C.int64_t(length), &out))
	return wrap(out)
}

// IndexSelect copies the entries of dimension dim that index (int64, 1-dimensional) names.
func (t *Tensor) IndexSelect(dim int64, index *Tensor) *Tensor {
	var out C.ft_tensor
	check(C.ft_index_select(t.p(), C.int64_t(dim), index.p(), &out))
	return wrap(out)
}
