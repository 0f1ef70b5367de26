package main

// How repeated runs compare with those of a first group, step by step, seed by seed.

import (
	"errors"
	"flag"
	"fmt"
	"io"
	"math"
	"slices"
	"strconv"
	"strings"
)

// milestones prints, for each group of runs, its mean at some steps, when it reached what the first group's mean had at the
// end, and the differences at the end between its runs and the first group's, which are paired in the order of their names.
func milestones(flags *flag.FlagSet, args []string, out io.Writer) error {
	tag := flags.String("tag", "eval/loss", "the quantity: `EVENT/FIELD`")
	at := flags.String("steps", "", "`LIST` of steps, with commas")
	if err := flags.Parse(args); err != nil {
		return err
	}
	names, dirs, err := pairs(flags.Args())
	if err != nil {
		return err
	}
	steps, err := wholeNumbers(*at)
	if err != nil {
		return err
	}
	groups := make([][]series, len(names))
	for i := range names {
		list, err := openRuns(dirs[i])
		if err != nil {
			return err
		}
		for _, t := range list {
			groups[i] = append(groups[i], t.series(*tag))
		}
		if len(groups[i]) != len(groups[0]) {
			return fmt.Errorf("%s has %d runs, %s %d", names[i], len(groups[i]), names[0], len(groups[0]))
		}
	}
	head, rule := "| |", "| --- |"
	for _, step := range steps {
		head, rule = head+fmt.Sprintf(" step %d |", step), rule+" ---: |"
	}
	fmt.Fprintf(out, "%s as good as %s at its end after | at the end, against %s, seed by seed | mean |\n%s ---: | ---: | ---: |\n", head, names[0], names[0], rule)
	for i, name := range names {
		row, err := milestoneRow(groups[i], groups[0], steps)
		if err != nil {
			return fmt.Errorf("%s: %w", name, err)
		}
		fmt.Fprintf(out, "| %s |%s\n", name, row)
	}
	return nil
}

func milestoneRow(group, base []series, steps []int) (row string, err error) {
	mean, err := meanOf(group)
	if err != nil {
		return "", err
	}
	for _, step := range steps {
		i := slices.Index(mean.steps, step)
		if i < 0 {
			return "", fmt.Errorf("nothing was logged at step %d", step)
		}
		row += fmt.Sprintf(" %.4f |", mean.values[i])
	}
	target, err := meanOf(base)
	if err != nil {
		return "", err
	}
	end, err := target.last()
	if err != nil {
		return "", err
	}
	reached := "never"
	if step, ok := mean.reaches(end); ok {
		reached = fmt.Sprintf("%.0f", step)
	}
	var differences []string
	sum := 0.0
	for i := range group {
		a, errA := group[i].last()
		b, errB := base[i].last()
		if err := errors.Join(errA, errB); err != nil {
			return "", err
		}
		sum += a - b
		differences = append(differences, fmt.Sprintf("%+.4f", a-b))
	}
	return row + fmt.Sprintf(" %s | %s | %+.4f |", reached, strings.Join(differences, ", "), sum/float64(len(group))), nil
}

// meanOf is the mean of series of the same steps.
func meanOf(list []series) (mean series, err error) {
	mean = series{list[0].steps, slices.Clone(list[0].values)}
	for _, s := range list[1:] {
		if !slices.Equal(s.steps, mean.steps) {
			return mean, errors.New("its runs were not logged at the same steps")
		}
		for i, v := range s.values {
			mean.values[i] += v
		}
	}
	for i := range mean.values {
		mean.values[i] /= float64(len(list))
	}
	return mean, nil
}

// reaches is the step at which the series is at most that value for the first time, on the straight line between two points.
func (s series) reaches(value float64) (step float64, ok bool) {
	for i, v := range s.values {
		switch {
		case v > value || math.IsNaN(v):
		case i == 0:
			return float64(s.steps[0]), true
		default:
			share := (s.values[i-1] - value) / (s.values[i-1] - v)
			return float64(s.steps[i-1]) + share*float64(s.steps[i]-s.steps[i-1]), true
		}
	}
	return 0, false
}

func wholeNumbers(list string) (numbers []int, err error) {
	for _, field := range strings.Split(list, ",") {
		n, err := strconv.Atoi(strings.TrimSpace(field))
		if err != nil {
			return nil, fmt.Errorf("-steps: %q: want whole numbers with commas", list)
		}
		numbers = append(numbers, n)
	}
	return numbers, nil
}
