package nettest

import (
	"bytes"
	"errors"
	"fmt"
	"math/rand/v2"
	"os"
	"os/exec"
	"path/filepath"
	"strconv"
	"strings"
	"sync"
	"testing"
	"time"
)

// times is how often each accident happens, at random moments.
func times(t *testing.T) int {
	n, err := strconv.Atoi(os.Getenv("FRUGAL_TEST_NET"))
	if err != nil || n < 1 {
		t.Skip("skipped: it makes network namespaces, which needs root; `make test-net` runs it")
	}
	if os.Getuid() != 0 {
		t.Fatal("network namespaces need root")
	}
	return n
}

const processes = 3

// settings make a run of some seconds that saves all the time.
var settings = []string{"hidden_size=32", "num_layers=2", "num_heads=2", "intermediate_size=64", "max_position_embeddings=32", "batch_size=1", "gradient_accumulation_steps=2",
	"dropout=0.1", "max_steps=120", "save_steps=1", "eval_steps=10", "logging_steps=5", "max_checkpoints=3", "precision=fp32", "device=cpu", "threads=1", "tokenizer.type=byte",
	"monitoring.tensorboard=false"}

// fleet is hosts with the program, and a directory each.
type fleet struct {
	t       *testing.T
	wire    *wire
	program string
	dirs    []string
	set     []string
}

// ending is how a process ended.
type ending struct {
	code   int
	stderr string
	at     time.Time
}

var build = sync.OnceValues(func() (string, error) {
	dir, err := os.MkdirTemp("", "nettest")
	if err != nil {
		return "", err
	}
	program := filepath.Join(dir, "train")
	if out, err := exec.Command("go", "build", "-o", program, "frugal/cmd/train").CombinedOutput(); err != nil {
		return "", fmt.Errorf("%w: %s", err, out)
	}
	return program, nil
})

func newFleet(t *testing.T, set ...string) *fleet {
	t.Helper()
	program, err := build()
	if err != nil {
		t.Fatal(err)
	}
	f := &fleet{t: t, wire: newWire(t, processes), program: program, set: append(append([]string(nil), settings...), set...)}
	for range processes {
		f.dirs = append(f.dirs, t.TempDir())
	}
	return f
}

// start starts all processes, each on its host. first is what rank 0 says; their endings are in the order of their ranks.
func (f *fleet) start() (first *listener, wait func() []ending) {
	endings := make([]ending, processes)
	first = new(listener)
	var running sync.WaitGroup
	for rank := range processes {
		args := []string{"netns", "exec", f.wire.hosts[rank].name, f.program}
		for _, s := range append([]string{"output_dir=output", "data.cache_dir=cache"}, f.set...) {
			args = append(args, "-set", s)
		}
		c := exec.Command("ip", args...)
		c.Dir = f.dirs[rank]
		c.Env = append(os.Environ(), fmt.Sprint("RANK=", rank), fmt.Sprint("WORLD_SIZE=", processes), "MASTER_ADDR="+address(0), "MASTER_PORT=29500")
		stderr := new(listener)
		if rank == 0 {
			stderr = first
		}
		c.Stderr = stderr
		running.Go(func() {
			err := c.Run()
			var exit *exec.ExitError
			if err != nil && !errors.As(err, &exit) {
				f.t.Error(err)
			}
			endings[rank] = ending{c.ProcessState.ExitCode(), stderr.String(), time.Now()}
		})
	}
	return first, func() []ending { running.Wait(); return endings }
}

// listener keeps what a process says.
type listener struct {
	mutex sync.Mutex
	text  bytes.Buffer
}

func (l *listener) Write(b []byte) (int, error) {
	l.mutex.Lock()
	defer l.mutex.Unlock()
	return l.text.Write(b)
}

func (l *listener) String() string {
	l.mutex.Lock()
	defer l.mutex.Unlock()
	return l.text.String()
}

// hear waits until a process has said something, or has had a minute.
func (l *listener) hear(what string) {
	for end := time.Now().Add(time.Minute); !strings.Contains(l.String(), what) && time.Now().Before(end); {
		time.Sleep(10 * time.Millisecond)
	}
}

// finish runs to the end.
func (f *fleet) finish() []ending {
	f.t.Helper()
	_, wait := f.start()
	all := wait()
	f.checkFinished(all)
	return all
}

func (f *fleet) checkFinished(all []ending) {
	f.t.Helper()
	for rank, e := range all {
		if e.code != 0 {
			f.t.Fatalf("rank %d: exit code %d:\n%s", rank, e.code, e.stderr)
		}
	}
}

func (f *fleet) model() []byte {
	f.t.Helper()
	b, err := os.ReadFile(filepath.Join(f.dirs[0], "output", "final_model", "model.safetensors"))
	if err != nil {
		f.t.Fatal(err)
	}
	return b
}

// accidents are what may become of a network. Each is noticed by all but the delay.
var accidents = map[string]func(w *wire, victim int){
	"link cut": func(w *wire, victim int) { w.isolate(victim) },
	"one-way loss from a host": func(w *wire, victim int) {
		w.set(func(w *wire) {
			for other := range w.hosts {
				w.lost[link{victim, other}]++
			}
		})
	},
	"one-way loss to a host": func(w *wire, victim int) {
		w.set(func(w *wire) {
			for other := range w.hosts {
				w.lost[link{other, victim}]++
			}
		})
	},
	"link cut between two others": func(w *wire, victim int) { // than rank 0: both reach the store
		w.set(func(w *wire) {
			w.lost[link{1, 2}]++
			w.lost[link{2, 1}]++
		})
	},
	"resets": func(w *wire, victim int) { w.set(func(w *wire) { w.resets = true }) },
}

// noticed is how soon all processes must have ended: known within ten seconds, and two that a process may take to end by itself.
const noticed = 12 * time.Second

func TestAccidentsAreNoticedAndTheRunGoesOn(t *testing.T) {
	n := times(t)
	whole := newFleet(t)
	whole.finish()
	want := whole.model()
	for name, happen := range accidents {
		for i := range n {
			t.Run(fmt.Sprintf("%s %d", name, i), func(t *testing.T) {
				f := newFleet(t, fmt.Sprintf("shard_optimizer=%v", rand.IntN(2) == 0)) // which makes no difference
				victim := i % processes
				first, wait := f.start()
				moment := fmt.Sprintf("step %d/", rand.IntN(20)*5) // which is said a moment after the processes have met, or later
				first.hear(moment)
				time.Sleep(rand.N(200 * time.Millisecond))
				cut := time.Now()
				happen(f.wire, victim)
				f.checkEndings(wait(), cut, fmt.Sprintf("%s of host %d behind %s120", name, victim, moment))
				f.checkNothingHalfDone()
				f.wire.set(func(w *wire) { clear(w.lost); w.resets = false })
				f.finish()
				if !bytes.Equal(f.model(), want) {
					t.Error("the final model is another than that of a run left alone")
				}
			})
		}
	}
}

// checkEndings: all processes end with exit code 6 and say who is lost, soon.
func (f *fleet) checkEndings(all []ending, cut time.Time, what string) {
	f.t.Helper()
	for rank, e := range all {
		last := e.stderr[strings.LastIndexByte(strings.TrimSuffix(e.stderr, "\n"), '\n')+1:]
		after := e.at.Sub(cut)
		f.t.Logf("%s: rank %d ended %.1f s after with %d: %s", what, rank, after.Seconds(), e.code, strings.TrimSpace(last))
		if e.code != 6 && !(e.code == 0 && rank == 0) || after > noticed {
			f.t.Errorf("rank %d: exit code %d after %v; want 6 within %v", rank, e.code, after, noticed)
		}
		if e.code == 6 && !strings.Contains(last, "is gone") && !strings.Contains(last, "lost") {
			f.t.Errorf("rank %d does not say who is lost", rank)
		}
		if strings.Contains(e.stderr, "frame #") || strings.Contains(e.stderr, "goroutine ") {
			f.t.Errorf("rank %d shows a stack:\n%s", rank, e.stderr)
		}
	}
}

func (f *fleet) checkNothingHalfDone() {
	f.t.Helper()
	found, err := filepath.Glob(filepath.Join(f.dirs[0], "output", "*_step_*"))
	if err != nil {
		f.t.Fatal(err)
	}
	for _, dir := range found {
		if _, err := os.Stat(filepath.Join(dir, "manifest.json")); err != nil {
			f.t.Errorf("%s: %v", dir, err)
		}
	}
	for _, dir := range f.dirs[1:] {
		if _, err := os.Stat(filepath.Join(dir, "output")); err == nil {
			f.t.Errorf("%s has an output_dir", dir)
		}
	}
}

// Half a second from host to host is slow, and no accident.
func TestADelayIsWaitedFor(t *testing.T) {
	times(t)
	set := []string{"max_steps=4", "save_steps=2", "data.eval_fraction=0.002"}
	whole := newFleet(t, set...)
	whole.finish()
	f := newFleet(t, set...)
	f.wire.set(func(w *wire) { w.delay = 500 * time.Millisecond })
	f.finish()
	if !bytes.Equal(f.model(), whole.model()) {
		t.Error("the final model is another than without delay")
	}
}
