// Command generate continues texts with a GPT-2: flags, signals, errors and their exit codes.
package main

import (
	"errors"
	"flag"
	"fmt"
	"io"
	"os"
	"runtime"
	"strings"
	"syscall"

	"golang.org/x/term"

	"frugal/cmd/internal/program"
	"frugal/torch"
	"frugal/trainer/gpt2"
)

const usage = `Continue a text with a trained model.

  generate -model DIR -prompt TEXT [-n 1] [-max-length 200] [-temperature 0.7] [-top-p 0.9] [-top-k 0] [-seed 42]
  generate -model DIR < PROMPTS

DIR is a run's output_dir, a checkpoint of it, its final_model, or any Hugging Face GPT-2 directory. The text, the prompt
included, goes to standard output as it comes. Without -prompt each line of standard input that is not empty is a prompt; an
empty -prompt asks for a text from its beginning.

`

const codes = `
Exit codes: 0 done; 1 failed; 2 bad usage; 3 out of memory; 129, 130, 143 interrupted by SIGHUP, SIGINT, SIGTERM.
`

func main() {
	torch.ErrorStacks(program.Debug())
	program.Run("generate", func() int { return run(os.Args[1:], os.Stdin, os.Stdout, os.Stderr) })
}

// options are the flags.
type options struct {
	model, prompt, device, precision string
	hasPrompt                        bool
	n, threads                       int
	gpt2.Sampling
}

var precisions = map[string]torch.DType{"fp32": torch.Float32, "bf16": torch.BFloat16, "fp16": torch.Float16}

func run(args []string, stdin, stdout *os.File, stderr io.Writer) int {
	var o options
	flags := flag.NewFlagSet("generate", flag.ContinueOnError)
	flags.SetOutput(io.Discard)
	flags.StringVar(&o.model, "model", "", "the model's `DIR`")
	flags.StringVar(&o.prompt, "prompt", "", "the `TEXT` to continue")
	flags.IntVar(&o.n, "n", 1, "`N` texts to each prompt")
	flags.IntVar(&o.MaxLength, "max-length", 200, "a text's `TOKENS`, its prompt's included; 0: as many as the model takes, which ends every text")
	flags.Float64Var(&o.Temperature, "temperature", 0.7, "`T` below 1 makes likely tokens likelier, above 1 less so; 0: the likeliest always")
	flags.IntVar(&o.TopK, "top-k", 0, "only the `K` likeliest tokens; 0: all")
	flags.Float64Var(&o.TopP, "top-p", 0.9, "of these the fewest whose probabilities sum to `P`; 1: all")
	flags.Uint64Var(&o.Seed, "seed", 42, "the same `SEED` gives the same text, another one another")
	flags.StringVar(&o.device, "device", "auto", "`NAME`: auto, cpu, cuda or cuda:N")
	flags.StringVar(&o.precision, "precision", "fp32", "compute in `TYPE`: fp32, bf16 or fp16")
	flags.IntVar(&o.threads, "threads", 0, "`N` threads on the CPU; 0: libtorch's choice")
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
		return fail(stderr, 2, "%v (generate -help lists the flags)", err)
	}
	flags.Visit(func(f *flag.Flag) { o.hasPrompt = o.hasPrompt || f.Name == "prompt" })
	switch {
	case *version:
		fmt.Fprintf(stdout, "frugal %s, libtorch %s, %s, %s/%s\n", program.Version(), torch.Version, runtime.Version(), runtime.GOOS, runtime.GOARCH)
		return 0
	case flags.NArg() > 0:
		return fail(stderr, 2, "unexpected argument %q (a prompt of several words needs quotes; generate -help lists the flags)", flags.Arg(0))
	case o.model == "" && flags.NFlag() == 0:
		help(stderr)
		return 2
	}
	if err := o.check(); err != nil {
		return fail(stderr, 2, "%v", err)
	}
	ctx, signals := program.WatchSignals(func(syscall.Signal) {})
	s := session{options: o, stdin: stdin, stdout: stdout, stderr: stderr, asks: term.IsTerminal(int(stdin.Fd())), shows: term.IsTerminal(int(stdout.Fd()))}
	err := s.run(ctx)
	select {
	case s := <-signals:
		return 128 + int(s.(syscall.Signal))
	default:
		return report(stderr, err)
	}
}

// check says what is impossible, by the flags' names, and sets what follows from them.
func (o *options) check() error {
	precision, known := precisions[o.precision]
	o.Precision = precision
	switch {
	case o.model == "":
		return errors.New("-model is missing: want the directory of a model")
	case !known:
		return fmt.Errorf("-precision: %q, want fp32, bf16 or fp16", o.precision)
	case o.n < 1 || o.n > 10_000:
		return fmt.Errorf("-n: %d, want 1 to 10000", o.n)
	case o.threads < 0 || o.threads > 4096:
		return fmt.Errorf("-threads: %d, want 0 (libtorch's choice) to 4096", o.threads)
	}
	if err := o.Sampling.Check(); err != nil {
		return fmt.Errorf("-%s", strings.Replace(strings.Replace(err.Error(), "_", "-", 1), " is ", ": ", 1))
	}
	return nil
}

// report prints an error and gives its exit code.
func report(stderr io.Writer, err error) int {
	var tensor *torch.Error
	var bad *usageError
	switch {
	case err == nil:
		return 0
	case errors.As(err, &bad):
		return fail(stderr, 2, "%v", err)
	case errors.As(err, &tensor) && tensor.Kind == torch.OutOfMemory:
		return fail(stderr, 3, "%v; a smaller -n or -max-length needs less", err)
	}
	return fail(stderr, 1, "%v", err)
}

func fail(stderr io.Writer, code int, format string, a ...any) int {
	return program.Fail(stderr, "generate", code, format, a...)
}
