// Command memory measures how much of a device's memory it takes to train GPT-2 in its four sizes, at 1024 positions. Run it from the
// repository's root:
//
//	go run ./bench/memory
//
// Each size has a configuration beside this file and a limit. The peak of a step is planned; where this machine's memory holds the
// model, one real update of the same configuration runs on the CPU as well, in a process of its own, with the allocator capped at the
// limit: a byte more fails. README.md of bench/ says more.
package main

import (
	"context"
	"encoding/json"
	"errors"
	"flag"
	"fmt"
	"os"
	"os/exec"
	"os/signal"
	"path/filepath"
	"slices"
	"strings"
	"syscall"

	"frugal/bench/internal/document"
)

// target is a size, and the device memory that it is to be trained in.
type target struct {
	name  string  // of its configuration, too
	limit float64 // GiB
}

var targets = []target{{"124m", 4}, {"355m", 4}, {"774m", 6}, {"1558m", 8}}

const folder = "bench/memory"

type options struct {
	sizes, write string
	accumulation int
	threads      int
	plan         bool
	child        string
	limit        int64
}

func main() {
	o := options{}
	flag.StringVar(&o.sizes, "sizes", allSizes(), "which sizes")
	flag.IntVar(&o.accumulation, "accumulation", 2, "micro-batches of the update that runs; from two on the peak is the same")
	flag.IntVar(&o.threads, "threads", 0, "threads; 0: libtorch's choice")
	flag.BoolVar(&o.plan, "plan", false, "run nothing: the plans alone")
	flag.StringVar(&o.write, "write", "", "also put the table into this Markdown `file`, between its markers")
	flag.StringVar(&o.child, "child", "", "what the bench calls itself with: run one update of this configuration `FILE`")
	flag.Int64Var(&o.limit, "limit", 0, "with -child: the allocator's limit in bytes")
	flag.Parse()
	var err error
	if o.child != "" {
		err = trainCapped(o.child, o.limit)
	} else {
		err = measure(o)
	}
	if err != nil {
		fmt.Fprintln(os.Stderr, "bench/memory:", err)
		os.Exit(1)
	}
}

func allSizes() string {
	var names []string
	for _, t := range targets {
		names = append(names, t.name)
	}
	return strings.Join(names, ",")
}

func measure(o options) error {
	if flag.NArg() > 0 {
		return fmt.Errorf("unexpected argument %q", flag.Arg(0))
	}
	if o.accumulation < 1 {
		return errors.New("-accumulation: want at least one micro-batch")
	}
	if o.threads < 0 {
		return errors.New("-threads: want at least 0")
	}
	ctx, stop := signal.NotifyContext(context.Background(), os.Interrupt, syscall.SIGTERM)
	defer stop()
	var rows []*row
	for name := range strings.SplitSeq(o.sizes, ",") {
		i := slices.IndexFunc(targets, func(t target) bool { return t.name == name })
		if i < 0 {
			return fmt.Errorf("-sizes: no size %q", name)
		}
		r, err := planTarget(targets[i], o)
		if err != nil {
			return err
		}
		if rows = append(rows, r); r.why == "" {
			fmt.Fprintf(os.Stderr, "%s: one update on the CPU within %g GiB …\n", name, targets[i].limit)
			r.run(ctx, o)
			if r.failed == nil {
				fmt.Fprintf(os.Stderr, "%s: counted %s GiB, loss %.4f\n", name, gib(r.counted.Peak), r.counted.Loss)
			} else {
				fmt.Fprintf(os.Stderr, "%s: %v\n", name, r.failed)
			}
		}
		if ctx.Err() != nil {
			break
		}
	}
	text := markdown(rows, o)
	fmt.Print(text)
	if ctx.Err() != nil {
		return errors.New("interrupted")
	}
	if err := problems(rows); err != nil || o.write == "" {
		return err
	}
	return document.MarkersOf(folder).Write(o.write, text)
}

// run is the update, in a process of its own: one that fails, or that the system ends, does not end the others.
func (r *row) run(ctx context.Context, o options) {
	scratch, err := os.MkdirTemp("", "bench-memory-")
	if err != nil {
		r.failed = err
		return
	}
	defer os.RemoveAll(scratch)
	settings := filepath.Join(scratch, "settings.json")
	if r.failed = writeSettings(r.settings, scratch, settings, o); r.failed != nil {
		return
	}
	self, err := os.Executable()
	if err != nil {
		r.failed = err
		return
	}
	c := exec.CommandContext(ctx, self, "-child", settings, "-limit", fmt.Sprint(r.limitBytes()))
	c.Cancel = func() error { return c.Process.Signal(syscall.SIGTERM) }
	log, err := c.CombinedOutput()
	if err != nil {
		r.failed = fmt.Errorf("%w: %s", err, lastLine(log))
		return
	}
	r.counted, r.failed = readPeak(filepath.Join(scratch, "output", "metrics.jsonl"))
	r.resident = c.ProcessState.SysUsage().(*syscall.Rusage).Maxrss * 1024
}

func lastLine(log []byte) string {
	text := strings.TrimSpace(string(log))
	return text[strings.LastIndex(text, "\n")+1:]
}

// readPeak reads the update's line.
func readPeak(file string) (*counted, error) {
	text, err := os.ReadFile(file)
	if err != nil {
		return nil, err
	}
	for line := range strings.Lines(string(text)) {
		e := &counted{}
		if err := json.Unmarshal([]byte(line), e); err != nil {
			return nil, fmt.Errorf("%s: %w", file, err)
		}
		if e.Event == "train" {
			return e, nil
		}
	}
	return nil, fmt.Errorf("%s: no update was logged", file)
}
