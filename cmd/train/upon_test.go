package main

// The program `upon`, which sends signals to another one at a moment that does not depend on how fast the machine is.

import (
	"bufio"
	"fmt"
	"io"
	"os"
	"os/exec"
	"regexp"
	"strings"
	"syscall"
	"time"

	"golang.org/x/sys/unix"
)

// upon PATTERN SIGNAL[,SIGNAL…] PROGRAM ARGS… runs a program, sends it the signals (TERM, KILL, …) once a line of its
// standard error matches the pattern, and ends with its exit code, or 128 + the signal that killed it. The program cannot run
// far ahead of its output: that goes through a pipe of one page, which nobody empties while signals are sent.
func upon() {
	if len(os.Args) < 4 {
		fmt.Fprintln(os.Stderr, "usage: upon PATTERN SIGNAL[,SIGNAL…] PROGRAM ARGS…")
		os.Exit(100)
	}
	code, err := runUpon(regexp.MustCompile(os.Args[1]), strings.Split(os.Args[2], ","), os.Args[3], os.Args[4:])
	if err != nil {
		fmt.Fprintln(os.Stderr, "upon:", err)
		os.Exit(100)
	}
	os.Exit(code)
}

func runUpon(pattern *regexp.Regexp, signals []string, program string, args []string) (code int, err error) {
	reader, writer, err := os.Pipe()
	if err != nil {
		return 0, err
	}
	if _, err := unix.FcntlInt(writer.Fd(), unix.F_SETPIPE_SZ, os.Getpagesize()); err != nil {
		return 0, err
	}
	command := exec.Command(program, args...)
	command.Stdout, command.Stderr = os.Stdout, writer
	if err := command.Start(); err != nil {
		return 0, err
	}
	writer.Close()
	sent := false
	lines := bufio.NewReaderSize(reader, 16) // takes hardly more out of the pipe than the line
	for {
		line, err := lines.ReadString('\n')
		os.Stderr.WriteString(line)
		if err == io.EOF {
			break
		} else if err != nil {
			return 0, err
		}
		if !sent && pattern.MatchString(line) {
			sent = true
			if err := send(command.Process, signals, reader); err != nil {
				return 0, err
			}
		}
	}
	err = command.Wait()
	if !sent {
		return 0, fmt.Errorf("no line matched %s", pattern)
	}
	if status := command.ProcessState.Sys().(syscall.WaitStatus); status.Signaled() {
		return 128 + int(status.Signal()), nil
	}
	return exitCode(err), nil
}

// send sends the signals, when the program has had a moment to get into what follows the line. Where there are several
// signals, it is first left to fill its pipe, so that it stands still between them and cannot end by itself.
func send(process *os.Process, signals []string, pipe *os.File) error {
	time.Sleep(100 * time.Millisecond)
	if len(signals) > 1 {
		if err := waitUntilFull(pipe); err != nil {
			return err
		}
	}
	for _, name := range signals {
		if err := process.Signal(unix.SignalNum("SIG" + name)); err != nil {
			return err
		}
		time.Sleep(500 * time.Millisecond) // two that come at once count as one
	}
	return nil
}

// waitUntilFull returns when what is in the pipe has not grown for half a second.
func waitUntilFull(pipe *os.File) error {
	before, still := -1, 0
	for still < 10 {
		time.Sleep(50 * time.Millisecond)
		n, err := unix.IoctlGetInt(int(pipe.Fd()), unix.TIOCINQ)
		if err != nil {
			return err
		}
		if still++; n != before || n == 0 {
			before, still = n, 0
		}
	}
	return nil
}
