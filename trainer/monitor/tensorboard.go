// The TensorBoard sink: which field of which event becomes which tag.

package monitor

import (
	"bytes"
	"encoding/json"
	"fmt"
	"math"
	"os"
	"path/filepath"
	"strconv"
	"strings"
	"sync/atomic"
	"time"

	"frugal/trainer/internal/vfs"
)

// scalarTag is where a field goes, and what it is multiplied by on the way.
type scalarTag struct {
	tag   string
	scale float64
}

const perGB = 1.0 / (1 << 30)

// scalarTags has one row for each number that TensorBoard shows: event and field → tag.
var scalarTags = map[[2]string]scalarTag{
	{"train", "epoch"}:             {"train/epoch", 1},
	{"train", "loss"}:              {"train/loss", 1},
	{"train", "task_loss"}:         {"train/task_loss", 1},
	{"train", "distillation_loss"}: {"train/distillation_loss", 1},
	{"train", "perplexity"}:        {"train/perplexity", 1},
	{"train", "learning_rate"}:     {"train/learning_rate", 1},
	{"train", "grad_norm"}:         {"train/grad_norm", 1},
	{"train", "loss_scale"}:        {"train/loss_scale", 1},
	{"train", "tokens_per_second"}: {"train/tokens_per_second", 1},
	{"train", "step_seconds"}:      {"train/step_seconds", 1},

	{"eval", "loss"}:          {"eval/loss", 1},
	{"eval", "perplexity"}:    {"eval/perplexity", 1},
	{"eval", "bits_per_byte"}: {"eval/bits_per_byte", 1},

	{"train", "peak_memory_bytes"}:       {"system/peak_memory_gb", perGB},
	{"train", "resident_memory_bytes"}:   {"system/resident_memory_gb", perGB},
	{"train", "cpu_percent"}:             {"system/cpu_percent", 1},
	{"train", "allocated_memory_bytes"}:  {"system/allocated_memory_gb", perGB},
	{"train", "reserved_memory_bytes"}:   {"system/reserved_memory_gb", perGB},
	{"train", "gpu_memory_used_bytes"}:   {"system/gpu_memory_used_gb", perGB},
	{"train", "gpu_utilization"}:         {"system/gpu_utilization", 1},
	{"train", "gpu_temperature_celsius"}: {"system/gpu_temperature_celsius", 1},
	{"train", "gpu_power_watts"}:         {"system/gpu_power_watts", 1},
}

type tensorBoard struct {
	out   *appender
	event []byte
	begin int64 // the first step that this session makes
}

const eventFilePrefix = "events.out.tfevents."

// eventFiles counts the event files of this process, as their names do.
var eventFiles atomic.Int64

// OpenTensorBoard begins an event file in dir, making the directory. With resumeStep ≥ 0 what the event files of earlier
// sessions of the same runID hold past that step is cut. With resumeStep < 0 they stay as they are, and TensorBoard no longer
// shows their scalars and histograms, but goes on showing their texts and hparams: two runs in one directory are one run to it.
func OpenTensorBoard(fsys vfs.FS, dir, runID string, resumeStep int64) (Sink, error) {
	if err := fsys.MkdirAll(dir, 0o777); err != nil {
		return nil, fmt.Errorf("tensorboard: %w", err)
	}
	if resumeStep >= 0 {
		if err := cutEventFiles(fsys, dir, runID, resumeStep); err != nil {
			return nil, fmt.Errorf("tensorboard: %w", err)
		}
	}
	now := time.Now()
	name, err := eventFileName(fsys, dir, runID, now)
	if err != nil {
		return nil, fmt.Errorf("tensorboard: %w", err)
	}
	return openEventFile(fsys, filepath.Join(dir, name), now, resumeStep)
}

func openEventFile(fsys vfs.FS, path string, now time.Time, resumeStep int64) (Sink, error) {
	file, err := fsys.OpenFile(path, os.O_RDWR|os.O_CREATE|os.O_EXCL|os.O_APPEND, 0o666)
	if err != nil {
		return nil, fmt.Errorf("tensorboard: %w", err)
	}
	t := &tensorBoard{out: &appender{file: file}, begin: max(0, resumeStep+1)}
	// At START a reader, also one that is looking on, keeps the steps before START's and drops the rest.
	if err := t.append(fileVersionEvent(now), startEvent(now, t.begin)); err != nil {
		file.Close()
		return nil, err
	}
	return t, nil
}

// eventFileName is events.out.tfevents.TIME.HOST.PID.N.RUN. Readers take the files of a directory in the order of their names,
// so TIME is later than every other there, even where the clock went back or two sessions began in one second.
func eventFileName(fsys vfs.FS, dir, runID string, now time.Time) (string, error) {
	entries, err := fsys.ReadDir(dir)
	if err != nil {
		return "", err
	}
	seconds := now.Unix()
	for _, entry := range entries {
		if rest, ok := strings.CutPrefix(entry.Name(), eventFilePrefix); ok {
			digits, _, _ := strings.Cut(rest, ".")
			if earlier, err := strconv.ParseInt(digits, 10, 64); err == nil {
				seconds = max(seconds, earlier+1)
			}
		}
	}
	host, err := os.Hostname()
	if err != nil {
		host = "localhost"
	}
	return fmt.Sprintf("%s%010d.%s.%d.%d.%s", eventFilePrefix, seconds, host, os.Getpid(), eventFiles.Add(1)-1, runID), nil
}

// Write appends the Record's values as one event, in one write call: what a killed run wrote can be read.
func (t *tensorBoard) Write(r Record) error {
	values, err := summaryValues(r)
	if err != nil {
		return fmt.Errorf("tensorboard: event %s: %w", r.Event, err)
	}
	if len(values) == 0 {
		return nil
	}
	return t.append(summaryEvent(r.Time, t.step(r), values))
}

// step is where a Record stands. A session's own beginning and end lie past the step that it resumed from or stopped at: a
// later session that goes on from there cuts them and writes its own.
func (t *tensorBoard) step(r Record) int64 {
	switch {
	case r.Event != "run":
		return r.Step
	case r.text("status") == "started":
		return t.begin
	}
	return r.Step + 1
}

// showsHistograms makes it a histogramSink.
func (t *tensorBoard) showsHistograms() {}

func (t *tensorBoard) append(events ...[]byte) error {
	t.event = t.event[:0]
	for _, event := range events {
		t.event = appendFramed(t.event, event)
	}
	return t.wrap(t.out.append(t.event))
}

func (t *tensorBoard) Sync() error  { return t.wrap(t.out.sync()) }
func (t *tensorBoard) Close() error { return t.wrap(t.out.close()) }

func (t *tensorBoard) wrap(err error) error {
	if err != nil {
		return fmt.Errorf("tensorboard: %w", err)
	}
	return nil
}

// summaryValues are what TensorBoard shows of a Record: its numbers by scalarTags, those of the curriculum's stages and
// of the kinds of memory, and texts.
func summaryValues(r Record) (values [][]byte, err error) {
	for _, f := range r.Fields {
		if x, ok := toFloat(f.Value); ok {
			if to, ok := scalarTags[[2]string{r.Event, f.Name}]; ok {
				values = append(values, scalarValue(to.tag, float32(x*to.scale)))
			}
		}
	}
	switch r.Event {
	case "train":
		return append(values, derivedValues(r)...), nil
	case "histogram":
		return histogramValues(r), nil
	case "sample":
		return append(values, sampleValue(r)), nil
	case "run":
		return runValues(r)
	}
	return values, nil
}

// derivedValues are the perplexity of a train Record, e^loss or, where a teacher has a part in
// that, e^task_loss, two scalars for each stage of a curriculum, and one for each kind of memory at the peak.
func derivedValues(r Record) (values [][]byte) {
	loss, hasLoss := r.number("task_loss")
	if !hasLoss {
		loss, hasLoss = r.number("loss")
	}
	if _, given := r.number("perplexity"); hasLoss && !given {
		values = append(values, scalarValue("train/perplexity", float32(math.Exp(loss))))
	}
	for _, field := range []struct{ name, tag string }{{"curriculum_weights", "curriculum/"}, {"curriculum_drawn", "curriculum_drawn/"}} {
		for _, stage := range r.object(field.name) {
			if x, ok := toFloat(stage.Value); ok {
				values = append(values, scalarValue(field.tag+stage.Name, float32(x)))
			}
		}
	}
	for _, of := range []string{"peak_memory", "allocated_memory"} {
		for _, kind := range r.object(of + "_by_kind") {
			if x, ok := toFloat(kind.Value); ok {
				values = append(values, scalarValue(of+"/"+kind.Name+"_gb", float32(x*perGB)))
			}
		}
	}
	return values
}

// runValues are, at a session's beginning, its configuration as a text and as hparams, and at its end how it ended.
func runValues(r Record) (values [][]byte, err error) {
	switch status := r.text("status"); status {
	case "complete", "stopped":
		return [][]byte{endInfo(r.Time, status == "complete")}, nil
	}
	for _, f := range r.Fields {
		if f.Name != "config" {
			continue
		}
		text, err := configText(f.Value)
		if err != nil {
			return nil, err
		}
		values = append(values, textValue("config", codeBlock(text)))
		if start, ok, err := startInfo(r.Time, f.Value); err != nil {
			return nil, err
		} else if ok {
			values = append(values, start)
		}
	}
	return values, nil
}

// configText is a configuration as it is where it is a text (YAML), else as JSON.
func configText(config any) (string, error) {
	if text, ok := config.(string); ok {
		return text, nil
	}
	compact, err := appendValue(nil, config)
	if err != nil {
		return "", err
	}
	var indented bytes.Buffer
	err = json.Indent(&indented, compact, "", "  ")
	return indented.String(), err
}

func sampleValue(r Record) []byte {
	prompt, _ := r.number("prompt_index")
	sample, _ := r.number("sample_index")
	return textValue(fmt.Sprintf("generation/prompt_%d_sample_%d", int(prompt), int(sample)), sampleText(r.text("prompt"), r.text("text")))
}
