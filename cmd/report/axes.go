package main

// The pictures' axes: how far they go, and where their ticks are.

import (
	"fmt"
	"math"
	"strconv"

	"gonum.org/v1/plot"

	"frugal/trainer/monitor"
)

// settleAxes gives axes a width that a single value, or none, does not.
func settleAxes(p *plot.Plot) {
	for _, axis := range []*plot.Axis{&p.X, &p.Y} {
		if math.IsInf(axis.Min, 0) || math.IsInf(axis.Max, 0) {
			axis.Min, axis.Max = 0, 1
		}
		if axis.Max <= axis.Min {
			axis.Max = axis.Min + math.Max(1e-12, math.Abs(axis.Min)*0.1)
		}
	}
	if _, ok := p.Y.Scale.(plot.LogScale); ok && p.Y.Min <= 0 {
		p.Y.Min = math.Min(1, p.Y.Max/2)
	}
}

// ticks are at five or so round values, written out as far as that can be read.
type ticks struct{}

func (ticks) Ticks(low, high float64) (list []plot.Tick) {
	step := roundStep((high - low) / 5)
	for i := math.Ceil(low / step); i*step <= high*(1+1e-12) && len(list) < 20; i++ {
		x := math.Round(i) * step
		list = append(list, plot.Tick{Value: x, Label: tickLabel(x, step)})
	}
	return list
}

// roundStep is 1, 2 or 5 times a power of ten, at least about x.
func roundStep(x float64) float64 {
	power := math.Pow(10, math.Floor(math.Log10(x)))
	for _, factor := range []float64{1, 2, 5} {
		if factor*power >= x*0.8 {
			return factor * power
		}
	}
	return 10 * power
}

func tickLabel(x, step float64) string {
	switch {
	case x == 0:
		return "0"
	case math.Abs(x) >= 1e9 || step < 1e-5:
		return strconv.FormatFloat(x, 'g', 3, 64)
	case step >= 1:
		return monitor.FormatCount(int64(math.Round(x)))
	}
	return strconv.FormatFloat(x, 'f', int(math.Ceil(-math.Log10(step)-1e-9)), 64)
}

// powers are ticks at powers of two.
type powers struct{}

func (powers) Ticks(low, high float64) (list []plot.Tick) {
	from, to := math.Floor(math.Log2(low)), math.Ceil(math.Log2(high))
	every := math.Max(1, math.Ceil((to-from)/8))
	for e := from; e <= to; e += every {
		if x := math.Exp2(e); x >= low && x <= high {
			list = append(list, plot.Tick{Value: x, Label: fmt.Sprintf("2^%g", e)})
		}
	}
	return list
}
