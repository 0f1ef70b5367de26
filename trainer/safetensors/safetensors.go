// Package safetensors reads and writes the safetensors format: a JSON header with the name, element type, shape and place
// of each tensor, then their bytes. It knows nothing of tensors beyond that and copies no data on reading.
//
// A file is: the header's length (8 bytes, little-endian), the header, the data. Offsets in the header count from the start
// of the data. See docs/format.md.
package safetensors

import (
	"fmt"
	"math"
	"math/bits"
)

// maxHeader is the largest header that the reference implementation accepts, in bytes.
const maxHeader = 100_000_000

// metadataKey is the one header key that is not a tensor.
const metadataKey = "__metadata__"

// TensorInfo describes one tensor of a file.
type TensorInfo struct {
	Name   string
	DType  string  // "F32", "BF16", "I64" …
	Shape  []int64 // empty for a scalar
	Offset int64   // of its bytes from the start of the file; files by other programs may leave it unaligned
	Size   int64   // bytes: the product of Shape times the element size
}

// dtype is an element type: its size in bytes, and its place in the order in which tensors are written.
type dtype struct {
	size  int64
	order int
}

// dtypes are the element types. Tensors lie in the file by falling order: this is the reference implementation's, which puts
// the widest first so that each tensor is aligned.
var dtypes = map[string]dtype{
	"BOOL":    {1, 0},
	"U8":      {1, 1},
	"I8":      {1, 2},
	"F8_E5M2": {1, 3},
	"F8_E4M3": {1, 4},
	"I16":     {2, 5},
	"U16":     {2, 6},
	"F16":     {2, 7},
	"BF16":    {2, 8},
	"I32":     {4, 9},
	"U32":     {4, 10},
	"F32":     {4, 11},
	"F64":     {8, 12},
	"I64":     {8, 13},
	"U64":     {8, 14},
}

// ByteSize returns the bytes that a tensor of this element type and shape takes. It fails for an element type that the
// format does not know, a negative dimension, and a size that does not fit an int64.
func ByteSize(dtype string, shape []int64) (int64, error) {
	d, ok := dtypes[dtype]
	if !ok {
		return 0, fmt.Errorf("dtype %q is not known", dtype)
	}
	size := uint64(d.size)
	for _, dimension := range shape {
		if dimension < 0 {
			return 0, fmt.Errorf("shape %v has a negative dimension", shape)
		}
		high, low := bits.Mul64(size, uint64(dimension))
		if high != 0 || low > math.MaxInt64 {
			return 0, fmt.Errorf("shape %v overflows the number of bytes", shape)
		}
		size = low
	}
	return int64(size), nil
}
