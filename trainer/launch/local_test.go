package launch

import (
	"bytes"
	"fmt"
	"os"
	"os/signal"
	"strings"
	"sync"
	"syscall"
	"testing"
	"time"
)

// TestMain is a process of a run, where it is started as one.
func TestMain(m *testing.M) {
	if len(os.Args) > 1 && os.Args[1] == "process" {
		process(os.Args[2])
	}
	os.Exit(m.Run())
}

func process(behaviour string) {
	p, err := Find(os.Environ())
	if err != nil || p == nil {
		fmt.Fprintln(os.Stderr, "no place:", err)
		os.Exit(9)
	}
	fmt.Fprintf(os.Stderr, "rank %d of %d, attempt %d\n", p.Rank, p.Size, p.Attempt)
	fmt.Printf("output of %d\n", p.Rank)
	switch behaviour {
	case "dies":
		if p.Rank == 1 && p.Attempt == 0 {
			syscall.Kill(os.Getpid(), syscall.SIGKILL)
		}
		if p.Attempt == 0 {
			time.Sleep(time.Hour)
		}
	case "fails": // and the others notice before it has ended
		if p.Rank != 1 {
			os.Exit(6)
		}
		time.Sleep(100 * time.Millisecond)
		os.Exit(2)
	case "stops", "stops last":
		switch {
		case p.Rank == 2:
			syscall.Kill(os.Getpid(), syscall.SIGSTOP)
		case p.Rank == 1 && behaviour == "stops":
			os.Exit(7)
		}
	case "waits":
		signals := make(chan os.Signal, 2)
		signal.Notify(signals, syscall.SIGTERM)
		fmt.Fprintln(os.Stderr, "waiting")
		<-signals
		select {
		case <-signals:
			fmt.Fprintln(os.Stderr, "signalled twice")
		case <-time.After(100 * time.Millisecond):
		}
		os.Exit(143)
	}
	os.Exit(0)
}

// lines is what processes write, which a test may read meanwhile.
type lines struct {
	mutex sync.Mutex
	b     bytes.Buffer
}

func (l *lines) Write(p []byte) (int, error) {
	l.mutex.Lock()
	defer l.mutex.Unlock()
	return l.b.Write(p)
}

func (l *lines) count(what string) int {
	l.mutex.Lock()
	defer l.mutex.Unlock()
	return strings.Count(l.b.String(), what)
}

// run is one of three processes, and what they wrote.
type run struct {
	Local
	out, err, log *lines
}

func three(behaviour string) *run {
	r := &run{out: &lines{}, err: &lines{}, log: &lines{}}
	r.Local = Local{Processes: 3, Path: os.Args[0], Args: []string{"process", behaviour}, Environ: os.Environ(), Stdout: r.out, Stderr: r.err, Grace: time.Minute,
		Again: func(code int) bool { return code != 2 }, Log: func(f string, a ...any) { fmt.Fprintf(r.log, f+"\n", a...) }}
	return r
}

// ends runs them to a code.
func (r *run) ends(t *testing.T, want int) {
	t.Helper()
	if code, err := r.Run(); code != want || err != nil {
		t.Errorf("code %d, %v, want %d; log %q, %q", code, err, want, r.log.b.String(), r.err.b.String())
	}
}

// says fails where lines do not have what, so many times.
func (l *lines) says(t *testing.T, times int, what string) {
	t.Helper()
	if n := l.count(what); n != times {
		t.Errorf("%q is there %d times, want %d: %q", what, n, times, l.b.String())
	}
}

func TestProcessesKnowTheirPlacesAndRankZeroSpeaks(t *testing.T) {
	r := three("ends")
	r.ends(t, 0)
	r.out.says(t, 1, "output of ")
	r.out.says(t, 1, "output of 0\n")
	for rank := range 3 {
		r.err.says(t, 1, fmt.Sprintf("rank %d of 3, attempt 0\n", rank))
	}
}

func TestADeadProcessEndsAllAndTheyAreStartedAgain(t *testing.T) {
	r := three("dies")
	r.Grace = 200 * time.Millisecond // the others sleep on
	r.ends(t, 128+int(syscall.SIGKILL))
	r.log.says(t, 1, "rank 1 was killed by SIGKILL\n")
	r.log.says(t, 1, "killed") // the others, by the launcher, are not worth a word
	r.MaxRestarts = 2
	r.ends(t, 0)
	r.err.says(t, 3, "attempt 1\n")
	r.log.says(t, 1, "started again, for the 1st of at most 2 times\n")
}

func TestWhatWouldFailAgainIsNotStartedAgain(t *testing.T) {
	r := three("fails")
	r.MaxRestarts = 3
	r.ends(t, 2)
	r.err.says(t, 0, "attempt 1")
}

func TestASignalReachesEachProcessOnce(t *testing.T) {
	signals := make(chan os.Signal)
	r := three("waits")
	r.MaxRestarts, r.Signals = 5, signals
	go func() {
		for r.err.count("waiting") < 3 {
			time.Sleep(time.Millisecond)
		}
		signals <- syscall.SIGTERM
	}()
	r.ends(t, 143)
	r.err.says(t, 0, "twice")
	r.err.says(t, 0, "attempt 1")
}

// Nobody waits a minute, which is three's grace, for one that cannot end.
func TestAStoppedProcessIsKilledAtOnceWhenAnotherHasEnded(t *testing.T) {
	for behaviour, code := range map[string]int{"stops": 7, "stops last": 128 + int(syscall.SIGKILL)} {
		r := three(behaviour)
		began := time.Now()
		r.ends(t, code)
		r.log.says(t, 1, "rank 2 was killed by SIGKILL\n")
		if took := time.Since(began); took > r.Grace/2 {
			t.Errorf("it took %v", took)
		}
	}
}
