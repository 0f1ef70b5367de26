package gpt2

import (
	"runtime"
	"testing"

	"frugal/torch"
)

// onThread runs f on one OS thread in a scope of its own, and fails the test when a tensor outlives it. Operations do not share
// their work with other threads: at these sizes they would only wait for each other. f runs in the test's own goroutine, so
// that t.Fatal works; subtests inside f would have others.
func onThread(t testing.TB, f func()) {
	t.Helper()
	runtime.LockOSThread()
	defer runtime.UnlockOSThread()
	torch.SetNumThreads(1)
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
