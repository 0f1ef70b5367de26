package main

// What was measured, as it is kept in results.json: one race can be looked at again, and its pictures drawn anew.

import (
	"encoding/json"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"slices"
)

// results of a race; a part that was not measured is empty.
type results struct {
	Date, Machine, Ours, Peers, Command string // a line for each command whose results these are
	Threads, Rounds, Steps, Dropped     int

	Cases       []*caseResults `json:",omitempty"`
	Ceilings    []ceilings     `json:",omitempty"` // one a round
	Evaluations []*evaluation  `json:",omitempty"`
	Checkpoints []*checkpoints `json:",omitempty"`
	Curve       []*curvePoint  `json:",omitempty"`
	Profiles    []*profile     `json:",omitempty"`
	NoProfile   string         `json:",omitempty"` // why there are none
	Generation  string         `json:",omitempty"` // what bench/generate prints
	Tokenizer   string         `json:",omitempty"` // what bench/tokenizer/peers.py prints
}

// caseResults are the runs of a model in a precision.
type caseResults struct {
	Model     string
	Shape     shape
	Precision string
	Lanes     []*lane
}

// lane is a peer's runs, each with the run of ours before it.
type lane struct {
	Peer, Title  string
	Compiled     bool    `json:",omitempty"`
	FirstStart   float64 `json:",omitempty"` // of what is compiled: seconds to the end of the first step with nothing compiled yet
	Ours, Theirs []run
	Difference   float64 // the largest relative difference of two losses

	// NormDifference is that of the gradients' norms, of the steps that are not timed.
	NormDifference float64 `json:",omitempty"`
	Problem        string  `json:",omitempty"` // why there are no more runs: it failed, or its losses are not ours
}

// ceilings of the machine: GFLOP/s of products of 4096³, GB/s of memory.
type ceilings struct {
	MKL, OneDNN, BF16 float64
	Read, Triad       float64
}

// of a precision is the faster library's.
func (c ceilings) of(precision string) float64 {
	if precision == "bf16" {
		return c.BF16
	}
	return max(c.MKL, c.OneDNN)
}

func (r *results) empty() bool {
	return len(r.Cases)+len(r.Evaluations)+len(r.Checkpoints)+len(r.Curve)+len(r.Profiles)+len(r.NoProfile)+len(r.Generation)+len(r.Tokenizer) == 0
}

// joins says why these cannot be in one table with those of an earlier command.
func (r *results) joins(earlier *results) error {
	same := func(r *results) string {
		return fmt.Sprintf("%s, %s, %s, -threads %d -rounds %d -steps %d -dropped %d", r.Machine, r.Ours, r.Peers, r.Threads, r.Rounds, r.Steps, r.Dropped)
	}
	if was, is := same(earlier), same(r); was != is {
		return fmt.Errorf("measured with %s; this is %s", was, is)
	}
	return nil
}

// has says whether a part was measured, for the model in the precision where it is one for each.
func (r *results) has(part, model, precision string) bool {
	switch part {
	case "steps":
		return slices.ContainsFunc(r.Cases, func(c *caseResults) bool { return c.Model == model && c.Precision == precision })
	case "profile":
		return slices.ContainsFunc(r.Profiles, func(p *profile) bool { return p.Model == model && p.Precision == precision })
	case "evaluation":
		return slices.ContainsFunc(r.Evaluations, func(e *evaluation) bool { return e.Model == model && e.Precision == precision })
	case "checkpoints":
		return slices.ContainsFunc(r.Checkpoints, func(c *checkpoints) bool { return c.Model == model })
	case "curve":
		return len(r.Curve) > 0
	case "generation":
		return r.Generation != ""
	case "tokenizer":
		return r.Tokenizer != ""
	}
	panic("no part " + part)
}

// save writes results.json.
func (r *results) save(folder string) error {
	if err := os.MkdirAll(folder, 0o777); err != nil {
		return err
	}
	text, err := json.MarshalIndent(r, "", " ")
	if err != nil {
		return err
	}
	return os.WriteFile(filepath.Join(folder, "results.json"), append(text, '\n'), 0o666)
}

func readResults(file string) (*results, error) {
	text, err := os.ReadFile(file)
	if err != nil {
		return nil, err
	}
	r := &results{}
	if err := json.Unmarshal(text, r); err != nil {
		return nil, fmt.Errorf("%s: %w", file, err)
	}
	if r.empty() {
		return nil, fmt.Errorf("%s: nothing was measured", file)
	}
	return r, nil
}

// problems are those of all lanes, as one error.
func (r *results) problems() error {
	var list []error
	for _, c := range r.Cases {
		for _, l := range c.Lanes {
			if l.Problem != "" {
				list = append(list, fmt.Errorf("%s %s, %s: %s", c.Model, c.Precision, l.Title, l.Problem))
			}
		}
	}
	return errors.Join(list...)
}

// others is what the most disturbed run had to share the machine with.
func (r *results) others() (most float64) {
	for _, c := range r.Cases {
		for _, l := range c.Lanes {
			for _, run := range slices.Concat(l.Ours, l.Theirs) {
				most = max(most, run.Others)
			}
		}
	}
	for _, p := range r.Curve {
		for _, run := range p.Runs {
			most = max(most, run.Others)
		}
	}
	return most
}

// ours are our runs of the case, whoever ran behind them.
func (c *caseResults) ours() (list []run) {
	for _, l := range c.Lanes {
		list = append(list, l.Ours...)
	}
	return list
}

// spread is a measure's median with its lowest and highest.
type spread struct{ median, low, high float64 }

// spreadOf a list that is not empty.
func spreadOf(list []float64) spread {
	return spread{median(list), slices.Min(list), slices.Max(list)}
}

// of runs, one of their figures.
func of(runs []run, figure func(run) float64) (list []float64) {
	for _, r := range runs {
		list = append(list, figure(r))
	}
	return list
}

// ratios divides runs that followed each other.
func ratios(ours, theirs []run, figure func(run) float64) (list []float64) {
	for i := range min(len(ours), len(theirs)) {
		list = append(list, figure(ours[i])/figure(theirs[i]))
	}
	return list
}

// median of a list that is not empty; the mean of the middle two where its length is even.
func median(list []float64) float64 {
	sorted := slices.Sorted(slices.Values(list))
	n := len(sorted)
	return (sorted[(n-1)/2] + sorted[n/2]) / 2
}

func speed(r run) float64     { return r.Speed }
func memory(r run) float64    { return r.Memory }
func counted(r run) float64   { return r.Counted }
func firstStep(r run) float64 { return r.FirstStep }
