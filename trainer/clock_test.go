package trainer

import (
	"testing"
	"time"
)

// A wait for data is a lap's own, and part of its time.
func TestTheStopwatchCountsWaits(t *testing.T) {
	const pause = 2 * time.Millisecond
	s := newStopwatch(3)
	for range 2 {
		s.wait(func() { time.Sleep(pause) })
	}
	if s.waited < 2*pause {
		t.Errorf("waited %v in two waits of %v", s.waited, pause)
	}
	if seconds, steps := s.lap(5); steps != 2 || seconds < (2*pause).Seconds() || s.waited != 0 {
		t.Errorf("%d steps in %v s, then waited %v", steps, seconds, s.waited)
	}
}
