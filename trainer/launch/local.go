package launch

// Several processes on this machine, where no launcher has started them: the program starts itself.

import (
	"context"
	"crypto/rand"
	"fmt"
	"io"
	"net"
	"os"
	"os/exec"
	"runtime"
	"slices"
	"strconv"
	"strings"
	"sync"
	"syscall"
	"time"

	"golang.org/x/sys/unix"
)

// Local says what to start.
type Local struct {
	Processes   int
	MaxRestarts int
	Job         string   // another launcher's name of the run; "" if there is none
	Attempt     int      // restarts by that one before this
	Path        string   // of the program
	Args        []string // its arguments, without its name
	Environ     []string
	Stdout      io.Writer // rank 0's
	Stderr      io.Writer // everybody's
	Signals     <-chan os.Signal
	Grace       time.Duration // that the others have to end by themselves when one has died
	Again       func(code int) bool
	Log         func(format string, a ...any)
}

// Run starts the processes and waits for all of them. A signal is handed on to each, once. Where one fails, the others, who notice,
// are given some time to end, then are killed; if Again says so of the code that stands for the run they are started again, up to
// MaxRestarts times. The code is that of the first process that ended with another than 0, if possible with one that Again says no to:
// those that notice may end first. It is 128 and the signal's number where a signal ended it.
func (l Local) Run() (code int, err error) {
	job := localJob + l.Job
	if l.Job == "" {
		job += rand.Text()
	}
	for attempt := 0; ; attempt++ {
		code, asked, err := l.once(job, l.Attempt+attempt)
		if err != nil || code == 0 || asked || !l.Again(code) {
			return code, err
		}
		if attempt == l.MaxRestarts {
			if l.MaxRestarts > 0 {
				l.Log("not started again: it was %d times", l.MaxRestarts)
			}
			return code, nil
		}
		l.Log("started again, for the %s of at most %d times", ordinal(attempt+1), l.MaxRestarts)
	}
}

// localJob begins the name that Run gives a run, as torchrun would.
const localJob = "nproc-"

// stopsAllowed are the seconds that a process may be stopped for before it is killed. Those that have met notice it sooner.
const stopsAllowed = 8

// Lives is a file of a process that Run has started: it can be read, to its end, when another has died. nil for other processes.
func (p *Place) Lives() *os.File {
	if p == nil || !strings.HasPrefix(p.Job, localJob) {
		return nil
	}
	return os.NewFile(3, "the launcher's pipe") // the first of exec.Cmd's ExtraFiles
}

// ended is a process that is no more.
type ended struct {
	rank, code int
	signal     syscall.Signal // that killed it; 0: none
}

// once starts all and waits for all. asked: a signal had them end.
func (l Local) once(job string, attempt int) (code int, asked bool, err error) {
	port, err := freePort()
	if err != nil {
		return 0, false, err
	}
	ctx, kill := context.WithCancel(context.Background())
	defer kill()
	lives, ends, err := os.Pipe()
	if err != nil {
		return 0, false, err
	}
	defer ends.Close()
	over := make(chan ended, l.Processes)
	started := make([]*os.Process, 0, l.Processes)
	var running sync.WaitGroup
	defer running.Wait()
	for rank := range l.Processes {
		process := make(chan *os.Process)
		running.Go(func() {
			runtime.LockOSThread() // the kernel sends Pdeathsig when the thread ends that started the process
			defer runtime.UnlockOSThread()
			c := l.command(ctx, rank, job, attempt, port)
			c.ExtraFiles = []*os.File{lives}
			if err := c.Start(); err != nil {
				l.Log("rank %d: %v", rank, err)
				close(process)
				over <- ended{rank, 1, 0}
				return
			}
			process <- c.Process
			c.Wait()
			e := ended{rank: rank, code: c.ProcessState.ExitCode()}
			if s := c.ProcessState.Sys().(syscall.WaitStatus); s.Signaled() {
				e.signal, e.code = s.Signal(), 128+int(s.Signal())
			}
			over <- e
		})
		if p := <-process; p != nil {
			started = append(started, p)
		}
	}
	lives.Close()
	var deadline <-chan time.Time
	look := time.Tick(time.Second)
	stops := map[int]int{} // looks at a process that found it stopped, one after the other
	someEnded := false     // one has ended
	for left := l.Processes; left > 0; {
		select {
		case s := <-l.Signals:
			asked = true
			for _, p := range started {
				p.Signal(s) // one that has ended does not mind
			}
		case <-deadline:
			kill()
		case <-look: // one that is stopped will not end by itself
			for _, p := range started {
				if stops[p.Pid]++; !stopped(p.Pid) {
					stops[p.Pid] = 0
				} else if someEnded || stops[p.Pid] > stopsAllowed {
					p.Kill()
				}
			}
		case e := <-over:
			left--
			someEnded = true
			if e.code == 0 {
				break
			}
			ends.Close()
			if code == 0 || l.Again(code) && !l.Again(e.code) {
				code = e.code
			}
			if e.signal != 0 && ctx.Err() == nil {
				l.Log("rank %d was killed by %s", e.rank, unix.SignalName(e.signal))
			}
			if deadline == nil {
				deadline = time.After(l.Grace)
			}
		}
	}
	return code, asked, nil
}

func (l Local) command(ctx context.Context, rank int, job string, attempt, port int) *exec.Cmd {
	c := exec.CommandContext(ctx, l.Path, l.Args...)
	n := strconv.Itoa
	others := slices.DeleteFunc(slices.Clone(l.Environ), func(entry string) bool { return strings.HasPrefix(entry, "TORCHELASTIC_") })
	c.Env = append(others, "RANK="+n(rank), "LOCAL_RANK="+n(rank), "WORLD_SIZE="+n(l.Processes), "LOCAL_WORLD_SIZE="+n(l.Processes),
		"MASTER_ADDR=127.0.0.1", "MASTER_PORT="+n(port), "TORCHELASTIC_RUN_ID="+job,
		"TORCHELASTIC_RESTART_COUNT="+n(attempt))
	c.Stderr = l.Stderr
	if rank == 0 {
		c.Stdout = l.Stdout
	}
	// In a group of its own a process does not get the terminal's signals, which Run hands on, twice. The signal of this process's death may
	// come several times, so it is none that counts when it does.
	c.SysProcAttr = &syscall.SysProcAttr{Setpgid: true, Pdeathsig: syscall.SIGUSR1}
	return c
}

// stopped says whether a child is, by a signal, as proc(5) tells it: "pid (name) state …".
func stopped(pid int) bool {
	text, err := os.ReadFile("/proc/" + strconv.Itoa(pid) + "/stat")
	_, state, _ := strings.Cut(string(text), ") ")
	return err == nil && strings.HasPrefix(state, "T")
}

// freePort is one that nobody listens at.
func freePort() (int, error) {
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		return 0, fmt.Errorf("no port for the processes to meet at: %w", err)
	}
	defer l.Close()
	return l.Addr().(*net.TCPAddr).Port, nil
}

func ordinal(n int) string {
	switch {
	case n%100/10 == 1:
	case n%10 == 1:
		return fmt.Sprintf("%dst", n)
	case n%10 == 2:
		return fmt.Sprintf("%dnd", n)
	case n%10 == 3:
		return fmt.Sprintf("%drd", n)
	}
	return fmt.Sprintf("%dth", n)
}
