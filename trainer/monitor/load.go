// How busy the machine is with other things, from /proc/stat.

package monitor

import (
	"fmt"
	"time"

	"golang.org/x/sys/unix"

	"frugal/trainer/internal/vfs"
)

// MachineLoad compares what all processors have done since it was made with what this process has.
type MachineLoad struct {
	fsys      vfs.FS
	start     time.Time
	busy, own time.Duration
	ok        bool
}

// NewMachineLoad begins to watch. fsys is where /proc is.
func NewMachineLoad(fsys vfs.FS) *MachineLoad {
	l := &MachineLoad{fsys: fsys, start: time.Now()}
	l.busy, l.own, l.ok = l.read()
	return l
}

// Others is the number of processors that other programs have kept busy. It is not ok before a fifth of a second has passed,
// less than which says nothing, or where the system does not tell.
func (l *MachineLoad) Others() (processors float64, ok bool) {
	busy, own, ok := l.read()
	elapsed := time.Since(l.start)
	if !ok || !l.ok || elapsed < time.Second/5 {
		return 0, false
	}
	return max(0, ((busy-l.busy)-(own-l.own)).Seconds()) / elapsed.Seconds(), true
}

// read is the time that all processors have been busy (proc(5), stat: ticks of 10 ms), and that of this process.
func (l *MachineLoad) read() (busy, own time.Duration, ok bool) {
	text, err := vfs.ReadFile(l.fsys, "/proc/stat")
	if err != nil {
		return 0, 0, false
	}
	var user, nice, system, idle, iowait, irq, softirq, steal int64
	if _, err := fmt.Sscanf(string(text), "cpu %d %d %d %d %d %d %d %d", &user, &nice, &system, &idle, &iowait, &irq, &softirq, &steal); err != nil {
		return 0, 0, false
	}
	own, err = cpuTime()
	return time.Duration(user+nice+system+irq+softirq+steal) * 10 * time.Millisecond, own, err == nil
}

// cpuTime is what all threads of the process have used so far.
func cpuTime() (time.Duration, error) {
	var usage unix.Rusage
	if err := unix.Getrusage(unix.RUSAGE_SELF, &usage); err != nil {
		return 0, err
	}
	return time.Duration(usage.Utime.Nano() + usage.Stime.Nano()), nil
}
