package trainer

// The plan of a step for who only asks: bench/memory plans models that this machine could not hold.

import (
	"frugal/trainer/config"
	"frugal/trainer/gpt2"
)

// PeakPart is one of the things that a device's memory goes to, and how many bytes of it at a step's peak.
type PeakPart struct {
	Name  string
	Bytes int64
}

// PlannedPeak is what the peak of a step is planned to consist of where attention needs no scores in memory: on a card, and on a CPU by flash.
// It follows from the configuration alone, which must name vocab_size and a precision; no tensor is made.
func PlannedPeak(c *config.TrainingConfig) (parts []PeakPart) {
	s := shapeOf(c, architectureOf(c), int64(c.BatchSize), precisions[c.Precision])
	for part, bytes := range s.plan() {
		if bytes > 0 {
			parts = append(parts, PeakPart{memoryPart(part).name(false), bytes})
		}
	}
	return parts
}

// HostBytes is what a configuration's cpu_offload keeps in the host's memory; 0 without one.
func HostBytes(c *config.TrainingConfig) int64 {
	if offloads[c.CPUOffload] == gpt2.NoOffload {
		return 0
	}
	return hostBytes(architectureOf(c), precisions[c.Precision])
}
