package torch_test

import (
	"fmt"
	"math"
	"slices"
	"testing"

	"frugal/torch"
)

// relative is the norm of a - b over that of b.
func relative(a, b *torch.Tensor) float64 {
	x, y := a.Float32s(), b.Float32s()
	var difference, norm float64
	for i := range y {
		difference += math.Pow(float64(x[i]-y[i]), 2)
		norm += math.Pow(float64(y[i]), 2)
	}
	return math.Sqrt(difference / norm)
}

func randN(shape ...int64) *torch.Tensor { return torch.RandN(shape, torch.CPU) }

// affine is a weight and a bias with buffers that hold ones.
func affine(weight, bias *torch.Tensor, accumulate bool) torch.Affine {
	ones := func(t *torch.Tensor) *torch.Tensor { return torch.Full(t.Shape(), 1, torch.Float32, torch.CPU) }
	return torch.Affine{Weight: weight, Bias: bias, WeightGradient: ones(weight), BiasGradient: ones(bias), Accumulate: accumulate}
}

// Autograd's own operations are the reference; in bf16 a product is rounded, to 8 bits.
func TestLinearIsAProductAndItsGradients(t *testing.T) {
	for dtype, tolerance := range map[torch.DType]float64{torch.Float32: 1e-6, torch.BFloat16: 6e-3, torch.Float16: 8e-4} {
		for _, library := range []torch.Library{torch.BLAS, torch.OneDNN} {
			for _, accumulate := range []bool{false, true} {
				t.Run(fmt.Sprintf("%s, library %d, accumulate %v", dtype, library, accumulate), func(t *testing.T) {
					onThread(t, func() {
						torch.ManualSeed(torch.CPU, 1)
						rounded := func(t *torch.Tensor) *torch.Tensor { return t.To(dtype, torch.CPU) }
						x, w, b, g := rounded(randN(3, 70, 37)), rounded(randN(37, 131)), rounded(randN(131)), rounded(randN(3, 70, 131))
						leaves := make([]*torch.Tensor, 3)
						for i, t := range []*torch.Tensor{x, w, b} {
							leaves[i] = t.To(torch.Float32, torch.CPU).Clone().Detach().SetRequiresGrad(true)
						}
						want := leaves[0].MatMul(leaves[1]).Add(leaves[2])
						torch.Backward([]*torch.Tensor{want}, []*torch.Tensor{g.To(torch.Float32, torch.CPU)})

						a := affine(w, b, accumulate)
						leaf := x.Detach().SetRequiresGrad(true)
						got := torch.Linear(leaf, a, library)
						torch.Backward([]*torch.Tensor{got}, []*torch.Tensor{g})
						if got.DType() != dtype || !slices.Equal(got.Shape(), []int64{3, 70, 131}) {
							t.Errorf("%s %v", got.DType(), got.Shape())
						}
						wantW, wantB := leaves[1].Grad(), leaves[2].Grad()
						if accumulate {
							wantW, wantB = wantW.Clone().AddScalar_(1), wantB.Clone().AddScalar_(1)
						}
						for what, d := range map[string]float64{"result": relative(got, want), "x's gradient": relative(leaf.Grad(), leaves[0].Grad()),
							"weight's gradient": relative(a.WeightGradient, wantW), "bias's gradient": relative(a.BiasGradient, wantB)} {
							if !(d <= tolerance) {
								t.Errorf("%s is off by %.2g", what, d)
							}
						}
					})
				})
			}
		}
	}
}

// A layer whose weights nobody trains passes gradients on all the same; a sum may be made in the result's place.
func TestALayerWithoutBuffersPassesGradientsOn(t *testing.T) {
	onThread(t, func() {
		x := values(1, 2).Reshape(1, 2).SetRequiresGrad(true)
		y := torch.Linear(x, torch.Affine{Weight: values(1, 2, 3, 4).Reshape(2, 2), Bias: values(0, 0)}, torch.OneDNN)
		y.Add_(x).Sum().Backward()
		if got := x.Grad().Float32s(); !slices.Equal(got, []float32{4, 8}) {
			t.Errorf("gradient %v, want [4 8]", got)
		}
	})
}

// The mean and the deviation of a row are functions of it, so the reference spells LayerNorm out in float64, by differences.
func TestLayerNormsGradientsAreDifferences(t *testing.T) {
	onThread(t, func() {
		torch.ManualSeed(torch.CPU, 2)
		x, w, b, g := randN(5, 9), randN(9), randN(9), randN(5, 9)
		value := func(x, w, b []float32) (sum float64) {
			for r := range 5 {
				row := x[r*9 : r*9+9]
				var mean, square float64
				for _, v := range row {
					mean += float64(v) / 9
				}
				for _, v := range row {
					square += math.Pow(float64(v)-mean, 2) / 9
				}
				for i, v := range row {
					sum += ((float64(v)-mean)/math.Sqrt(square+1e-5)*float64(w[i]) + float64(b[i])) * float64(g.Float32s()[r*9+i])
				}
			}
			return sum
		}
		a := affine(w, b, true)
		leaf := x.Detach().SetRequiresGrad(true)
		torch.Backward([]*torch.Tensor{torch.LayerNorm(leaf, a, 1e-5, torch.Float32)}, []*torch.Tensor{g})
		inputs := [][]float32{x.Float32s(), w.Float32s(), b.Float32s()}
		for which, gradient := range [][]float32{leaf.Grad().Float32s(), a.WeightGradient.AddScalar_(-1).Float32s(), a.BiasGradient.AddScalar_(-1).Float32s()} {
			for i, got := range gradient {
				const h = 1e-2
				moved := func(by float32) float64 {
					in := [][]float32{slices.Clone(inputs[0]), slices.Clone(inputs[1]), slices.Clone(inputs[2])}
					in[which][i] += by
					return value(in[0], in[1], in[2])
				}
				if want := (moved(h) - moved(-h)) / (2 * h); math.Abs(float64(got)-want) > 2e-3*(1+math.Abs(want)) {
					t.Errorf("input %d, element %d: %v, want %v", which, i, got, want)
				}
			}
		}
	})
}

// GELUTanh and its gradient beside the formula in float64; an element's bits do not depend on where it lies.
func TestGELUTanhAndItsGradient(t *testing.T) {
	onThread(t, func() {
		var x []float32
		for i := -1200; i <= 1200; i++ {
			x = append(x, float32(i)/100)
		}
		x = append(x, -1e30, 1e30, 0, -100, 100)
		gelu := func(x float64) float64 {
			return x / (1 + math.Exp(-2*math.Sqrt(2/math.Pi)*(x+0.044715*x*x*x)))
		}
		slope := func(x float64) float64 {
			g := 1 / (1 + math.Exp(-2*math.Sqrt(2/math.Pi)*(x+0.044715*x*x*x)))
			return g + x*g*(1-g)*2*math.Sqrt(2/math.Pi)*(1+3*0.044715*x*x)
		}
		leaf := torch.FromFloat32s(x, []int64{int64(len(x))}, torch.CPU).SetRequiresGrad(true)
		y := leaf.GELUTanh()
		y.Sum().Backward()
		got, gradient := y.Float32s(), leaf.Grad().Float32s()
		for i, v := range x {
			near := func(got float32, want float64) bool { return math.Abs(float64(got)-want) <= 1e-6*(1+math.Abs(want)) }
			if !near(got[i], gelu(float64(v))) {
				t.Errorf("gelu(%v) is %v, want %v", v, got[i], gelu(float64(v)))
			}
			if math.Abs(float64(v)) < 1e10 && !near(gradient[i], slope(float64(v))) {
				t.Errorf("the slope at %v is %v, want %v", v, gradient[i], slope(float64(v)))
			}
		}
		for start := int64(1); start < 20; start++ {
			if part := leaf.Detach().Narrow(0, start, 50).Clone().GELUTanh(); !part.Equal(y.Detach().Narrow(0, start, 50)) {
				t.Errorf("from element %d on the bits are others", start)
			}
		}
	})
}

func TestComposedAttentionIsFlash(t *testing.T) {
	for dtype, tolerance := range map[torch.DType]float64{torch.Float32: 2e-6, torch.BFloat16: 2e-2, torch.Float16: 3e-3} {
		for _, s := range []struct{ B, T, H, d int64 }{{1, 1, 1, 3}, {2, 19, 3, 8}, {1, 300, 2, 16}, {1, 1100, 1, 8}} {
			t.Run(fmt.Sprintf("%s, %+v", dtype, s), func(t *testing.T) {
				onThread(t, func() {
					torch.ManualSeed(torch.CPU, 3)
					qkv, g := randN(s.B, s.T, 3*s.H*s.d).To(dtype, torch.CPU), randN(s.B, s.T, s.H*s.d).To(dtype, torch.CPU)
					run := func(kernel torch.AttentionKernel) (y, gradient *torch.Tensor) {
						leaf := qkv.Detach().SetRequiresGrad(true)
						y = torch.SelfAttention(leaf, int(s.H), 0, kernel)
						torch.Backward([]*torch.Tensor{y}, []*torch.Tensor{g})
						return y, leaf.Grad()
					}
					want, wantGradient := run(torch.Flash)
					got, gradient := run(torch.Composed)
					if d := relative(got, want); !(d <= tolerance) {
						t.Errorf("the result is off by %.2g", d)
					}
					if d := relative(gradient, wantGradient); !(d <= tolerance) {
						t.Errorf("the gradient is off by %.2g", d)
					}
				})
			})
		}
	}
}

// Rows without a position, or none at all, are no reason to divide by zero, which would end the program.
func TestComposedAttentionOfNothing(t *testing.T) {
	onThread(t, func() {
		for _, shape := range [][]int64{{0, 4, 12}, {2, 0, 12}} {
			x := torch.Zeros(shape, torch.Float32, torch.CPU).SetRequiresGrad(true)
			y := torch.SelfAttention(x, 2, 0, torch.Composed)
			torch.Backward([]*torch.Tensor{y}, []*torch.Tensor{y.Detach()})
			if y.NumElements() != 0 || !slices.Equal(x.Grad().Shape(), shape) {
				t.Errorf("%v: attention %v, gradient %v", shape, y.Shape(), x.Grad().Shape())
			}
		}
	})
}

// With dropout the gradient is that of what was computed: the same seed drops the same, so a step along it changes the sum by its square.
func TestAttentionsDropoutIsInItsGradient(t *testing.T) {
	onThread(t, func() {
		torch.ManualSeed(torch.CPU, 4)
		qkv, g := randN(2, 12, 24), randN(2, 12, 8)
		value := func(x *torch.Tensor) *torch.Tensor {
			torch.ManualSeed(torch.CPU, 5)
			return torch.SelfAttention(x, 2, 0.3, torch.Flash)
		}
		leaf := qkv.Detach().SetRequiresGrad(true)
		torch.Backward([]*torch.Tensor{value(leaf)}, []*torch.Tensor{g})
		gradient := leaf.Grad()
		sum := func(step float64) float64 {
			return value(qkv.Add(gradient.MulScalar(step))).Mul(g).SumTo(torch.Float64).Item()
		}
		const h = 1e-3
		got, want := (sum(h)-sum(-h))/(2*h), gradient.Mul(gradient).SumTo(torch.Float64).Item()
		if math.Abs(got/want-1) > 2e-3 {
			t.Errorf("the sum rises by %v a step, want %v", got, want)
		}
		torch.ManualSeed(torch.CPU, 6)
		if value(qkv).Equal(torch.SelfAttention(qkv, 2, 0.3, torch.Flash)) {
			t.Error("another seed drops the same")
		}
	})
}

// CrossEntropy beside log_softmax; in half precision its results are those of the rounded logits.
func TestCrossEntropyAndItsGradient(t *testing.T) {
	for dtype, tolerance := range map[torch.DType]float64{torch.Float32: 2e-6, torch.BFloat16: 4e-3, torch.Float16: 5e-4} {
		for _, V := range []int64{1, 7, 64, 1031, 50257} {
			t.Run(fmt.Sprintf("%s, %d classes", dtype, V), func(t *testing.T) {
				onThread(t, func() {
					torch.ManualSeed(torch.CPU, 7)
					const n, weight = 5, 0.25
					logits := randN(n, V).MulScalar(8).To(dtype, torch.CPU)
					ids := []int64{V - 1, 0, -1, V / 2, 0}
					targets := torch.FromInt64s(ids, []int64{n}, torch.CPU)
					logs := logits.LogSoftmax(-1, torch.Float32)
					valid := targets.GreaterEqual(0).To(torch.Float32, torch.CPU)
					index := targets.ClampMin(0).Reshape(n, 1)
					want := -logs.Gather(1, index).Reshape(n).Mul(valid).SumTo(torch.Float64).Item()
					gradient := logs.Clone().Exp_().ScatterAdd_(1, index, torch.Full([]int64{n, 1}, -1, torch.Float32, torch.CPU)).Mul(valid.MulScalar(weight).Reshape(n, 1))

					w := torch.Full(nil, weight, torch.Float32, torch.CPU)
					for _, place := range []string{"none", "apart", "in place"} {
						sum, own := torch.Full(nil, 1, torch.Float64, torch.CPU), logits.Clone()
						var got *torch.Tensor
						switch place {
						case "none":
							torch.CrossEntropy(own, targets, nil, sum, nil)
						case "apart":
							got = torch.Empty([]int64{n, V}, torch.Float32, torch.CPU)
							torch.CrossEntropy(own, targets, w, sum, got)
						case "in place":
							got = own
							torch.CrossEntropy(own, targets, w, sum, got)
						}
						if d := math.Abs(sum.Item() - 1 - want); !(d <= 1e-5*(1+want)) {
							t.Errorf("gradient %s: the sum is %v, want %v", place, sum.Item()-1, want)
						}
						if got != nil && V > 1 {
							if d := relative(got, gradient); !(d <= tolerance) {
								t.Errorf("gradient %s is off by %.2g", place, d)
							}
						}
						if place != "in place" && !own.Equal(logits) {
							t.Errorf("gradient %s: the logits have changed", place)
						}
					}
				})
			})
		}
	}
}

func TestCrossEntropyOfExtremes(t *testing.T) {
	inf := float32(math.Inf(1))
	for _, c := range []struct {
		name   string
		logits []float32
		want   float64
	}{
		{"far apart", []float32{0, -1000, 3e38}, 3e38},
		{"one alone", []float32{5, -inf, -inf}, 0},
		{"infinite", []float32{1, inf, 1}, math.NaN()},
		{"not a number", []float32{1, float32(math.NaN()), 1}, math.NaN()},
	} {
		t.Run(c.name, func(t *testing.T) {
			onThread(t, func() {
				sum := torch.Zeros(nil, torch.Float64, torch.CPU)
				torch.CrossEntropy(values(c.logits...).Reshape(1, 3), torch.FromInt64s([]int64{0}, []int64{1}, torch.CPU), nil, sum, nil)
				if got := sum.Item(); math.IsNaN(c.want) != math.IsNaN(got) || math.Abs(got-c.want) > 1e-6*math.Abs(c.want) {
					t.Errorf("loss %v, want %v", got, c.want)
				}
			})
		})
	}
	onThread(t, func() {
		e := caught(t, func() {
			torch.CrossEntropy(values(1, 2).Reshape(1, 2), torch.FromInt64s([]int64{2}, []int64{1}, torch.CPU), nil, torch.Zeros(nil, torch.Float64, torch.CPU), nil)
		})
		if e.Kind != torch.ShapeError {
			t.Errorf("a target beyond the classes: %v", e)
		}
	})
}

// Sums of thousands of numbers keep their last digits, whatever the number of threads.
func TestNormIsExactForManyNumbers(t *testing.T) {
	onThread(t, func() {
		defer torch.SetNumThreads(torch.NumThreads())
		x := torch.Full([]int64{5_000_003}, 0.1, torch.Float32, torch.CPU)
		want := float64(float32(0.1)) * math.Sqrt(5_000_003)
		for _, threads := range []int{1, 2, 3} {
			torch.SetNumThreads(threads)
			if got := x.Norm().Item(); math.Abs(got/want-1) > 6e-8 {
				t.Errorf("%d threads: %v, want %v", threads, got, want)
			}
		}
		if got := torch.Zeros([]int64{0}, torch.Float32, torch.CPU).Norm().Item(); got != 0 {
			t.Errorf("the norm of nothing is %v", got)
		}
	})
}

func TestAddRowsAddsWhatComesTwice(t *testing.T) {
	onThread(t, func() {
		sums := values(1, 1, 1, 1, 1, 1).Reshape(3, 2)
		sums.AddRows_(torch.FromInt64s([]int64{2, 0, 2}, []int64{3, 1}, torch.CPU), values(1, 2, 3, 4, 5, 6).Reshape(3, 1, 2))
		if got := sums.Float32s(); !slices.Equal(got, []float32{4, 5, 1, 1, 7, 9}) {
			t.Errorf("%v", got)
		}
		for _, id := range []int64{-1, 3} {
			if e := caught(t, func() {
				sums.AddRows_(torch.FromInt64s([]int64{id}, []int64{1}, torch.CPU), values(1, 2).Reshape(1, 2))
			}); e.Kind != torch.ShapeError {
				t.Errorf("id %d: %v", id, e)
			}
		}
	})
}
