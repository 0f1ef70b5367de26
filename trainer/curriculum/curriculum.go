// Package curriculum says how training goes from easy to hard: how much each stage of the data weighs at a step, and how
// difficult a text is. All of it is pure functions of numbers and texts.
package curriculum

import (
	"cmp"
	"math"
	"slices"
)

// Curriculum is a schedule over stages. Its weights are a function of the step alone.
type Curriculum struct {
	Schedule     string    // linear, exp, step or piecewise
	Difficulties []float64 // of each stage, above 0; piecewise does not need them
	TotalSteps   int64     // over which the hardest stage is reached; piecewise does not need it
	Points       []Point   // of piecewise, by rising Step
}

// Point fixes the stages' weights at a step of the piecewise schedule.
type Point struct {
	Step    int64
	Weights []float64 // one a stage, none negative
}

// Stages is the number of stages.
func (c *Curriculum) Stages() int {
	if c.Schedule == "piecewise" {
		return len(c.Points[0].Weights)
	}
	return len(c.Difficulties)
}

// Weights are the shares of the stages at a step: they sum to 1. step counts the windows of rows used before, from 0. A window
// whose update was skipped (fp16's loss scaling) has used its rows up as well, so it counts, though the learning rate's schedule
// stands still: what a run draws does not depend on its arithmetic.
//
// With the progress p = min(1, step/TotalSteps) and difficulties d divided by their maximum, a stage weighs max(0, 1 − 2|p − d|)
// (linear), e^(−5|p − d|) (exp), or 1 where it is number min(n − 1, ⌊p·n⌋) of n in the order of difficulty (step); piecewise goes
// straight from point to point, and stays where the first and the last are. Where all weigh 0, all weigh the same.
func (c *Curriculum) Weights(step int64) []float64 {
	var weights []float64
	switch c.Schedule {
	case "step":
		weights = c.segment(step)
	case "piecewise":
		weights = c.between(step)
	default:
		weights = c.near(step)
	}
	return normalised(weights)
}

// progress is min(1, step/TotalSteps).
func (c *Curriculum) progress(step int64) float64 {
	return min(1, float64(step)/float64(max(1, c.TotalSteps)))
}

// near weighs a stage by how near its difficulty is to the progress.
func (c *Curriculum) near(step int64) []float64 {
	weights, p, hardest := make([]float64, len(c.Difficulties)), c.progress(step), slices.Max(c.Difficulties)
	for i, d := range c.Difficulties {
		distance := math.Abs(p - d/hardest)
		if c.Schedule == "exp" {
			weights[i] = math.Exp(-5 * distance)
		} else {
			weights[i] = max(0, 1-2*distance)
		}
	}
	return weights
}

// segment gives everything to one stage. Whole numbers, so that a segment begins exactly where it should.
func (c *Curriculum) segment(step int64) []float64 {
	n := int64(len(c.Difficulties))
	weights := make([]float64, n)
	total := max(1, c.TotalSteps)
	weights[Order(c.Difficulties)[min(n-1, min(step, total)*n/total)]] = 1
	return weights
}

// Order lists the places of values from the smallest to the largest; equal ones as they stand.
func Order(values []float64) []int {
	order := make([]int, len(values))
	for i := range order {
		order[i] = i
	}
	slices.SortStableFunc(order, func(a, b int) int { return cmp.Compare(values[a], values[b]) })
	return order
}

// between interpolates the points.
func (c *Curriculum) between(step int64) []float64 {
	next := slices.IndexFunc(c.Points, func(p Point) bool { return p.Step > step })
	switch next {
	case -1:
		return slices.Clone(c.Points[len(c.Points)-1].Weights)
	case 0:
		return slices.Clone(c.Points[0].Weights)
	}
	a, b := c.Points[next-1], c.Points[next]
	t := float64(step-a.Step) / float64(b.Step-a.Step)
	weights := make([]float64, len(a.Weights))
	for i := range weights {
		weights[i] = a.Weights[i]*(1-t) + b.Weights[i]*t
	}
	return weights
}

func normalised(weights []float64) []float64 {
	sum := 0.0
	for _, w := range weights {
		sum += w
	}
	for i := range weights {
		if sum > 0 {
			weights[i] /= sum
		} else {
			weights[i] = 1 / float64(len(weights))
		}
	}
	return weights
}

// Peak is when a stage weighs most.
type Peak struct {
	Step   int64 // the first at which it does
	Weight float64
}

// looks is how many steps Peaks looks at beside those where a weight turns.
const looks = 2000

// Peaks finds when each stage weighs most in the first runSteps steps, to about a thousandth of them. A Weight of 0 is exact:
// no step at all draws from that stage.
func (c *Curriculum) Peaks(runSteps int64) []Peak {
	peaks := make([]Peak, c.Stages())
	for _, step := range c.turns(runSteps) {
		for i, w := range c.Weights(step) {
			if w > peaks[i].Weight*(1+1e-9) {
				peaks[i] = Peak{step, w}
			}
		}
	}
	return peaks
}

// turns are steps of the run, rising, among which every stage that ever weighs something does: its weight, before it is
// normalised, rises to one of them and falls behind it.
func (c *Curriculum) turns(runSteps int64) []int64 {
	last := max(0, runSteps-1)
	var steps []int64
	add := func(step int64) { steps = append(steps, min(max(step, 0), last)) }
	for i := range int64(looks + 1) {
		add(int64(float64(last) * float64(i) / looks))
	}
	for i, d := range c.Difficulties {
		at := int64(d / slices.Max(c.Difficulties) * float64(c.TotalSteps))
		add(at)
		add(at + 1)
		n := int64(len(c.Difficulties))
		add((int64(i)*c.TotalSteps + n - 1) / n) // where the step schedule's segment i begins
	}
	for _, p := range c.Points {
		add(p.Step)
	}
	slices.Sort(steps)
	return slices.Compact(steps)
}
