package main

// Which curves are shown, and how long ones are made short.

import (
	"encoding/json"
	"math"
	"slices"
	"strings"
)

// chart is a picture of one quantity for all runs.
type chart struct {
	id       string // also the picture's file name
	title    string
	label    string   // of the vertical axis, with the unit
	tags     []string // in run.curves; the first that a run has
	scale    float64  // the curve's unit in that of the axis; 0: 1
	smoothed bool     // noisy: a smoothed line over the values as they are
	fromZero bool     // the vertical axis begins at 0
	log2     bool     // the vertical axis is logarithmic
	marks    bool     // few points: each is marked
}

const gib = 1 << 30

var chartKinds = []chart{
	{id: "loss", title: "Training loss", label: "loss (nats per token)", tags: []string{"train/loss"}, smoothed: true},
	{id: "task_loss", title: "Training loss on the text alone", label: "loss (nats per token)", tags: []string{"train/task_loss"}, smoothed: true},
	{id: "distillation_loss", title: "Training loss against the teacher", label: "T²·KL (nats per token)", tags: []string{"train/distillation_loss"}, smoothed: true},
	{id: "eval", title: "Evaluation loss", label: "loss (nats per token)", tags: []string{"eval/loss"}, marks: true},
	{id: "bits_per_byte", title: "Evaluation, bits per byte", label: "bits per byte", tags: []string{"eval/bits_per_byte"}, marks: true},
	{id: "learning_rate", title: "Learning rate", label: "learning rate", tags: []string{"train/learning_rate"}, fromZero: true},
	{id: "grad_norm", title: "Gradient norm", label: "norm before clipping", tags: []string{"train/grad_norm"}, smoothed: true, fromZero: true},
	{id: "loss_scale", title: "Loss scale", label: "loss scale", tags: []string{"train/loss_scale"}, log2: true},
	{id: "tokens_per_second", title: "Speed", label: "tokens per second", tags: []string{"train/tokens_per_second"}, smoothed: true, fromZero: true},
	{id: "memory", title: "Memory in use", label: "memory (GB of 2³⁰ bytes)", scale: 1.0 / gib, fromZero: true,
		tags: []string{"train/allocated_memory_bytes", "train/resident_memory_bytes"}},
}

// of is the chart's curve of a run, nil if there is none.
func (c *chart) of(r *run) *curve {
	for _, tag := range c.tags {
		if r.curves[tag] != nil {
			return r.curves[tag]
		}
	}
	return nil
}

// chartsOf are the charts that have something to show.
func chartsOf(runs []*run) (list []chart) {
	for _, c := range chartKinds {
		if slices.ContainsFunc(runs, func(r *run) bool { return c.of(r) != nil }) {
			list = append(list, c)
		}
	}
	return list
}

// The curriculum mix as it was planned and as it was drawn: the tags' beginnings.
const (
	plannedMix = "train/curriculum_weights/"
	drawnMix   = "train/curriculum_drawn/"
)

// stagesOf are the names of a run's curriculum stages, in the configuration's order as far as it gives one.
func stagesOf(r *run) []string {
	names := map[string]bool{}
	for tag := range r.curves {
		for _, prefix := range []string{plannedMix, drawnMix} {
			if stage, ok := strings.CutPrefix(tag, prefix); ok {
				names[stage] = true
			}
		}
	}
	return inOrder(names, configuredStages(r.started().Config))
}

// stageCurve is a stage's share of the rows.
type stageCurve struct {
	stage string
	curve
}

// mixOf are the stages' shares, in order, at the same steps: where a line does not name a stage, its share is 0.
func mixOf(r *run, prefix string) (mix []stageCurve) {
	var steps []int64
	for _, stage := range stagesOf(r) {
		if c := r.curves[prefix+stage]; c != nil {
			steps = append(steps, c.steps...)
			mix = append(mix, stageCurve{stage, *c})
		}
	}
	slices.Sort(steps)
	steps = slices.Compact(steps)
	for i := range mix {
		values := make([]float64, len(steps))
		for j, step := range mix[i].steps {
			at, _ := slices.BinarySearch(steps, step)
			values[at] = mix[i].values[j]
		}
		mix[i].curve = curve{steps, values}
	}
	return mix
}

// meansOf are the means of n buckets, or the curve as it is where it is short.
func meansOf(c *curve, n int) (means curve) {
	if len(c.steps) <= n {
		return *c
	}
	for _, b := range c.buckets(n) {
		means.steps, means.values = append(means.steps, int64(b.middle)), append(means.values, b.mean)
	}
	return means
}

// bucket is a row of neighbouring points.
type bucket struct {
	middle    float64 // step
	low, high int     // places of the lowest and the highest value in the curve; −1: no value is finite
	gap       int     // place of the first value that is not finite, −1 if all are
	mean      float64 // of the finite values
}

// buckets cuts a curve into n rows of about as many points.
func (c *curve) buckets(n int) []bucket {
	list := make([]bucket, n)
	for i := range list {
		from, to := i*len(c.steps)/n, (i+1)*len(c.steps)/n
		list[i] = c.bucket(from, to)
	}
	return list
}

func (c *curve) bucket(from, to int) bucket {
	b := bucket{middle: float64(c.steps[from]+c.steps[to-1]) / 2, low: -1, high: -1, gap: -1}
	sum, finite := 0.0, 0
	for i := from; i < to; i++ {
		v := c.values[i]
		if math.IsNaN(v) || math.IsInf(v, 0) {
			if b.gap < 0 {
				b.gap = i
			}
			continue
		}
		sum, finite = sum+v, finite+1
		if b.low < 0 || v < c.values[b.low] {
			b.low = i
		}
		if b.high < 0 || v > c.values[b.high] {
			b.high = i
		}
	}
	b.mean = sum / float64(finite)
	return b
}

// thinned is a curve of few points. means, nil where no point was left out, has the mean of each point's bucket.
type thinned struct {
	curve
	means []float64
}

// thin keeps of each of n buckets the lowest and the highest point, so that no peak is lost, and the first that is not finite;
// and the first and the last point of all.
func thin(c *curve, n int) thinned {
	if len(c.steps) <= 2*n {
		return thinned{curve: *c}
	}
	var t thinned
	list := c.buckets(n)
	for i, b := range list {
		places := []int{b.low, b.high, b.gap}
		if i == 0 {
			places = append(places, 0)
		}
		if i == n-1 {
			places = append(places, len(c.steps)-1)
		}
		slices.Sort(places)
		for _, at := range slices.Compact(places) {
			if at >= 0 {
				t.steps, t.values, t.means = append(t.steps, c.steps[at]), append(t.values, c.values[at]), append(t.means, b.mean)
			}
		}
	}
	return t
}

// smooth is the exponential moving average of the finite values, corrected for its beginning (as in Adam): weight 0 changes
// nothing, 0.9 looks back some ten points.
func smooth(values []float64, weight float64) []float64 {
	out := make([]float64, len(values))
	mean, share := 0.0, 0.0
	for i, v := range values {
		if math.IsNaN(v) || math.IsInf(v, 0) {
			out[i] = v
			continue
		}
		mean = weight*mean + (1-weight)*v
		share = weight*share + (1 - weight)
		out[i] = mean / share
	}
	return out
}

// configuredStages are the names in a configuration's curriculum.stages.
func configuredStages(text json.RawMessage) (names []string) {
	var c struct {
		Curriculum struct {
			Stages []struct{ Name string }
		}
	}
	if json.Unmarshal(text, &c) == nil {
		for _, stage := range c.Curriculum.Stages {
			names = append(names, stage.Name)
		}
	}
	return names
}
