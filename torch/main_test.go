package torch_test

import (
	"errors"
	"runtime"
	"strings"
	"testing"

	"frugal/torch"
)

// onThread runs f on one OS thread in a scope of its own, and fails the test when a tensor outlives it. f runs in the test's
// own goroutine, so that t.Fatal works; subtests inside f would have others.
func onThread(t testing.TB, f func()) {
	t.Helper()
	runtime.LockOSThread()
	defer runtime.UnlockOSThread()
	before := torch.LiveTensors()
	scope := torch.OpenScope()
	defer func() {
		scope.Close()
		if n := torch.LiveTensors() - before; n != 0 {
			t.Errorf("%d tensors outlive the test", n)
		}
	}()
	f()
}

// caught runs f and returns the *Error that it panics with; another panic goes on.
func caught(t testing.TB, f func()) (e *torch.Error) {
	t.Helper()
	defer func() {
		if v := recover(); v != nil {
			err, ok := v.(error)
			if !ok || !errors.As(err, &e) {
				panic(v)
			}
		}
	}()
	f()
	t.Error("no panic")
	return &torch.Error{}
}

// values makes a float32 vector.
func values(v ...float32) *torch.Tensor {
	return torch.FromFloat32s(v, []int64{int64(len(v))}, torch.CPU)
}

func oneLineOf(t testing.TB, e error) string {
	t.Helper()
	if strings.Contains(e.Error(), "\n") {
		t.Errorf("more than one line: %q", e.Error())
	}
	return e.Error()
}
