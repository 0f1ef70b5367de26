package torch

// Values in and out of tensors.

/*
#include "binding.h"
#cgo noescape ft_from_bytes
#cgo nocallback ft_from_bytes
#cgo noescape ft_copy_to_bytes
#cgo nocallback ft_copy_to_bytes
#cgo noescape ft_item
#cgo nocallback ft_item
*/
import "C"

import (
	"io"
	"unsafe"
)

// FromBytes copies little-endian elements in row-major order into a new tensor. len(data) must be the shape's.
func FromBytes(data []byte, shape []int64, dtype DType, device Device) *Tensor {
	var out C.ft_tensor
	s, n := shapePointer(shape)
	check(C.ft_from_bytes(unsafe.Pointer(unsafe.SliceData(data)), C.size_t(len(data)), s, n, C.int8_t(dtype), device.c(), &out))
	return wrap(out)
}

// FromFloat32s copies values into a new tensor.
func FromFloat32s(values []float32, shape []int64, device Device) *Tensor {
	return FromBytes(bytesOf(values), shape, Float32, device)
}

// FromFloat64s copies values into a new tensor.
func FromFloat64s(values []float64, shape []int64, device Device) *Tensor {
	return FromBytes(bytesOf(values), shape, Float64, device)
}

// FromInt64s copies values into a new tensor.
func FromInt64s(values []int64, shape []int64, device Device) *Tensor {
	return FromBytes(bytesOf(values), shape, Int64, device)
}

func bytesOf[T any](values []T) []byte {
	var zero T
	return unsafe.Slice((*byte)(unsafe.Pointer(unsafe.SliceData(values))), len(values)*int(unsafe.Sizeof(zero)))
}

// CopyToBytes copies the elements, row-major and little-endian, into data, which must have NumBytes.
func (t *Tensor) CopyToBytes(data []byte) {
	check(C.ft_copy_to_bytes(t.p(), unsafe.Pointer(unsafe.SliceData(data)), C.size_t(len(data))))
}

// Bytes is a copy of the elements, row-major and little-endian.
func (t *Tensor) Bytes() []byte {
	b := make([]byte, t.NumBytes())
	t.CopyToBytes(b)
	return b
}

// WriteTo writes the elements, row-major and little-endian, through a small buffer, a CPU's in a core's cache, so that a large tensor is
// never on the host twice.
func (t *Tensor) WriteTo(w io.Writer) (written int64, err error) {
	piece := int64(1 << 15) // elements
	if t.Device().Type != CPUType {
		piece = 1 << 20 // each is a copy that is waited for
	}
	scope := OpenScope()
	defer scope.Close()
	flat := t.Detach().Reshape(-1)
	n, size := flat.NumElements(), int64(flat.DType().Size())
	buffer := make([]byte, min(n, piece)*size)
	for start := int64(0); start < n; start += piece {
		part := flat.Narrow(0, start, min(piece, n-start))
		b := buffer[:part.NumBytes()]
		part.CopyToBytes(b)
		part.Free()
		k, err := w.Write(b)
		if written += int64(k); err != nil {
			return written, err
		}
	}
	return written, nil
}

// Float32s is a copy of a tensor of any floating dtype as float32 values.
func (t *Tensor) Float32s() []float32 {
	s := OpenScope()
	defer s.Close()
	v := make([]float32, t.NumElements())
	t.To(Float32, CPU).CopyToBytes(bytesOf(v))
	return v
}

// Float64s is a copy of a tensor of any floating dtype as float64 values.
func (t *Tensor) Float64s() []float64 {
	s := OpenScope()
	defer s.Close()
	v := make([]float64, t.NumElements())
	t.To(Float64, CPU).CopyToBytes(bytesOf(v))
	return v
}

// Int64s is a copy of a tensor of any integer dtype as int64 values.
func (t *Tensor) Int64s() []int64 {
	s := OpenScope()
	defer s.Close()
	v := make([]int64, t.NumElements())
	t.To(Int64, CPU).CopyToBytes(bytesOf(v))
	return v
}

// Item is the value of a tensor of one element. On a CUDA tensor it waits for the device.
func (t *Tensor) Item() float64 {
	var out C.double
	check(C.ft_item(t.p(), &out))
	return float64(out)
}
