// Command generate times our generation beside Hugging Face's on a CPU: the same weights, the same prompt, greedy, in fp32, with
// the same number of threads. The texts must be the same, or there is no table.
//
//	go run ./bench/generate -python python3
package main

import (
	"context"
	"flag"
	"fmt"
	"math/rand/v2"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strings"
	"time"

	"frugal/torch"
	"frugal/trainer"
	"frugal/trainer/gpt2"
)

const script = "bench/generate/huggingface.py"

// shapes are the models that are made for the comparison, with random weights. Another name is a directory.
var shapes = map[string]string{
	"gpt2":  `{"n_layer": 12, "n_head": 12, "n_embd": 768, "n_positions": 1024}`,
	"6x384": `{"n_layer": 6, "n_head": 6, "n_embd": 384, "n_positions": 1024}`,
	"4x256": `{"n_layer": 4, "n_head": 4, "n_embd": 256, "n_positions": 512}`,
}

// bench is the command line.
type bench struct {
	python, models          string
	threads, rounds, tokens int
	sequences               string
}

func main() {
	var b bench
	flag.StringVar(&b.python, "python", "python3", "the `INTERPRETER` with torch and transformers")
	flag.StringVar(&b.models, "models", "gpt2,6x384,4x256", "shapes (gpt2, 6x384, 4x256) or directories of models")
	flag.StringVar(&b.sequences, "n", "1,4", "how many sequences at once")
	flag.IntVar(&b.threads, "threads", 2, "of both sides")
	flag.IntVar(&b.rounds, "rounds", 5, "how often both sides take a turn")
	flag.IntVar(&b.tokens, "tokens", 64, "timed tokens a round")
	flag.Parse()
	if err := b.run(); err != nil {
		fmt.Fprintln(os.Stderr, "bench/generate:", err)
		os.Exit(1)
	}
}

func (b *bench) run() error {
	switch {
	case flag.NArg() > 0:
		return fmt.Errorf("unexpected argument %q", flag.Arg(0))
	case b.rounds < 1 || b.threads < 1 || b.tokens < 1:
		return fmt.Errorf("want at least one round (%d), one thread (%d) and one token (%d)", b.rounds, b.threads, b.tokens)
	}
	if _, err := os.Stat(script); err != nil {
		return fmt.Errorf("run it at the project's root: %w", err)
	}
	folder, err := os.MkdirTemp("", "frugal-generate-")
	if err != nil {
		return err
	}
	defer os.RemoveAll(folder)
	var counts []int
	for text := range strings.SplitSeq(b.sequences, ",") {
		n := 0
		if _, err := fmt.Sscan(text, &n); err != nil || n < 1 {
			return fmt.Errorf("-n: %q is no number of sequences", text)
		}
		counts = append(counts, n)
	}
	thread := torch.StartThread()
	defer thread.Stop()
	fmt.Printf("Threads of each side: %d. %d rounds of %d tokens after a prompt of 16, fp32, greedy.\n\n", b.threads, b.rounds, b.tokens)
	fmt.Printf("| model | sequences | ours, ms a token | Hugging Face, ms a token | Hugging Face ÷ ours (lowest–highest) |\n|---|---|---|---|---|\n")
	for name := range strings.SplitSeq(b.models, ",") {
		directory := name
		if shape, made := shapes[name]; made {
			directory = filepath.Join(folder, name)
			if out, err := exec.Command(b.python, script, "init", shape, directory).CombinedOutput(); err != nil {
				return fmt.Errorf("%s: %w: %s", script, err, out)
			}
		}
		if err := torch.Call(thread, func() error { return b.compare(name, directory, counts) }); err != nil {
			return fmt.Errorf("%s: %w", name, err)
		}
	}
	return nil
}

// compare prints the rows of one model. On the tensor thread.
func (b *bench) compare(name, directory string, counts []int) error {
	torch.SetNumThreads(b.threads)
	p, err := startPeer(b.python, directory, b.threads)
	if err != nil {
		return err
	}
	defer p.stop()
	opened, err := trainer.OpenPretrained(directory, torch.CPU)
	if err != nil {
		return err
	}
	model := opened.Model
	defer model.Free()
	random := rand.New(rand.NewPCG(1, 2))
	prompt := make([]int64, 16)
	for i := range prompt {
		prompt[i] = random.Int64N(int64(model.VocabSize))
	}
	for _, n := range counts {
		var ours, peers, ratios []float64
		for round := range b.rounds + 1 {
			mine, myTexts, err := b.perToken(ourSide{model}, prompt, n)
			if err != nil {
				return err
			}
			theirs, theirTexts, err := b.perToken(p, prompt, n)
			if err != nil {
				return err
			}
			if !slices.EqualFunc(myTexts, theirTexts, slices.Equal[[]int64]) {
				return fmt.Errorf("the texts differ:\n%v\n%v", myTexts, theirTexts)
			}
			if round > 0 { // the first warms both up
				ours, peers, ratios = append(ours, mine), append(peers, theirs), append(ratios, theirs/mine)
			}
		}
		fmt.Printf("| %s | %d | %.2f | %.2f | %.2f (%.2f–%.2f) |\n", name, n, median(ours)*1e3, median(peers)*1e3, median(ratios), slices.Min(ratios), slices.Max(ratios))
	}
	return nil
}

// side generates greedily; the seconds are those of the whole call.
type side interface {
	generate(prompt []int64, n, tokens int) (seconds float64, texts [][]int64, err error)
}

// perToken is the time of a token of all n sequences: that of a text, less that of its first token with the prompt.
func (b *bench) perToken(s side, prompt []int64, n int) (seconds float64, texts [][]int64, err error) {
	first, _, err := s.generate(prompt, n, 1)
	if err != nil {
		return 0, nil, err
	}
	all, texts, err := s.generate(prompt, n, 1+b.tokens)
	return (all - first) / float64(b.tokens), texts, err
}

type ourSide struct{ *gpt2.Model }

func (o ourSide) generate(prompt []int64, n, tokens int) (float64, [][]int64, error) {
	start := time.Now()
	s := gpt2.Sampling{TopP: 1, MaxLength: len(prompt) + tokens, EndToken: -1, Precision: torch.Float32}
	texts, err := o.Generate(context.Background(), prompt, n, s, nil)
	return time.Since(start).Seconds(), texts, err
}

func median(list []float64) float64 {
	sorted := slices.Sorted(slices.Values(list))
	n := len(sorted)
	return (sorted[(n-1)/2] + sorted[n/2]) / 2
}
