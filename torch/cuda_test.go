package torch_test

import (
	"math"
	"testing"

	"frugal/torch"
)

// onCUDA runs f as onThread does where there is a card, and else skips the test with the reason.
func onCUDA(t *testing.T, f func(card torch.Device)) {
	t.Helper()
	if ok, reason := torch.CUDAAvailable(); !ok {
		t.Skip("cuda: " + reason)
	}
	onThread(t, func() {
		f(torch.CUDA(0))
		torch.Synchronize(torch.CUDA(0))
	})
}

func TestMemoryIsCountedCUDA(t *testing.T) {
	onCUDA(t, func(card torch.Device) {
		stats := func() torch.Memory {
			m, err := torch.MemoryStats(card)
			if err != nil {
				t.Fatal(err)
			}
			return m
		}
		torch.EmptyCache(card)
		before := stats()
		const size = 64 << 20
		x := torch.Zeros([]int64{size / 4}, torch.Float32, card)
		during := stats()
		if got := during.Allocated - before.Allocated; got < size || got > size+(1<<21) {
			t.Errorf("64 MiB are counted as %d bytes", got)
		}
		x.Free()
		after := stats()
		if after.Allocated != before.Allocated || after.AllocatedPeak < during.Allocated || after.Reserved < during.Reserved {
			t.Errorf("after freeing: %+v, before: %+v", after, before)
		}
		torch.ResetPeakMemory(card)
		torch.EmptyCache(card)
		if m := stats(); m.AllocatedPeak != m.Allocated || m.Reserved >= during.Reserved || m.Free > m.Total || m.Total == 0 {
			t.Errorf("after the reset: %+v", m)
		}
	})
}

func TestTooMuchMemoryIsAnOutOfMemoryErrorCUDA(t *testing.T) {
	onCUDA(t, func(card torch.Device) {
		if e := caught(t, func() { torch.Zeros([]int64{1 << 45}, torch.Float32, card) }); e.Kind != torch.OutOfMemory {
			t.Errorf("%v, want an out-of-memory error", e)
		}
		oneLineOf(t, caught(t, func() { torch.Zeros([]int64{1 << 45}, torch.Float32, card) }))
	})
}

func TestDevicesDoNotMixCUDA(t *testing.T) {
	onCUDA(t, func(card torch.Device) {
		if e := caught(t, func() { torch.Zeros([]int64{2}, torch.Float32, card).Add(values(1, 2)) }); e.Kind != torch.DeviceError {
			t.Errorf("%v, want a device error", e)
		}
	})
}

func TestBytesGoToTheCardAndBackCUDA(t *testing.T) {
	onCUDA(t, func(card torch.Device) {
		for _, n := range []int64{0, 1, 1000, 1 << 20} { // through pinned memory, and past its limit
			v := make([]float32, n)
			for i := range v {
				v[i] = float32(i)
			}
			x := torch.FromFloat32s(v, []int64{n}, card)
			clear(v)
			for i, got := range x.Float32s() {
				if got != float32(i) {
					t.Fatalf("%d elements: element %d is %v", n, i, got)
				}
			}
		}
	})
}

func TestASeedDecidesWhatIsDrawnCUDA(t *testing.T) {
	onCUDA(t, func(card torch.Device) {
		draw := func(seed uint64) *torch.Tensor {
			torch.ManualSeed(card, seed)
			return torch.Full([]int64{1000}, 1, torch.Float32, card).Dropout(0.5)
		}
		if a, b, c := draw(1), draw(1), draw(2); !a.Equal(b) || a.Equal(c) {
			t.Error("the same seed must draw the same numbers, and another others")
		}
	})
}

func TestAnUpdateWithLossScalingCUDA(t *testing.T) {
	onCUDA(t, func(card torch.Device) {
		update := func(d torch.Device, g float32) (p []float32, steps, scale float64) {
			params := []*torch.Tensor{torch.FromFloat32s([]float32{1, -2, 3}, []int64{3}, d)}
			grads := []*torch.Tensor{torch.FromFloat32s([]float32{65536, g, 131072}, []int64{3}, d)}
			zeros := func() []*torch.Tensor { return []*torch.Tensor{torch.Zeros([]int64{3}, torch.Float32, d)} }
			count, s, tracker, found := torch.Zeros(nil, torch.Float32, d), torch.Full(nil, 65536, torch.Float32, d), torch.Zeros(nil, torch.Int32, d), torch.Zeros(nil, torch.Float32, d)
			norm := grads[0].Norm()
			if math.IsInf(norm.Item(), 1) {
				found.Fill_(1)
			}
			divisor := torch.ClipCoefficient(norm.Mul(s.Reciprocal()), 1).Reciprocal().Mul(s)
			torch.CountUpdate_(count, found)
			torch.FusedAdamW_(torch.AdamW{0.9, 0.999, 0.01, 1e-8}, params, grads, zeros(), zeros(), count, torch.Full(nil, 0.1, torch.Float32, d), divisor, found)
			torch.AMPUpdateScale_(s, tracker, found, 2, 0.5, 2000)
			return params[0].Float32s(), count.Item(), s.Item()
		}
		for _, g := range []float32{32768, float32(math.Inf(1))} {
			p, steps, scale := update(card, g)
			wantP, wantSteps, wantScale := update(torch.CPU, g)
			for i := range p {
				if !(math.Abs(float64(p[i]-wantP[i])) < 1e-6) {
					t.Errorf("gradient %v: parameters %v, want %v", g, p, wantP)
				}
			}
			if steps != wantSteps || scale != wantScale {
				t.Errorf("gradient %v: %v updates at scale %v, want %v at %v", g, steps, scale, wantSteps, wantScale)
			}
		}
	})
}
