package monitor

import (
	"runtime"
	"syscall"
	"testing"
	"time"

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
	if runtime.GOOS != "linux" {
		t.Skip("no figures outside Linux")
	}
	stats := NewSystemStats(vfs.OS)
	before := values(stats.Fields())["resident_memory_bytes"]
	block := make([]byte, 64<<20)
	for i := range block {
		block[i] = 1
	}
	for start := time.Now(); time.Since(start) < 100*time.Millisecond; {
	}
	busy := values(stats.Fields())
	if grown := busy["resident_memory_bytes"] - before; grown < 32<<20 || grown > 256<<20 {
		t.Errorf("resident memory grew by %v for 64 MB", grown)
	}
	if cpu := busy["cpu_percent"]; cpu < 5 || cpu > 100*float64(runtime.NumCPU())+50 {
		t.Errorf("cpu_percent %v while busy", cpu)
	}
	runtime.KeepAlive(block)
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
