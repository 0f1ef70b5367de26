package main

// Checkpoints: how fast ours are written and read, beside torch.save, safetensors from Python, and the disk's own rates.

import (
	"encoding/json"
	"fmt"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"time"

	"golang.org/x/sys/unix"
)

// checkpoints are a model's, by way of saving: ours, and those of machine.py.
type checkpoints struct {
	Model string
	Shape shape
	Ways  map[string]*rates
}

// rates are GB/s, one a time.
type rates struct {
	Bytes       float64 // of one checkpoint
	Write, Read []float64
}

// ways in the order of the table.
var ways = []struct{ name, title string }{
	{"ours", "ours"}, {"torch", "torch.save, torch.load"}, {"safetensors", "safetensors from Python"}, {"disk", "the disk itself"},
}

// savedSteps are the checkpoints that our side writes in a round.
const savedSteps = 3

func (b *bench) raceCheckpoints() error {
	for name := range strings.SplitSeq(b.models, ",") {
		c, err := b.newCase(name, "fp32", savedSteps+1)
		if err != nil {
			return err
		}
		r := &checkpoints{Model: name, Shape: c.shape, Ways: map[string]*rates{}}
		for _, w := range ways {
			r.Ways[w.name] = &rates{}
		}
		for range b.rounds {
			if err := b.checkpointRound(c, r); err != nil {
				return fmt.Errorf("%s: %w", name, err)
			}
		}
		b.results.Checkpoints = append(b.results.Checkpoints, r)
	}
	return nil
}

func (b *bench) checkpointRound(c *testCase, r *checkpoints) error {
	if err := b.checkpointOurs(c, r.Ways["ours"]); err != nil {
		return err
	}
	answer, err := b.output(b.command(nil, b.python, machine, "checkpoints", filepath.Join(c.folder, "init"), c.output("machine")))
	if err != nil {
		return err
	}
	var theirs map[string]struct{ Bytes, Write, Read float64 }
	if err := json.Unmarshal(answer, &theirs); err != nil {
		return fmt.Errorf("%s: %w", machine, err)
	}
	for name, t := range theirs {
		r.Ways[name].add(t.Bytes, t.Write, t.Read)
	}
	for _, w := range ways {
		x := r.Ways[w.name]
		b.say("checkpoints, %s: %s %.0f MB, written at %.2f GB/s, read at %.2f", c.name, w.title, x.Bytes/1e6, x.Write[len(x.Write)-1], x.Read[len(x.Read)-1])
	}
	return nil
}

// add a checkpoint of so many bytes and what it took, in seconds; a time of 0 is none.
func (r *rates) add(bytes, write, read float64) {
	r.Bytes = bytes
	if write > 0 {
		r.Write = append(r.Write, bytes/write/1e9)
	}
	if read > 0 {
		r.Read = append(r.Read, bytes/read/1e9)
	}
}

// checkpointOurs trains a few steps with a checkpoint after each, and then goes on from the last one.
func (b *bench) checkpointOurs(c *testCase, r *rates) error {
	folder := c.output("ours")
	defer os.RemoveAll(folder)
	keep := map[string]any{"save_steps": 1, "max_checkpoints": 1, "resume": "auto"}
	for _, steps := range []int{savedSteps, savedSteps + 1} {
		session, err := c.with("checkpoints", steps, keep)
		if err != nil {
			return err
		}
		if err := forget(filepath.Join(folder, fmt.Sprintf("model_step_%d", savedSteps))); err != nil {
			return err
		}
		if _, err := b.output(b.command(nil, b.train(), "-config", session.settings)); err != nil {
			return err
		}
	}
	saves, err := readEvents[struct{ Bytes, Seconds float64 }](filepath.Join(folder, "metrics.jsonl"), "save")
	if err != nil {
		return err
	}
	for _, s := range saves {
		r.add(s.Bytes, s.Seconds, 0)
	}
	log, err := os.ReadFile(filepath.Join(folder, "train.log"))
	if err != nil {
		return err
	}
	seconds, err := loadSeconds(string(log))
	if err != nil {
		return fmt.Errorf("train.log: %w", err)
	}
	r.add(r.Bytes, 0, seconds)
	return nil
}

// forget has the system drop what it keeps of a directory's files in memory, as machine.py does for its own. No directory: nothing is kept.
func forget(dir string) error {
	entries, err := os.ReadDir(dir)
	if os.IsNotExist(err) {
		return nil
	}
	for _, e := range entries {
		f, err := os.Open(filepath.Join(dir, e.Name()))
		if err != nil {
			return err
		}
		err = unix.Fadvise(int(f.Fd()), 0, 0, unix.FADV_DONTNEED)
		f.Close()
		if err != nil {
			return err
		}
	}
	return err
}

// loadSeconds is what going on from a checkpoint took, by the log of two sessions, the first of which began anew: between precision
// and tokenizer a checkpoint is looked for and verified (the first session shows what lies there beside), and behind the model it is restored.
func loadSeconds(log string) (float64, error) {
	var sessions [][]string
	for line := range strings.Lines(log) {
		if _, message, ok := strings.Cut(line, "INFO    "); ok && strings.HasPrefix(message, "precision: ") {
			sessions = append(sessions, nil)
		}
		if n := len(sessions); n > 0 {
			sessions[n-1] = append(sessions[n-1], line)
		}
	}
	if len(sessions) != 2 {
		return 0, fmt.Errorf("%d sessions, want 2", len(sessions))
	}
	fresh, err := between(sessions[0], "precision: ", "tokenizer: ")
	if err != nil {
		return 0, err
	}
	verified, err := between(sessions[1], "precision: ", "tokenizer: ")
	if err != nil {
		return 0, err
	}
	restored, err := between(sessions[1], "model: ", "resume: going on from ")
	return max(0, verified-fresh) + restored, err
}

// between is the time between two lines of a log, in seconds.
func between(lines []string, from, to string) (float64, error) {
	var at [2]time.Time
	for i, prefix := range []string{from, to} {
		n := slices.IndexFunc(lines, func(line string) bool {
			_, message, ok := strings.Cut(line, "INFO    ")
			return ok && strings.HasPrefix(message, prefix)
		})
		if n < 0 {
			return 0, fmt.Errorf("no line %q", prefix)
		}
		stamp, _, _ := strings.Cut(lines[n], " ")
		var err error
		if at[i], err = time.Parse(time.RFC3339, stamp); err != nil {
			return 0, err
		}
	}
	return at[1].Sub(at[0]).Seconds(), nil
}
