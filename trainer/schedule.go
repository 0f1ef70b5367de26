package trainer

// The learning rate as a function of the updates done.

import "math"

// Schedule is a warm-up followed by a decay.
type Schedule struct {
	Kind     string // linear, cosine or constant
	Rate     float64
	MinRatio float64 // the decay ends at MinRatio·Rate
	Warmup   int64   // W
	Total    int64   // N
}

// At is the rate of the update that follows s done ones. With W > 0 the first rate is 0, as in transformers'
// get_linear_schedule_with_warmup: s/max(1, W) below W, then 1 → MinRatio over the N-W that are left.
func (c Schedule) At(s int64) float64 {
	if s < c.Warmup {
		return c.Rate * (float64(s) / float64(max(1, c.Warmup)))
	}
	left := max(0, float64(c.Total-s)/float64(max(1, c.Total-c.Warmup))) // 1 → 0
	switch c.Kind {
	case "cosine":
		left = 0.5 * (1 + math.Cos(math.Pi*(1-left)))
	case "constant":
		left = 1
	}
	return c.Rate * (c.MinRatio + (1-c.MinRatio)*left)
}
