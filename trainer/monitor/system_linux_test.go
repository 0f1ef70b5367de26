package monitor

import (
	"runtime"
	"runtime/debug"
	"syscall"
	"testing"
	"time"

	"golang.org/x/sys/unix"

	"frugal/trainer/internal/vfs"
)

func values(fields []Field) map[string]float64 {
	m := map[string]float64{}
	for _, f := range fields {
		m[f.Name], _ = toFloat(f.Value)
	}
	return m
}

func TestSystemStatsFollowTheProcess(t *testing.T) {
	debug.FreeOSMemory() // so that the collector gives little back meanwhile
	stats := NewSystemStats(vfs.OS)
	before := values(stats.Fields())["resident_memory_bytes"]
	block, err := unix.Mmap(-1, 0, 64<<20, unix.PROT_READ|unix.PROT_WRITE, unix.MAP_ANON|unix.MAP_PRIVATE)
	if err != nil {
		t.Fatal(err)
	}
	defer unix.Munmap(block)
	for i := range block {
		block[i] = 1
	}
	for start := time.Now(); time.Since(start) < 100*time.Millisecond; {
	}
	busy := values(stats.Fields())
	if grown := busy["resident_memory_bytes"] - before; grown < 32<<20 || grown > 128<<20 {
		t.Errorf("resident memory grew by %v for 64 MB", grown)
	}
	if cpu := busy["cpu_percent"]; cpu < 5 || cpu > 100*float64(runtime.NumCPU())+50 {
		t.Errorf("cpu_percent %v while busy", cpu)
	}
	time.Sleep(100 * time.Millisecond)
	if cpu := values(stats.Fields())["cpu_percent"]; cpu > 50 {
		t.Errorf("cpu_percent %v while asleep", cpu)
	}
}

func TestSystemStatsAreAbsentWithoutProc(t *testing.T) {
	stats := NewSystemStats(vfs.Fault(vfs.OS, func(vfs.Op) error { return syscall.EACCES }))
	if _, there := values(stats.Fields())["resident_memory_bytes"]; there {
		t.Error("resident memory from nowhere")
	}
	broken := vfs.NewMem()
	broken.MkdirAll("/proc/self", 0o777)
	write(t, broken, "/proc/self/statm", "nonsense")
	if _, there := values(NewSystemStats(broken).Fields())["resident_memory_bytes"]; there {
		t.Error("resident memory from nonsense")
	}
}
