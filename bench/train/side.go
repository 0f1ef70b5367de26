package main

// One run of a side: started, timed, its losses read and compared.

import (
	"bytes"
	"cmp"
	"encoding/json"
	"fmt"
	"math"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"syscall"
	"time"
)

// step is a line of metrics.jsonl, which both sides write after every update.
type step struct {
	Event    string
	Loss     float64
	GradNorm float64 `json:"grad_norm"`
	Seconds  float64 `json:"step_seconds"`
	Time     time.Time
}

// result is one run.
type result struct {
	steps     []step
	speed     float64 // tokens per second, by the median of the steps that count
	memory    float64 // highest resident memory of the process, in MB (10⁶ bytes)
	firstStep float64 // seconds from the start of the process to the end of its first step
	others    float64 // processors that everything else on the machine kept busy meanwhile
}

func (r result) String() string {
	return fmt.Sprintf("%.0f tokens/s, %.0f MB, first step after %.2f s (others: %.2f processors)", r.speed, r.memory, r.firstStep, r.others)
}

// tolerance is how far the two sides may be apart, relatively.
type tolerance struct{ loss, gradNorm float64 }

// tolerances by precision. The first step starts from the same weights and must agree more closely, so closely in bf16 that
// a side which computes in fp32 is found out. Later the weights differ by what was rounded differently in earlier steps.
var tolerances = map[string]struct{ first, later tolerance }{
	"fp32": {tolerance{2e-6, 2e-5}, tolerance{1e-5, 1e-4}},
	"bf16": {tolerance{5e-6, 1e-4}, tolerance{3e-4, 1e-2}},
}

// quiet is how many processors may be busy with something else for a run to count. Threads that wait for each other suffer
// far more from other work than the share of time that it takes.
const quiet = 0.25

// peer runs the script for something else than training.
func (b *bench) peer(arguments ...string) ([]byte, error) {
	return b.output(exec.CommandContext(b.ctx, b.python, append([]string{script}, arguments...)...))
}

// ours runs our trainer for something else than training.
func (b *bench) ours(arguments ...string) ([]byte, error) {
	return b.output(exec.CommandContext(b.ctx, filepath.Join(b.folder, "train"), arguments...))
}

// output runs a command. An error holds the last thing that it complained of.
func (b *bench) output(c *exec.Cmd) ([]byte, error) {
	var stdout, stderr bytes.Buffer
	c.Stdout, c.Stderr = &stdout, &stderr
	c.Env = b.environ()
	if err := c.Run(); err != nil {
		err = fmt.Errorf("%s: %w", filepath.Base(c.Path), cmp.Or(b.ctx.Err(), err))
		if complaint := strings.TrimSpace(stderr.String()); complaint != "" {
			err = fmt.Errorf("%w: %s", err, complaint[strings.LastIndex(complaint, "\n")+1:])
		}
		return nil, err
	}
	return stdout.Bytes(), nil
}

// environ is the user's, less what would set our configuration, and what -env says.
func (b *bench) environ() (list []string) {
	for _, e := range os.Environ() {
		if !strings.HasPrefix(e, "FRUGAL_") {
			list = append(list, e)
		}
	}
	if b.environment != "" {
		list = append(list, b.environment)
	}
	return list
}

// time runs a side from nothing, reads what it logged, and removes what it wrote.
func (b *bench) time(c *testCase, side string, command *exec.Cmd) (r result, err error) {
	defer os.RemoveAll(c.output(side))
	busyBefore, start := busySeconds(), time.Now()
	if _, err := b.output(command); err != nil {
		return r, err
	}
	wall, busy := time.Since(start).Seconds(), busySeconds()-busyBefore
	usage := command.ProcessState.SysUsage().(*syscall.Rusage)
	own := command.ProcessState.UserTime() + command.ProcessState.SystemTime()
	r.memory = float64(usage.Maxrss) * 1024 / 1e6
	r.others = max(0, busy-own.Seconds()) / wall
	if r.steps, err = readSteps(filepath.Join(c.output(side), "metrics.jsonl")); err != nil {
		return r, err
	}
	if len(r.steps) != b.steps {
		return r, fmt.Errorf("%s: %d steps logged, want %d", side, len(r.steps), b.steps)
	}
	var seconds []float64
	for _, s := range r.steps[b.dropped:] {
		seconds = append(seconds, s.Seconds)
	}
	r.speed = float64(c.decided.BatchSize*c.decided.Positions) / median(seconds)
	r.firstStep = r.steps[0].Time.Sub(start).Seconds()
	return r, nil
}

// readSteps reads the train lines of a metrics.jsonl.
func readSteps(file string) (steps []step, err error) {
	text, err := os.ReadFile(file)
	if err != nil {
		return nil, err
	}
	for number, line := range bytes.Split(bytes.TrimSpace(text), []byte("\n")) {
		var event struct{ Event string }
		if err := json.Unmarshal(line, &event); err != nil {
			return nil, fmt.Errorf("%s: line %d: %w", file, number+1, err)
		}
		if event.Event != "train" {
			continue
		}
		var s step
		if err := json.Unmarshal(line, &s); err != nil {
			return nil, fmt.Errorf("%s: line %d: %w", file, number+1, err)
		}
		steps = append(steps, s)
	}
	return steps, nil
}

// compare returns the largest relative difference of the two sides' losses, and an error where it, or that of the gradients'
// norms, is more than the precision allows.
func compare(ours, peer result, precision string) (largest float64, err error) {
	allowed := tolerances[precision].first
	for i, o := range ours.steps {
		p := peer.steps[i]
		loss, norm := relative(o.Loss, p.Loss), relative(o.GradNorm, p.GradNorm)
		if !(loss <= allowed.loss && norm <= allowed.gradNorm) { // false for NaN as well
			return loss, fmt.Errorf("step %d: loss %.6f and %.6f (%.1e apart, allowed %.0e), norm of the gradients %.6f and %.6f (%.1e apart, allowed %.0e)",
				i+1, o.Loss, p.Loss, loss, allowed.loss, o.GradNorm, p.GradNorm, norm, allowed.gradNorm)
		}
		largest = max(largest, loss)
		allowed = tolerances[precision].later
	}
	return largest, nil
}

func relative(a, b float64) float64 { return math.Abs(a-b) / math.Max(math.Abs(a), math.Abs(b)) }

// busySeconds is how long the machine's processors have been busy since it started, added up; 0 where /proc/stat is missing.
func busySeconds() float64 {
	text, err := os.ReadFile("/proc/stat")
	if err != nil {
		return 0
	}
	var user, nice, system, idle, iowait, irq, softirq, steal float64 // in ticks of 1/100 s
	if _, err := fmt.Sscanf(string(text), "cpu %f %f %f %f %f %f %f %f", &user, &nice, &system, &idle, &iowait, &irq, &softirq, &steal); err != nil {
		return 0
	}
	return (user + nice + system + irq + softirq + steal) / 100
}
