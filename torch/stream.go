package torch

// Copies between the host's memory and a device's beside the device's other work.

/*
#include "binding.h"
#cgo noescape ft_stream_copy
#cgo nocallback ft_stream_copy
#cgo noescape ft_event_record
#cgo nocallback ft_event_record
#cgo noescape ft_event_block
#cgo nocallback ft_event_block
#cgo noescape ft_event_synchronize
#cgo nocallback ft_event_synchronize
#cgo noescape ft_host_zeros
#cgo nocallback ft_host_zeros
*/
import "C"

import (
	"sync/atomic"
	"unsafe"
)

// Stream is a queue of copies. On a card they are made beside what the card computes, in their order. On a CPU, which computes in
// the caller's thread, they are made as late as is allowed: when an Event behind them is waited for. So a wait that is missing gives
// wrong results there too, on every run.
type Stream struct {
	device Device
	ptr    unsafe.Pointer // c10::Stream; nil on a CPU
	queue  []func()       // on a CPU: what is still to be done
	begun  int64          // on a CPU: how much has left the queue
}

// eager has the copies of a CPU made at once.
var eager atomic.Bool

// CopyAtOnce is for tests: a CPU's streams copy as early as they can, when they are asked to, instead of as late.
func CopyAtOnce(on bool) { eager.Store(on) }

// NewStream makes a queue of the device's. It lives until Free.
func NewStream(d Device) *Stream {
	s := &Stream{device: d}
	if d.Type != CPUType {
		check(C.ft_stream_new(d.c(), &s.ptr))
	}
	return s
}

// Copy copies from's elements into to, of the same shape and dtype, when the stream comes to it. Both must live until then, and
// whoever needs what was copied waits for an Event.
func (s *Stream) Copy(to, from *Tensor) {
	if s.device.Type != CPUType {
		check(C.ft_stream_copy(s.ptr, to.p(), from.p()))
		return
	}
	s.add(func() { to.Copy_(from) })
}

func (s *Stream) add(work func()) {
	s.queue = append(s.queue, work)
	if eager.Load() {
		s.run(s.begun + int64(len(s.queue)))
	}
}

// run does what was added first, until so much has been.
func (s *Stream) run(until int64) {
	for s.begun < until {
		next := s.queue[0]
		s.queue = s.queue[1:]
		s.begun++
		next()
	}
}

// Free releases a stream in which nothing is left to do.
func (s *Stream) Free() {
	if s != nil && s.ptr != nil {
		check(C.ft_stream_free(s.ptr))
		s.ptr = nil
	}
}

// Event is a place in the order of a device's work. A nil Stream, below, is what the device computes.
type Event struct {
	device Device
	ptr    unsafe.Pointer // c10::Event; nil on a CPU
	stream *Stream        // on a CPU: of the place
	after  int64          // on a CPU: how much stands before it
}

// NewEvent makes an event that is nowhere yet: nobody waits for it. It lives until Free.
func NewEvent(d Device) *Event {
	e := &Event{device: d}
	if d.Type != CPUType {
		check(C.ft_event_new(d.c(), &e.ptr))
	}
	return e
}

// Record moves the event behind all that was given to the stream so far.
func (e *Event) Record(s *Stream) {
	if e.ptr != nil {
		check(C.ft_event_record(e.ptr, s.pointer(), e.device.c()))
		return
	}
	if e.stream = s; s != nil {
		e.after = s.begun + int64(len(s.queue))
	}
}

// Block has what is given to the stream from now on wait for the event. The caller does not wait.
func (e *Event) Block(s *Stream) {
	switch {
	case e.ptr != nil:
		check(C.ft_event_block(e.ptr, s.pointer(), e.device.c()))
	case s == nil:
		e.Synchronize()
	case e.stream != nil && e.stream != s:
		place := *e // it may be moved before the stream comes here
		s.add(place.Synchronize)
	}
}

// Synchronize waits until the event is reached.
func (e *Event) Synchronize() {
	if e.ptr != nil {
		check(C.ft_event_synchronize(e.ptr))
	} else if e.stream != nil {
		e.stream.run(e.after)
	}
}

// Free releases the event.
func (e *Event) Free() {
	if e != nil && e.ptr != nil {
		check(C.ft_event_free(e.ptr))
		e.ptr = nil
	}
}

func (s *Stream) pointer() unsafe.Pointer {
	if s == nil {
		return nil
	}
	return s.ptr
}

// HostZeros makes a tensor of zeros in the host's memory for copies to and from the device: for a card with its pages pinned, so that
// copies need no processor; pinned is false where the system does not allow it, and copies are slower then. What MemoryStats counts
// does not include it.
func HostZeros(shape []int64, dtype DType, device Device) (t *Tensor, pinned bool) {
	var out C.ft_tensor
	var yes C.int
	s, n := shapePointer(shape)
	check(C.ft_host_zeros(s, n, C.int8_t(dtype), device.c(), &out, &yes))
	return wrap(out), yes != 0
}
