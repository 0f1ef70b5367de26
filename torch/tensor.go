package torch

// The Tensor type: creation, metadata, copies on a device.

/*
#include "binding.h"
#cgo noescape ft_empty
#cgo nocallback ft_empty
#cgo noescape ft_full
#cgo nocallback ft_full
#cgo noescape ft_free
#cgo nocallback ft_free
#cgo noescape ft_dim
#cgo nocallback ft_dim
#cgo noescape ft_shape
#cgo nocallback ft_shape
#cgo noescape ft_info
#cgo nocallback ft_info
#cgo noescape ft_to
#cgo nocallback ft_to
#cgo noescape ft_copy_
#cgo nocallback ft_copy_
#cgo noescape ft_clone
#cgo nocallback ft_clone
#cgo noescape ft_detach
#cgo nocallback ft_detach
#cgo noescape ft_equal
#cgo nocallback ft_equal
*/
import "C"

import (
	"fmt"
	"unsafe"
)

// DType is an element type; its number is c10::ScalarType's.
type DType int8

// The element types that the binding uses.
const (
	Uint8    DType = 0
	Int32    DType = 3
	Int64    DType = 4
	Float16  DType = 5
	Float32  DType = 6
	Float64  DType = 7
	Bool     DType = 11
	BFloat16 DType = 15
)

var dtypes = map[DType]struct {
	name string
	size int
}{
	Uint8: {"uint8", 1}, Int32: {"int32", 4}, Int64: {"int64", 8}, Float16: {"float16", 2}, Float32: {"float32", 4},
	Float64: {"float64", 8}, Bool: {"bool", 1}, BFloat16: {"bfloat16", 2},
}

func (d DType) String() string { return dtypes[d].name }

// Size is the number of bytes of one element.
func (d DType) Size() int { return dtypes[d].size }

// Tensor is a handle on an at::Tensor. Using one after Free panics.
type Tensor struct {
	ptr   C.ft_tensor
	scope *Scope
	slot  int
}

// wrap takes ownership of a tensor from the C side for the innermost scope.
func wrap(p C.ft_tensor) *Tensor {
	t := &Tensor{ptr: p}
	live.Add(1)
	innermost.adopt(t)
	return t
}

// p is the C pointer, or a panic that says what is wrong instead of a crash in C++.
func (t *Tensor) p() C.ft_tensor {
	if t == nil {
		panic(&Error{OtherError, "a tensor is nil"})
	}
	if t.ptr == nil {
		panic(&Error{OtherError, "a tensor is used after it was freed"})
	}
	return t.ptr
}

// optional is NULL for a nil tensor.
func (t *Tensor) optional() C.ft_tensor {
	if t == nil {
		return nil
	}
	return t.p()
}

// pointersOf is pointers of a list that must have n tensors, as C++ will read.
func pointersOf(tensors []*Tensor, n C.size_t) *C.ft_tensor {
	if len(tensors) != int(n) {
		panic(&Error{ShapeError, fmt.Sprintf("a list has %d tensors, another has %d", len(tensors), n)})
	}
	p, _ := pointers(tensors)
	return p
}

// pointers lists C pointers for a TensorList. The slice holds pointers to C memory only.
func pointers(tensors []*Tensor) (*C.ft_tensor, C.size_t) {
	if len(tensors) == 0 {
		return nil, 0
	}
	list := make([]C.ft_tensor, len(tensors))
	for i, t := range tensors {
		list[i] = t.p()
	}
	return &list[0], C.size_t(len(list))
}

func shapePointer(shape []int64) (*C.int64_t, C.size_t) {
	if len(shape) == 0 {
		return nil, 0
	}
	return (*C.int64_t)(unsafe.Pointer(&shape[0])), C.size_t(len(shape))
}

// Free releases the handle; libtorch frees the memory when the autograd graph lets go of it too. Freeing twice is harmless.
func (t *Tensor) Free() {
	if t == nil || t.ptr == nil {
		return
	}
	t.leaveScope()
	check(C.ft_free(t.ptr))
	t.ptr = nil
	live.Add(-1)
}

// Empty makes a tensor of the given shape whose contents are not set.
func Empty(shape []int64, dtype DType, device Device) *Tensor {
	var out C.ft_tensor
	s, n := shapePointer(shape)
	check(C.ft_empty(s, n, C.int8_t(dtype), device.c(), &out))
	return wrap(out)
}

// Full makes a tensor filled with value. A nil shape makes a scalar (0-dimensional).
func Full(shape []int64, value float64, dtype DType, device Device) *Tensor {
	var out C.ft_tensor
	s, n := shapePointer(shape)
	check(C.ft_full(s, n, C.double(value), C.int8_t(dtype), device.c(), &out))
	return wrap(out)
}

// Zeros is Full with 0.
func Zeros(shape []int64, dtype DType, device Device) *Tensor { return Full(shape, 0, dtype, device) }

// RandN makes a float32 tensor of standard normal numbers from the device's generator.
func RandN(shape []int64, device Device) *Tensor { return Empty(shape, Float32, device).Normal_(0, 1) }

// Shape lists the sizes of the dimensions.
func (t *Tensor) Shape() []int64 {
	var n C.size_t
	check(C.ft_dim(t.p(), &n))
	shape := make([]int64, n)
	if n > 0 {
		check(C.ft_shape(t.p(), (*C.int64_t)(unsafe.Pointer(&shape[0]))))
	}
	return shape
}

type info struct {
	dtype        DType
	device       Device
	numel        int64
	requiresGrad bool
}

func (t *Tensor) info() info {
	var dtype C.int8_t
	var device C.ft_device
	var numel C.int64_t
	var grad C.int
	check(C.ft_info(t.p(), &dtype, &device, &numel, &grad))
	return info{DType(dtype), Device{DeviceType(device._type), int8(device.index)}, int64(numel), grad != 0}
}

// DType is the element type.
func (t *Tensor) DType() DType { return t.info().dtype }

// Device is where the elements lie.
func (t *Tensor) Device() Device { return t.info().device }

// NumElements is the product of the shape.
func (t *Tensor) NumElements() int64 { return t.info().numel }

// NumBytes is NumElements times the size of one.
func (t *Tensor) NumBytes() int64 {
	i := t.info()
	return i.numel * int64(i.dtype.Size())
}

// To converts to a dtype on a device; the result shares memory with t when nothing changes.
func (t *Tensor) To(dtype DType, device Device) *Tensor {
	var out C.ft_tensor
	check(C.ft_to(t.p(), C.int8_t(dtype), device.c(), &out))
	return wrap(out)
}

// Copy_ copies src's elements into t, converting the dtype and crossing devices as needed.
func (t *Tensor) Copy_(src *Tensor) *Tensor {
	check(C.ft_copy_(t.p(), src.p()))
	return t
}

// Clone copies the elements into new memory; gradients flow through it.
func (t *Tensor) Clone() *Tensor {
	var out C.ft_tensor
	check(C.ft_clone(t.p(), &out))
	return wrap(out)
}

// Detach is the same elements outside the autograd graph.
func (t *Tensor) Detach() *Tensor {
	var out C.ft_tensor
	check(C.ft_detach(t.p(), &out))
	return wrap(out)
}

// Equal says whether shape and every element agree (NaN equals nothing).
func (t *Tensor) Equal(other *Tensor) bool {
	var out C.int
	check(C.ft_equal(t.p(), other.p(), &out))
	return out != 0
}

func (t *Tensor) String() string {
	if t == nil || t.ptr == nil {
		return "tensor(freed)"
	}
	i := t.info()
	return fmt.Sprintf("tensor(%v, %s, %s)", t.Shape(), i.dtype, i.device)
}
