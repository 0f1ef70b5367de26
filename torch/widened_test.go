package torch_test

import (
	"slices"
	"testing"

	"frugal/torch"
)

// A half-precision number is one of fp32, so that adding it without converting it first changes no bit.
func TestSumsOfTwoPrecisionsAreThoseOfConvertedNumbers(t *testing.T) {
	onThread(t, func() {
		defer torch.SetNumThreads(torch.NumThreads())
		torch.ManualSeed(torch.CPU, 6)
		for _, threads := range []int{1, 3} {
			torch.SetNumThreads(threads)
			for _, dtype := range []torch.DType{torch.BFloat16, torch.Float16} {
				for _, width := range []int64{1, 15, 16, 17, 301} { // below, at and above a vector's width
					const rows = 113 // enough for several threads where rows are long
					x, y := torch.RandN([]int64{rows, width}, torch.CPU), torch.RandN([]int64{rows, width}, torch.CPU).To(dtype, torch.CPU)
					if got := x.AddWidened(y); !got.Equal(x.Add(y.To(torch.Float32, torch.CPU))) {
						t.Errorf("%d threads, %s, width %d: the sum has other bits", threads, dtype, width)
					}
					a, b := torch.RandN([]int64{rows, 7}, torch.CPU).To(dtype, torch.CPU), torch.RandN([]int64{7, width}, torch.CPU).To(dtype, torch.CPU)
					want := x.Add(a.MatMul(b).To(torch.Float32, torch.CPU))
					if got := x.Clone().AddProduct_(a, b, true); !got.Equal(want) {
						t.Errorf("%d threads, %s, width %d: the sum with a product has other bits", threads, dtype, width)
					}
				}
			}
		}
	})
}

func TestTheGradientsOfASumOfTwoPrecisionsHaveThem(t *testing.T) {
	onThread(t, func() {
		x := torch.Full([]int64{2, 3}, 1, torch.Float32, torch.CPU).SetRequiresGrad(true)
		y := torch.Full([]int64{2, 3}, 1, torch.BFloat16, torch.CPU).SetRequiresGrad(true)
		arrived := torch.FromFloat32s([]float32{1, 2, 3, 4, 5, 1.00390625}, []int64{2, 3}, torch.CPU) // the last is half-way to bf16's next
		torch.Backward([]*torch.Tensor{x.AddWidened(y)}, []*torch.Tensor{arrived})
		if !x.Grad().Equal(arrived) {
			t.Errorf("by x: %v", x.Grad().Float32s())
		}
		if got := y.Grad(); got.DType() != torch.BFloat16 || !slices.Equal(got.To(torch.Float32, torch.CPU).Float32s(), []float32{1, 2, 3, 4, 5, 1}) {
			t.Errorf("by y: %v of %s", got.To(torch.Float32, torch.CPU).Float32s(), got.DType())
		}
		if e := caught(t, func() { x.AddWidened(y.Narrow(1, 0, 1)) }); e.Kind != torch.ShapeError {
			t.Errorf("sizes that do not fit: %v", e)
		}
	})
}
