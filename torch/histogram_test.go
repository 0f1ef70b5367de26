package torch_test

import (
	"math"
	"slices"
	"strings"
	"testing"

	"pgregory.net/rapid"

	"frugal/torch"
)

// histogram is torch.Histogram of one tensor, as a straightforward loop has it.
func histogram(x []float32, edges []float32) []float64 {
	row := make([]float64, torch.HistogramRow+len(edges)+1)
	row[1], row[2] = math.Inf(1), math.Inf(-1)
	for _, v := range x {
		v64 := float64(v)
		if math.IsNaN(v64) || math.IsInf(v64, 0) {
			row[0]++
			continue
		}
		row[1], row[2] = min(row[1], v64), max(row[2], v64)
		row[3] += v64
		row[4] += v64 * v64
		bin := 0
		for bin < len(edges) && edges[bin] <= v {
			bin++
		}
		row[torch.HistogramRow+bin]++
	}
	return row
}

func near(a, b []float64) bool {
	return slices.EqualFunc(a, b, func(x, y float64) bool { return x == y || math.Abs(x-y) <= 1e-12*math.Abs(y) })
}

func TestHistogramIsThatOfALoop(t *testing.T) {
	inf, nan := float32(math.Inf(1)), float32(math.NaN())
	values := rapid.OneOf(rapid.Float32Range(-4, 4), rapid.SampledFrom([]float32{0, float32(math.Copysign(0, -1)), 1, -1, 2, 1e-42, 3e38, inf, -inf, nan}))
	far := []float32{0} // edges 1% apart
	for x := 1e-6; x < 3; x *= 1.01 {
		far = append(far, float32(x), float32(-x))
	}
	// What lies at an edge, right beside it, and anywhere else.
	beside := rapid.Custom(func(t *rapid.T) float32 {
		return math.Nextafter32(rapid.SampledFrom(far).Draw(t, "edge"), rapid.SampledFrom([]float32{-9, 0, 9}).Draw(t, "to"))
	})
	values = rapid.OneOf(values, rapid.SampledFrom(far), beside)
	onThread(t, func() {
		defer torch.SetNumThreads(torch.NumThreads())
		torch.SetNumThreads(1) // the tensors are small
		rapid.Check(t, func(t *rapid.T) {
			edges := rapid.SliceOfNDistinct(rapid.SampledFrom(far), 1, 20, rapid.ID).Draw(t, "edges")
			slices.Sort(edges)
			all := rapid.SliceOfN(rapid.SliceOfN(values, 0, 40), 1, 3).Draw(t, "tensors")
			scope := torch.OpenScope()
			defer scope.Close()
			var tensors []*torch.Tensor
			var want []float64
			for _, x := range all {
				tensors = append(tensors, torch.FromFloat32s(x, []int64{int64(len(x))}, torch.CPU))
				want = append(want, histogram(x, edges)...)
			}
			e := torch.FromFloat32s(edges, []int64{int64(len(edges))}, torch.CPU)
			if got := torch.Histogram(tensors, e).Float64s(); len(got) != len(want) || !nearOrCancelled(got, want, len(all)) {
				t.Fatalf("got %v\nwant %v", got, want)
			}
		})
	})
}

// nearOrCancelled lets the sums of a row, whose terms may cancel, differ by rounding in their order.
func nearOrCancelled(got, want []float64, rows int) bool {
	size := len(want) / rows
	for row := range rows {
		g, w := slices.Clone(got[row*size:(row+1)*size]), want[row*size:(row+1)*size]
		if scale := math.Sqrt(w[4]) * math.Sqrt(float64(size)); math.Abs(g[3]-w[3]) <= 1e-12*scale {
			g[3] = w[3]
		}
		if !near(g, w) {
			return false
		}
	}
	return true
}

func TestHistogramOfMoreElementsThanAPieceHolds(t *testing.T) {
	onThread(t, func() {
		const n = 3<<20 + 17
		x := torch.Full([]int64{n}, 0.5, torch.Float32, torch.CPU).Reshape(1, n)
		x.Narrow(1, n-1, 1).Fill_(-2)
		x.Narrow(1, 5, 2).Fill_(math.NaN())
		got := torch.Histogram([]*torch.Tensor{x}, values(-1, 0.25, 0.5)).Float64s()
		want := []float64{2, -2, 0.5, 0.5*(n-3) - 2, 0.25*(n-3) + 4, 1, 0, 0, n - 3}
		if !slices.Equal(got, want) {
			t.Errorf("got %v, want %v", got, want)
		}
	})
}

func TestEdgesTooNearAreRefused(t *testing.T) {
	onThread(t, func() {
		e := caught(t, func() { torch.Histogram([]*torch.Tensor{values(1)}, values(1, 1.001, 1.002)) })
		if text := oneLineOf(t, e); !strings.Contains(text, "must be 1% apart") {
			t.Error(text)
		}
	})
}

func TestHistogramIsNotRecorded(t *testing.T) {
	onThread(t, func() {
		x := values(1, 2).SetRequiresGrad(true)
		if h := torch.Histogram([]*torch.Tensor{x}, values(0)); h.RequiresGrad() {
			t.Error("a histogram of a weight has a gradient")
		}
	})
}
