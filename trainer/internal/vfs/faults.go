package vfs

// A mapped file may be cut short by somebody else while it is read: the kernel then has no page to show.

import (
	"errors"
	"fmt"
	"runtime/debug"
)

// ErrCutShort says that a mapped file became shorter while it was read.
var ErrCutShort = errors.New("the file was cut short, or could not be read, while it was in use")

// CatchFaults makes ErrCutShort of a fault in what this goroutine reads, in place of the end of the process:
//
//	defer CatchFaults(&err, "the cache")()
//
// The error names the file by what. It holds for Go's own reads of a Mapping, not for those of C.
func CatchFaults(err *error, what string) func() {
	was := debug.SetPanicOnFault(true)
	return func() {
		debug.SetPanicOnFault(was)
		v := recover()
		if v == nil {
			return
		}
		if _, fault := v.(interface{ Addr() uintptr }); !fault {
			panic(v)
		}
		*err = fmt.Errorf("%s: %w", what, ErrCutShort)
	}
}
