package main

// What histograms tell in numbers, and from which step on they could have warned.

import (
	"errors"
	"flag"
	"fmt"
	"io"
	"math"
	"path/filepath"
	"slices"
	"strings"
)

// spread prints root mean squares: a row a tensor and run, a column a step.
func spread(flags *flag.FlagSet, args []string, out io.Writer) error {
	kind := flags.String("kind", "gradients", "gradients or weights: the `KIND`")
	parts := flags.String("parts", "", "`LIST` of modules, with commas: transformer.wte")
	at := flags.String("steps", "", "`LIST` of steps, with commas")
	if err := flags.Parse(args); err != nil {
		return err
	}
	if *parts == "" || *at == "" || flags.NArg() == 0 {
		return errors.New("want -parts LIST -steps LIST and logging directories")
	}
	steps, err := wholeNumbers(*at)
	if err != nil {
		return err
	}
	fmt.Fprintf(out, "| weight | run | %s |\n|---|---|%s\n", "step "+strings.ReplaceAll(*at, ",", " | "), strings.Repeat("---:|", len(steps)))
	var all []map[string]*history
	for _, dir := range flags.Args() {
		histories, err := readHistories(dir)
		if err != nil {
			return err
		}
		all = append(all, histories)
	}
	for part := range strings.SplitSeq(*parts, ",") {
		for i, dir := range flags.Args() {
			tag := *kind + "/" + part + ".weight"
			h := all[i][tag]
			if h == nil {
				return fmt.Errorf("%s: no histogram %s", dir, tag)
			}
			fmt.Fprintf(out, "| %s | %s |", strings.TrimPrefix(part, "transformer."), filepath.Base(dir))
			for _, n := range steps {
				where := slices.Index(h.steps, n)
				if where < 0 { // a run that ended before
					fmt.Fprint(out, " – |")
					continue
				}
				fmt.Fprintf(out, " %.2g |", h.of[where].rms())
			}
			fmt.Fprintln(out)
		}
	}
	return nil
}

// alarm is a rule that looks at a run up to each step. Its thresholds were chosen on other runs than those of the page.
type alarm struct {
	title string
	of    func(t *trace, h map[string]*history) (step int, ok bool)
}

var alarmRules = []alarm{
	{"loss, mean of 20 steps, 0.3 above its lowest", func(t *trace, _ map[string]*history) (int, bool) { return risen(t.series("train/loss"), 20, 0.3) }},
	{"grad\\_norm 3 × its median of the 50 steps before", func(t *trace, _ map[string]*history) (int, bool) { return leapt(t.series("train/grad_norm"), 50, 3) }},
	{"a weight matrix's root mean square 1.5 × that of 20 steps before", func(_ *trace, h map[string]*history) (int, bool) { return grown(h, 20, 1.5) }},
	{"for 30 steps, gradients in h.0.mlp.c\\_fc below 1/100 of those in wte", func(_ *trace, h map[string]*history) (int, bool) {
		return starved(h["gradients/transformer.h.0.mlp.c_fc.weight"], h["gradients/transformer.wte.weight"], 30, 0.01)
	}},
}

// alarms prints the first step at which each rule holds, and what came of the runs.
func alarms(flags *flag.FlagSet, args []string, out io.Writer) error {
	runs := flags.String("runs", "", "`DIR` of the runs")
	logs := flags.String("logs", "", "`DIR` of their logging directories")
	if err := flags.Parse(args); err != nil {
		return err
	}
	fmt.Fprint(out, "| run |")
	for _, rule := range alarmRules {
		fmt.Fprintf(out, " %s |", rule.title)
	}
	fmt.Fprintf(out, " loss, mean of 20 steps: lowest | highest after that | at the end |\n|---|%s\n", strings.Repeat("---:|", len(alarmRules)+3))
	for _, name := range flags.Args() {
		t, err := openRun(filepath.Join(*runs, name))
		if err != nil {
			return err
		}
		h, err := readHistories(filepath.Join(*logs, name))
		if err != nil {
			return err
		}
		fmt.Fprintf(out, "| %s |", name)
		for _, rule := range alarmRules {
			if step, ok := rule.of(t, h); ok {
				fmt.Fprintf(out, " %d |", step)
			} else {
				fmt.Fprint(out, " never |")
			}
		}
		means := meansOf(t.series("train/loss"), 20)
		if len(means.values) == 0 {
			fmt.Fprintln(out, " – | – | – |")
			continue
		}
		lowest := slices.Index(means.values, slices.Min(means.values))
		highest := lowest + slices.Index(means.values[lowest:], slices.Max(means.values[lowest:]))
		fmt.Fprintf(out, " %.2f (step %d) | %.2f (step %d) | %.2f |\n", means.values[lowest], means.steps[lowest], means.values[highest], means.steps[highest],
			means.values[len(means.values)-1])
	}
	return nil
}

// meansOf are the means of the n values up to each step that has as many.
func meansOf(s series, n int) (means series) {
	for i := n; i <= len(s.values); i++ {
		sum := 0.0
		for _, x := range s.values[i-n : i] {
			sum += x
		}
		means.steps, means.values = append(means.steps, s.steps[i-1]), append(means.values, sum/float64(n))
	}
	return means
}

// risen finds where the mean of n values is that much above the lowest so far, or is no number.
func risen(s series, n int, by float64) (int, bool) {
	means, low := meansOf(s, n), math.Inf(1)
	for i, x := range means.values {
		if low = min(low, x); !(x <= low+by) {
			return means.steps[i], true
		}
	}
	return 0, false
}

// leapt finds a value that is a multiple of the median of the n before it.
func leapt(s series, n int, times float64) (int, bool) {
	for i := n; i < len(s.values); i++ {
		if !(s.values[i] <= times*median(s.values[i-n:i])) {
			return s.steps[i], true
		}
	}
	return 0, false
}

// grown finds the first step at which a matrix's root mean square is a multiple of what it was that many steps before.
func grown(all map[string]*history, steps int, times float64) (first int, found bool) {
	for tag, h := range all {
		if !strings.HasPrefix(tag, "weights/") || !strings.HasSuffix(tag, ".weight") || strings.Contains(tag, ".ln_") {
			continue
		}
		for i, step := range h.steps {
			before := slices.Index(h.steps, step-steps)
			if before >= 0 && h.of[i].rms() > times*h.of[before].rms() && (!found || step < first) {
				first, found = step, true
			}
		}
	}
	return first, found
}

// starved finds where one tensor's root mean square has been below a share of another's for that many steps.
func starved(h, beside *history, steps int, share float64) (int, bool) {
	if h == nil || beside == nil {
		return 0, false
	}
	since := -1
	for i, step := range h.steps {
		if i >= len(beside.of) || h.of[i].rms() >= share*beside.of[i].rms() {
			since = -1
			continue
		}
		if since < 0 {
			since = step
		}
		if step-since >= steps {
			return step, true
		}
	}
	return 0, false
}
