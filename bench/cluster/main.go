// Command cluster measures what it costs to train with several processes, and what a network does to a step. Run it from the repository's
// root, on a machine of two processors or more that does nothing else:
//
//	go run ./bench/cluster
//
// It runs cmd/train as several machines would, on this one. What needs namespaces of their own for the processes needs root, and says so
// where it cannot run. -help has the model of a step's time; README.md of bench/ says more.
package main

import (
	"context"
	"errors"
	"flag"
	"fmt"
	"io"
	"math"
	"os"
	"os/signal"
	"slices"
	"strconv"
	"strings"
	"syscall"
	"time"

	"frugal/bench/internal/document"
)

const folder = "bench/cluster"

const usage = `Measure training in several processes, and predict it for machines and networks that are not here.

  go run ./bench/cluster [-parts speed,bytes,link,prediction] [-rounds N] [-write FILE] …

A step with a network takes

  t = t_work + t_late + max(0, t_early − t_overlap)

where t_work is what a machine takes by itself. The n gradients of a stage cross in 2(W−1)/W·n·b/bandwidth + 2(W−1)·latency, around
a ring of W machines, b bytes each (4, with reduce_precision bf16 2). t_late is so for the embeddings and the first block, which are complete
last and so never hidden; t_early for all others, which cross beside the rest of the last micro-batch's backward pass, t_overlap: two thirds of a
micro-batch's time, times the share that the blocks but one have of all weights. Whatever gradient_accumulation_steps is, this is added once a step.
shard_optimizer sends (W−1)/W·4n more, behind the update; local_steps H divides what crosses by H.

`

// parts of what is measured.
const (
	speedPart      = "speed"
	bytesPart      = "bytes"
	linkPart       = "link"
	predictionPart = "prediction"
)

var parts = []string{speedPart, bytesPart, linkPart, predictionPart}

type options struct {
	parts                             []string
	rounds, steps, linkSteps, dropped int
	shape                             shape
	batch                             int
	accumulation, processes           []int
	rates                             []float64 // Mbit/s
	prediction
	write string
	given string // flags, but for write
}

func main() {
	o, err := parseFlags(os.Args[1:], os.Stdout)
	if errors.Is(err, flag.ErrHelp) {
		return
	}
	if err == nil {
		err = run(o)
	}
	if err != nil {
		fmt.Fprintln(os.Stderr, "bench/cluster:", err)
		os.Exit(1)
	}
}

// parseFlags reads the command line; help goes to out.
func parseFlags(args []string, out io.Writer) (o options, err error) {
	flags := flag.NewFlagSet(folder, flag.ContinueOnError)
	flags.SetOutput(io.Discard)
	which := flags.String("parts", strings.Join(parts, ","), "what to measure")
	flags.IntVar(&o.rounds, "rounds", 5, "times that each way runs, in turn; bytes are counted once")
	flags.IntVar(&o.steps, "steps", 12, "updates in a run of speed")
	flags.IntVar(&o.linkSteps, "link-steps", 5, "updates in a run of link")
	flags.IntVar(&o.dropped, "dropped", 2, "of these not timed, at the beginning")
	flags.IntVar(&o.shape.layers, "layers", 6, "layers of the model that is trained")
	flags.IntVar(&o.shape.hidden, "hidden", 384, "its width, a multiple of 64")
	flags.IntVar(&o.shape.vocabulary, "vocabulary", 8192, "its tokens")
	flags.IntVar(&o.shape.positions, "positions", 128, "tokens of a row")
	flags.IntVar(&o.batch, "batch", 4, "rows of a micro-batch, in each process")
	accumulation := flags.String("accumulation", "1,4", "micro-batches of an update, in each process; link has the first, and learns from the last what one more takes")
	processes := flags.String("processes", "2,3,4", "processes whose bytes are counted")
	rates := flags.String("rates", "50,100,200,500,1000", "of the link, in `Mbit/s`")
	flags.Float64Var(&o.tflops, "tflops", 20, "prediction: operations that a machine really does in a second, in `TFLOP/s`")
	flags.IntVar(&o.tokens, "tokens", 32768, "prediction: tokens that a machine sees in an update")
	flags.IntVar(&o.microBatches, "micro-batches", 4, "prediction: micro-batches that these are")
	flags.DurationVar(&o.latency, "latency", 50*time.Microsecond, "prediction, and link: of a message")
	machines := flags.String("machines", "2,4,8,16,32,64", "prediction: numbers of machines")
	networks := flags.String("networks", "1,10,25", "prediction: what a machine's network carries, in `Gbit/s`")
	flags.StringVar(&o.write, "write", "", "also put the tables into this Markdown `file`, between its markers")
	if err := flags.Parse(args); errors.Is(err, flag.ErrHelp) {
		fmt.Fprint(out, usage)
		flags.SetOutput(out)
		flags.PrintDefaults()
		return o, err
	} else if err != nil {
		return o, fmt.Errorf("%w (-help lists the flags)", err)
	}
	if flags.NArg() > 0 {
		return o, fmt.Errorf("unexpected argument %q (-help lists the flags)", flags.Arg(0))
	}
	flags.Visit(func(f *flag.Flag) {
		if f.Name != "write" {
			o.given += " -" + f.Name + " " + f.Value.String()
		}
	})
	for name := range strings.SplitSeq(*which, ",") {
		if !slices.Contains(parts, name) {
			return o, fmt.Errorf("-parts: no part %q", name)
		}
		o.parts = append(o.parts, name)
	}
	for _, l := range []struct {
		name, text string
		to         any
	}{{"accumulation", *accumulation, &o.accumulation}, {"processes", *processes, &o.processes}, {"machines", *machines, &o.machines}, {"rates", *rates, &o.rates},
		{"networks", *networks, &o.networks}} {
		if err := parseList(l.text, l.to); err != nil {
			return o, fmt.Errorf("-%s: %w", l.name, err)
		}
	}
	return o, o.check()
}

// parseList reads numbers above 0 that rise, into a *[]int or a *[]float64.
func parseList(text string, to any) error {
	last := 0.0
	for word := range strings.SplitSeq(text, ",") {
		x, err := strconv.ParseFloat(word, 64)
		if _, whole := to.(*[]int); err != nil || whole && x != float64(int(x)) || !(x > last) || x > 1e9 {
			return fmt.Errorf("%q: want numbers above 0 that rise, such as 1,4", text)
		}
		switch list := to.(type) {
		case *[]int:
			*list = append(*list, int(x))
		case *[]float64:
			*list = append(*list, x)
		}
		last = x
	}
	return nil
}

func (o options) check() error {
	for _, f := range []struct {
		name string
		is   int
		from int
	}{{"rounds", o.rounds, 1}, {"dropped", o.dropped, 0}, {"steps", o.steps, o.dropped + 1}, {"link-steps", o.linkSteps, o.dropped + 1}, {"layers", o.shape.layers, 1},
		{"hidden", o.shape.hidden, headWidth}, {"vocabulary", o.shape.vocabulary, 257}, {"positions", o.shape.positions, 2}, {"batch", o.batch, 1}, {"tokens", o.tokens, 1},
		{"micro-batches", o.microBatches, 1}, {"processes", o.processes[0], 2}, {"machines", o.machines[0], 2}} {
		if f.is < f.from {
			return fmt.Errorf("-%s: want at least %d, not %d", f.name, f.from, f.is)
		}
	}
	switch {
	case o.shape.hidden%headWidth != 0:
		return fmt.Errorf("-hidden: %d is not a multiple of %d, the width of a head", o.shape.hidden, headWidth)
	case !(o.tflops > 0) || math.IsInf(o.tflops, 0):
		return fmt.Errorf("-tflops: %g is no speed", o.tflops)
	case o.latency < 0:
		return fmt.Errorf("-latency: want at least 0, not %v", o.latency)
	}
	return nil
}

func run(o options) error {
	if o.write != "" { // before it takes its time
		page, err := os.ReadFile(o.write)
		if err == nil {
			_, err = document.MarkersOf(folder).Replace(page, "")
		}
		if err != nil {
			return fmt.Errorf("-write: %w", err)
		}
	}
	ctx, stop := signal.NotifyContext(context.Background(), os.Interrupt, syscall.SIGTERM, syscall.SIGHUP)
	defer stop()
	r := &results{options: o, failed: map[string]error{}}
	if err := r.measure(ctx); err != nil {
		return err
	}
	text := r.markdown()
	fmt.Print(text)
	if ctx.Err() != nil {
		return errors.New("interrupted")
	}
	var failed []string // why has been said
	for _, part := range parts {
		if r.failed[part] != nil {
			failed = append(failed, part)
		}
	}
	if len(failed) > 0 {
		return fmt.Errorf("not all of it was measured: %s", strings.Join(failed, ", "))
	}
	if o.write == "" {
		return nil
	}
	return document.MarkersOf(folder).Write(o.write, text)
}

// measure goes through the parts. One that fails, or cannot run here, does not keep the others from it.
func (r *results) measure(ctx context.Context) (err error) {
	if len(r.parts) == 1 && r.parts[0] == predictionPart {
		return nil
	}
	b, free, err := newBench(ctx, r.options)
	defer free()
	if err != nil {
		return err
	}
	r.version = b.version
	for _, part := range r.parts {
		if ctx.Err() != nil {
			break
		}
		switch part {
		case speedPart:
			r.speeds, err = b.measureSpeed(ctx)
		case bytesPart:
			r.traffic, err = b.measureTraffic(ctx)
		case linkPart:
			r.linked, err = b.measureLink(ctx)
		default:
			continue
		}
		if err != nil && ctx.Err() == nil {
			say("%s: %v", part, err)
			r.failed[part] = err
		}
	}
	return nil
}
