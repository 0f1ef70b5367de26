// Command train trains a GPT-2 from a configuration file: flags, signals, errors and their exit codes.
package main

import (
	"errors"
	"flag"
	"fmt"
	"io"
	"os"
	"os/signal"
	"runtime"
	"strings"
	"syscall"

	"golang.org/x/sys/unix"

	"frugal/cmd/internal/program"
	"frugal/torch"
	"frugal/trainer"
	"frugal/trainer/config"
	"frugal/trainer/launch"
)

const usage = `Train a GPT-2-class language model.

  train -config FILE [-set key=value]… [-resume auto|never|DIR] [-nproc N [-max-restarts K]] [-dry-run] [-print-config] [-version]

Several processes, on one machine by -nproc or on several by torchrun, srun or mpirun, train one model: docs/cluster.md.

`

const codes = `
Exit codes: 0 done; 1 failed; 2 bad usage or configuration; 3 out of memory; 4 the loss is not finite; 5 no space or output not
writable; 6 another process was lost; 129, 130, 143 interrupted by SIGHUP, SIGINT, SIGTERM after saving a checkpoint (a second signal stops at once).
`

func main() {
	torch.ErrorStacks(program.Debug())
	program.Run("train", func() int { return run(os.Args[1:], os.Stdout, os.Stderr) })
}

// settings are repeated -set flags.
type settings []string

func (s *settings) String() string { return strings.Join(*s, " ") }

func (s *settings) Set(v string) error {
	*s = append(*s, v)
	return nil
}

func run(args []string, stdout, stderr io.Writer) int {
	flags := flag.NewFlagSet("train", flag.ContinueOnError)
	flags.SetOutput(io.Discard)
	var set settings
	path := flags.String("config", "", "the configuration `FILE`: .yaml, .json or .toml")
	flags.Var(&set, "set", "`key=value` over the file's; may be repeated")
	resume := flags.String("resume", "", "auto, never, or a checkpoint's `DIR`: over the file's resume")
	nproc := flags.Int("nproc", 0, "start `N` processes on this machine that train together")
	maxRestarts := flags.Int("max-restarts", 0, "with -nproc: when one dies start all again from the last checkpoint, `K` times at most")
	dryRun := flags.Bool("dry-run", false, "say what would happen and what memory and time it would take; write nothing")
	printConfig := flags.Bool("print-config", false, "print the whole configuration as YAML")
	version := flags.Bool("version", false, "print the versions")
	help := func(w io.Writer) {
		fmt.Fprint(w, usage)
		flags.SetOutput(w)
		flags.PrintDefaults()
		fmt.Fprint(w, codes)
	}
	if err := flags.Parse(args); errors.Is(err, flag.ErrHelp) {
		help(stdout)
		return 0
	} else if err != nil {
		return fail(stderr, 2, "%v (train -help lists the flags)", err)
	}
	switch {
	case *version:
		fmt.Fprintf(stdout, "frugal %s, libtorch %s, %s, %s/%s\n", program.Version(), torch.Version, runtime.Version(), runtime.GOOS, runtime.GOARCH)
		return 0
	case flags.NArg() > 0:
		return fail(stderr, 2, "unexpected argument %q (train -help lists the flags)", flags.Arg(0))
	case *path == "" && len(set) == 0 && !*printConfig:
		help(stderr)
		return 2
	}
	if *resume == "" && given(flags, "resume") {
		return fail(stderr, 2, "-resume is empty: want auto, never or a checkpoint's directory")
	}
	place, err := launch.Find(os.Environ())
	var within *launch.Place
	if launches := *nproc > 1 || *nproc == 1 && *maxRestarts > 0; err == nil && launches && place.IsOne() { // such as srun's shell: who asks for processes gets them
		place, within = nil, place
	}
	switch {
	case err != nil:
		return fail(stderr, 2, "%v", err)
	case *nproc < 0 || *nproc == 0 && given(flags, "nproc"):
		return fail(stderr, 2, "-nproc %d: want at least 1", *nproc)
	case *maxRestarts < 0:
		return fail(stderr, 2, "-max-restarts %d: want at least 0", *maxRestarts)
	case *nproc == 0 && given(flags, "max-restarts"):
		return fail(stderr, 2, "-max-restarts goes with -nproc; other launchers have their own")
	case *nproc > 0 && place != nil && *nproc != place.LocalSize:
		return fail(stderr, 2, "-nproc %d: %s has started %d processes here already; leave it out", *nproc, place.From, place.LocalSize)
	}
	if *resume != "" {
		set = append(set, fmt.Sprintf("resume=%q", *resume))
	}
	c, choices, err := config.Load(config.LoadOptions{Path: *path, Set: set, Environ: os.Environ(), CardMemoryGB: trainer.CardMemoryGB})
	if err != nil {
		return fail(stderr, 2, "%v", err)
	}
	if *printConfig {
		text, err := c.YAML()
		if err != nil {
			return fail(stderr, 1, "%v", err)
		}
		stdout.Write(text)
		return 0
	}
	signal.Ignore(syscall.SIGPIPE) // a reader of the log that goes away must not end the run
	ctx, signals := program.WatchSignals(func(second syscall.Signal) {
		fail(stderr, 0, "stopped at once by a second signal (%s), without saving", unix.SignalName(second))
	})
	if (*nproc > 1 || *maxRestarts > 0) && place == nil && !*dryRun {
		return startProcesses(*nproc, *maxRestarts, within, args, signals, stdout, stderr)
	}
	o := trainer.Options{Config: c, Choices: choices, Version: program.Version(), Stderr: stderr, Signals: signals, Place: place}
	if place != nil {
		stderr = rankWriter(place, stderr)
		o.Gone = whenGone(place)
		o.Lost = func(e *trainer.LostError) { os.Exit(report(stderr, e)) }
	}
	if *dryRun {
		if o.Place == nil && *nproc > 1 {
			o.Place = &launch.Place{Size: *nproc, LocalSize: *nproc}
		}
		if o.Place != nil && o.Place.Rank > 0 {
			return 0 // the first tells it
		}
		return report(stderr, trainer.DryRun(ctx, o, stdout))
	}
	err = trainer.Run(ctx, o)
	if place != nil && place.Size > 1 && place.LocalRank > 0 && known(err) {
		stderr = io.Discard
	}
	return report(stderr, err)
}

// given says whether a flag is on the command line.
func given(flags *flag.FlagSet, name string) (found bool) {
	flags.Visit(func(f *flag.Flag) { found = found || f.Name == name })
	return found
}

// report prints an error and gives its exit code.
func report(stderr io.Writer, err error) int {
	var (
		interrupted *trainer.Interrupted
		notFinite   *trainer.NotFiniteError
		output      *trainer.OutputError
		settings    *config.Error
		mismatch    *trainer.MismatchError
		lost        *trainer.LostError
		tensor      *torch.Error
	)
	switch {
	case err == nil:
		return 0
	case errors.As(err, &interrupted):
		return fail(stderr, 128+int(interrupted.Signal.(syscall.Signal)), "%v", err)
	case errors.As(err, &settings), errors.As(err, &mismatch):
		return fail(stderr, 2, "%v", err)
	case errors.As(err, &lost):
		return fail(stderr, lostCode, "%v", err)
	case errors.As(err, &tensor) && tensor.Kind == torch.OutOfMemory:
		return fail(stderr, 3, "%v; %s", err, needsLess(err))
	case errors.As(err, &tensor):
		return fail(stderr, 1, "%v", err)
	case errors.As(err, &notFinite):
		return fail(stderr, 4, "%v", err)
	case errors.As(err, &output), errors.Is(err, syscall.ENOSPC), errors.Is(err, syscall.EDQUOT):
		return fail(stderr, 5, "%v", err)
	}
	return fail(stderr, 1, "%v", err)
}

// needsLess is what helps when memory is short, by what was being done.
func needsLess(err error) string {
	text := err.Error()
	switch {
	case strings.Contains(text, ": cpu_offload "): // of the host's memory
		return "a smaller hidden_size, num_layers or vocabulary needs less"
	case strings.HasPrefix(text, "making the model"), strings.HasPrefix(text, "initialising the weights"):
		return "a smaller hidden_size, num_layers or vocabulary needs less, and so does cpu_offload where the device is a card"
	case strings.HasPrefix(text, "step "): // it has been tried with a row at a time
		return "one row at a time does not fit; a smaller model or a shorter max_position_embeddings needs less, and so do gradient_checkpointing: true and, on a card, cpu_offload where they are not set yet"
	case strings.HasPrefix(text, "evaluation"): // so has that
		return "one row at a time does not fit; a smaller model or a shorter max_position_embeddings needs less, and so does, on a card, cpu_offload where it is not set yet"
	}
	return "a smaller batch_size (with more gradient_accumulation_steps), gradient_checkpointing: true or a shorter max_position_embeddings needs less"
}

func fail(stderr io.Writer, code int, format string, a ...any) int {
	return program.Fail(stderr, "train", code, format, a...)
}
