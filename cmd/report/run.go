package main

// A run as its metrics.jsonl tells it: sessions, curves, samples, and how it ended.

import (
	"errors"
	"fmt"
	"io/fs"
	"math"
	"os"
	"path/filepath"
	"strings"
	"time"

	"golang.org/x/sys/unix"
)

// The states of a run.
const (
	complete = "complete"
	stopped  = "stopped" // by a signal, or killed
	failed   = "failed"
	running  = "running"
)

// noEnd is the reason of a run whose metrics stop without one.
const noEnd = "stopped without a word: killed, or still running on another machine"

// session is the time between a start and an end, or a kill.
type session struct {
	start       *runEvent // with status started; nil: its line is lost
	end         *runEvent // with another status; nil: there is none
	first, last time.Time
}

// sample is a text from the model.
type sample struct {
	step int64
	sampleEvent
}

// run is a training.
type run struct {
	dir      string // as the user gave it
	name     string // by which it is told from the others
	status   string
	reason   string // in words, of a run that is stopped or failed
	sessions []*session
	step     int64             // the newest
	curves   map[string]*curve // by tag: train/loss, eval/loss, train/curriculum_weights/STAGE, …
	clock    curve             // seconds of training at the steps of train lines
	samples  []sample
	damaged  []damage
	before   time.Duration // of the sessions before the present one
}

// openRun reads a run's output_dir.
func openRun(dir string) (*run, error) {
	file, err := os.Open(filepath.Join(dir, "metrics.jsonl"))
	if err != nil {
		return nil, notARun(dir, err)
	}
	defer file.Close()
	r := &run{dir: dir, curves: map[string]*curve{}}
	if r.damaged, err = readEvents(file, r.take); err != nil {
		return nil, err
	}
	if len(r.sessions) == 0 && len(r.curves) == 0 {
		return nil, &usageError{fmt.Sprintf("%s: no run: metrics.jsonl has no run and no train line", dir)}
	}
	r.settle(locked(filepath.Join(dir, ".lock")))
	return r, nil
}

// notARun says what is wrong with a directory that has no metrics.jsonl to open.
func notARun(dir string, err error) error {
	info, statErr := os.Stat(dir)
	switch {
	case errors.Is(statErr, fs.ErrNotExist):
		return &usageError{dir + ": no such directory"}
	case statErr != nil:
		return statErr
	case !info.IsDir():
		return &usageError{dir + ": not a directory; want a run's output_dir"}
	case !errors.Is(err, fs.ErrNotExist):
		return err
	}
	below, _ := filepath.Glob(filepath.Join(escapeGlob(dir), "*", "metrics.jsonl"))
	hint := ""
	if len(below) > 0 {
		hint = fmt.Sprintf(" (there are runs below it: %s)", filepath.Join(dir, "*"))
	}
	return &usageError{fmt.Sprintf("%s: no run: it holds no metrics.jsonl%s", dir, hint)}
}

func escapeGlob(path string) string {
	return strings.NewReplacer(`\`, `\\`, `*`, `\*`, `?`, `\?`, `[`, `\[`).Replace(path)
}

// locked tells whether a training holds its output_dir at this moment. The lock taken to find out is gone at once.
func locked(name string) bool {
	file, err := os.Open(name)
	if err != nil {
		return false
	}
	defer file.Close()
	return errors.Is(unix.Flock(int(file.Fd()), unix.LOCK_SH|unix.LOCK_NB), unix.EWOULDBLOCK)
}

// settle decides the run's status, once all lines are read.
func (r *run) settle(locked bool) {
	var end *runEvent
	if len(r.sessions) > 0 {
		end = r.sessions[len(r.sessions)-1].end
	}
	switch {
	case end == nil && locked:
		r.status = running
	case end == nil:
		r.status, r.reason = stopped, noEnd
	case end.Status == complete:
		r.status = complete
	case end.Reason == "" || strings.HasPrefix(end.Reason, "interrupted by"):
		r.status, r.reason = stopped, end.Reason
	default:
		r.status, r.reason = failed, end.Reason
	}
}

// take adds a line.
func (r *run) take(e *event) {
	begins := e.run != nil && e.run.Status == "started"
	if begins || len(r.sessions) == 0 {
		r.before = r.seconds()
		r.sessions = append(r.sessions, &session{first: e.time})
	}
	s := r.sessions[len(r.sessions)-1]
	if e.time.After(s.last) {
		s.last = e.time
	}
	r.step = e.step
	switch {
	case begins:
		s.start = e.run
	case e.run != nil:
		s.end = e.run
	case e.sample != nil:
		r.samples = append(r.samples, sample{e.step, *e.sample})
	case e.numbers != nil:
		shares(e.numbers, "curriculum_weights/", "curriculum_drawn/")
		for name, x := range e.numbers {
			r.curve(e.event+"/"+name).add(e.step, x)
		}
		if e.event == "train" {
			r.clock.add(e.step, r.seconds().Seconds())
		}
	}
}

func (r *run) curve(tag string) *curve {
	if r.curves[tag] == nil {
		r.curves[tag] = &curve{}
	}
	return r.curves[tag]
}

// shares makes the sum of the numbers below each prefix 1: what was drawn may be written as counts.
func shares(numbers map[string]float64, prefixes ...string) {
	for _, prefix := range prefixes {
		sum := 0.0
		for name, x := range numbers {
			if strings.HasPrefix(name, prefix) {
				sum += x
			}
		}
		if sum == 0 || math.Abs(sum-1) < 1e-9 { // as it was written
			continue
		}
		for name := range numbers {
			if strings.HasPrefix(name, prefix) {
				numbers[name] /= sum
			}
		}
	}
}

// started is the newest start; where its line is lost, one that says nothing.
func (r *run) started() *runEvent {
	for i := len(r.sessions) - 1; i >= 0; i-- {
		if r.sessions[i].start != nil {
			return r.sessions[i].start
		}
	}
	return &runEvent{}
}

// seconds is the time from the beginning to the newest line, without the pauses between sessions.
func (r *run) seconds() time.Duration {
	if len(r.sessions) == 0 {
		return 0
	}
	s := r.sessions[len(r.sessions)-1]
	if s.first.IsZero() || s.last.Before(s.first) {
		return r.before
	}
	return r.before + s.last.Sub(s.first)
}
