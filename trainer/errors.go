package trainer

// The errors that have an exit code of their own.

import (
	"fmt"
	"os"
	"syscall"

	"golang.org/x/sys/unix"
)

// NotFiniteError says that a loss or all gradients became NaN or infinite.
type NotFiniteError struct {
	Step int64
	What string
}

func (e *NotFiniteError) Error() string {
	return fmt.Sprintf("step %d: %s; nothing was saved after it. A lower learning_rate, more warmup_steps or precision fp32 may help", e.Step, e.What)
}

// OutputError says that something could not be written to the output directory.
type OutputError struct{ Err error }

func (e *OutputError) Error() string { return e.Err.Error() }

func (e *OutputError) Unwrap() error { return e.Err }

// Interrupted says that a signal ended the run. Dir is the checkpoint that goes on from there, "" before training began.
type Interrupted struct {
	Signal os.Signal
	Dir    string
	Resume string // what goes on from Dir: "the same command" or that with another resume
}

func (e *Interrupted) Error() string {
	name := e.Signal.String() // "terminated"
	if s, ok := e.Signal.(syscall.Signal); ok {
		name = unix.SignalName(s) // "SIGTERM"
	}
	if e.Dir == "" {
		return fmt.Sprintf("interrupted by %s before training began", name)
	}
	return fmt.Sprintf("interrupted by %s; saved %s, and %s goes on from there", name, e.Dir, e.Resume)
}
