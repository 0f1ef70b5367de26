package torch

// One locked goroutine does all tensor work: gradient mode, autocast and OpenMP's thread pool belong to the OS thread.

import (
	"fmt"
	"runtime"
	"runtime/debug"

	"golang.org/x/sys/unix"
)

// Thread is a goroutine locked to its OS thread.
type Thread struct {
	jobs chan job
	done chan struct{}
	tid  int
}

type job struct {
	run    func()
	result chan *Panic
}

// Panic carries a panic of the tensor thread to the goroutine that called Do, with the stack it had there.
type Panic struct {
	Value any
	Stack []byte
}

func (p *Panic) Error() string { return fmt.Sprintf("%v\n\n%s", p.Value, p.Stack) }

// Unwrap gives the panic's value when it is an error, so that errors.As finds *Error in it.
func (p *Panic) Unwrap() error {
	err, _ := p.Value.(error)
	return err
}

// StartThread starts the goroutine.
func StartThread() *Thread {
	t := &Thread{jobs: make(chan job), done: make(chan struct{})}
	ready := make(chan struct{})
	go t.loop(ready)
	<-ready
	return t
}

func (t *Thread) loop(ready chan<- struct{}) {
	// Never unlocked: the OS thread ends with the goroutine, and libtorch's thread-local state with it.
	runtime.LockOSThread()
	t.tid = unix.Gettid()
	close(ready)
	for j := range t.jobs {
		j.result <- protect(j.run)
	}
	close(t.done)
}

func protect(run func()) (p *Panic) {
	defer func() {
		if v := recover(); v != nil {
			p = &Panic{Value: v, Stack: debug.Stack()}
		}
	}()
	run()
	return nil
}

// Do runs f on the thread and waits for it. A panic in f is raised again here as *Panic. On the thread itself f is
// simply called.
func (t *Thread) Do(f func()) {
	if unix.Gettid() == t.tid {
		f()
		return
	}
	result := make(chan *Panic)
	t.jobs <- job{f, result}
	if p := <-result; p != nil {
		panic(p)
	}
}

// Call runs f on the thread and returns what it returns.
func Call[T any](t *Thread, f func() T) (v T) {
	t.Do(func() { v = f() })
	return v
}

// Stop ends the goroutine after the work in hand. The Thread cannot be used again.
func (t *Thread) Stop() {
	close(t.jobs)
	<-t.done
}
