package torch_test

import (
	"slices"
	"testing"

	"frugal/torch"
)

func TestBackwardAddsToLeaves(t *testing.T) {
	onThread(t, func() {
		w := values(2, 3).SetRequiresGrad(true)
		if w.Grad() != nil {
			t.Error("a gradient before any backward")
		}
		for range 2 {
			w.Mul(w).Sum().Backward()
		}
		if got := w.Grad().Float32s(); !slices.Equal(got, []float32{8, 12}) {
			t.Errorf("two passes leave %v, want [8 12]", got)
		}
		w.SetGrad(values(1, 1))
		torch.Backward([]*torch.Tensor{w.MulScalar(3)}, []*torch.Tensor{values(1, 10)})
		if got := w.Grad().Float32s(); !slices.Equal(got, []float32{4, 31}) {
			t.Errorf("gradient %v, want [4 31]", got)
		}
		w.SetGrad(nil)
		if w.Grad() != nil {
			t.Error("a gradient after its removal")
		}
		if w.Detach().RequiresGrad() || !w.RequiresGrad() || w.SetRequiresGrad(false).RequiresGrad() {
			t.Error("Detach or SetRequiresGrad is wrong")
		}
	})
}

func TestModesEndWithTheirFunction(t *testing.T) {
	onThread(t, func() {
		w := values(1).SetRequiresGrad(true).Reshape(1, 1)
		recorded := func() bool { return w.MulScalar(2).RequiresGrad() }
		dtype := func() torch.DType { return w.MatMul(w).DType() }
		torch.NoGrad(func() {
			if recorded() {
				t.Error("NoGrad records")
			}
			torch.EnableGrad(func() {
				if !recorded() {
					t.Error("EnableGrad inside NoGrad does not record")
				}
			})
			if recorded() {
				t.Error("EnableGrad stays on")
			}
		})
		torch.Autocast(torch.CPU, torch.BFloat16, func() {
			if dtype() != torch.BFloat16 {
				t.Errorf("autocast to bfloat16 gives %s", dtype())
			}
			torch.Autocast(torch.CPU, torch.Float16, func() {
				if dtype() != torch.Float16 {
					t.Errorf("autocast to float16 gives %s", dtype())
				}
			})
			torch.Autocast(torch.CPU, torch.Float32, func() {
				if dtype() != torch.Float32 {
					t.Errorf("autocast to float32 gives %s", dtype())
				}
			})
			if dtype() != torch.BFloat16 {
				t.Errorf("after an inner autocast: %s", dtype())
			}
		})
		for _, f := range []func(func()){torch.NoGrad, func(f func()) { torch.Autocast(torch.CPU, torch.BFloat16, f) }} {
			caught(t, func() { f(func() { values(1, 2).Add(values(1, 2, 3)) }) })
			if !recorded() || dtype() != torch.Float32 {
				t.Errorf("after a panic: recorded %v, dtype %s", recorded(), dtype())
			}
		}
	})
}

// A weight cast without gradients must not serve from autocast's cache where gradients are wanted.
func TestAutocastForgetsWeightsCastWithoutGradients(t *testing.T) {
	onThread(t, func() {
		w := torch.Full([]int64{2, 2}, 1, torch.Float32, torch.CPU).SetRequiresGrad(true)
		x := torch.Full([]int64{2, 2}, 1, torch.Float32, torch.CPU)
		torch.NoGrad(func() { torch.Autocast(torch.CPU, torch.BFloat16, func() { x.MatMul(w) }) })
		torch.Autocast(torch.CPU, torch.BFloat16, func() { x.MatMul(w).SumTo(torch.Float32).Backward() })
		if g := w.Grad(); g == nil || g.DType() != torch.Float32 || g.Sum().Item() != 8 {
			t.Errorf("gradient %v", g)
		}
	})
}
