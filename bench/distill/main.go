// Command distill measures what learning from a teacher costs and what a cache of its probabilities loses: the same student trained
// plainly, with the teacher in memory, and from caches of its k largest probabilities, in turn. Run it from the repository's root:
//
//	go run ./bench/distill -rounds 5 -threads 1
package main

import (
	"context"
	"encoding/json"
	"flag"
	"fmt"
	"os"
	"os/exec"
	"os/signal"
	"path/filepath"
	"slices"
	"strconv"
	"strings"
	"syscall"
)

// settings are both models': sizes but for the width are the flags'.
var settings = []string{"device=cpu", "tokenizer.type=bpe", "tokenizer.vocab_size=8192", "vocab_size=8192", "max_position_embeddings=256", "batch_size=4",
	"gradient_accumulation_steps=1", "gradient_checkpointing=false", "learning_rate=1e-3", "warmup_steps=10", "logging_steps=1", "eval_steps=0", "save_steps=0",
	"monitoring.tensorboard=false", "monitoring.progress=off", "resume=never"}

var (
	teacherSize = []string{"hidden_size=384", "num_layers=6", "num_heads=6", "intermediate_size=1536"}
	studentSize = []string{"hidden_size=192", "num_layers=4", "num_heads=4", "intermediate_size=768"}
)

// bench is the flags, and where everything lies.
type bench struct {
	rounds, steps, dropped, taught, threads int
	precision                               string
	ks                                      []int
	folder, program                         string
}

// way is a way to train the student, and what its runs took.
type way struct {
	name    string
	set     []string
	seconds []float64 // a step's, the median of each round
	memory  []float64 // the process's peak, bytes
}

func main() {
	b := bench{ks: []int{16, 64, 256}}
	flag.IntVar(&b.rounds, "rounds", 5, "times that each way runs, in turn")
	flag.IntVar(&b.steps, "steps", 14, "updates in a run")
	flag.IntVar(&b.dropped, "dropped", 4, "of these not timed, at the beginning")
	flag.IntVar(&b.taught, "taught", 60, "updates that the teacher is trained for first")
	flag.IntVar(&b.threads, "threads", 1, "threads")
	flag.StringVar(&b.precision, "precision", "bf16", "precision of both models: fp32, bf16")
	flag.Parse()
	if err := b.run(); err != nil {
		fmt.Fprintln(os.Stderr, "bench/distill:", err)
		os.Exit(1)
	}
}

// check says what of the command line cannot be, before anything is built.
func (b *bench) check() error {
	switch {
	case flag.NArg() > 0:
		return fmt.Errorf("unexpected argument %q", flag.Arg(0))
	case b.rounds < 1 || b.threads < 1 || b.taught < 1 || b.dropped < 0 || b.steps <= b.dropped:
		return fmt.Errorf("want at least one round, one thread, one update of the teacher, and more steps (%d) than are dropped (%d)", b.steps, b.dropped)
	case b.precision != "fp32" && b.precision != "bf16":
		return fmt.Errorf("-precision: no precision %q: want fp32 or bf16", b.precision)
	}
	return nil
}

func (b *bench) run() (err error) {
	if err := b.check(); err != nil {
		return err
	}
	ctx, stop := signal.NotifyContext(context.Background(), os.Interrupt, syscall.SIGTERM)
	defer stop()
	if b.folder, err = os.MkdirTemp("", "bench-distill-"); err != nil {
		return err
	}
	defer os.RemoveAll(b.folder)
	b.program = filepath.Join(b.folder, "train")
	if out, err := exec.CommandContext(ctx, "go", "build", "-o", b.program, "./cmd/train").CombinedOutput(); err != nil {
		return fmt.Errorf("go build: %w: %s", err, out)
	}
	if _, err := b.train(ctx, "teacher", append(slices.Clone(teacherSize), fmt.Sprint("max_steps=", b.taught))); err != nil {
		return err
	}
	ways := b.ways()
	for _, w := range ways[2:] { // the caches are made before anything is timed
		if _, err := b.train(ctx, "student", append(w.set, "max_steps=1")); err != nil {
			return err
		}
	}
	for round := range b.rounds {
		for _, w := range ways {
			steps, err := b.train(ctx, "student", append(w.set, fmt.Sprint("max_steps=", b.steps)))
			if err != nil {
				return fmt.Errorf("%s: %w", w.name, err)
			}
			w.add(steps[b.dropped:])
			fmt.Fprintf(os.Stderr, "round %d of %d, %s: %.3f s a step, %.0f MB\n", round+1, b.rounds, w.name, w.seconds[round], w.memory[round]/1e6)
		}
	}
	errs, err := b.errors(filepath.Join(b.folder, "teacher"), filepath.Join(b.folder, "student"))
	if err != nil {
		return err
	}
	return b.report(ways, errs)
}

// ways are plain, exact, and one for each k.
func (b *bench) ways() []*way {
	student := append(slices.Clone(studentSize), "distillation.teacher="+filepath.Join(b.folder, "teacher"))
	taught := append(slices.Clone(student), "distillation.enabled=true")
	ways := []*way{{name: "plain", set: slices.Clip(student)}, {name: "teacher in memory", set: slices.Clip(taught)}}
	for _, k := range b.ks {
		set := append(slices.Clone(taught), "distillation.cache="+b.cache(k), fmt.Sprint("distillation.cache_top_k=", k))
		ways = append(ways, &way{name: fmt.Sprint("cache, k = ", k), set: slices.Clip(set)})
	}
	return ways
}

func (b *bench) cache(k int) string { return filepath.Join(b.folder, fmt.Sprint("top", k)) }

// step is a line of metrics.jsonl.
type step struct {
	Event   string
	Seconds float64 `json:"step_seconds"`
	Memory  float64 `json:"peak_memory_bytes"`
}

// train runs the program and returns its steps.
func (b *bench) train(ctx context.Context, output string, set []string) (steps []step, err error) {
	dir := filepath.Join(b.folder, output)
	all := append(slices.Clone(settings), "output_dir="+dir, "precision="+b.precision, "data.cache_dir="+filepath.Join(b.folder, "tokens"), fmt.Sprint("threads=", b.threads))
	var arguments []string
	for _, s := range append(all, set...) {
		arguments = append(arguments, "-set", s)
	}
	if out, err := exec.CommandContext(ctx, b.program, arguments...).CombinedOutput(); err != nil {
		return nil, fmt.Errorf("train: %w: %s", err, out)
	}
	text, err := os.ReadFile(filepath.Join(dir, "metrics.jsonl"))
	if err != nil {
		return nil, err
	}
	for line := range strings.Lines(string(text)) {
		var s step
		if err := json.Unmarshal([]byte(line), &s); err != nil {
			return nil, err
		}
		if s.Event == "train" {
			steps = append(steps, s)
		}
	}
	return steps, nil
}

func (w *way) add(steps []step) {
	var seconds []float64
	for _, s := range steps {
		seconds = append(seconds, s.Seconds)
	}
	w.seconds = append(w.seconds, median(seconds))
	w.memory = append(w.memory, steps[len(steps)-1].Memory)
}

func (b *bench) report(ways []*way, errs []loss) error {
	fmt.Printf("%d rounds of %d steps, %s, %d thread(s).\n\n", b.rounds, b.steps-b.dropped, b.precision, b.threads)
	fmt.Printf("| | a step, s | ÷ plain of the same round | peak memory, MB | cache, bytes a token |\n|---|---|---|---|---|\n")
	for i, w := range ways {
		var ratios []float64
		for round, s := range w.seconds {
			ratios = append(ratios, s/ways[0].seconds[round])
		}
		size := ""
		if i >= 2 {
			bytes, err := b.bytesPerToken(b.ks[i-2])
			if err != nil {
				return err
			}
			size = strconv.FormatFloat(bytes, 'f', 0, 64)
		}
		fmt.Printf("| %s | %.3f (%.3f–%.3f) | %.2f (%.2f–%.2f) | %.0f | %s |\n", w.name, median(w.seconds), slices.Min(w.seconds), slices.Max(w.seconds),
			median(ratios), slices.Min(ratios), slices.Max(ratios), median(w.memory)/1e6, size)
	}
	fmt.Printf("\n| temperature | k | the k hold | loss off by | gradient off by |\n|---|---|---|---|---|\n")
	for _, e := range errs {
		fmt.Printf("| %v | %d | %.1f%% | %.2g%% | %.2g%% |\n", e.temperature, e.k, 100*e.mass, 100*e.value, 100*e.gradient)
	}
	return nil
}

// bytesPerToken divides the cache's size by the training tokens, which the run's start tells.
func (b *bench) bytesPerToken(k int) (float64, error) {
	files, err := filepath.Glob(filepath.Join(b.cache(k), "*.cache"))
	if err != nil || len(files) != 1 {
		return 0, fmt.Errorf("caches %v: %w", files, err)
	}
	info, err := os.Stat(files[0])
	if err != nil {
		return 0, err
	}
	text, err := os.ReadFile(filepath.Join(b.folder, "student", "metrics.jsonl"))
	if err != nil {
		return 0, err
	}
	first, _, _ := strings.Cut(string(text), "\n")
	var start struct {
		Rows float64 `json:"train_rows"`
	}
	if err := json.Unmarshal([]byte(first), &start); err != nil {
		return 0, err
	}
	return float64(info.Size()) / (start.Rows * 256), nil
}

func median(list []float64) float64 {
	sorted := slices.Sorted(slices.Values(list))
	n := len(sorted)
	return (sorted[(n-1)/2] + sorted[n/2]) / 2
}
