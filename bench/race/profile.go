package main

// Where the time of a run of ours goes, by what perf finds it in when it looks 199 times a second.

import (
	"errors"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"strconv"
	"strings"
)

// profile is a case's: percent of the samples, by kind of work.
type profile struct {
	Model, Precision string
	Shares           map[string]float64
}

// kinds of work, and how a sample is told to be of one: by what its library's or its symbol's name has in it. The first that fits counts.
var kinds = []struct {
	name, libraries, symbols string
}{
	{name: "kernel", libraries: "[kernel"},
	{name: "waiting for threads", libraries: "libgomp libiomp"},
	{name: "matrix products", libraries: "[JIT] perf-", symbols: "mkl_blas gemm dnnl::"}, // oneDNN makes its code while it runs
	{name: "attention", symbols: "flash_attention"},
	{name: "softmax, GELU", symbols: "softmax gelu Gelu Sleef mkl_vml"},
	{name: "LayerNorm", symbols: "layer_norm LayerNorm"},
	{name: "AdamW", symbols: "adam"},
	{name: "rest of libtorch", libraries: "libtorch libc10"},
	{name: "Go, and everything else", libraries: ""},
}

// kindOf a sample.
func kindOf(library, symbol string) string {
	within := func(name, list string) bool {
		for word := range strings.FieldsSeq(list) {
			if strings.Contains(name, word) {
				return true
			}
		}
		return false
	}
	for _, k := range kinds {
		if within(library, k.libraries) || within(symbol, k.symbols) {
			return k.name
		}
	}
	return kinds[len(kinds)-1].name
}

// profileRuns looks into a run of every case. Where there is no perf, or it is not allowed to look, the results say so.
func (b *bench) profileRuns() error {
	if _, err := exec.LookPath("perf"); err != nil {
		b.results.NoProfile = "perf is not installed"
		b.say("no profile: %s", b.results.NoProfile)
		return nil
	}
	for _, c := range b.cases {
		report, err := b.perf(c)
		if b.ctx.Err() != nil {
			return b.ctx.Err()
		}
		if err != nil {
			b.results.NoProfile = err.Error()
			b.say("no profile: %v", err)
			return nil
		}
		shares, err := sharesOf(report)
		if err != nil {
			return fmt.Errorf("%v: perf report: %w", c, err)
		}
		b.results.Profiles = append(b.results.Profiles, &profile{c.name, c.precision, shares})
		b.say("profile, %v: %.0f%% matrix products", c, shares["matrix products"])
	}
	return nil
}

// perf trains a case below perf and gives its report, a line a symbol: percent|library|symbol.
func (b *bench) perf(c *testCase) (string, error) {
	defer os.RemoveAll(c.output("ours"))
	data := filepath.Join(c.folder, "perf.data")
	if _, err := b.output(b.command(nil, "perf", "record", "-q", "-e", "cpu-clock", "-F", "199", "-o", data, "--", b.train(), "-config", c.settings)); err != nil {
		return "", err
	}
	report, err := b.output(b.command(nil, "perf", "report", "-i", data, "--stdio", "--no-children", "--sort", "dso,symbol", "-t", "|"))
	return string(report), err
}

// sharesOf adds up a report by kind.
func sharesOf(report string) (map[string]float64, error) {
	shares := map[string]float64{}
	for line := range strings.Lines(report) {
		if line = strings.TrimSpace(line); line == "" || strings.HasPrefix(line, "#") {
			continue
		}
		fields := strings.SplitN(line, "|", 3)
		if len(fields) < 3 {
			return nil, fmt.Errorf("%q is not percent|library|symbol", line)
		}
		percent, err := strconv.ParseFloat(strings.TrimSuffix(strings.TrimSpace(fields[0]), "%"), 64)
		if err != nil {
			return nil, err
		}
		shares[kindOf(strings.TrimSpace(fields[1]), fields[2])] += percent
	}
	if len(shares) == 0 {
		return nil, errors.New("no samples")
	}
	return shares, nil
}

func (r *results) profileTable(s *strings.Builder) {
	if r.NoProfile != "" {
		fmt.Fprintf(s, "\nWhere a step's time goes was not looked into: %s.\n", oneCell(r.NoProfile))
	}
	if len(r.Profiles) == 0 {
		return
	}
	fmt.Fprintf(s, "\n### Where the time of ours goes\n\nPercent of perf's samples over a whole run of %d steps, its start and its checkpoint included. The kernel: page faults of the start among the rest; a step has none once it is steady.\n\n| |",
		r.Steps)
	for _, k := range kinds {
		s.WriteString(" " + k.name + " |")
	}
	s.WriteString("\n|---|" + strings.Repeat("---|", len(kinds)) + "\n")
	for _, p := range r.Profiles {
		fmt.Fprintf(s, "| %s %s |", p.Model, p.Precision)
		for _, k := range kinds {
			fmt.Fprintf(s, " %.1f |", p.Shares[k.name])
		}
		s.WriteString("\n")
	}
}
