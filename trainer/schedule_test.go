package trainer

import (
	"math"
	"testing"
)

// TestScheduleFollowsTransformers compares with get_linear_schedule_with_warmup and get_cosine_schedule_with_warmup of
// transformers 5 (lr_lambda at the steps given), with 1e-3, 4 warm-up steps and 20 in all.
func TestScheduleFollowsTransformers(t *testing.T) {
	for _, c := range []struct {
		kind     string
		minRatio float64
		at       map[int64]float64
	}{
		{"linear", 0, map[int64]float64{0: 0, 1: 0.25e-3, 3: 0.75e-3, 4: 1e-3, 12: 0.5e-3, 19: 0.0625e-3, 20: 0, 30: 0}},
		{"cosine", 0, map[int64]float64{0: 0, 2: 0.5e-3, 4: 1e-3, 8: 0.8535533905932737e-3, 12: 0.5e-3, 20: 0}},
		{"linear", 0.1, map[int64]float64{4: 1e-3, 12: 0.55e-3, 20: 0.1e-3, 30: 0.1e-3}},
		{"cosine", 0.1, map[int64]float64{4: 1e-3, 12: 0.55e-3, 20: 0.1e-3}},
		{"constant", 0, map[int64]float64{0: 0, 2: 0.5e-3, 4: 1e-3, 19: 1e-3, 40: 1e-3}},
	} {
		s := Schedule{Kind: c.kind, Rate: 1e-3, MinRatio: c.minRatio, Warmup: 4, Total: 20}
		for step, want := range c.at {
			if got := s.At(step); math.Abs(got-want) > 1e-18 {
				t.Errorf("%s with min ratio %g at %d: %g, want %g", c.kind, c.minRatio, step, got, want)
			}
		}
	}
}

func TestScheduleWithoutWarmupBeginsAtTheFullRate(t *testing.T) {
	if got := (Schedule{Kind: "linear", Rate: 1, Total: 10}).At(0); got != 1 {
		t.Errorf("rate %g, want 1", got)
	}
}

func TestScheduleThatIsAllWarmupStaysFinite(t *testing.T) {
	s := Schedule{Kind: "cosine", Rate: 1, Warmup: 10, Total: 5}
	for step := range int64(20) {
		if v := s.At(step); math.IsNaN(v) || v < 0 || v > 1 {
			t.Errorf("rate %g at %d", v, step)
		}
	}
}
