package main

// What was planned beside what was run: memory by part, and losses that ought to be the same.

import (
	"flag"
	"fmt"
	"io"
	"os"
	"slices"
	"strings"
)

// plans prints what train -dry-run plans for the memory, a row a setup.
func plans(flags *flag.FlagSet, args []string, out io.Writer) error {
	if err := flags.Parse(args); err != nil {
		return err
	}
	names, files, err := pairs(flags.Args())
	if err != nil {
		return err
	}
	const prefix = "memory: "
	parts := []string{"weights", "gradients", "optimizer", "activations", "head", "sum"}
	fmt.Fprintf(out, "| | parameters | %s |\n|---|---:%s|\n", strings.Join(parts, " | "), strings.Repeat("|---:", len(parts)))
	for i, name := range names {
		text, err := os.ReadFile(files[i][0])
		if err != nil {
			return err
		}
		found := map[string]string{}
		for line := range strings.Lines(string(text)) {
			key, value, _ := strings.Cut(strings.TrimSpace(line), "  ")
			value, _, _ = strings.Cut(value, " on ")
			found[strings.TrimPrefix(key, prefix)] = strings.TrimSpace(value)
		}
		fmt.Fprintf(out, "| %s | %s |", name, found["parameters"])
		for _, part := range parts {
			if found[part] == "" {
				return fmt.Errorf("%s: it has no line %q", files[i][0], prefix+part)
			}
			fmt.Fprintf(out, " %s |", found[part])
		}
		fmt.Fprintln(out)
	}
	return nil
}

// losses prints the training losses of setups at some steps, round by round, with all digits that were logged.
func losses(flags *flag.FlagSet, args []string, out io.Writer) error {
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
	fmt.Fprintf(out, "| first round, step | %s | largest difference |\n|---%s|\n", strings.Join(names, " | "), strings.Repeat("|---:", len(names)+1))
	var all []series
	for _, list := range dirs {
		t, err := openRun(list[0])
		if err != nil {
			return err
		}
		all = append(all, t.series("train/loss"))
	}
	for _, n := range steps {
		fmt.Fprintf(out, "| %d |", n)
		var row []float64
		for i, s := range all {
			where := slices.Index(s.steps, n)
			if where < 0 {
				return fmt.Errorf("%s: no loss at step %d", names[i], n)
			}
			row = append(row, s.values[where])
			fmt.Fprintf(out, " %.7f |", s.values[where])
		}
		fmt.Fprintf(out, " %.1e |\n", slices.Max(row)-slices.Min(row))
	}
	return nil
}
