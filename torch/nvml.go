package torch

// A card's own figures: how busy, how warm, what it draws.

/*
#include <stdlib.h>
#include "binding.h"
*/
import "C"

import (
	"errors"
	"unsafe"
)

// Card is an NVIDIA card as the driver's monitoring library, NVML, sees it. It stays open until the process ends.
type Card struct{ handle unsafe.Pointer }

// CardStats are a card's figures at one moment, those of other processes on it included. A negative one is not known.
type CardStats struct {
	Utilization int64 // percent of the last moments (a sixth of a second to a second) in which a kernel ran
	Celsius     int64
	Milliwatts  int64
	MemoryUsed  int64 // bytes
}

// BusID is where a card sits in its machine, as CUDA writes it: 0000:3b:00.0.
func BusID(d Device) (string, error) {
	if d.Type != CUDAType {
		return "", errors.New(d.String() + " is no card")
	}
	var id, why *C.char
	if e := asError(C.ft_card_bus_id(C.int8_t(d.Index), &id, &why)); e != nil {
		return "", e
	}
	defer C.free(unsafe.Pointer(id))
	defer C.free(unsafe.Pointer(why))
	if text := C.GoString(why); text != "" {
		return "", errors.New(text)
	}
	return C.GoString(id), nil
}

// OpenCard finds the card of a CUDA device. An error where there is no driver, or none that tells.
func OpenCard(d Device) (*Card, error) {
	if d.Type != CUDAType {
		return nil, errors.New(d.String() + " is no card")
	}
	var why *C.char
	var handle unsafe.Pointer
	if e := asError(C.ft_card_open(C.int8_t(d.Index), &handle, &why)); e != nil {
		return nil, e
	}
	defer C.free(unsafe.Pointer(why))
	if text := C.GoString(why); text != "" {
		return nil, errors.New(text)
	}
	return &Card{handle}, nil
}

// Stats asks the driver. It waits for nothing on the card.
func (c *Card) Stats() CardStats {
	var s C.ft_card
	check(C.ft_card_read(c.handle, &s))
	return CardStats{int64(s.utilization), int64(s.celsius), int64(s.milliwatts), int64(s.memory_used)}
}
