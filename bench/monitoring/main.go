// Command monitoring measures what it costs to look at a training: the demo's model with nothing shown, with the default
// settings, and with everything on, in turn. Run it from the repository's root, on a machine that does nothing else:
//
//	go run ./bench/monitoring -rounds 7
package main

import (
	"bufio"
	"context"
	"encoding/json"
	"errors"
	"flag"
	"fmt"
	"io"
	"net/http"
	"os"
	"os/exec"
	"os/signal"
	"path/filepath"
	"slices"
	"strings"
	"syscall"
	"time"
)

// way is a way to run the trainer.
type way struct {
	name string
	set  []string
	live bool // somebody reads the live page
}

var ways = []way{
	{"nothing shown", []string{"monitoring.tensorboard=false", "monitoring.progress=off", "logging_steps=1000000"}, false},
	{"default settings", nil, false},
	{"and the live page, with a reader", []string{"monitoring.listen=127.0.0.1:0"}, true},
	{"and histograms each 50 steps", []string{"monitoring.listen=127.0.0.1:0", "monitoring.histogram_steps=50"}, true},
}

// always is set in every run: the demo, without what the comparison is not about.
var always = []string{"eval_steps=0", "save_steps=0", "device=cpu", "resume=never", "monitoring.listen=", "monitoring.sample_steps=0", "monitoring.histogram_steps=0"}

// cost is what a run took.
type cost struct {
	wall      float64 // seconds from the first to the last step
	processor float64 // seconds of processor time of the process, its start included
}

func main() {
	rounds := flag.Int("rounds", 7, "times that each way runs, in turn")
	steps := flag.Int("steps", 300, "updates in a run")
	threads := flag.Int("threads", 0, "threads; 0: libtorch's choice")
	flag.Parse()
	if err := run(*rounds, *steps, *threads); err != nil {
		fmt.Fprintln(os.Stderr, "bench/monitoring:", err)
		os.Exit(1)
	}
}

// check says what of the command line cannot be, before anything is built.
func check(rounds, steps, threads int) error {
	switch {
	case flag.NArg() > 0:
		return fmt.Errorf("unexpected argument %q", flag.Arg(0))
	case rounds < 1 || steps < 1 || threads < 0:
		return fmt.Errorf("want at least one round (%d), one step (%d) and no negative number of threads (%d)", rounds, steps, threads)
	}
	return nil
}

func run(rounds, steps, threads int) error {
	if err := check(rounds, steps, threads); err != nil {
		return err
	}
	ctx, stop := signal.NotifyContext(context.Background(), os.Interrupt, syscall.SIGTERM)
	defer stop()
	folder, err := os.MkdirTemp("", "bench-monitoring-")
	if err != nil {
		return err
	}
	defer os.RemoveAll(folder)
	program := filepath.Join(folder, "train")
	if out, err := exec.CommandContext(ctx, "go", "build", "-o", program, "./cmd/train").CombinedOutput(); err != nil {
		return fmt.Errorf("go build: %w: %s", err, out)
	}
	costs := make([][]cost, len(ways))
	for round := range rounds {
		for i, w := range ways {
			set := append(append(slices.Clone(always), w.set...), fmt.Sprintf("max_steps=%d", steps), fmt.Sprintf("threads=%d", threads),
				"output_dir="+filepath.Join(folder, "output"), "logging_dir="+filepath.Join(folder, "logs"))
			c, err := w.time(ctx, program, set)
			if err != nil {
				return fmt.Errorf("%s: %w", w.name, err)
			}
			costs[i] = append(costs[i], c)
			fmt.Fprintf(os.Stderr, "round %d of %d, %s: %.2f s, %.2f s of processor time\n", round+1, rounds, w.name, c.wall, c.processor)
		}
	}
	report(costs, rounds, steps)
	return nil
}

// time runs the trainer once. It reads its log for the page's address and the times of its first and last step.
func (w way) time(ctx context.Context, program string, set []string) (c cost, err error) {
	arguments := []string{"-config", "configs/demo-pt.yaml"}
	for _, s := range set {
		arguments = append(arguments, "-set", s)
	}
	command := exec.CommandContext(ctx, program, arguments...)
	log, err := command.StderrPipe()
	if err != nil {
		return c, err
	}
	if err := command.Start(); err != nil {
		return c, err
	}
	var last string
	for lines := bufio.NewScanner(log); lines.Scan(); {
		last = lines.Text()
		if _, address, ok := strings.Cut(last, "live page: "); ok && w.live {
			go read(ctx, address)
		}
	}
	if err := command.Wait(); err != nil {
		return c, fmt.Errorf("%w: %s", err, last)
	}
	c.processor = (command.ProcessState.UserTime() + command.ProcessState.SystemTime()).Seconds()
	c.wall, err = trainingSeconds(set)
	return c, err
}

// read follows the page's stream of events as a browser does, until the server ends.
func read(ctx context.Context, page string) {
	answer, err := http.Get(page + "runs")
	if err != nil {
		return
	}
	var runs []struct{ ID string }
	err = json.NewDecoder(answer.Body).Decode(&runs)
	answer.Body.Close()
	if err != nil || len(runs) == 0 {
		return
	}
	request, err := http.NewRequestWithContext(ctx, http.MethodGet, page+"events?run="+runs[0].ID, nil)
	if err != nil {
		return
	}
	if answer, err = http.DefaultClient.Do(request); err == nil {
		io.Copy(io.Discard, answer.Body)
		answer.Body.Close()
	}
}

// trainingSeconds is the time between the run's start, when everything is made, and its end.
func trainingSeconds(set []string) (float64, error) {
	var dir string
	for _, s := range set {
		if d, ok := strings.CutPrefix(s, "output_dir="); ok {
			dir = d
		}
	}
	text, err := os.ReadFile(filepath.Join(dir, "metrics.jsonl"))
	if err != nil {
		return 0, err
	}
	var started, complete time.Time
	for line := range strings.Lines(string(text)) {
		var event struct {
			Event, Status string
			Time          time.Time
		}
		if err := json.Unmarshal([]byte(line), &event); err != nil {
			return 0, err
		}
		switch event.Event + " " + event.Status {
		case "run started":
			started = event.Time
		case "run complete":
			complete = event.Time
		}
	}
	if started.IsZero() || complete.IsZero() {
		return 0, errors.New("metrics.jsonl does not say when the run began and ended")
	}
	return complete.Sub(started).Seconds(), nil
}

// report prints each way's cost as a ratio to the first's of the same round.
func report(costs [][]cost, rounds, steps int) {
	fmt.Printf("%d rounds of %d steps. Ratio to the run of the same round that shows nothing: median (lowest–highest).\n\n", rounds, steps)
	fmt.Println("| | time | processor time |\n|---|---|---|")
	for i, w := range ways {
		var wall, processor []float64
		for round, c := range costs[i] {
			wall, processor = append(wall, c.wall/costs[0][round].wall), append(processor, c.processor/costs[0][round].processor)
		}
		fmt.Printf("| %s | %s | %s |\n", w.name, spread(wall), spread(processor))
	}
}

func spread(x []float64) string {
	slices.Sort(x)
	return fmt.Sprintf("%.3f (%.3f–%.3f)", x[len(x)/2], x[0], x[len(x)-1])
}
