package torch

import (
	"strings"
	"testing"
)

func TestErrorsHaveAKindAndOneLine(t *testing.T) {
	vector := func(n int64) *Tensor { return Zeros([]int64{n}, Float32, CPU) }
	for _, c := range []struct {
		name, want string // want is part of the message
		kind       Kind
		f          func()
	}{
		{"product of the wrong shapes", "cannot be multiplied", ShapeError, func() { Zeros([]int64{2, 3}, Float32, CPU).MatMul(Zeros([]int64{2, 3}, Float32, CPU)) }},
		{"sum of the wrong shapes", "must match", ShapeError, func() { vector(2).Add(vector(3)) }},
		{"impossible view", "invalid for input of size", ShapeError, func() { vector(6).Reshape(4, 2) }},
		{"narrow beyond the end", "exceeds dimension size", ShapeError, func() { vector(6).Narrow(0, 4, 3) }},
		{"a row that is not there", "out of range", ShapeError, func() {
			Embedding(Zeros([]int64{3, 2}, Float32, CPU), FromInt64s([]int64{3}, []int64{1, 1}, CPU))
		}},
		{"bytes that do not fill the shape", "holds 8 bytes, not 7", ShapeError, func() { FromBytes(make([]byte, 7), []int64{2}, Float32, CPU) }},
		{"bytes copied to too small a place", "holds 8 bytes, not 4", ShapeError, func() { vector(2).CopyToBytes(make([]byte, 4)) }},
		{"2^60 bytes", "1152921504606846976 bytes", OutOfMemory, func() { vector(1 << 58) }},
		{"backward without a graph", "does not require grad", OtherError, func() { vector(1).Reshape().Backward() }},
		{"use after free", "used after it was freed", OtherError, func() { v := vector(1); v.Free(); v.Add(v) }},
		{"integers where floats are wanted", "floating point", OtherError, func() { Arange(3, CPU).SetRequiresGrad(true) }},
	} {
		t.Run(c.name, func(t *testing.T) {
			onThread(t, func() {
				e := caught(t, c.f)
				if text := oneLineOf(t, e); e.Kind != c.kind || !strings.Contains(text, c.want) {
					t.Errorf("%q, want a %s error with %q", text, c.kind, c.want)
				} else if !strings.HasPrefix(text, c.kind.String()+": ") {
					t.Errorf("%q does not begin with its kind", text)
				}
			})
		})
	}
}

func TestADeviceThatIsNotThereIsADeviceError(t *testing.T) {
	if ok, _ := CUDAAvailable(); ok {
		t.Skip("there is a CUDA card")
	}
	onThread(t, func() {
		e := caught(t, func() { Zeros([]int64{1}, Float32, CUDA(0)) })
		if text := oneLineOf(t, e); e.Kind != DeviceError || !strings.Contains(text, "CUDA") {
			t.Errorf("%q, want a device error that names CUDA", text)
		}
	})
}

func TestErrorStacksAddLibtorchsStack(t *testing.T) {
	onThread(t, func() {
		ErrorStacks(true)
		defer ErrorStacks(false)
		e := caught(t, func() { values(1).Add(values(1, 2, 3).Reshape(3, 1).Reshape(2)) })
		if !strings.Contains(e.Message, "\n") || e.Kind != ShapeError {
			t.Errorf("%q has one line, want a stack", e.Message)
		}
	})
}
