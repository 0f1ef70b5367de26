package torch_test

import (
	"fmt"
	"math"
	"testing"

	"frugal/torch"
)

// Rows and matrices of every kind: widths that no vector divides, one row and more than are summed at once.
var rowShapes = []struct{ rows, in, out int64 }{
	{1, 1, 1}, {1, 768, 131}, {2, 30, 77}, {3, 8, 64}, {5, 77, 30}, {33, 19, 257}, {70, 64, 300},
}

func TestLinearRowsIsTheProduct(t *testing.T) {
	onThread(t, func() {
		torch.ManualSeed(torch.CPU, 1)
		for _, s := range rowShapes {
			for dtype, tolerance := range map[torch.DType]float64{torch.Float32: 4e-6, torch.BFloat16: 5e-3, torch.Float16: 6e-4} {
				for _, transposed := range []bool{false, true} {
					for _, withBias := range []bool{false, true} {
						scope := torch.OpenScope()
						x, w := torch.RandN([]int64{s.rows, s.in}, torch.CPU), torch.RandN([]int64{s.in, s.out}, torch.CPU).To(dtype, torch.CPU)
						if transposed {
							w = torch.RandN([]int64{s.out, s.in}, torch.CPU).To(dtype, torch.CPU).Transpose(0, 1)
						}
						want := x.To(dtype, torch.CPU).To(torch.Float64, torch.CPU).MatMul(w.To(torch.Float64, torch.CPU))
						var bias *torch.Tensor
						if withBias {
							bias = torch.RandN([]int64{s.out}, torch.CPU).To(dtype, torch.CPU)
							want = want.Add(bias.To(torch.Float64, torch.CPU))
						}
						got := torch.LinearRows(x, w, bias)
						if got.DType() != dtype {
							t.Errorf("dtype is %s, want %s", got.DType(), dtype)
						}
						expected := want.Float32s()
						for i, v := range got.Float32s() {
							w := float64(expected[i])
							scale := math.Sqrt(float64(s.in)) + math.Abs(w) // of the sum's parts, and of its rounding
							if d := math.Abs(float64(v) - w); !(d <= tolerance*scale) {
								t.Fatalf("%v %s, transposed %v, bias %v: element %d is %v, want %v", s, dtype, transposed, withBias, i, v, w)
							}
						}
						scope.Close()
					}
				}
			}
		}
	})
}

func TestRowsDoNotDependOnTheirNumberNorOnThreads(t *testing.T) {
	onThread(t, func() {
		defer torch.SetNumThreads(torch.NumThreads())
		const in, out = 301, 5003 // enough for several threads
		torch.ManualSeed(torch.CPU, 2)
		x := torch.RandN([]int64{37, in}, torch.CPU)
		for _, dtype := range []torch.DType{torch.Float32, torch.BFloat16, torch.Float16} {
			matrices := map[string]*torch.Tensor{"rows": torch.RandN([]int64{in, out}, torch.CPU).To(dtype, torch.CPU),
				"columns": torch.RandN([]int64{out, in}, torch.CPU).To(dtype, torch.CPU).Transpose(0, 1)}
			for together, w := range matrices {
				t.Run(fmt.Sprintf("%s/%s lie together", dtype, together), func(t *testing.T) {
					torch.SetNumThreads(1)
					wantProduct := torch.LinearRows(x, w, nil)
					wantTanh, wantExact := wantProduct.GELUTanh(), wantProduct.Clone().GELURows_()
					for _, threads := range []int{1, 2, 3, 5} {
						torch.SetNumThreads(threads)
						for _, n := range []int64{1, 2, 3, 4, 7, 32, 33, 37} {
							got := torch.LinearRows(x.Narrow(0, 0, n), w, nil)
							if !got.Equal(wantProduct.Narrow(0, 0, n)) {
								t.Errorf("%d rows, %d threads: the product has other bits", n, threads)
							}
							if !got.GELUTanh().Equal(wantTanh.Narrow(0, 0, n)) || !got.GELURows_().Equal(wantExact.Narrow(0, 0, n)) {
								t.Errorf("%d rows, %d threads: GELU has other bits", n, threads)
							}
						}
					}
				})
			}
		}
	})
}

func TestGELURowsIsGELU(t *testing.T) {
	onThread(t, func() {
		x := torch.RandN([]int64{3, 2, 9001}, torch.CPU)
		want := x.GELU()
		for i, v := range x.Clone().GELURows_().Sub(want).Float32s() {
			if math.Abs(float64(v)) > 1e-6 {
				t.Fatalf("element %d is off by %v", i, v)
			}
		}
	})
}

func TestLinearRowsRefusesWhatDoesNotFit(t *testing.T) {
	onThread(t, func() {
		ones := func(shape ...int64) *torch.Tensor { return torch.Full(shape, 1, torch.Float32, torch.CPU) }
		for name, f := range map[string]func(){
			"widths":        func() { torch.LinearRows(ones(2, 3), ones(4, 5), nil) },
			"bias":          func() { torch.LinearRows(ones(2, 3), ones(3, 5), ones(4)) },
			"dtype of bias": func() { torch.LinearRows(ones(2, 3), ones(3, 5), ones(5).To(torch.BFloat16, torch.CPU)) },
			"strides": func() {
				torch.LinearRows(ones(2, 3), ones(6, 10, 2).Transpose(0, 2).Narrow(0, 0, 1).Reshape(10, 6), nil)
			},
			"queries": func() { torch.AttentionRows(ones(1, 1, 3, 4), ones(1, 1, 2, 4), ones(1, 1, 2, 4)) },
			"values":  func() { torch.AttentionRows(ones(1, 1, 1, 4), ones(1, 1, 2, 4), ones(1, 1, 3, 4)) },
			"vector":  func() { torch.LinearRows(ones(2, 3), ones(3), nil) },
		} {
			t.Run(name, func(t *testing.T) {
				if e := caught(t, f); e.Kind != torch.ShapeError {
					t.Errorf("%v, want a shape error", e)
				}
			})
		}
	})
}

// attention is softmax(q·kᵀ/√d)·v, causal, through SelfAttention: [B, H, T, d] each.
func attention(q, k, v *torch.Tensor) *torch.Tensor {
	shape := q.Shape()
	B, H, T, d := shape[0], shape[1], shape[2], shape[3]
	qkv := torch.Empty([]int64{B, T, 3 * H * d}, q.DType(), torch.CPU)
	for i, x := range []*torch.Tensor{q, k, v} {
		qkv.Narrow(2, int64(i)*H*d, H*d).Copy_(x.Transpose(1, 2).Reshape(B, T, H*d))
	}
	return torch.SelfAttention(qkv, int(H), 0, torch.Flash).Reshape(B, T, H, d).Transpose(1, 2)
}

func TestAttentionRowsIsAttention(t *testing.T) {
	onThread(t, func() {
		torch.ManualSeed(torch.CPU, 4)
		for dtype, tolerance := range map[torch.DType]float64{torch.Float32: 2e-6, torch.BFloat16: 3e-2, torch.Float16: 3e-3} {
			for _, s := range []struct{ B, H, L, d int64 }{{1, 1, 1, 1}, {2, 3, 9, 10}, {1, 2, 70, 64}, {3, 1, 6, 33}} {
				random := func() *torch.Tensor { // with room behind, as in a cache
					return torch.RandN([]int64{s.B, s.H, s.L + 3, s.d}, torch.CPU).To(dtype, torch.CPU).Narrow(2, 0, s.L)
				}
				q, k, v := random(), random(), random()
				want := attention(q, k, v)
				for _, T := range []int64{1, (s.L + 1) / 2, s.L} {
					got := torch.AttentionRows(q.Narrow(2, s.L-T, T), k, v)
					for i, d := range got.Sub(want.Narrow(2, s.L-T, T)).Float32s() {
						if !(math.Abs(float64(d)) <= tolerance) {
							t.Fatalf("%s, %+v, %d queries: element %d is off by %v", dtype, s, T, i, d)
						}
					}
				}
			}
		}
	})
}

func TestAttentionOfARowDependsOnNothingBesideIt(t *testing.T) {
	onThread(t, func() {
		defer torch.SetNumThreads(torch.NumThreads())
		torch.ManualSeed(torch.CPU, 5)
		shape := []int64{5, 3, 130, 72}
		q, k, v := torch.RandN(shape, torch.CPU), torch.RandN(shape, torch.CPU), torch.RandN(shape, torch.CPU)
		torch.SetNumThreads(1)
		want := torch.AttentionRows(q, k, v)
		for _, threads := range []int{1, 2, 3, 5} {
			torch.SetNumThreads(threads)
			for n := int64(1); n <= 5; n++ {
				for _, T := range []int64{1, 2, 129} {
					part := func(x *torch.Tensor, T int64) *torch.Tensor { return x.Narrow(0, 0, n).Narrow(2, 130-T, T) }
					if got := torch.AttentionRows(part(q, T), part(k, 130), part(v, 130)); !got.Equal(part(want, T)) {
						t.Errorf("%d sequences, %d queries, %d threads: other bits", n, T, threads)
					}
				}
			}
		}
	})
}
