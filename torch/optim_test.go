package torch_test

import (
	"math"
	"testing"

	"frugal/torch"
)

// adamW is one update in float64 as Loshchilov and Hutter write it.
func adamW(o torch.AdamW, rate, step float64, p, g, m, v []float64) {
	for i := range p {
		p[i] -= rate * o.WeightDecay * p[i]
		m[i] = o.Beta1*m[i] + (1-o.Beta1)*g[i]
		v[i] = o.Beta2*v[i] + (1-o.Beta2)*g[i]*g[i]
		mean, square := m[i]/(1-math.Pow(o.Beta1, step)), v[i]/(1-math.Pow(o.Beta2, step))
		p[i] -= rate * mean / (math.Sqrt(square) + o.Epsilon)
	}
}

func float64s(t *torch.Tensor) []float64 { return floats(t.Float32s()) }

func floats(v []float32) []float64 {
	w := make([]float64, len(v))
	for i := range v {
		w[i] = float64(v[i])
	}
	return w
}

func TestFusedAdamW(t *testing.T) {
	onThread(t, func() {
		o := torch.AdamW{Beta1: 0.9, Beta2: 0.99, WeightDecay: 0.1, Epsilon: 1e-8}
		n := 37 // more than a vector register, and a rest
		start := make([]float32, n)
		for i := range start {
			start[i] = float32(math.Sin(float64(i)))
		}
		p := []*torch.Tensor{values(start...), values(0.5)}
		m := []*torch.Tensor{torch.Zeros([]int64{int64(n)}, torch.Float32, torch.CPU), values(0)}
		v := []*torch.Tensor{torch.Zeros([]int64{int64(n)}, torch.Float32, torch.CPU), values(0)}
		steps := []*torch.Tensor{torch.Zeros(nil, torch.Float32, torch.CPU), torch.Zeros(nil, torch.Float32, torch.CPU)}
		want, wantM, wantV := floats(start), make([]float64, n), make([]float64, n)
		updates := 0
		for step := range 6 {
			g := make([]float32, n)
			for i := range g {
				g[i] = float32(math.Cos(float64(i*(step+1)))) * 0.1
			}
			skipped := step == 2 // here the gradients are not finite
			infinite := torch.Zeros(nil, torch.Float32, torch.CPU)
			if skipped {
				infinite.Fill_(1)
				g[3] = float32(math.Inf(1))
			} else {
				updates++
				adamW(o, 0.01, float64(updates), want, floats(g), wantM, wantV)
			}
			if step == 0 {
				infinite = nil
			}
			torch.FusedAdamW_(o, p, []*torch.Tensor{values(g...), values(0.1)}, m, v, steps, torch.Full(nil, 0.01, torch.Float32, torch.CPU), infinite)
			if got := steps[0].Item(); got != float64(updates) || steps[1].Item() != got {
				t.Errorf("after call %d: %v updates counted, want %d", step, got, updates)
			}
			for i, got := range float64s(p[0]) {
				if !(math.Abs(got-want[i]) < 1e-6) {
					t.Fatalf("after call %d: element %d is %v, want %v", step, i, got, want[i])
				}
			}
		}
	})
}

func TestGlobalNormAndClipping(t *testing.T) {
	onThread(t, func() {
		g := []*torch.Tensor{values(3, 0), values(0, 4).Reshape(2, 1), values(12)}
		norm := torch.GlobalNorm(g)
		if got := norm.Item(); got != 13 {
			t.Errorf("norm is %v, want 13", got)
		}
		torch.ForeachMul_(g, torch.ClipCoefficient(norm, 1.3))
		if got := torch.GlobalNorm(g).Item(); math.Abs(got-1.3) > 1e-6 {
			t.Errorf("norm is %v after clipping to 1.3", got)
		}
		if got := torch.ClipCoefficient(norm, 14).Item(); got != 1 {
			t.Errorf("coefficient is %v below the limit, want 1", got)
		}
		if got := torch.ClipCoefficient(torch.GlobalNorm([]*torch.Tensor{values(float32(math.Inf(1)))}), 1).Item(); got != 0 {
			t.Errorf("coefficient of an infinite norm is %v", got)
		}
	})
}

func TestLossScalingKernels(t *testing.T) {
	onThread(t, func() {
		scale, tracker := torch.Full(nil, 65536, torch.Float32, torch.CPU), torch.Zeros(nil, torch.Int32, torch.CPU)
		step := func(g ...float32) (unscaled []float32, infinite float64) {
			found := torch.Zeros(nil, torch.Float32, torch.CPU)
			gradients := []*torch.Tensor{values(g...), values(65536)}
			torch.AMPUnscale_(gradients, found, scale.Reciprocal())
			infinite = found.Item()
			torch.AMPUpdateScale_(scale, tracker, found, 2, 0.5, 3)
			return gradients[0].Float32s(), infinite
		}
		if g, infinite := step(65536, -131072); g[0] != 1 || g[1] != -2 || infinite != 0 {
			t.Errorf("unscaled %v, found_inf %v", g, infinite)
		}
		for _, bad := range []float32{float32(math.Inf(1)), float32(math.Inf(-1)), float32(math.NaN())} {
			before := scale.Item()
			if _, infinite := step(1, bad); infinite != 1 {
				t.Errorf("%v: found_inf is %v", bad, infinite)
			}
			if got := scale.Item(); got != before/2 {
				t.Errorf("%v: scale %v becomes %v, want half", bad, before, got)
			}
		}
		for i, want := range []float64{8192, 8192, 16384, 16384} {
			if step(1); scale.Item() != want {
				t.Errorf("after %d clean updates the scale is %v, want %v", i+1, scale.Item(), want)
			}
		}
	})
}
