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
		caught(t, func() { torch.NoGrad(func() { values(1, 2).Add(values(1, 2, 3)) }) })
		if !recorded() {
			t.Error("after a panic NoGrad is still there")
		}
	})
}
