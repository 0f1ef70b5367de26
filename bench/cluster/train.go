package main

// Runs of the program.

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strings"
	"sync"
	"syscall"
	"time"
)

// bench is the flags, and where everything lies.
type bench struct {
	options
	folder, program, version string
}

// newBench builds the program, and has it cut the corpus into tokens.
func newBench(ctx context.Context, o options) (b *bench, free func(), err error) {
	b = &bench{options: o}
	free = func() { os.RemoveAll(b.folder) }
	if b.folder, err = os.MkdirTemp("", "bench-cluster-"); err != nil {
		return b, free, err
	}
	b.program = filepath.Join(b.folder, "train")
	if _, err := output(ctx, "go", "build", "-o", b.program, "./cmd/train"); err != nil {
		return b, free, err
	}
	if b.version, err = output(ctx, b.program, "-version"); err != nil {
		return b, free, err
	}
	_, err = b.run(ctx, job{set: b.settings(1, 1)})
	return b, free, err
}

// settings of a run: nothing but the training, and nothing that the program would choose by measuring.
func (b *bench) settings(accumulation, steps int) []string {
	s := b.shape
	set := []string{"device=cpu", "threads=1", "precision=fp32", "linear=onednn", "attention=flash", "dropout=0", "gradient_checkpointing=false", "tokenizer.type=byte",
		"learning_rate=1e-4", "warmup_steps=0", "logging_steps=1", "eval_steps=0", "save_steps=0", "data.eval_fraction=0", "monitoring.tensorboard=false",
		"monitoring.progress=off", "monitoring.listen=", "resume=never", "data.cache_dir=" + filepath.Join(b.folder, "tokens")}
	for _, n := range []struct {
		key string
		is  int
	}{{"num_layers", s.layers}, {"hidden_size", s.hidden}, {"num_heads", s.hidden / headWidth}, {"intermediate_size", 4 * s.hidden}, {"vocab_size", s.vocabulary},
		{"max_position_embeddings", s.positions}, {"batch_size", b.batch}, {"gradient_accumulation_steps", accumulation}, {"max_steps", steps}} {
		set = append(set, fmt.Sprintf("%s=%d", n.key, n.is))
	}
	return set
}

// headWidth is that of GPT-2 in all its sizes.
const headWidth = 64

// job is one start of the program.
type job struct {
	host    string // a namespace; "": this machine
	nproc   int    // 0: one process
	environ []string
	set     []string
}

// step is a line of metrics.jsonl.
type step struct {
	Event   string
	Seconds float64 `json:"step_seconds"`
	Tokens  float64 `json:"tokens_per_second"`
}

// impatience is how long the program may take to end when it has been told to.
const impatience = 40 * time.Second

// run starts jobs at once and waits for all; when one fails the others are told to end. The steps of each come in their order; a process that is
// not the first of several has none.
func (b *bench) run(ctx context.Context, jobs ...job) ([][]step, error) {
	inner, cancel := context.WithCancel(ctx)
	defer cancel()
	steps, errs := make([][]step, len(jobs)), make([]error, len(jobs))
	var running sync.WaitGroup
	for i, j := range jobs {
		running.Go(func() {
			if steps[i], errs[i] = b.one(inner, j, fmt.Sprint("run", i)); errs[i] != nil {
				cancel()
			}
		})
	}
	running.Wait()
	switch i := slices.IndexFunc(errs, func(err error) bool { return err != nil && !errors.Is(err, context.Canceled) }); {
	case ctx.Err() != nil:
		return nil, ctx.Err()
	case i >= 0:
		return nil, errs[i]
	}
	return steps, nil
}

func (b *bench) one(ctx context.Context, j job, name string) ([]step, error) {
	dir := filepath.Join(b.folder, name)
	defer os.RemoveAll(dir)
	args := []string{b.program}
	if j.host != "" {
		args = append([]string{"ip", "netns", "exec", j.host}, args...)
	}
	if j.nproc > 0 {
		args = append(args, "-nproc", fmt.Sprint(j.nproc))
	}
	for _, s := range append([]string{"output_dir=" + filepath.Join(dir, "output"), "logging_dir=" + filepath.Join(dir, "logs")}, j.set...) {
		args = append(args, "-set", s)
	}
	c := exec.CommandContext(ctx, args[0], args[1:]...)
	c.Cancel = func() error { return c.Process.Signal(syscall.SIGTERM) }
	c.WaitDelay = impatience
	c.Env = append(os.Environ(), j.environ...)
	c.SysProcAttr = &syscall.SysProcAttr{Setpgid: true} // the terminal's signals are the bench's
	var log bytes.Buffer
	c.Stdout, c.Stderr = &log, &log
	if err := c.Run(); err != nil {
		if ctx.Err() != nil {
			return nil, ctx.Err()
		}
		return nil, fmt.Errorf("train: %w: %s", err, lastLine(log.Bytes()))
	}
	if slices.ContainsFunc(j.environ, func(e string) bool { return strings.HasPrefix(e, "RANK=") && e != "RANK=0" }) {
		return nil, nil
	}
	return readSteps(filepath.Join(dir, "output", "metrics.jsonl"))
}

func readSteps(file string) (steps []step, err error) {
	text, err := os.ReadFile(file)
	if err != nil {
		return nil, err
	}
	for line := range strings.Lines(string(text)) {
		var s step
		if err := json.Unmarshal([]byte(line), &s); err != nil {
			return nil, fmt.Errorf("%s: %w", file, err)
		}
		if s.Event == "train" {
			steps = append(steps, s)
		}
	}
	return steps, nil
}

// pace is a run's: the medians of its steps but the first.
type pace struct{ seconds, tokens float64 }

func (b *bench) paceOf(steps []step) (pace, error) {
	if len(steps) <= b.dropped {
		return pace{}, fmt.Errorf("a run logged %d steps, of which %d do not count", len(steps), b.dropped)
	}
	var seconds, tokens sample
	for _, s := range steps[b.dropped:] {
		seconds, tokens = append(seconds, s.Seconds), append(tokens, s.Tokens)
	}
	return pace{seconds.median(), tokens.median()}, nil
}

// measure runs jobs at once: the mean of their steps, and the tokens of all.
func (b *bench) measure(ctx context.Context, jobs ...job) (sum pace, err error) {
	all, err := b.run(ctx, jobs...)
	if err != nil {
		return pace{}, err
	}
	n := 0.0
	for _, steps := range all {
		if steps == nil {
			continue
		}
		p, err := b.paceOf(steps)
		if err != nil {
			return pace{}, err
		}
		sum.seconds, sum.tokens, n = sum.seconds+p.seconds, sum.tokens+p.tokens, n+1
	}
	sum.seconds /= n
	return sum, nil
}

// sample is what was measured of one thing, by round.
type sample []float64

func (s sample) median() float64 {
	sorted := slices.Sorted(slices.Values(s))
	n := len(sorted)
	return (sorted[(n-1)/2] + sorted[n/2]) / 2
}

// by is a sample as ratios to another of the same rounds.
func (s sample) by(other sample) (ratios sample) {
	for i, x := range s {
		ratios = append(ratios, x/other[i])
	}
	return ratios
}

// cell is the median, with the lowest and the highest where there were several rounds.
func (s sample) cell(format string, times float64) string {
	if len(s) == 0 {
		return ""
	}
	text := fmt.Sprintf(format, times*s.median())
	if len(s) > 1 {
		text += fmt.Sprintf(" ("+format+"–"+format+")", times*slices.Min(s), times*slices.Max(s))
	}
	return text
}
