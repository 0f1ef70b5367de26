package monitor

import (
	"fmt"
	"testing"
	"time"

	"frugal/trainer/internal/vfs"
)

func TestMachineLoadCountsWhatOthersDo(t *testing.T) {
	disk := vfs.NewMem()
	disk.MkdirAll("/proc", 0o777)
	stat := func(ticks int) {
		write(t, disk, "/proc/stat", fmt.Sprintf("cpu  %d 5 10 999 7 0 0 0 0 0\ncpu0 1 2 3\n", ticks))
	}
	stat(1000)
	l := NewMachineLoad(disk)
	if others, ok := l.Others(); ok {
		t.Errorf("%v processors after no time", others)
	}
	l.start = l.start.Add(-10 * time.Second)
	stat(2500) // 15 s of work in 10 s, next to nothing of it this process's
	if others, ok := l.Others(); !ok || others < 1.3 || others > 1.5 {
		t.Errorf("%v, %v, want some 1.5 processors", others, ok)
	}
	write(t, disk, "/proc/stat", "nonsense")
	if others, ok := l.Others(); ok {
		t.Errorf("%v processors from nonsense", others)
	}
}
