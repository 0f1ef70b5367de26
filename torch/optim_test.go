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
		count := torch.Zeros(nil, torch.Float32, torch.CPU)
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
			var scale *torch.Tensor
			if step > 3 { // the gradients are 8 times as large
				scale = values(8).Reshape()
				for i := range g {
					g[i] *= 8
				}
			}
			torch.CountUpdate_(count, infinite)
			torch.FusedAdamW_(o, p, []*torch.Tensor{values(g...), values(0.1)}, m, v, count, torch.Full(nil, 0.01, torch.Float32, torch.CPU), scale, infinite)
			if got := count.Item(); got != float64(updates) {
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

func TestNormAndClipping(t *testing.T) {
	onThread(t, func() {
		norm := values(3, 0, 0, 4, 12).Norm()
		if got := norm.Item(); got != 13 {
			t.Errorf("norm is %v, want 13", got)
		}
		if got := torch.ClipCoefficient(norm, 1.3).Item(); math.Abs(got-0.1) > 1e-7 {
			t.Errorf("coefficient is %v, want 0.1", got)
		}
		if got := torch.ClipCoefficient(norm, 14).Item(); got != 1 {
			t.Errorf("coefficient is %v below the limit, want 1", got)
		}
		if got := torch.ClipCoefficient(values(float32(math.Inf(1))).Norm(), 1).Item(); got != 0 {
			t.Errorf("coefficient of an infinite norm is %v", got)
		}
	})
}

func TestTheLossScaleFollowsTheUpdates(t *testing.T) {
	onThread(t, func() {
		scale, tracker := torch.Full(nil, 65536, torch.Float32, torch.CPU), torch.Zeros(nil, torch.Int32, torch.CPU)
		for i, c := range []struct{ infinite, want float64 }{{0, 65536}, {1, 32768}, {1, 16384}, {0, 16384}, {0, 16384}, {0, 32768}, {0, 32768}} {
			torch.AMPUpdateScale_(scale, tracker, torch.Full(nil, c.infinite, torch.Float32, torch.CPU), 2, 0.5, 3)
			if got := scale.Item(); got != c.want {
				t.Errorf("after update %d the scale is %v, want %v", i+1, got, c.want)
			}
		}
	})
}
