package torch

// What goes wrong in libtorch becomes *Error, with a kind and one line of text.

/*
#include "binding.h"
*/
import "C"

import (
	"regexp"
	"strings"
)

// Kind says what sort of thing went wrong.
type Kind byte

// The kinds of error. Shape: sizes or dimensions do not fit together. OutOfMemory: of the device or the host.
const (
	OtherError  Kind = 'o'
	ShapeError  Kind = 's'
	OutOfMemory Kind = 'm'
	DeviceError Kind = 'd'
)

func (k Kind) String() string {
	switch k {
	case ShapeError:
		return "shape"
	case OutOfMemory:
		return "out of memory"
	case DeviceError:
		return "device"
	}
	return "libtorch"
}

// Error is an exception of libtorch.
type Error struct {
	Kind    Kind
	Message string // libtorch's own, one line unless ErrorStacks is on
}

func (e *Error) Error() string { return e.Kind.String() + ": " + e.Message }

var keepLines bool

// ErrorStacks makes errors carry libtorch's C++ stack as well, for those who debug the binding.
func ErrorStacks(on bool) {
	keepLines = on
	C.ft_error_stacks(flag(on))
}

// asError takes ownership of a message from the C side; NULL is success.
func asError(text *C.char) *Error {
	if text == nil {
		return nil
	}
	s := C.GoString(text)
	C.ft_error_free(text)
	e := &Error{Kind: Kind(s[0]), Message: s[1:]}
	if !keepLines {
		e.Message = oneLine(e.Message)
	}
	return e
}

// advice begins what libtorch's messages say of PyTorch's environment variables and sources.
var advice = []string{"\nException raised from", "\nCUDA kernel errors might be asynchronously", "\nSearch for `", "\nFor debugging consider passing",
	"\nCompile with `", " If reserved but unallocated memory is large"}

// place begins libtorch's message of too little memory for a tensor, Gloo's messages and NCCL's: where in their source that was found.
var place = regexp.MustCompile(`^(\[(enforce fail at [^\]]*\] \S+ == \S+ (DefaultCPUAllocator: )?|\S+\.\w+:\d+\] )|NCCL error in: \S+:\d+, )`)

// oneLine keeps a message on one line and drops the advice.
func oneLine(s string) string {
	s = place.ReplaceAllString(s, "")
	for _, begin := range advice {
		s, _, _ = strings.Cut(s, begin)
	}
	return strings.Join(strings.Fields(s), " ")
}

// check panics with *Error when text is a message.
func check(text *C.char) {
	if e := asError(text); e != nil {
		panic(e)
	}
}
