package gpt2

import (
	"fmt"
	"os"
	"testing"

	"frugal/torch"
)

// thread does all tensor work of the tests; two CPU threads whatever the machine, so that figures compare.
var thread *torch.Thread

func TestMain(m *testing.M) {
	thread = torch.StartThread()
	thread.Do(func() { torch.SetNumThreads(2) })
	code := m.Run()
	if n := torch.LiveTensors(); n != 0 {
		fmt.Fprintf(os.Stderr, "%d tensors live after the tests\n", n)
		code = 1
	}
	thread.Stop()
	os.Exit(code)
}

// onThread runs f on the tensor thread in a scope of its own, and fails the test when a tensor outlives it.
func onThread(t *testing.T, f func()) {
	t.Helper()
	thread.Do(func() {
		before := torch.LiveTensors()
		scope := torch.OpenScope()
		defer func() {
			scope.Close()
			if n := torch.LiveTensors() - before; n != 0 {
				t.Errorf("%d tensors outlive the test", n)
			}
		}()
		f()
	})
}
