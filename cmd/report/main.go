// Command report lays finished and running trainings side by side: a table in the terminal, one HTML file to send to a
// colleague, pictures for papers. It reads what the runs have logged and needs no libtorch.
package main

import (
	"errors"
	"flag"
	"fmt"
	"io"
	"os"
	"path/filepath"
	"time"

	"frugal/cmd/internal/program"
)

const usage = `Lay trainings side by side: what differs, curves, speed, memory, final losses, samples.

  report DIR… [-over KEY] [-markdown] [-o FILE.html] [-png DIR] [-title TEXT] [-smoothing W]

DIR is a run's output_dir; what is read is its metrics.jsonl. Without -o and -png a table goes to the terminal.

  report output/demo-pt                                    a table
  report output/a output/b -o report.html                  one file that needs no network
  report output/sweep/runs/* -png pictures                 loss.png, eval.png, …
  report output/sweep/runs/* -over seed                    means and spreads of runs that differ in their seed alone

`

const codes = `
Exit codes: 0 done; 1 a file could not be read; 2 bad usage, or a directory that is no run; 5 the output is not writable.
`

// usageError is a mistake in the command.
type usageError struct{ text string }

func (e *usageError) Error() string { return e.text }

// outputError says that something could not be written.
type outputError struct{ err error }

func (e *outputError) Error() string { return e.err.Error() }
func (e *outputError) Unwrap() error { return e.err }

func main() {
	program.Run("report", func() int { return command(os.Args[1:], os.Stdout, os.Stderr) })
}

// options are what the command line says.
type options struct {
	dirs      []string
	html      string // file, "-" for stdout, "" for none
	png       string // directory, "" for none
	title     string
	smoothing float64
	over      string // key whose values are repetitions; "" for none
	markdown  bool
	now       time.Time
}

func command(args []string, stdout, stderr io.Writer) int {
	o := options{now: time.Now()}
	flags := flag.NewFlagSet("report", flag.ContinueOnError)
	flags.SetOutput(io.Discard)
	flags.StringVar(&o.html, "o", "", "write one self-contained HTML `FILE`; - is the standard output")
	flags.StringVar(&o.png, "png", "", "write a picture of each chart into this `DIR`")
	flags.StringVar(&o.title, "title", "", "the report's heading: `TEXT`")
	flags.Float64Var(&o.smoothing, "smoothing", 0.6, "weight `W` of what went before in smoothed lines, 0 to 0.999; 0: none")
	flags.StringVar(&o.over, "over", "", "runs that differ in this `KEY` alone, such as seed, count as one in the table and the pictures: mean, lowest and highest")
	flags.BoolVar(&o.markdown, "markdown", false, "print the table as Markdown")
	version := flags.Bool("version", false, "print the version")
	help := func(w io.Writer) {
		fmt.Fprint(w, usage)
		flags.SetOutput(w)
		flags.PrintDefaults()
		fmt.Fprint(w, codes)
	}
	var err error
	if o.dirs, err = parse(flags, args); errors.Is(err, flag.ErrHelp) {
		help(stdout)
		return 0
	} else if err != nil {
		return fail(stderr, 2, fmt.Errorf("%w (report -help lists the flags)", err))
	}
	switch {
	case *version:
		fmt.Fprintln(stdout, "frugal", program.Version())
		return 0
	case len(args) == 0:
		help(stderr)
		return 2
	case len(o.dirs) == 0:
		return fail(stderr, 2, errors.New("no run: want one or more output directories (report -help lists the flags)"))
	case !(o.smoothing >= 0 && o.smoothing <= 0.999):
		return fail(stderr, 2, fmt.Errorf("-smoothing: %v: want 0 to 0.999", o.smoothing))
	}
	if err := report(o, stdout, stderr); err != nil {
		return fail(stderr, exitCode(err), err)
	}
	return 0
}

// parse takes flags before, between and behind the directories. After "--" all are directories.
func parse(flags *flag.FlagSet, args []string) (dirs []string, err error) {
	for {
		if err := flags.Parse(args); err != nil {
			return nil, err
		}
		rest := flags.Args()
		if len(rest) == 0 {
			return dirs, nil
		}
		if before := len(args) - len(rest) - 1; before >= 0 && args[before] == "--" {
			return append(dirs, rest...), nil
		}
		dirs, args = append(dirs, rest[0]), rest[1:]
	}
}

// report reads the runs and writes what was asked for.
func report(o options, stdout, stderr io.Writer) error {
	runs, err := openRuns(distinct(o.dirs))
	if err != nil {
		return err
	}
	nameRuns(runs)
	for _, r := range runs {
		warnOfDamage(stderr, r)
	}
	c, err := compare(runs)
	if err != nil {
		return err
	}
	var groups []group
	if o.over != "" {
		if groups, err = groupRuns(runs, o.over); err != nil {
			return err
		}
	}
	if o.png != "" {
		files, err := drawPictures(o.png, runs, groups, o.smoothing)
		if err != nil {
			return err
		}
		fmt.Fprintf(stderr, "report: %d pictures in %s\n", len(files), o.png)
	}
	switch {
	case o.html != "":
		return writeReport(o, runs, c, stdout, stderr)
	case o.png == "" || o.markdown:
		return printTo(stdout, tableOf(o, runs, groups))
	}
	return nil
}

// tableOf is the table of the runs, or of the groups where there are any, for a terminal or as Markdown.
func tableOf(o options, runs []*run, groups []group) string {
	grid, numeric := textGrid(runs)
	if groups != nil {
		grid, numeric = groupGrid(groups)
	}
	if o.markdown {
		return markdown(grid, numeric)
	}
	return align(grid, numeric)
}

// openRuns reads all runs, or says what is wrong with each that it cannot read.
func openRuns(dirs []string) (runs []*run, err error) {
	var problems []error
	for _, dir := range dirs {
		r, err := openRun(dir)
		if err != nil {
			problems = append(problems, err)
			continue
		}
		runs = append(runs, r)
	}
	return runs, errors.Join(problems...)
}

// warnedLines is how many damaged lines of a file are named one by one.
const warnedLines = 5

func warnOfDamage(stderr io.Writer, r *run) {
	file := filepath.Join(r.dir, "metrics.jsonl")
	for i, d := range r.damaged {
		if i == warnedLines {
			fmt.Fprintf(stderr, "report: warning: %s: %d more damaged lines passed over\n", file, len(r.damaged)-i)
			return
		}
		fmt.Fprintf(stderr, "report: warning: %s:%d: passed over: %v\n", file, d.line, d.err)
	}
}

func exitCode(err error) int {
	var use *usageError
	var output *outputError
	switch {
	case errors.As(err, &use):
		return 2
	case errors.As(err, &output):
		return 5
	}
	return 1
}

func fail(stderr io.Writer, code int, err error) int {
	return program.Fail(stderr, "report", code, "%v", err)
}
