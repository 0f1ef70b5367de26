// Command race runs our trainer beside what people use otherwise, on a CPU: a PyTorch script of nanoGPT's kind, eager and
// compiled, and Hugging Face's Trainer. Run it from the repository's root, on a machine that does nothing else:
//
//	go run ./bench/race
//
// All start at the same weights and see the same rows in the same order; whoever's losses differ is disqualified. It leaves
// a table, pictures and everything measured in output/race. README.md of bench/ says what is measured and how.
package main

import (
	"context"
	"errors"
	"flag"
	"fmt"
	"math"
	"os"
	"os/signal"
	"path/filepath"
	"runtime"
	"slices"
	"strings"
	"syscall"
	"time"
)

type options struct {
	python, venv              string
	rounds                    int
	steps, dropped            int
	retries                   int
	threads                   int
	models, precisions, peers string
	parts                     string
	full                      bool
	folder                    string // of the results
	write, from               string
	drift                     float64
	faults, add               bool
}

// What is raced without a word said. The first two models are those of the trial runs; the rest takes hours.
const (
	defaultModels = "6x384-v50257-t256,12x768-v50257-t256"
	allModels     = "6x384-v8192-t256,6x384-v50257-t256,12x768-v8192-t256,12x768-v50257-t256," +
		"6x384-v8192-t1024,6x384-v50257-t1024,12x768-v8192-t1024,12x768-v50257-t1024"
	defaultPeers = "eager,compile,max-autotune,trainer,eager+kept,compile+kept"
	allPeers     = defaultPeers + ",max-autotune+kept,trainer+kept"
)

func main() {
	o := options{}
	flag.StringVar(&o.python, "python", "python3", "an `interpreter`; where it lacks the peers, a virtual environment is made of it")
	flag.StringVar(&o.venv, "venv", ".cache/race-venv", "the `directory` of that environment, which is kept (some 6 GB)")
	flag.IntVar(&o.rounds, "rounds", 3, "times that each peer runs, and ours before it")
	flag.IntVar(&o.steps, "steps", 12, "updates in a run")
	flag.IntVar(&o.dropped, "dropped", 4, "first updates of a run, which are not timed")
	flag.IntVar(&o.retries, "retries", 2, "times that a run is repeated because something else was running")
	flag.IntVar(&o.threads, "threads", runtime.NumCPU(), "threads of each side")
	flag.StringVar(&o.models, "models", defaultModels, "models, LAYERSxWIDTH-vVOCABULARY-tSEQUENCE, with -bBATCH where it is not 1,024 tokens")
	flag.StringVar(&o.precisions, "precisions", "fp32,bf16", "which precisions")
	flag.StringVar(&o.peers, "peers", defaultPeers, "which peers: "+strings.Join(peerNames(), ", ")+"; +kept: with glibc told to keep freed memory")
	flag.StringVar(&o.parts, "parts", strings.Join(partNames(), ","), "what to measure")
	flag.BoolVar(&o.full, "full", false, "all models and all peers: many hours")
	flag.StringVar(&o.folder, "o", "output/race", "the `directory` for results.json, race.md and the pictures")
	flag.BoolVar(&o.add, "add", false, "keep what an earlier command left in -o, and add what this one measures")
	flag.StringVar(&o.write, "write", "", "also put the table into this Markdown `file`, between its markers, and the pictures beside it")
	flag.StringVar(&o.from, "from", "", "measure nothing: make table and pictures of this results.json")
	flag.Float64Var(&o.drift, "drift", 0, "measure no speed, but how far rounding alone takes runs apart at this learning `rate`")
	flag.BoolVar(&o.faults, "faults", false, "measure no speed, but which faults of a peer the comparison of the losses would notice")
	flag.Parse()
	if err := race(o); err != nil {
		fmt.Fprintln(os.Stderr, "bench/race:", err)
		os.Exit(1)
	}
}

func race(o options) error {
	switch {
	case flag.NArg() > 0:
		return fmt.Errorf("unexpected argument %q", flag.Arg(0))
	case o.rounds < 1 || o.threads < 1 || o.dropped < 0 || o.steps <= o.dropped || o.retries < 0:
		return fmt.Errorf("want at least one round, one thread, and more steps (%d) than are dropped (%d)", o.steps, o.dropped)
	case !(o.drift >= 0) || math.IsInf(o.drift, 0):
		return fmt.Errorf("-drift: %g is no learning rate", o.drift)
	}
	if o.from != "" {
		r, err := readResults(o.from)
		if err != nil {
			return err
		}
		return r.report(o.folder, o.write)
	}
	if o.full {
		o.models, o.peers = allModels, allPeers
	}
	ctx, stop := signal.NotifyContext(context.Background(), os.Interrupt, syscall.SIGTERM)
	defer stop()
	scratch, err := os.MkdirTemp("", "bench-race-")
	if err != nil {
		return err
	}
	defer os.RemoveAll(scratch)
	b := &bench{options: o, ctx: ctx, scratch: scratch, tokenized: map[int]tokenized{}}
	if err := b.prepare(); err != nil {
		return err
	}
	if o.drift > 0 {
		return b.measureDrift(o.drift)
	}
	if o.faults {
		return b.measureFaults()
	}
	if err := b.measure(); err != nil {
		if ctx.Err() != nil {
			err = errors.New("interrupted")
		}
		if !b.results.empty() { // what was measured before an error or a signal is shown all the same
			err = errors.Join(err, b.results.report(o.folder, ""))
		}
		return err
	}
	return b.results.report(o.folder, o.write)
}

// bench is one race.
type bench struct {
	options
	ctx     context.Context
	scratch string // for everything that the sides are given and write
	cases   []*testCase
	results results

	tokenized map[int]tokenized // by vocabulary
}

// part is something to measure; it adds to the results.
type part struct {
	name    string
	measure func(*bench) error
}

// parts in the order in which they run. The ceilings are measured with the steps, too: once a round.
var parts = []part{
	{"steps", (*bench).raceSteps}, {"profile", (*bench).profileRuns}, {"evaluation", (*bench).raceEvaluation}, {"checkpoints", (*bench).raceCheckpoints},
	{"curve", (*bench).measureCurve}, {"generation", (*bench).raceGeneration}, {"tokenizer", (*bench).raceTokenizer},
}

func partNames() (names []string) {
	for _, p := range parts {
		names = append(names, p.name)
	}
	return names
}

// check says what of the command line cannot be, before anything is built or installed.
func (o *options) check() error {
	for name := range strings.SplitSeq(o.parts, ",") {
		if !slices.Contains(partNames(), name) {
			return fmt.Errorf("-parts: no part %q: want some of %s", name, strings.Join(partNames(), ", "))
		}
	}
	for name := range strings.SplitSeq(o.peers, ",") {
		if _, err := peerOf(name); err != nil {
			return fmt.Errorf("-peers: %w", err)
		}
	}
	for name := range strings.SplitSeq(o.models, ",") {
		if _, err := parseShape(name); err != nil {
			return fmt.Errorf("-models: %w", err)
		}
	}
	for precision := range strings.SplitSeq(o.precisions, ",") {
		if _, ok := tolerances[precision]; !ok {
			return fmt.Errorf("-precisions: no precision %q: want fp32 or bf16", precision)
		}
	}
	return nil
}

// prepare finds the interpreter, builds our programs and makes the input of every case.
func (b *bench) prepare() error {
	if err := b.check(); err != nil {
		return err
	}
	if _, err := os.Stat(nanoGPT); err != nil {
		return fmt.Errorf("run it from the repository's root: %w", err)
	}
	versions, err := b.findPeers()
	if err != nil {
		return err
	}
	if _, err := b.output(b.command(nil, "go", "build", "-buildvcs=auto", "-o", b.scratch+"/", "./cmd/train", "./bench/tokenizer")); err != nil {
		return err
	}
	ours, err := b.output(b.command(nil, b.train(), "-version"))
	if err != nil {
		return err
	}
	b.results = results{Date: time.Now().UTC().Format(time.DateOnly), Machine: describeMachine(b.ctx), Ours: strings.TrimSpace(string(ours)), Peers: versions,
		Command: b.commandLine(), Threads: b.threads, Rounds: b.rounds, Steps: b.steps, Dropped: b.dropped}
	for name := range strings.SplitSeq(b.models, ",") {
		for precision := range strings.SplitSeq(b.precisions, ",") {
			c, err := b.newCase(name, precision, b.steps)
			if err != nil {
				return err
			}
			b.cases = append(b.cases, c)
		}
	}
	if b.add {
		return b.join()
	}
	return nil
}

// join has the results begin with those of an earlier command, if that raced the same programs in the same way on the same machine
// and measured something else.
func (b *bench) join() error {
	file := filepath.Join(b.folder, "results.json")
	r, err := readResults(file)
	if err != nil {
		return err
	}
	if err := b.results.joins(r); err != nil {
		return fmt.Errorf("%s: %w", file, err)
	}
	for _, p := range strings.Split(b.parts, ",") {
		for _, c := range b.cases {
			if r.has(p, c.name, c.precision) {
				return fmt.Errorf("%s: has %s of %v already", file, p, c)
			}
		}
	}
	r.Command += "\n" + b.results.Command
	b.results = *r
	return nil
}

// measure runs the parts that were asked for.
func (b *bench) measure() error {
	asked := strings.Split(b.parts, ",")
	for _, p := range parts {
		if !slices.Contains(asked, p.name) {
			continue
		}
		if err := p.measure(b); err != nil {
			return fmt.Errorf("%s: %w", p.name, err)
		}
		if err := b.results.save(b.folder); err != nil {
			return err
		}
	}
	return nil
}

// train is our trainer, as built for the race.
func (b *bench) train() string { return filepath.Join(b.scratch, "train") }

// say tells whoever waits how far it is.
func (b *bench) say(format string, a ...any) {
	fmt.Fprintf(os.Stderr, time.Now().Format("15:04:05 ")+format+"\n", a...)
}

// commandLine is how to get the same table again. The interpreter may have any name.
func (b *bench) commandLine() string {
	c := fmt.Sprintf("go run ./bench/race -rounds %d -steps %d -dropped %d -threads %d -models %s -precisions %s -peers %s",
		b.rounds, b.steps, b.dropped, b.threads, b.models, b.precisions, b.peers)
	if b.parts != strings.Join(partNames(), ",") {
		c += " -parts " + b.parts
	}
	return c
}
