package torch

// The memory of tensors: what is counted, by kind, how much there may be, and failures for tests. The CPU's allocator is the
// binding's own: it keeps freed memory for the next step, in huge pages where the system has them.

/*
#include "binding.h"
#cgo noescape ft_count_as
#cgo nocallback ft_count_as
*/
import "C"

import (
	"fmt"
	"os"
)

// MemoryKind is what memory serves.
type MemoryKind int8

// The kinds of memory. MemoryOther is what no CountAs names.
const (
	MemoryOther MemoryKind = iota
	MemoryWeights
	MemoryGradients
	MemoryOptimizer
	MemoryActivations
	MemoryHead // logits, the loss and their gradients

	NumMemoryKinds = 6
)

func (k MemoryKind) String() string {
	return [NumMemoryKinds]string{"other", "weights", "gradients", "optimizer", "activations", "head"}[k]
}

// CountAs runs f and books what is allocated meanwhile, by any thread and on any device, as kind. A block is booked as the kind
// that it was allocated as until it is freed, wherever that happens. Calls nest.
func CountAs(kind MemoryKind, f func()) {
	var before C.int8_t
	check(C.ft_count_as(C.int8_t(kind), &before))
	defer func() {
		var ignored C.int8_t
		check(C.ft_count_as(before, &ignored))
	}()
	f()
}

// MemoryByKind is how many bytes of each kind are allocated, and were at the moment of the peak that MemoryStats tells: atPeak's sum.
// On a card only those blocks are known that were allocated since the thread's first CountAs.
func MemoryByKind(d Device) (live, atPeak [NumMemoryKinds]int64) {
	var kinds C.ft_kinds
	check(C.ft_memory_by_kind(d.c(), &kinds))
	for i := range live {
		live[i], atPeak[i] = int64(kinds.live[i]), int64(kinds.at_peak[i])
	}
	return live, atPeak
}

// SetMemoryLimit makes allocations fail as out of memory that would bring the device's allocated bytes above a number; 0: none. On a
// card the limit holds for what libtorch reserves, cached memory included, for every card alike, and can only be set before a card
// is used for the first time: an error afterwards, and where there is no card.
func SetMemoryLimit(d Device, bytes int64) error {
	if bytes < 0 {
		return fmt.Errorf("a memory limit of %d bytes", bytes)
	}
	if e := asError(C.ft_set_memory_limit(d.c(), C.int64_t(bytes))); e != nil {
		return e
	}
	return nil
}

// FailAllocation is for tests: the n-th allocation on the CPU from now on fails as if there were no memory left. 0 calls it off.
func FailAllocation(n int64) { check(C.ft_fail_allocation(C.int64_t(n))) }

// Allocations is how many allocations there were on the CPU since the program began, failed ones included.
func Allocations() int64 {
	var n C.int64_t
	check(C.ft_allocations(&n))
	return int64(n)
}

// systemMemory is the machine's memory, or that of the container or slice whose limit is lower; zeros where the kernel says nothing.
func systemMemory() (available, total int64) {
	available, total = machineMemory()
	for _, g := range controlGroups("/") {
		if free, limit, ok := g.memory(); ok {
			available, total = min(available, free), min(total, limit)
		}
	}
	return available, total
}

// machineMemory reads proc(5), meminfo.
func machineMemory() (available, total int64) {
	f, err := os.Open("/proc/meminfo")
	if err != nil {
		return 0, 0
	}
	defer f.Close()
	for available == 0 || total == 0 {
		var name, unit string
		var kib int64
		if _, err := fmt.Fscanln(f, &name, &kib, &unit); err != nil {
			break
		}
		switch name {
		case "MemAvailable:":
			available = kib << 10
		case "MemTotal:":
			total = kib << 10
		}
	}
	return available, total
}
