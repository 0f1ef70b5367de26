package main

// What the page's script draws from: each run's curves, as few points as a screen shows, and its samples.

import (
	"encoding/json"
	"maps"
	"math"
	"slices"
	"strconv"
	"strings"
)

// The sizes that keep a page below a few megabytes, however long the runs are.
const (
	allBuckets   = 4000 // shared by the runs; a curve keeps two points of each of its buckets
	mostBuckets  = 1000
	leastBuckets = 150
	clockPoints  = 500 // at which the tokens and the time are known; between them they rise evenly
	sampleSteps  = 20  // of a run, the first and the last among them
)

// figures are values with nine digits, which tell float32s apart; null where a value is no finite number.
type figures []float64

func (f figures) MarshalJSON() ([]byte, error) {
	out := []byte{'['}
	for i, x := range f {
		if i > 0 {
			out = append(out, ',')
		}
		switch {
		case math.IsNaN(x):
			out = append(out, `"NaN"`...)
		case math.IsInf(x, 1):
			out = append(out, `"Infinity"`...)
		case math.IsInf(x, -1):
			out = append(out, `"-Infinity"`...)
		case x == math.Trunc(x) && math.Abs(x) < 1<<53:
			out = strconv.AppendFloat(out, x, 'f', 0, 64)
		default:
			out = strconv.AppendFloat(out, x, 'g', 9, 64)
		}
	}
	return append(out, ']'), nil
}

// pageData is the JSON in the page.
type pageData struct {
	Smoothing float64   `json:"smoothing"`
	Runs      []runData `json:"runs"`
}

type runData struct {
	Name    string       `json:"name"`
	Steps   [][]int64    `json:"steps"` // which several curves share
	Curves  []curveData  `json:"curves"`
	Clock   clockData    `json:"clock"`
	Samples []sampleData `json:"samples"`
	Memory  []memoryData `json:"memory,omitempty"`
}

// memoryData is what memory at the peak served, and how much of it.
type memoryData struct {
	Kind  string  `json:"kind"`
	Bytes float64 `json:"bytes"`
}

// curveData is a curve; means are the means of its buckets, where points were left out.
type curveData struct {
	Tag    string  `json:"tag"`
	Steps  int     `json:"steps"` // which of runData.Steps
	Values figures `json:"values"`
	Means  figures `json:"means,omitempty"`
}

// clockData gives tokens and seconds of training at some steps.
type clockData struct {
	Step    []int64 `json:"step"`
	Tokens  figures `json:"tokens"`
	Seconds figures `json:"seconds"`
}

type sampleData struct {
	Step        int64  `json:"step"`
	PromptIndex int    `json:"prompt_index"`
	SampleIndex int    `json:"sample_index"`
	Prompt      string `json:"prompt"`
	Text        string `json:"text"`
}

// dataOf also tells whether points or samples were left out.
func dataOf(runs []*run, smoothing float64) (text []byte, fewer bool, err error) {
	page := pageData{Smoothing: smoothing}
	buckets := min(max(allBuckets/len(runs), leastBuckets), mostBuckets)
	for _, r := range runs {
		data := runData{Name: r.name, Curves: []curveData{}, Steps: [][]int64{}, Clock: clockOf(r)}
		for _, tag := range shownTags(r) {
			t := thin(r.curves[tag], buckets)
			fewer = fewer || t.means != nil
			data.add(tag, t)
		}
		for _, prefix := range []string{plannedMix, drawnMix} {
			for _, s := range mixOf(r, prefix) {
				data.add(prefix+s.stage, thinned{curve: meansOf(&s.curve, buckets)})
			}
		}
		kept := someSamples(r.samples)
		fewer = fewer || len(kept) < len(r.samples)
		data.Samples, data.Memory = kept, memoryOf(r)
		page.Runs = append(page.Runs, data)
	}
	text, err = json.Marshal(page)
	return text, fewer, err
}

// memoryKinds is the beginning of the tags of what the peak of memory consists of.
const memoryKinds = "train/peak_memory_by_kind/"

// memoryOf lists what the run's highest peak consisted of: each session has a peak of its own.
func memoryOf(r *run) (kinds []memoryData) {
	peak := r.curves["train/peak_memory_bytes"]
	if peak == nil {
		return nil
	}
	highest, _ := peak.highest()
	step := peak.steps[max(0, slices.Index(peak.values, highest))] // NaN is no value's equal
	for _, tag := range slices.Sorted(maps.Keys(r.curves)) {
		c := r.curves[tag]
		i, found := slices.BinarySearch(c.steps, step)
		if kind, ok := strings.CutPrefix(tag, memoryKinds); ok && found && c.values[i] >= 0 && !math.IsInf(c.values[i], 1) {
			kinds = append(kinds, memoryData{kind, c.values[i]})
		}
	}
	return kinds
}

// shownTags are the curves that a chart can show, but for the curriculum's, by name. How far a run has come is no curve, nor
// is what its memory consists of.
func shownTags(r *run) (tags []string) {
	for tag := range r.curves {
		position := slices.Contains([]string{"train/epoch", "train/tokens", "eval/tokens", "eval/seconds"}, tag)
		if !position && !strings.HasPrefix(tag, memoryKinds) && !strings.HasPrefix(tag, plannedMix) && !strings.HasPrefix(tag, drawnMix) {
			tags = append(tags, tag)
		}
	}
	slices.Sort(tags)
	return tags
}

func (d *runData) add(tag string, t thinned) {
	d.Curves = append(d.Curves, curveData{tag, d.share(t.steps), figures(t.values), figures(t.means)})
}

// share returns the number of these steps among those that there are, adding them if they are new.
func (d *runData) share(steps []int64) int {
	for i, known := range d.Steps {
		if slices.Equal(known, steps) {
			return i
		}
	}
	d.Steps = append(d.Steps, steps)
	return len(d.Steps) - 1
}

func clockOf(r *run) clockData {
	c := clockData{Step: []int64{0}, Tokens: figures{0}, Seconds: figures{0}}
	tokens := r.curve("train/tokens")
	n := min(len(r.clock.steps), len(tokens.steps))
	for i := range min(n, clockPoints) {
		at := i
		if n > clockPoints {
			at = (i+1)*n/clockPoints - 1
		}
		if step := r.clock.steps[at]; step == tokens.steps[at] && step > 0 {
			c.Step, c.Tokens, c.Seconds = append(c.Step, step), append(c.Tokens, tokens.values[at]), append(c.Seconds, r.clock.values[at])
		}
	}
	return c
}

// someSamples keeps those of sampleSteps of the steps.
func someSamples(samples []sample) []sampleData {
	var steps []int64
	for _, s := range samples {
		steps = append(steps, s.step)
	}
	slices.Sort(steps)
	steps = slices.Compact(steps)
	kept := map[int64]bool{}
	for i := range min(len(steps), sampleSteps) {
		at := i
		if len(steps) > sampleSteps {
			at = i * (len(steps) - 1) / (sampleSteps - 1)
		}
		kept[steps[at]] = true
	}
	list := []sampleData{}
	for _, s := range samples {
		if kept[s.step] {
			list = append(list, sampleData{s.step, s.PromptIndex, s.SampleIndex, s.Prompt, s.Text})
		}
	}
	return list
}
