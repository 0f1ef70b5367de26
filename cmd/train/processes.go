package main

// -nproc: the program starts itself.

import (
	"bytes"
	"errors"
	"fmt"
	"io"
	"os"
	"syscall"
	"time"

	"frugal/trainer"
	"frugal/trainer/config"
	"frugal/trainer/launch"
)

// lostCode is the exit code of a process whose run has lost another.
const lostCode = 6

// grace is how long processes may take to end when one has died. They notice within some seconds, and may be saving.
const grace = 30 * time.Second

func startProcesses(n, restarts int, within *launch.Place, args []string, signals <-chan os.Signal, stdout, stderr io.Writer) int {
	self, err := os.Executable()
	if err != nil {
		return fail(stderr, 1, "-nproc: %v", err)
	}
	l := launch.Local{Processes: n, MaxRestarts: restarts, Path: self, Args: args, Environ: os.Environ(), Stdout: stdout, Stderr: stderr, Signals: signals, Grace: grace,
		Again: func(code int) bool { return code == lostCode || code > 128 && !interruptedCode(code) },
		Log:   func(format string, a ...any) { fail(stderr, 0, format, a...) }}
	if within != nil {
		l.Job, l.Attempt = within.Job, within.Attempt
	}
	code, err := l.Run()
	if err != nil {
		return fail(stderr, 1, "-nproc: %v", err)
	}
	return code
}

// interruptedCode says whether a code is of a run that was told to end, and has saved.
func interruptedCode(code int) bool {
	return code == 128+int(syscall.SIGHUP) || code == 128+int(syscall.SIGINT) || code == 128+int(syscall.SIGTERM)
}

// whenGone tells when -nproc knows that another process is gone; nil where it has not started this one.
func whenGone(p *launch.Place) <-chan struct{} {
	lives := p.Lives()
	if lives == nil {
		return nil
	}
	gone := make(chan struct{})
	go func() {
		defer close(gone)
		io.Copy(io.Discard, lives)
	}()
	return gone
}

// known says whether an error is one that all processes have alike, so that one of a machine need say it.
func known(err error) bool {
	var (
		interrupted *trainer.Interrupted
		mismatch    *trainer.MismatchError
		settings    *config.Error
	)
	return errors.As(err, &interrupted) || errors.As(err, &mismatch) && !mismatch.Own || errors.As(err, &settings)
}

// rankWriter has what a process says at its end name its rank, but for the first.
func rankWriter(p *launch.Place, w io.Writer) io.Writer {
	if p.Rank == 0 {
		return w
	}
	return named{w, fmt.Appendf(nil, "train: rank %d: ", p.Rank)}
}

type named struct {
	w    io.Writer
	name []byte
}

func (n named) Write(line []byte) (int, error) {
	if _, err := n.w.Write(append(n.name[:len(n.name):len(n.name)], bytes.TrimPrefix(line, []byte("train: "))...)); err != nil {
		return 0, err
	}
	return len(line), nil
}
