package main

// The curve: what a step of ours costs by the number of its tokens.

import (
	"fmt"
	"math"
	"slices"
)

// curveModel is small, so that what does not depend on the tokens shows.
const curveModel = "6x384-v8192"

// curveSequence is the row of which there are one to thirty-two.
const curveSequence = 256

var (
	curveBatches   = []int{1, 2, 4, 8, 16, 32}
	curveSequences = []int{128, 256, 512, 1024} // of one row; curveSequence is among both
)

// curvePoint is a number of tokens.
type curvePoint struct {
	Shape     shape
	Precision string
	Runs      []run
}

// step is the time of a step in seconds, by run.
func (p *curvePoint) step() (list []float64) {
	for _, r := range p.Runs {
		list = append(list, float64(p.Shape.tokens())/r.Speed)
	}
	return list
}

func (b *bench) measureCurve() error {
	var names []string
	for _, n := range curveBatches {
		names = append(names, fmt.Sprintf("%s-t%d-b%d", curveModel, curveSequence, n))
	}
	for _, n := range curveSequences {
		if n == curveSequence {
			continue
		}
		names = append(names, fmt.Sprintf("%s-t%d-b1", curveModel, n))
	}
	var cases []*testCase
	for _, precision := range b.precisionList() {
		for _, name := range names {
			c, err := b.newCase(name, precision, b.steps)
			if err != nil {
				return err
			}
			cases = append(cases, c)
			b.results.Curve = append(b.results.Curve, &curvePoint{Shape: c.shape, Precision: precision})
		}
	}
	for range b.rounds {
		for i, c := range cases {
			r, err := b.runOurs(c)
			if err != nil {
				return fmt.Errorf("%v: %w", c, err)
			}
			p := b.results.Curve[len(b.results.Curve)-len(cases)+i]
			p.Runs = append(p.Runs, r)
			b.say("curve, %v: %.1f ms a step, %.0f µs a token", c, 1e3*p.step()[len(p.Runs)-1], 1e6/r.Speed)
		}
	}
	return nil
}

// curves are the points of a precision: with more and more rows, and with longer and longer ones.
func (r *results) curves(precision string) (batches, sequences []*curvePoint) {
	for _, p := range r.Curve {
		if p.Precision != precision || len(p.Runs) == 0 {
			continue
		}
		if p.Shape.Sequence == curveSequence {
			batches = append(batches, p)
		}
		if p.Shape.Batch == 1 {
			sequences = append(sequences, p)
		}
	}
	slices.SortFunc(sequences, func(a, b *curvePoint) int { return a.Shape.Sequence - b.Shape.Sequence })
	return batches, sequences
}

// curvePrecisions are those that the curve was measured in.
func (r *results) curvePrecisions() (list []string) {
	for _, p := range r.Curve {
		if !slices.Contains(list, p.Precision) {
			list = append(list, p.Precision)
		}
	}
	return list
}

// line is seconds = fixed + each · tokens, and the largest relative distance of a point from it.
type line struct{ fixed, each, off float64 }

// at is the line's time of a step, in seconds.
func (l line) at(tokens float64) float64 { return l.fixed + l.each*tokens }

// fit is the line whose relative distances from the points have the least squares, so that small steps count as much as large ones.
func fit(points []*curvePoint) (l line) {
	var w, wx, wy, wxx, wxy float64
	for _, p := range points {
		x, y := float64(p.Shape.tokens()), median(p.step())
		k := 1 / (y * y)
		w, wx, wy, wxx, wxy = w+k, wx+k*x, wy+k*y, wxx+k*x*x, wxy+k*x*y
	}
	l.each = (w*wxy - wx*wy) / (w*wxx - wx*wx)
	l.fixed = (wy - l.each*wx) / w
	for _, p := range points {
		y := median(p.step())
		l.off = max(l.off, math.Abs(l.at(float64(p.Shape.tokens()))-y)/y)
	}
	return l
}
