//go:build cgo

package torch

// One locked goroutine does all tensor work: gradient mode and OpenMP's thread pool belong to the OS thread.

import (
	"errors"
	"fmt"
	"runtime"
	"runtime/debug"
	"sync"

	"golang.org/x/sys/unix"
)

// Thread is a goroutine locked to its OS thread.
type Thread struct {
	jobs     chan job
	stop     chan struct{} // closed by Stop
	stopOnce sync.Once
	done     chan struct{} // closed when the goroutine has ended
	tid      int
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

var (
	errStopped = errors.New("the tensor thread has stopped")
	errGoexit  = errors.New("the function ended the tensor thread by runtime.Goexit")
)

// StartThread starts the goroutine.
func StartThread() *Thread {
	t := &Thread{jobs: make(chan job), stop: make(chan struct{}), done: make(chan struct{})}
	ready := make(chan struct{})
	go t.loop(ready)
	<-ready
	return t
}

func (t *Thread) loop(ready chan<- struct{}) {
	// Never unlocked: the OS thread ends with the goroutine, and libtorch's thread-local state with it.
	runtime.LockOSThread()
	defer close(t.done)
	t.tid = unix.Gettid()
	close(ready)
	for {
		select {
		case j := <-t.jobs:
			answer(j)
		case <-t.stop:
			return
		}
	}
}

// answer runs the job and sends its panic or nil, also when the job calls runtime.Goexit (testing's FailNow does).
func answer(j job) {
	p := &Panic{Value: errGoexit}
	defer func() { j.result <- p }()
	p = protect(j.run)
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

// Do runs f on the thread and waits for it. A panic in f is raised again here as *Panic, and so is the use of a stopped
// thread. On the thread itself f is simply called.
func (t *Thread) Do(f func()) {
	if unix.Gettid() == t.tid {
		f()
		return
	}
	result := make(chan *Panic, 1)
	select {
	case t.jobs <- job{f, result}:
	case <-t.done:
		panic(&Panic{Value: errStopped})
	}
	if p := <-result; p != nil {
		panic(p)
	}
}

// Call runs f on the thread and returns what it returns.
func Call[T any](t *Thread, f func() T) (v T) {
	t.Do(func() { v = f() })
	return v
}

// Stop ends the goroutine after the work in hand. The Thread cannot be used again; stopping twice is harmless.
func (t *Thread) Stop() {
	t.stopOnce.Do(func() { close(t.stop) })
	<-t.done
}
