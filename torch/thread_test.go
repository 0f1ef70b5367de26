package torch_test

import (
	"errors"
	"runtime"
	"runtime/debug"
	"strings"
	"sync"
	"testing"

	"golang.org/x/sys/unix"

	"frugal/torch"
)

func TestAllWorkRunsOnOneThread(t *testing.T) {
	thread := torch.StartThread()
	defer thread.Stop()
	var ids sync.Map
	var group sync.WaitGroup
	for range 8 {
		group.Go(func() {
			for range 20 {
				ids.Store(torch.Call(thread, unix.Gettid), true)
				thread.Do(func() { thread.Do(func() { ids.Store(unix.Gettid(), true) }) }) // from the thread itself
			}
		})
	}
	group.Wait()
	n := 0
	ids.Range(func(any, any) bool { n++; return true })
	if n != 1 {
		t.Errorf("the work ran on %d threads", n)
	}
}

func raiseInTheDepths() { values(1, 2).Add(values(1, 2, 3)) }

func TestAPanicCrossesWithItsStack(t *testing.T) {
	thread := torch.StartThread()
	defer thread.Stop()
	defer func() {
		err, ok := recover().(error)
		if !ok {
			t.Fatal("no panic with an error")
		}
		var e *torch.Error
		if !errors.As(err, &e) || e.Kind != torch.ShapeError {
			t.Errorf("no shape *Error in %v", err)
		}
		if !strings.Contains(err.Error(), "raiseInTheDepths") {
			t.Errorf("the stack does not name the function that panicked:\n%v", err)
		}
		if thread.Do(func() {}); torch.LiveTensors() != 0 {
			t.Errorf("%d live tensors", torch.LiveTensors())
		}
	}()
	thread.Do(func() {
		s := torch.OpenScope()
		defer s.Close()
		raiseInTheDepths()
	})
}

func TestGoexitEndsTheThreadAndSaysSo(t *testing.T) {
	thread := torch.StartThread()
	for _, want := range []string{"runtime.Goexit", "the tensor thread has stopped"} {
		func() {
			defer func() {
				if err, ok := recover().(error); !ok || !strings.Contains(err.Error(), want) {
					t.Errorf("panic is %v, want %v", err, want)
				}
			}()
			thread.Do(runtime.Goexit)
		}()
	}
	thread.Stop()
	thread.Stop()
}

// The collector runs without pause while many goroutines make garbage and hand work to the thread: nothing that it does may
// touch a tensor in use.
func TestTensorsSurviveABusyCollector(t *testing.T) {
	defer debug.SetGCPercent(debug.SetGCPercent(1))
	thread := torch.StartThread()
	defer thread.Stop()
	want := torch.Call(thread, func() float64 { torch.SetNumThreads(1); return product(3) })
	var group sync.WaitGroup
	for range 16 {
		group.Go(func() {
			for range 25 {
				garbage := make([][]float32, 0, 20)
				for range 20 {
					garbage = append(garbage, make([]float32, 1000))
				}
				if got := torch.Call(thread, func() float64 { return product(3) }); got != want {
					t.Errorf("product is %v, want %v", got, want)
				}
				runtime.KeepAlive(garbage)
			}
		})
	}
	group.Wait()
	if n := torch.LiveTensors(); n != 0 {
		t.Errorf("%d live tensors", n)
	}
}

// product multiplies matrices of n times 16 rows with many temporaries on the way, backward pass included.
func product(n int64) float64 {
	s := torch.OpenScope()
	defer s.Close()
	data := make([]float32, 16*n*16)
	for i := range data {
		data[i] = float32(i%7) - 3
	}
	w := torch.FromFloat32s(data[:256], []int64{16, 16}, torch.CPU).SetRequiresGrad(true)
	x := torch.FromFloat32s(data, []int64{16 * n, 16}, torch.CPU)
	for range 4 {
		x = x.MatMul(w).MulScalar(0.1).GELUTanh()
	}
	x.Sum().Backward()
	return w.Grad().Sum().Item()
}
