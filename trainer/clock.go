package trainer

// What the loop measures with: memory, and a stopwatch.

import (
	"time"

	"frugal/torch"
	"frugal/trainer/monitor"
)

// memoryFields are the memory of the device's tensors and the process's.
func memoryFields(device torch.Device, stats monitor.SystemStats) []monitor.Field {
	var f []monitor.Field
	if m, err := torch.MemoryStats(device); err == nil {
		live, atPeak := torch.MemoryByKind(device)
		f = append(f, monitor.Field{Name: "allocated_memory_bytes", Value: m.Allocated}, monitor.Field{Name: "allocated_memory_by_kind", Value: byKind(live)},
			monitor.Field{Name: "reserved_memory_bytes", Value: m.Reserved},
			monitor.Field{Name: "peak_memory_bytes", Value: m.AllocatedPeak}, monitor.Field{Name: "peak_memory_by_kind", Value: byKind(atPeak)})
	}
	return append(f, stats.Fields()...)
}

// byKind is what bytes served, in the order of torch's kinds, what no kind names at the end.
func byKind(bytes [torch.NumMemoryKinds]int64) (fields []monitor.Field) {
	add := func(k torch.MemoryKind) { fields = append(fields, monitor.Field{Name: k.String(), Value: bytes[k]}) }
	for k := torch.MemoryOther + 1; k < torch.NumMemoryKinds; k++ {
		add(k)
	}
	add(torch.MemoryOther)
	return fields
}

// stopwatch times laps without the evaluations and saves in them, and epochs with them.
type stopwatch struct {
	start, epochStart time.Time
	step, tokens      int64 // step of the last lap, tokens since then
	excluded          time.Duration
	waited            time.Duration // for data, since the last lap
}

func newStopwatch(step int64) *stopwatch {
	now := time.Now()
	return &stopwatch{start: now, epochStart: now, step: step}
}

// lap is the time since the last lap and the steps done in it.
func (s *stopwatch) lap(step int64) (seconds float64, steps int64) {
	now := time.Now()
	seconds, steps = (now.Sub(s.start) - s.excluded).Seconds(), step-s.step
	s.start, s.step, s.excluded, s.waited = now, step, 0, 0
	return seconds, steps
}

// wait counts the time that f takes as waiting for data.
func (s *stopwatch) wait(f func()) {
	start := time.Now()
	f()
	s.waited += time.Since(start)
}

func (s *stopwatch) exclude(d time.Duration) { s.excluded += d }

func (s *stopwatch) epoch() float64 { return time.Since(s.epochStart).Seconds() }

func (s *stopwatch) beginEpoch() { s.epochStart = time.Now() }
