package torch

import "testing"

func TestTheCPUNeedsNoCareOfMemory(t *testing.T) {
	onThread(t, func() {
		EmptyCache(CPU)
		ResetPeakMemory(CPU)
		Synchronize(CPU)
		if _, err := MemoryStats(CPU); err == nil {
			t.Error("the CPU has memory counters")
		}
	})
}

func TestTheNumberOfThreadsIsAsSet(t *testing.T) {
	onThread(t, func() {
		before := NumThreads()
		defer SetNumThreads(before)
		if SetNumThreads(3); NumThreads() != 3 {
			t.Errorf("%d threads, want 3", NumThreads())
		}
	})
}

func TestTheProcessorsInstructionsHaveAName(t *testing.T) {
	if got := CPUCapability(); got == "" {
		t.Error("no name")
	}
}

func TestWithoutCUDATheReasonIsSaid(t *testing.T) {
	ok, reason := CUDAAvailable()
	n, err := CUDADeviceCount()
	if ok == (reason != "") || ok != (n > 0) || err != nil {
		t.Errorf("available %v, reason %q, %d cards, error %v", ok, reason, n, err)
	}
	if again, same := CUDAAvailable(); again != ok || same != reason {
		t.Errorf("asked again: %v, %q", again, same)
	}
	t.Logf("CUDA: %v %s", ok, reason)
}
