// Measures gotorch against libtorch 2.11, and frugal/torch beside it: go run . measures everything, each measurement in a
// process of its own, because some end it. README.md has the figures.
package main

import (
	"errors"
	"fmt"
	"os"
	"os/exec"
	"sort"
	"strings"
	"syscall"
	"time"
)

// A measurement prints its figure; run by name it may also end the process, which is then the figure.
type measurement struct {
	name  string
	what  string
	times int // runs, of which the median of the time counts
	run   func()
}

var measurements = []measurement{
	{"missing", "operations of a GPT-2 training that gotorch lacks", 1, missingOperations},
	{"backward-gotorch", "Backward of a tensor that is no scalar, gotorch", 1, backwardGotorch},
	{"backward-frugal", "the same, frugal/torch", 1, backwardFrugal},
	{"collector-gotorch", "sums of temporaries while runtime.GC runs, at most 30 s, gotorch", 5, collectorGotorch},
	{"collector-frugal", "the same, frugal/torch", 1, collectorFrugal},
	{"temporaries-gotorch", "1000 temporaries of 10 MB, gotorch", 1, temporariesGotorch},
	{"temporaries-gotorch-gc", "the same, gotorch.GC() after each, as its manual asks for", 1, temporariesGotorchGC},
	{"temporaries-frugal", "the same, frugal/torch, a scope each", 1, temporariesFrugal},
	{"mlp-gotorch", "a training step of a small network, gotorch.GC() after each", 3, mlpGotorch},
	{"mlp-frugal", "the same step, frugal/torch, a scope each", 3, mlpFrugal},
}

func main() {
	if len(os.Args) == 1 {
		for _, m := range measurements {
			fmt.Printf("%-22s %s\n", m.name, m.what)
			for _, line := range repeat(m) {
				fmt.Println("    " + line)
			}
		}
		return
	}
	if len(os.Args) > 2 {
		fmt.Fprintf(os.Stderr, "bench/gotorch: unexpected argument %q\n", os.Args[2])
		os.Exit(2)
	}
	for _, m := range measurements {
		if m.name == os.Args[1] {
			m.run()
			return
		}
	}
	fmt.Fprintf(os.Stderr, "bench/gotorch: no measurement %q\n", os.Args[1])
	os.Exit(2)
}

// repeat runs a measurement as often as it wants and describes how each run went, ordered by time.
func repeat(m measurement) []string {
	type outcome struct {
		after time.Duration
		lines []string
	}
	outcomes := make([]outcome, m.times)
	for i := range outcomes {
		c := exec.Command(os.Args[0], m.name)
		var stderr strings.Builder
		c.Stderr = &stderr
		start := time.Now()
		out, err := c.Output()
		after := time.Since(start)
		lines := strings.FieldsFunc(string(out), func(r rune) bool { return r == '\n' })
		if err != nil {
			processor := c.ProcessState.UserTime() + c.ProcessState.SystemTime()
			lines = append(lines, fmt.Sprintf("%s after %.2f s, %.2f s of processor time, libtorch's loading included",
				ending(err, stderr.String()), after.Seconds(), processor.Seconds()))
		}
		outcomes[i] = outcome{after, lines}
	}
	sort.Slice(outcomes, func(i, j int) bool { return outcomes[i].after < outcomes[j].after })
	var all []string
	for _, o := range outcomes {
		all = append(all, o.lines...)
	}
	return all
}

// ending says how a process died: Go's runtime catches a signal that C++ raised, prints it, and exits with 2.
func ending(err error, stderr string) string {
	var exit *exec.ExitError
	if errors.As(err, &exit) {
		if status, ok := exit.Sys().(syscall.WaitStatus); ok && status.Signaled() {
			return "killed by " + status.Signal().String()
		}
	}
	for _, line := range strings.Split(stderr, "\n") {
		if strings.HasPrefix(line, "SIG") || strings.HasPrefix(line, "[signal SIG") || strings.HasPrefix(line, "panic:") {
			return "the process died: " + strings.Trim(line, "[]")
		}
	}
	return "the process ended: " + err.Error()
}

// peakMemory returns the highest resident memory of this process, in MB.
func peakMemory() int64 {
	var usage syscall.Rusage
	if err := syscall.Getrusage(syscall.RUSAGE_SELF, &usage); err != nil {
		panic(err)
	}
	return usage.Maxrss / 1024
}

// timed starts a clock and returns what stops it and prints the time of each of mlpSteps steps: on the clock, and the
// processor time of all threads, which other work on the machine changes less.
func timed() (report func()) {
	processor := func() time.Duration {
		var usage syscall.Rusage
		if err := syscall.Getrusage(syscall.RUSAGE_SELF, &usage); err != nil {
			panic(err)
		}
		return time.Duration(usage.Utime.Nano() + usage.Stime.Nano())
	}
	start, before := time.Now(), processor()
	return func() {
		fmt.Printf("%.3f ms a step, %.3f ms of processor time\n",
			time.Since(start).Seconds()*1000/mlpSteps, (processor()-before).Seconds()*1000/mlpSteps)
	}
}
