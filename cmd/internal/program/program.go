// Package program is what the programs have in common: how they end on a bug or a signal, how they say an error, which version they are.
package program

import (
	"context"
	"fmt"
	"io"
	"os"
	"os/signal"
	"runtime/debug"
	"strings"
	"syscall"
	"time"
)

// Debug says whether FRUGAL_DEBUG asks for stacks.
func Debug() bool { return os.Getenv("FRUGAL_DEBUG") != "" }

// Run calls run and ends the process with the code that it returns. A panic, which is a bug of the program, becomes one line.
func Run(name string, run func() int) {
	defer func() {
		if Debug() {
			return
		}
		if v := recover(); v != nil {
			text, _, _ := strings.Cut(fmt.Sprint(v), "\n")
			os.Exit(Fail(os.Stderr, name, 1, "internal error: %s (FRUGAL_DEBUG=1 shows where; please report it)", text))
		}
	}()
	os.Exit(run())
}

// Fail prints a message, each line of which begins with the program's name, and returns code.
func Fail(stderr io.Writer, name string, code int, format string, a ...any) int {
	for line := range strings.Lines(fmt.Sprintf(format, a...)) {
		fmt.Fprintf(stderr, "%s: %s\n", name, strings.TrimSuffix(line, "\n"))
	}
	return code
}

// Version is the module's version, or the commit that the program was built from.
func Version() string {
	info, ok := debug.ReadBuildInfo()
	if !ok {
		return "(unknown)"
	}
	version := info.Main.Version
	for _, s := range info.Settings {
		if s.Key == "vcs.revision" && (version == "" || version == "(devel)") {
			version = s.Value[:min(12, len(s.Value))]
		}
	}
	if version == "" {
		version = "(devel)"
	}
	return version
}

// WatchSignals hands on the first of SIGHUP, SIGINT and SIGTERM and cancels ctx: the program is to end in its own time. On a
// second one it calls last and ends the process with 128 and the signal's number. SIGUSR1, which the kernel sends when who started this
// process is gone (launch.Local), is a SIGTERM; but it comes once for each of its threads that dies, so a second one is none. Nor is one
// that comes with the first: timeout(1) sends its own to a program and then to the program's process group.
func WatchSignals(last func(second syscall.Signal)) (ctx context.Context, first <-chan os.Signal) {
	ctx, cancel := context.WithCancel(context.Background())
	arrived, handed := make(chan os.Signal, 2), make(chan os.Signal, 1)
	for _, s := range []os.Signal{syscall.SIGHUP, syscall.SIGINT, syscall.SIGTERM} {
		if !signal.Ignored(s) { // nohup, or a shell's background job: they asked for it to go on
			signal.Notify(arrived, s)
		}
	}
	orphaned := make(chan os.Signal, 1)
	signal.Notify(orphaned, syscall.SIGUSR1)
	go func() {
		again := orphaned
		var one os.Signal = syscall.SIGTERM
		select {
		case one = <-arrived:
		case <-orphaned:
			again = nil
		}
		handed <- one
		cancel()
		together := time.Now().Add(100 * time.Millisecond)
		var two os.Signal = syscall.SIGTERM
		for waiting := true; waiting; {
			select {
			case two = <-arrived:
				waiting = two == one && time.Now().Before(together)
			case <-again:
				waiting = false
			}
		}
		second := two.(syscall.Signal)
		last(second)
		os.Exit(128 + int(second))
	}()
	return ctx, handed
}
