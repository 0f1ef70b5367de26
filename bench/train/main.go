// Command train compares our trainer with a PyTorch script of nanoGPT's kind, nanogpt_like.py, on a CPU: tokens per second,
// peak memory, and the time to the end of the first step. Run it from the repository's root, on a machine that does nothing else:
//
//	go run ./bench/train -python python3 -rounds 3
//
// Both start at the same weights and see the same rows in the same order; if their losses differ it fails. README.md of
// bench/ says what is measured and how.
package main

import (
	"context"
	"encoding/json"
	"flag"
	"fmt"
	"os"
	"os/exec"
	"os/signal"
	"runtime"
	"strings"
	"syscall"
)

type options struct {
	python             string
	rounds             int
	steps, dropped     int
	threads            int
	models, precisions string
	environment        string
	write              string
	drift              float64
}

func main() {
	var o options
	flag.StringVar(&o.python, "python", "python3", "the `interpreter` that has torch 2.11, numpy and safetensors")
	flag.IntVar(&o.rounds, "rounds", 3, "times that each side runs, in turn")
	flag.IntVar(&o.steps, "steps", 24, "updates in a run")
	flag.IntVar(&o.dropped, "dropped", 4, "first updates of a run, which are not timed")
	flag.IntVar(&o.threads, "threads", runtime.NumCPU(), "threads of each side")
	flag.StringVar(&o.models, "models", "6x384,demo", "which models")
	flag.StringVar(&o.precisions, "precisions", "fp32,bf16", "which precisions")
	flag.StringVar(&o.environment, "env", "", "`NAME=VALUE` set for both sides")
	flag.StringVar(&o.write, "write", "", "put the table into this Markdown `file`, between its markers, instead of printing it")
	flag.Float64Var(&o.drift, "drift", 0, "measure no speed, but how far rounding alone takes runs apart at this learning `rate`")
	flag.Parse()
	if err := run(o); err != nil {
		fmt.Fprintln(os.Stderr, "bench/train:", err)
		os.Exit(1)
	}
}

func run(o options) error {
	switch {
	case flag.NArg() > 0:
		return fmt.Errorf("unexpected argument %q", flag.Arg(0))
	case o.rounds < 1 || o.threads < 1 || o.dropped < 0 || o.steps <= o.dropped:
		return fmt.Errorf("want at least one round, one thread, and more steps (%d) than are dropped (%d)", o.steps, o.dropped)
	}
	ctx, stop := signal.NotifyContext(context.Background(), os.Interrupt, syscall.SIGTERM)
	defer stop()
	folder, err := os.MkdirTemp("", "bench-train-")
	if err != nil {
		return err
	}
	defer os.RemoveAll(folder)
	b := &bench{options: o, ctx: ctx, folder: folder}
	if err := b.prepare(); err != nil {
		return err
	}
	if o.drift > 0 {
		return b.measureDrift(o.drift)
	}
	if err := b.measure(); err != nil {
		return err
	}
	return b.report()
}

// bench is one comparison.
type bench struct {
	options
	ctx      context.Context
	folder   string // for everything that it makes
	versions versions
	cases    []*testCase
}

// versions of the two sides, by their own account.
type versions struct {
	ours          string
	Python, Torch string
}

// testCase is a model in a precision, and what came out of it, one pair a round.
type testCase struct {
	model      model
	decided    decided
	precision  string
	folder     string
	settings   string // a file that both sides read
	rows       string // the peer's tokens
	ours, peer []result
	difference float64 // the largest relative difference of two losses
}

// prepare builds our programs, asks for the versions and makes the input of every case.
func (b *bench) prepare() error {
	if _, err := os.Stat("bench/train/nanogpt_like.py"); err != nil {
		return fmt.Errorf("run it from the repository's root: %w", err)
	}
	answer, err := b.peer("versions")
	if err != nil {
		return err
	}
	if err := json.Unmarshal(answer, &b.versions); err != nil {
		return fmt.Errorf("the peer's versions: %w", err)
	}
	if _, err := b.output(exec.CommandContext(b.ctx, "go", "build", "-buildvcs=auto", "-o", b.folder+"/", "./cmd/train", "./bench/tokenizer")); err != nil {
		return err
	}
	ours, err := b.ours("-version")
	if err != nil {
		return err
	}
	b.versions.ours = strings.TrimSpace(string(ours))
	for _, name := range strings.Split(b.models, ",") {
		for _, precision := range strings.Split(b.precisions, ",") {
			c, err := b.newCase(name, precision)
			if err != nil {
				return err
			}
			b.cases = append(b.cases, c)
		}
	}
	return nil
}

// measure runs the rounds, the two sides in turn, and compares their losses.
func (b *bench) measure() error {
	for round := range b.rounds {
		for _, c := range b.cases {
			ours, peer, err := b.pair(c)
			if err != nil {
				return err
			}
			difference, err := compare(ours, peer, c.precision)
			if err != nil {
				return fmt.Errorf("%s %s: the two sides do not do the same: %w", c.model.name, c.precision, err)
			}
			c.ours, c.peer = append(c.ours, ours), append(c.peer, peer)
			c.difference = max(c.difference, difference)
			fmt.Fprintf(os.Stderr, "round %d of %d, %s %s: ours %v; PyTorch %v; losses equal within %.1e\n",
				round+1, b.rounds, c.model.name, c.precision, ours, peer, difference)
		}
	}
	return nil
}

func (b *bench) report() error {
	text := b.markdown(describeMachine(b.ctx))
	if b.write == "" {
		fmt.Print(text)
		return nil
	}
	if others := b.others(); others > quiet {
		fmt.Print(text)
		return fmt.Errorf("not written to %s: other work kept %.2f processors busy during a run; want a machine that does nothing else", b.write, others)
	}
	document, err := os.ReadFile(b.write)
	if err != nil {
		return err
	}
	document, err = replaceBetweenMarkers(document, text)
	if err != nil {
		return fmt.Errorf("%s: %w", b.write, err)
	}
	return os.WriteFile(b.write, document, 0o666)
}
