package torch

// Devices: which there are, their memory, their random generators.

/*
#include <stdlib.h>
#include "binding.h"
*/
import "C"

import (
	"errors"
	"fmt"
	"sync"
	"unsafe"
)

// DeviceType is c10::DeviceType's number.
type DeviceType int8

// The device types that the binding knows.
const (
	CPUType  DeviceType = 0
	CUDAType DeviceType = 1
)

// Device is a place for tensors.
type Device struct {
	Type  DeviceType
	Index int8
}

// CPU is the host.
var CPU = Device{CPUType, 0}

// CUDA is the NVIDIA card of that index. CUDAAvailable must have been asked before one is used.
func CUDA(index int) Device { return Device{CUDAType, int8(index)} }

func (d Device) c() C.ft_device { return C.ft_device{C.int8_t(d.Type), C.int8_t(d.Index)} }

func (d Device) String() string {
	if d.Type == CPUType {
		return "cpu"
	}
	return fmt.Sprintf("cuda:%d", d.Index)
}

// cuda is loaded once: libtorch caches the answer to its first question about CUDA.
var cuda = sync.OnceValue(func() error {
	var why *C.char
	if e := asError(C.ft_load_cuda(&why)); e != nil {
		return e
	}
	defer C.free(unsafe.Pointer(why))
	if text := C.GoString(why); text != "" {
		return errors.New(oneLine(text))
	}
	return nil
})

// CUDAAvailable opens libtorch_cuda beside libtorch_cpu where a driver and a card are present. The reason says why not. Ask
// before any other tensor work: libtorch remembers its first answer to whether there is CUDA.
func CUDAAvailable() (ok bool, reason string) {
	if err := cuda(); err != nil {
		return false, err.Error()
	}
	return true, ""
}

// CUDADeviceCount is the number of cards; 0 without CUDA.
func CUDADeviceCount() (int, error) {
	if ok, _ := CUDAAvailable(); !ok {
		return 0, nil
	}
	var n C.int
	if e := asError(C.ft_device_count(C.int8_t(CUDAType), &n)); e != nil {
		return 0, e
	}
	return int(n), nil
}

// Memory is what an allocator counts, in bytes. Allocated: of living tensors, on a CPU as many as were asked for, each rounded up to
// a multiple of 64, so that a program counts the same on every run; on a card as the caching allocator rounds. Reserved: taken from
// the card or the system, memory kept for later tensors included. Free and Total are the card's or the machine's.
type Memory struct {
	Allocated, AllocatedPeak, Reserved, ReservedPeak, Free, Total int64
}

// MemoryStats reads the counters of the device's allocator.
func MemoryStats(d Device) (Memory, error) {
	var m C.ft_memory
	if e := asError(C.ft_memory_stats(d.c(), &m)); e != nil {
		return Memory{}, e
	}
	if d.Type == CPUType {
		available, total := systemMemory()
		m.free, m.total = C.int64_t(available), C.int64_t(total)
	}
	return Memory{int64(m.allocated), int64(m.allocated_peak), int64(m.reserved), int64(m.reserved_peak), int64(m.free), int64(m.total)}, nil
}

// ResetPeakMemory makes the present allocation the peak.
func ResetPeakMemory(d Device) { check(C.ft_reset_peak(d.c())) }

// EmptyCache gives the memory that the device's allocator keeps for later tensors back to the card or the system: between phases of
// a program that need different tensors.
func EmptyCache(d Device) { check(C.ft_empty_cache(d.c())) }

// Synchronize waits until the device has done what was asked of it. Nothing on a CPU.
func Synchronize(d Device) { check(C.ft_synchronize(d.c())) }

// ManualSeed sets the state of the device's default generator.
func ManualSeed(d Device, seed uint64) { check(C.ft_manual_seed(d.c(), C.uint64_t(seed))) }

// SetNumThreads sets how many threads an operation on the CPU uses; call it on the tensor thread.
func SetNumThreads(n int) { check(C.ft_set_num_threads(C.int(n))) }

// NumThreads is how many threads an operation on the CPU uses.
func NumThreads() int {
	var n C.int
	check(C.ft_num_threads(&n))
	return int(n)
}

// CPUCapability is the instruction set that libtorch's own kernels use here: DEFAULT, AVX2 or AVX512.
func CPUCapability() string {
	var text *C.char
	check(C.ft_cpu_capability(&text))
	return C.GoString(text)
}
