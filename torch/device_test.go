package torch_test

import (
	"testing"

	"frugal/torch"
)

func TestTheNumberOfThreadsIsAsSet(t *testing.T) {
	onThread(t, func() {
		before := torch.NumThreads()
		defer torch.SetNumThreads(before)
		if torch.SetNumThreads(3); torch.NumThreads() != 3 {
			t.Errorf("%d threads, want 3", torch.NumThreads())
		}
	})
}

func TestTheProcessorsInstructionsHaveAName(t *testing.T) {
	if got := torch.CPUCapability(); got == "" {
		t.Error("no name")
	}
}

func TestWithoutCUDATheReasonIsSaid(t *testing.T) {
	ok, reason := torch.CUDAAvailable()
	n, err := torch.CUDADeviceCount()
	if ok == (reason != "") || ok != (n > 0) || err != nil {
		t.Errorf("available %v, reason %q, %d cards, error %v", ok, reason, n, err)
	}
	if again, same := torch.CUDAAvailable(); again != ok || same != reason {
		t.Errorf("asked again: %v, %q", again, same)
	}
	t.Logf("CUDA: %v %s", ok, reason)
}
