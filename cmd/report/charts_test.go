package main

// Long curves made short, and smoothed ones.

import (
	"math"
	"slices"
	"testing"

	"pgregory.net/rapid"
)

func TestThinnedCurvesKeepTheirExtremesAndGaps(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		values := rapid.SliceOfN(rapid.OneOf(rapid.Float64Range(-100, 100), rapid.Just(math.NaN()), rapid.Just(math.Inf(1))), 1, 400).Draw(t, "values")
		n := rapid.IntRange(1, 50).Draw(t, "buckets")
		c := &curve{}
		for i, v := range values {
			c.add(int64(3*i+1), v)
		}
		short := thin(c, n)
		if len(values) > 2*n && len(short.steps) > 3*n+2 {
			t.Fatalf("%d points of %d, want at most %d", len(short.steps), len(values), 3*n+2)
		}
		for i, step := range short.steps {
			at := slices.Index(c.steps, step)
			if at < 0 || math.Float64bits(c.values[at]) != math.Float64bits(short.values[i]) || i > 0 && step <= short.steps[i-1] {
				t.Fatalf("point %d: step %d, value %v: not of the curve, or out of order", i, step, short.values[i])
			}
		}
		if short.steps[0] != c.steps[0] || short.steps[len(short.steps)-1] != c.steps[len(c.steps)-1] {
			t.Fatal("the ends are not there")
		}
		if got, want := extremes(short.values), extremes(c.values); got != want {
			t.Fatalf("extremes and gaps %v, want %v", got, want)
		}
	})
}

// extremes are the lowest and the highest finite value, and whether any is not finite.
func extremes(values []float64) (e struct {
	low, high float64
	gaps      bool
}) {
	e.low, e.high = math.Inf(1), math.Inf(-1)
	for _, v := range values {
		if math.IsNaN(v) || math.IsInf(v, 0) {
			e.gaps = true
			continue
		}
		e.low, e.high = min(e.low, v), max(e.high, v)
	}
	return e
}

func TestMeansOfBucketsWeighEveryPoint(t *testing.T) {
	c := &curve{}
	for i := range 1000 {
		c.add(int64(i), float64(i%10))
	}
	for _, b := range c.buckets(100) {
		if b.mean != 4.5 || c.values[b.low] != 0 || c.values[b.high] != 9 || b.gap != -1 {
			t.Fatalf("%+v", b)
		}
	}
	if means := meansOf(c, 100); len(means.steps) != 100 || means.values[7] != 4.5 {
		t.Errorf("%d means", len(means.steps))
	}
}

func TestSmoothingIsTensorBoards(t *testing.T) {
	got := smooth([]float64{1, 2, math.NaN(), 4}, 0.5)
	// tensorboard's line_chart: last = last·w + (1−w)·x, divided by 1 − w^n; what is not finite is passed on.
	want := []float64{1, (0.5*0.5 + 0.5*2) / 0.75, math.NaN(), (0.625 + 2) / 0.875}
	for i := range want {
		if math.Abs(got[i]-want[i]) > 1e-15 || math.IsNaN(got[i]) != math.IsNaN(want[i]) {
			t.Errorf("%d: %v, want %v", i, got[i], want[i])
		}
	}
	if same := smooth([]float64{3, 1}, 0); !slices.Equal(same, []float64{3, 1}) {
		t.Errorf("weight 0: %v", same)
	}
}
