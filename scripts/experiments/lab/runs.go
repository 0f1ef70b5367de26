package main

// Reading what a run has logged: metrics.jsonl, as docs/format.md has it.

import (
	"bufio"
	"encoding/json"
	"errors"
	"flag"
	"fmt"
	"io"
	"os"
	"path/filepath"
	"runtime"
	"slices"
	"strconv"
	"strings"
)

// event is a line; its numbers are float64.
type event map[string]any

// trace is what a run has logged.
type trace struct {
	name   string // the directory's
	events []event
}

// maxLine is longer than any line: a configuration or a sample.
const maxLine = 16 << 20

func openRun(dir string) (*trace, error) {
	file, err := os.Open(filepath.Join(dir, "metrics.jsonl"))
	if err != nil {
		return nil, err
	}
	defer file.Close()
	t := &trace{name: filepath.Base(dir)}
	lines := bufio.NewScanner(file)
	lines.Buffer(nil, maxLine)
	for n := 1; lines.Scan(); n++ {
		var e event
		if err := json.Unmarshal(lines.Bytes(), &e); err != nil {
			return nil, fmt.Errorf("%s:%d: %w", file.Name(), n, err)
		}
		t.events = append(t.events, e)
	}
	return t, lines.Err()
}

func openRuns(dirs []string) (list []*trace, err error) {
	if len(dirs) == 0 {
		return nil, errors.New("want the output directories of runs")
	}
	for _, dir := range dirs {
		t, err := openRun(dir)
		if err != nil {
			return nil, err
		}
		list = append(list, t)
	}
	return list, nil
}

// number reads a field. What JSON has no number for is a string: "NaN", "Infinity".
func (e event) number(field string) (float64, bool) {
	switch x := e[field].(type) {
	case float64:
		return x, true
	case string:
		f, err := strconv.ParseFloat(x, 64)
		return f, err == nil
	}
	return 0, false
}

func (e event) text(field string) string {
	s, _ := e[field].(string)
	return s
}

func (e event) step() int {
	x, _ := e.number("step")
	return int(x)
}

// series is a quantity over the steps.
type series struct {
	steps  []int
	values []float64
}

// series finds a quantity by its tag: the event, a slash, the field. A line of a step that was there before takes its place.
func (t *trace) series(tag string) (s series) {
	kind, field, _ := strings.Cut(tag, "/")
	for _, e := range t.events {
		x, ok := e.number(field)
		if e.text("event") != kind || !ok {
			continue
		}
		for n := len(s.steps); n > 0 && s.steps[n-1] >= e.step(); n-- {
			s.steps, s.values = s.steps[:n-1], s.values[:n-1]
		}
		s.steps, s.values = append(s.steps, e.step()), append(s.values, x)
	}
	return s
}

func (s series) last() (float64, error) {
	if len(s.values) == 0 {
		return 0, errors.New("nothing was logged of it")
	}
	return s.values[len(s.values)-1], nil
}

// median is the middle value, or the mean of the two in the middle; of none, 0.
func median(values []float64) float64 {
	if len(values) == 0 {
		return 0
	}
	sorted := slices.Sorted(slices.Values(values))
	n := len(sorted)
	return (sorted[(n-1)/2] + sorted[n/2]) / 2
}

// started is the line of a session's beginning.
func (t *trace) started() (event, error) {
	for _, e := range t.events {
		if e.text("event") == "run" && e.text("status") == "started" {
			return e, nil
		}
	}
	return nil, fmt.Errorf("%s: no line says that the run started", t.name)
}

// setting prints in what circumstances the run was made.
func setting(flags *flag.FlagSet, args []string, out io.Writer) error {
	if err := flags.Parse(args); err != nil {
		return err
	}
	list, err := openRuns(flags.Args())
	if err != nil {
		return err
	}
	t := list[0]
	e, err := t.started()
	if err != nil {
		return err
	}
	count := func(field string) string {
		x, _ := e.number(field)
		return strconv.FormatInt(int64(x), 10)
	}
	fmt.Fprintf(out, "%s, %d processors, %s/%s; frugal %s, libtorch %s, %s; device %s, threads %s. ", processor(), runtime.NumCPU(), runtime.GOOS, runtime.GOARCH,
		e.text("version"), e.text("libtorch"), e.text("go"), e.text("device"), count("threads"))
	fmt.Fprintf(out, "`%s`: precision %s, %s parameters, %s tokens to train on, %s to evaluate, %s steps, %s an epoch; started %s.\n", t.name,
		e.text("precision"), count("parameters"), count("train_tokens"), count("eval_tokens"), count("total_steps"), count("steps_per_epoch"), e.text("time"))
	return nil
}

// processor is the processor's name, with its family and model, as Linux gives them.
func processor() string {
	text, _ := os.ReadFile("/proc/cpuinfo")
	values := map[string]string{}
	for line := range strings.Lines(string(text)) {
		key, value, _ := strings.Cut(line, ":")
		values[strings.TrimSpace(key)] = strings.TrimSpace(value)
	}
	if values["model name"] == "" {
		return runtime.GOARCH
	}
	return fmt.Sprintf("%s (family %s, model %s)", values["model name"], values["cpu family"], values["model"])
}
