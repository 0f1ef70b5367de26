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
	"slices"
	"strings"
	"syscall"
	"time"
)

// step is a line of metrics.jsonl, which all sides write after every update.
type step struct {
	Loss     float64
	GradNorm float64  `json:"grad_norm"` // 0: not told
	Seconds  float64  `json:"step_seconds"`
	Peak     float64  `json:"peak_memory_bytes"` // of our side
	Waited   *float64 `json:"data_wait_seconds"` // of our side, a step; nil: not told
	Time     time.Time
}

// run is what is kept of one.
type run struct {
	Speed     float64  // tokens per second, by the median of the steps that count
	Memory    float64  // highest resident memory of the process, in MB (10⁶ bytes)
	Counted   float64  // the peak by our program's own account, MB; 0 for a peer
	FirstStep float64  // seconds from the start of the process to the end of its first step
	Waited    *float64 // share of the steps' time in which they waited for data; nil: not told
	Others    float64  // processors that everything else on the machine kept busy meanwhile
	steps     []step
}

func (r run) String() string {
	return fmt.Sprintf("%.0f tokens/s, %.0f MB, first step after %.2f s", r.Speed, r.Memory, r.FirstStep)
}

// apart is how far a side is from ours, or may be, relatively.
type apart struct{ loss, gradNorm float64 }

// bounds are what is allowed. The first step starts from the same weights; later they differ by what was rounded differently before.
type bounds struct{ first, later apart }

// tolerances by precision, of who rounds where we do. Measured within 6 steps: in fp32 losses 2e-7 and norms 3e-7 apart (6x384), in bf16
// 6e-6 and 2e-4 (2x128, whose gradients are few and average out less); within 10 steps, the rate then being high, losses 3e-6 and 2e-5.
// Norms are of the first steps alone. GELU by erf in place of tanh, the smallest fault that -faults tries, moves fp32's norm by 3e-6.
var tolerances = map[string]bounds{
	"fp32": {apart{1e-6, 1e-6}, apart{1e-5, 1e-5}},
	"bf16": {apart{5e-6, 1e-4}, apart{3e-4, 2e-3}},
}

// roundsElsewhere is what the first step may be apart in bf16 from ours as it runs, once it has been seen to agree within tolerances in
// modes that round alike (compareAlike). Ours may choose composed attention, which rounds its scores to bf16 where the peers' kernel
// does not: that was seen to move the loss by 4e-6 to 6e-6 (12x768; by flash it is 1e-7 from eager's). The Trainer's GELU
// rounds eight times where ours rounds once: 3e-6 to 1.4e-5.
var roundsElsewhere = apart{3e-5, 1e-3}

// bounds of a peer. What is compiled does not round where its single operations did.
func (p peer) bounds(precision string) bounds {
	b := tolerances[precision]
	switch {
	case p.compiled:
		b.first = b.later
	case precision == "bf16":
		b.first = roundsElsewhere
	}
	return b
}

// quiet is how many processors may be busy with something else for a run to count. Threads that wait for each other suffer
// far more from other work than the share of time that it takes.
const quiet = 0.25

// command is a program with the user's environment, less what would set our configuration, and with more variables.
func (b *bench) command(environment []string, name string, arguments ...string) *exec.Cmd {
	c := exec.CommandContext(b.ctx, name, arguments...)
	for _, e := range os.Environ() {
		if !strings.HasPrefix(e, "FRUGAL_") {
			c.Env = append(c.Env, e)
		}
	}
	c.Env = append(c.Env, environment...)
	return c
}

// output runs a command. An error holds the last thing that it complained of.
func (b *bench) output(c *exec.Cmd) ([]byte, error) {
	var stdout, stderr bytes.Buffer
	c.Stdout, c.Stderr = &stdout, &stderr
	if err := c.Run(); err != nil {
		if c.Process == nil { // the error names what did not start
			return nil, err
		}
		err = fmt.Errorf("%s: %w", filepath.Base(c.Path), cmp.Or(b.ctx.Err(), err))
		if complaint := strings.TrimSpace(stderr.String()); complaint != "" {
			err = fmt.Errorf("%w: %s", err, complaint[strings.LastIndex(complaint, "\n")+1:])
		}
		return nil, err
	}
	return stdout.Bytes(), nil
}

// runOurs trains a case by our program.
func (b *bench) runOurs(c *testCase) (run, error) {
	return b.undisturbed(func() (run, error) { return b.time(c, "ours", b.command(nil, b.train(), "-config", c.settings)) })
}

// runPeer trains a case by a peer.
func (b *bench) runPeer(c *testCase, p peer) (run, error) {
	return b.undisturbed(func() (run, error) { return b.timePeer(c, p) })
}

// timePeer is one run of a peer, whatever else was running.
func (b *bench) timePeer(c *testCase, p peer) (run, error) {
	return b.time(c, p.name, b.command(p.environment(c), b.python, p.arguments(c)...))
}

// undisturbed repeats a run that had to share the machine.
func (b *bench) undisturbed(again func() (run, error)) (r run, err error) {
	for try := 0; ; try++ {
		if r, err = again(); err != nil || r.Others <= quiet || try == b.retries {
			return r, err
		}
		b.say("once more, because something else kept %.2f processors busy: %v", r.Others, r)
	}
}

// time runs a side from nothing, reads what it logged, and removes what it wrote.
func (b *bench) time(c *testCase, side string, command *exec.Cmd) (r run, err error) {
	defer os.RemoveAll(c.output(side))
	busyBefore, start := busySeconds(), time.Now()
	if _, err := b.output(command); err != nil {
		return r, err
	}
	wall, busy := time.Since(start).Seconds(), busySeconds()-busyBefore
	usage := command.ProcessState.SysUsage().(*syscall.Rusage)
	own := command.ProcessState.UserTime() + command.ProcessState.SystemTime()
	r.Memory = float64(usage.Maxrss) * 1024 / 1e6
	r.Others = max(0, busy-own.Seconds()) / wall
	if r.steps, err = readEvents[step](filepath.Join(c.output(side), "metrics.jsonl"), "train"); err != nil {
		return r, err
	}
	if len(r.steps) != c.steps {
		return r, fmt.Errorf("%s: %d steps logged, want %d", side, len(r.steps), c.steps)
	}
	if slices.ContainsFunc(r.steps[:c.checked], func(s step) bool { return s.GradNorm == 0 }) {
		return r, fmt.Errorf("%s: of the first %d steps, not all tell the norm of their gradients", side, c.checked)
	}
	r.FirstStep = r.steps[0].Time.Sub(start).Seconds()
	r.summarise(c.shape.tokens(), b.dropped)
	return r, nil
}

// summarise computes what the steps tell, those that are dropped apart.
func (r *run) summarise(tokens, dropped int) {
	var seconds []float64
	var all, waited float64
	told := true
	for _, s := range r.steps[dropped:] {
		seconds = append(seconds, s.Seconds)
		all += s.Seconds
		if told = told && s.Waited != nil; told {
			waited += *s.Waited
		}
	}
	r.Speed = float64(tokens) / median(seconds)
	r.Counted = r.steps[len(r.steps)-1].Peak / 1e6
	if told {
		share := waited / all
		r.Waited = &share
	}
}

// readEvents reads the lines of one event from a metrics.jsonl.
func readEvents[T any](file, name string) (list []T, err error) {
	text, err := os.ReadFile(file)
	if err != nil {
		return nil, err
	}
	for number, line := range bytes.Split(bytes.TrimSpace(text), []byte("\n")) {
		var event struct{ Event string }
		if err := json.Unmarshal(line, &event); err != nil {
			return nil, fmt.Errorf("%s: line %d: %w", file, number+1, err)
		}
		if event.Event != name {
			continue
		}
		var t T
		if err := json.Unmarshal(line, &t); err != nil {
			return nil, fmt.Errorf("%s: line %d: %w", file, number+1, err)
		}
		list = append(list, t)
	}
	return list, nil
}

// compare returns the largest relative differences of a peer's losses and of its gradients' norms, where they are told, from ours, and an
// error where one is more than is allowed.
func compare(ours, peer run, allowed bounds) (largest apart, err error) {
	for i, o := range ours.steps {
		p := peer.steps[i]
		is, most := differenceOf(o, p), boundsOfStep(i, allowed)
		if !is.within(most) {
			return is, fmt.Errorf("step %d: loss %.6f and ours %.6f (%.1e apart, allowed %.0e), norm of the gradients %.6f and %.6f (%.1e apart, allowed %.0e)",
				i+1, p.Loss, o.Loss, is.loss, most.loss, p.GradNorm, o.GradNorm, is.gradNorm, most.gradNorm)
		}
		largest = apart{max(largest.loss, is.loss), max(largest.gradNorm, is.gradNorm)}
	}
	return largest, nil
}

// boundsOfStep are those of step i, the first being 0.
func boundsOfStep(i int, allowed bounds) apart {
	if i == 0 {
		return allowed.first
	}
	return allowed.later
}

// differenceOf a peer's step from ours.
func differenceOf(ours, peer step) apart {
	is := apart{loss: relative(ours.Loss, peer.Loss)}
	if peer.GradNorm != 0 {
		is.gradNorm = relative(ours.GradNorm, peer.GradNorm)
	}
	return is
}

// within is false for NaN as well.
func (is apart) within(most apart) bool { return is.loss <= most.loss && is.gradNorm <= most.gradNorm }

func relative(a, b float64) float64 { return math.Abs(a-b) / math.Max(math.Abs(a), math.Abs(b)) }
