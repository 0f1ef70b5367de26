package torch_test

import (
	"strings"
	"testing"

	"frugal/torch"
)

func TestErrorsHaveAKindAndOneLine(t *testing.T) {
	vector := func(n int64) *torch.Tensor { return torch.Zeros([]int64{n}, torch.Float32, torch.CPU) }
	for _, c := range []struct {
		name, want string // want is part of the message
		kind       torch.Kind
		f          func()
	}{
		{"product of the wrong shapes", "cannot be multiplied", torch.ShapeError, func() {
			torch.Zeros([]int64{2, 3}, torch.Float32, torch.CPU).MatMul(torch.Zeros([]int64{2, 3}, torch.Float32, torch.CPU))
		}},
		{"sum of the wrong shapes", "must match", torch.ShapeError, func() { vector(2).Add(vector(3)) }},
		{"impossible view", "invalid for input of size", torch.ShapeError, func() { vector(6).Reshape(4, 2) }},
		{"narrow beyond the end", "exceeds dimension size", torch.ShapeError, func() { vector(6).Narrow(0, 4, 3) }},
		{"a row that is not there", "out of range", torch.ShapeError, func() {
			torch.Embedding(torch.Zeros([]int64{3, 2}, torch.Float32, torch.CPU), torch.FromInt64s([]int64{3}, []int64{1, 1}, torch.CPU))
		}},
		{"bytes that do not fill the shape", "holds 8 bytes, not 7", torch.ShapeError, func() { torch.FromBytes(make([]byte, 7), []int64{2}, torch.Float32, torch.CPU) }},
		{"bytes copied to too small a place", "holds 8 bytes, not 4", torch.ShapeError, func() { vector(2).CopyToBytes(make([]byte, 4)) }},
		{"2^60 bytes", "1152921504606846976 bytes", torch.OutOfMemory, func() { vector(1 << 58) }},
		{"backward without a graph", "does not require grad", torch.OtherError, func() { vector(1).Reshape().Backward() }},
		{"use after free", "used after it was freed", torch.OtherError, func() { v := vector(1); v.Free(); v.Add(v) }},
		{"a nil tensor", "a tensor is nil", torch.OtherError, func() { vector(1).Add(nil) }},
		{"lists of different lengths", "a list has 1 tensors, another has 2", torch.ShapeError, func() {
			torch.Backward([]*torch.Tensor{vector(1), vector(1)}, []*torch.Tensor{vector(1)})
		}},
		{"integers where floats are wanted", "floating point", torch.OtherError, func() { torch.FromInt64s([]int64{0, 1, 2}, []int64{3}, torch.CPU).SetRequiresGrad(true) }},
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
	if ok, _ := torch.CUDAAvailable(); ok {
		t.Skip("there is a CUDA card")
	}
	onThread(t, func() {
		e := caught(t, func() { torch.Zeros([]int64{1}, torch.Float32, torch.CUDA(0)) })
		if text := oneLineOf(t, e); e.Kind != torch.DeviceError || !strings.Contains(text, "CUDA") {
			t.Errorf("%q, want a device error that names CUDA", text)
		}
	})
}

func TestErrorStacksAddLibtorchsStack(t *testing.T) {
	onThread(t, func() {
		torch.ErrorStacks(true)
		defer torch.ErrorStacks(false)
		e := caught(t, func() { values(1).Add(values(1, 2, 3).Reshape(3, 1).Reshape(2)) })
		if !strings.Contains(e.Message, "\n") || e.Kind != torch.ShapeError {
			t.Errorf("%q has one line, want a stack", e.Message)
		}
	})
}
