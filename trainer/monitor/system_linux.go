// The process's memory and processor time, from /proc and getrusage.

package monitor

import (
	"fmt"
	"os"
	"time"

	"frugal/trainer/internal/vfs"
)

type processStats struct {
	fsys vfs.FS

	lastRead time.Time
	lastCPU  time.Duration
}

// NewSystemStats returns the figures of this process: resident_memory_bytes, and cpu_percent since the call before (100 is
// one core busy, as in top). fsys is where /proc is. On systems other than Linux there are no figures.
func NewSystemStats(fsys vfs.FS) SystemStats {
	s := &processStats{fsys: fsys, lastRead: time.Now()}
	s.lastCPU, _ = cpuTime()
	return s
}

func (s *processStats) Fields() (fields []Field) {
	if bytes, err := s.resident(); err == nil {
		fields = append(fields, Field{"resident_memory_bytes", bytes})
	}
	if cpu, err := cpuTime(); err == nil {
		now := time.Now()
		if elapsed := now.Sub(s.lastRead); elapsed > 0 {
			fields = append(fields, Field{"cpu_percent", 100 * float64(cpu-s.lastCPU) / float64(elapsed)})
		}
		s.lastRead, s.lastCPU = now, cpu
	}
	return fields
}

// resident is the process's memory that is in RAM; proc(5), statm: sizes in pages.
func (s *processStats) resident() (int64, error) {
	text, err := vfs.ReadFile(s.fsys, "/proc/self/statm")
	if err != nil {
		return 0, err
	}
	var size, resident int64
	if _, err := fmt.Sscan(string(text), &size, &resident); err != nil {
		return 0, fmt.Errorf("/proc/self/statm: %w", err)
	}
	return resident * int64(os.Getpagesize()), nil
}
