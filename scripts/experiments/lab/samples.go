package main

// What runs wrote, and whether they learned it by heart.

import (
	"flag"
	"fmt"
	"index/suffixarray"
	"io"
	"math"
	"os"
	"slices"
	"strings"
	"unicode/utf8"
)

// samples prints each run's texts at some steps.
func samples(flags *flag.FlagSet, args []string, out io.Writer) error {
	text := flags.String("text", "", "`FILE` that was trained on: how much of a sample stands there word for word is said as well")
	at := flags.String("steps", "", "`LIST` of steps, with commas")
	if err := flags.Parse(args); err != nil {
		return err
	}
	list, err := openRuns(flags.Args())
	if err != nil {
		return err
	}
	var known *suffixarray.Index
	if *text != "" {
		content, err := os.ReadFile(*text)
		if err != nil {
			return err
		}
		known = suffixarray.New(content)
	}
	steps, err := wholeNumbers(*at)
	if err != nil {
		return err
	}
	for _, t := range list {
		fmt.Fprintf(out, "### %s\n", t.name)
		for _, step := range steps {
			if err := t.printSamples(out, step, known); err != nil {
				return err
			}
		}
		fmt.Fprintln(out)
	}
	return nil
}

func (t *trace) printSamples(out io.Writer, step int, known *suffixarray.Index) error {
	found := false
	for _, e := range t.events {
		if e.text("event") != "sample" || e.step() != step {
			continue
		}
		if !found {
			fmt.Fprintf(out, "\nStep %d:\n", step)
		}
		found = true
		written := e.text("text")
		fmt.Fprintf(out, "\n```text\n%s\n```\n", strings.ReplaceAll(written, "```", "'''"))
		if known != nil {
			copied := longestKnown(strings.TrimPrefix(written, e.text("prompt")), known)
			fmt.Fprintf(out, "\nLongest piece that stands in the training text: %d characters, %q.\n", utf8.RuneCountInString(copied), copied)
		}
	}
	if !found {
		return fmt.Errorf("%s: no samples at step %d", t.name, step)
	}
	return nil
}

// longestKnown is the longest piece of the text, at bounds of characters, that the index has.
func longestKnown(text string, known *suffixarray.Index) (longest string) {
	for from := range text {
		// A piece that is longer than the longest so far, or none that begins here.
		to := from + len(longest) + 1
		for to <= len(text) {
			if to < len(text) && !utf8.RuneStart(text[to]) {
				to++
				continue
			}
			if len(known.Lookup([]byte(text[from:to]), 1)) == 0 {
				break
			}
			longest = text[from:to]
			to++
		}
	}
	return longest
}

// overfitting prints where the evaluation loss was lowest, and what it and the training loss were there and at the end.
func overfitting(flags *flag.FlagSet, args []string, out io.Writer) error {
	if err := flags.Parse(args); err != nil {
		return err
	}
	list, err := openRuns(flags.Args())
	if err != nil {
		return err
	}
	fmt.Fprintln(out, "| run | best at step | epoch | eval loss | bits/byte | training loss there | eval loss at the end | bits/byte | training loss at the end |")
	fmt.Fprintln(out, "|---|---:|---:|---:|---:|---:|---:|---:|---:|")
	for _, t := range list {
		loss, bits, train := t.series("eval/loss"), t.series("eval/bits_per_byte"), t.series("train/loss")
		if len(loss.values) == 0 || len(train.values) == 0 {
			return fmt.Errorf("%s: no evaluation, or no training, was logged", t.name)
		}
		best := slices.Index(loss.values, slices.Min(loss.values))
		end := len(loss.values) - 1
		epochs := t.series("train/epoch")
		fmt.Fprintf(out, "| %s | %d | %.1f | %.4f | %.3f | %.4f | %.4f | %.3f | %.4f |\n", t.name, loss.steps[best], epochs.before(loss.steps[best], 1),
			loss.values[best], bits.values[best], train.before(loss.steps[best], windows), loss.values[end], bits.values[end], train.before(loss.steps[end], windows))
	}
	return nil
}

// windows is over how many logged losses a training loss is averaged: one alone is of too few rows to mean much.
const windows = 10

// before is the mean of the last n values up to a step; not a number where there is none.
func (s series) before(step, n int) float64 {
	sum, count := 0.0, 0
	for i := len(s.steps) - 1; i >= 0 && count < n; i-- {
		if s.steps[i] <= step {
			sum, count = sum+s.values[i], count+1
		}
	}
	if count == 0 {
		return math.NaN()
	}
	return sum / float64(count)
}

// scales prints each change of the loss scale, how many updates were skipped, and the largest gradient norm. What is not of fp16 has the
// last alone.
func scales(flags *flag.FlagSet, args []string, out io.Writer) error {
	if err := flags.Parse(args); err != nil {
		return err
	}
	names, list, err := openGroups(flags.Args(), true)
	if err != nil {
		return err
	}
	fmt.Fprintln(out, "| run | updates | loss scale, from step on | updates skipped | largest grad\\_norm (step) |\n|---|---:|---|---:|---:|")
	for i, group := range list {
		t := group[0]
		norm := t.series("train/grad_norm")
		if len(norm.values) == 0 {
			return fmt.Errorf("%s: no training was logged", t.name)
		}
		largest := slices.Index(norm.values, slices.Max(norm.values))
		scale, skipped := "–", "–"
		if last, err := t.series("train/skipped_updates").last(); err == nil {
			scale, skipped = changesOf(t.series("train/loss_scale")), fmt.Sprint(last)
		}
		fmt.Fprintf(out, "| %s | %d | %s | %s | %.3g (%d) |\n", names[i], norm.steps[len(norm.steps)-1], scale, skipped, norm.values[largest], norm.steps[largest])
	}
	return nil
}

// changesOf lists a series' values where they change, with the step.
func changesOf(s series) string {
	var changes []string
	for i, x := range s.values {
		if i == 0 || x != s.values[i-1] {
			changes = append(changes, fmt.Sprintf("%g (%d)", x, s.steps[i]))
		}
	}
	return strings.Join(changes, ", ")
}
