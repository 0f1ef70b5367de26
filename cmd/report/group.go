package main

// Repetitions: with -over seed, runs that differ in nothing but their seed count as one, with its mean and its spread.

import (
	"fmt"
	"maps"
	"slices"
	"strings"
	"time"

	"gonum.org/v1/plot/vg/draw"

	"frugal/trainer/monitor"
)

// group is the runs that are repetitions of each other, in the order in which they were named.
type group struct {
	name string
	runs []*run
}

// groupRuns puts runs together whose configurations differ in the key alone. A run whose configuration is not known stays alone.
func groupRuns(runs []*run, key string) ([]group, error) {
	var groups []group
	var firsts []settings
	for _, r := range runs {
		s := flatten(r.started().Config)
		if _, ok := s[key]; !ok {
			return nil, &usageError{fmt.Sprintf("-over: %s has no key %s in its configuration", r.dir, key)}
		}
		for _, left := range append(slices.Clone(place), key) {
			delete(s, left)
		}
		at := slices.IndexFunc(firsts, func(first settings) bool { return maps.EqualFunc(first, s, same) })
		if at < 0 {
			at, groups, firsts = len(groups), append(groups, group{}), append(firsts, s)
		}
		groups[at].runs = append(groups[at].runs, r)
	}
	nameGroups(groups, key)
	return groups, nil
}

// nameGroups names each by its first run without the key's part: runs/lr=1,seed=2 becomes lr=1; linear/runs/seed=1 linear.
func nameGroups(groups []group, key string) {
	seen := map[string]int{}
	for i := range groups {
		first := groups[i].runs[0].name
		var parts []string
		for _, part := range strings.Split(first, "/") {
			settings := slices.DeleteFunc(strings.Split(part, ","), func(s string) bool { return strings.HasPrefix(s, key+"=") })
			if len(settings) > 0 && part != "runs" {
				parts = append(parts, strings.Join(settings, ","))
			}
		}
		if groups[i].name = strings.Join(parts, "/"); groups[i].name == "" {
			groups[i].name = first
		}
		seen[groups[i].name]++
	}
	for i, g := range groups {
		if seen[g.name] > 1 {
			groups[i].name = g.runs[0].name
		}
	}
}

// figureOver is a figure of a group: the mean over its runs, and the lowest and the highest.
type figureOver struct {
	title  string
	of     func(*run) (float64, bool)
	format func(float64) string
}

var figuresOver = []figureOver{
	{"train loss", rankLast("train/loss"), formatLoss},
	{"eval loss", rankLast("eval/loss"), formatLoss},
	{"best", rankLowest("eval/loss"), formatLoss},
	{"bits/byte", rankLast("eval/bits_per_byte"), formatBits},
	{"tokens/s", func(r *run) (float64, bool) { return r.curves["train/tokens_per_second"].median() }, formatWhole},
	{"memory", func(r *run) (float64, bool) { return r.curves["train/peak_memory_bytes"].highest() }, formatMemory},
	{"time", func(r *run) (float64, bool) { return r.seconds().Seconds(), r.seconds() > 0 },
		func(s float64) string { return monitor.FormatDuration(time.Duration(s * float64(time.Second))) }},
}

// text is "mean (lowest–highest)", or the one value there is.
func (f figureOver) text(runs []*run) string {
	var values []float64
	sum := 0.0
	for _, r := range runs {
		if x, ok := f.of(r); ok {
			values = append(values, x)
			sum += x
		}
	}
	switch len(values) {
	case 0:
		return absent
	case 1:
		return f.format(values[0])
	}
	return fmt.Sprintf("%s (%s–%s)", f.format(sum/float64(len(values))), f.format(slices.Min(values)), f.format(slices.Max(values)))
}

// groupGrid is the table of groups: names, how many runs are complete, figures.
func groupGrid(groups []group) (grid [][]string, numeric []bool) {
	grid, numeric = [][]string{{"run", "runs", "status"}}, []bool{false, true, false}
	for _, f := range figuresOver {
		grid[0], numeric = append(grid[0], f.title), append(numeric, true)
	}
	for _, g := range groups {
		status := complete
		for _, r := range g.runs {
			if r.status != complete {
				status = r.status
			}
		}
		line := []string{g.name, fmt.Sprint(len(g.runs)), status}
		for _, f := range figuresOver {
			line = append(line, f.text(g.runs))
		}
		grid = append(grid, line)
	}
	return grid, numeric
}

// groupLines are a chart's lines for each group: the mean of its runs over the area from the lowest to the highest.
func groupLines(c chart, groups []group, smoothing float64) (lines []line) {
	var over []line
	for i, g := range groups {
		var curves []*curve
		for _, r := range g.runs {
			if found := c.of(r); found != nil {
				curves = append(curves, c.drawn(found, smoothing))
			}
		}
		if len(curves) == 0 {
			continue
		}
		mean, band := spread(curves)
		ink := inkOf(i)
		if len(curves) > 1 {
			lines = append(lines, band.line(ink))
		}
		over = append(over, line{g.name, mean, ink, c.marks, nil})
	}
	return append(lines, over...)
}

// drawn is a curve in the chart's unit, smoothed where the chart is.
func (c chart) drawn(of *curve, smoothing float64) *curve {
	d := thin(of, pictureBuckets).curve
	if c.smoothed && smoothing > 0 {
		means := meansOf(of, pictureBuckets)
		d = curve{means.steps, smooth(means.values, smoothing)}
	}
	if c.scale != 0 {
		d.values = scaled(d.values, c.scale)
	}
	return &d
}

// area lies between two curves of the same steps.
type area struct{ low, high curve }

// spread is the mean of the curves, and the area between their lowest and their highest values, at the steps that all have.
func spread(curves []*curve) (mean curve, band area) {
	for i, step := range curves[0].steps {
		sum, low, high, all := 0.0, curves[0].values[i], curves[0].values[i], true
		for _, c := range curves {
			at, found := slices.BinarySearch(c.steps, step)
			if all = all && found; !all {
				break
			}
			sum, low, high = sum+c.values[at], min(low, c.values[at]), max(high, c.values[at])
		}
		if all {
			mean.steps, mean.values = append(mean.steps, step), append(mean.values, sum/float64(len(curves)))
			band.low.values, band.high.values = append(band.low.values, low), append(band.high.values, high)
		}
	}
	band.low.steps, band.high.steps = mean.steps, mean.steps
	return mean, band
}

// line is the area as what a picture takes.
func (a area) line(ink draw.LineStyle) line {
	style := faint(ink)
	l := line{style: style}
	for i, step := range a.low.steps {
		l.steps = append(l.steps, step, step)
		l.values = append(l.values, a.low.values[i], a.high.values[i])
		l.band = append(l.band, bucket{middle: float64(step), low: 2 * i, high: 2*i + 1})
	}
	return l
}
