package trainer

// What a run says about itself: at the start, on a resume, at the end.

import (
	"encoding/json"
	"fmt"
	"os"
	"path/filepath"
	"runtime"
	"sort"
	"strings"
	"time"

	"frugal/torch"
	"frugal/trainer/checkpoint"
	"frugal/trainer/monitor"
)

// recordRun records the beginning or the end of a session. status is started, complete or stopped.
func (r *run) recordRun(status string, fields []monitor.Field) {
	if r.monitor == nil {
		return
	}
	head := []monitor.Field{{Name: "status", Value: status}, {Name: "run_id", Value: r.id}}
	r.monitor.Record(monitor.Record{Event: "run", Step: r.done.Step, Fields: append(head, fields...)})
}

// recordStart writes the run's settings where every sink finds them.
func (r *run) recordStart(resumeStep int64) error {
	text, err := r.config.JSON()
	if err != nil {
		return err
	}
	var settings map[string]any
	if err := json.Unmarshal(text, &settings); err != nil {
		return err
	}
	train, eval := r.data.Train(), r.data.Eval()
	r.recordRun("started", []monitor.Field{
		{Name: "version", Value: r.Version}, {Name: "libtorch", Value: torch.Version}, {Name: "go", Value: runtime.Version()},
		{Name: "device", Value: r.device.String()}, {Name: "precision", Value: nameOf(precisions, r.precision)}, {Name: "threads", Value: torch.NumThreads()},
		{Name: "parameters", Value: r.model.NumParameters()}, {Name: "total_steps", Value: r.totalSteps},
		{Name: "steps_per_epoch", Value: r.data.WindowsPerEpoch()}, {Name: "train_tokens", Value: train.Tokens}, {Name: "train_rows", Value: train.Rows},
		{Name: "eval_tokens", Value: eval.Tokens}, {Name: "eval_rows", Value: eval.Rows}, {Name: "resumed", Value: resumeStep >= 0},
		{Name: "config", Value: settings},
	})
	return nil
}

// sayChanges logs the keys that the configuration sets otherwise than the checkpoint's did.
func (r *run) sayChanges(c *checkpoint.Checkpoint) {
	text, err := readFile(c, "training_config.json")
	if err != nil {
		return
	}
	now, err := r.config.JSON()
	if err != nil {
		return
	}
	var was, is map[string]any
	if json.Unmarshal(text, &was) != nil || json.Unmarshal(now, &is) != nil {
		return
	}
	if max(1, r.savedProgress().Processes) != r.processes() { // keepEffectiveBatch has said what becomes of these
		delete(is, "gradient_accumulation_steps")
		delete(is, "effective_batch_size")
	}
	if changes := differences("", was, is); len(changes) > 0 {
		r.infof("resume: changed since the checkpoint: %s", strings.Join(changes, ", "))
	}
}

// differences lists the leaves that differ, as "key: old → new".
func differences(prefix string, was, is map[string]any) (list []string) {
	for key, v := range is {
		a, aIsMap := was[key].(map[string]any)
		b, bIsMap := v.(map[string]any)
		switch {
		case key == "resume" && prefix == "":
		case aIsMap && bIsMap:
			list = append(list, differences(prefix+key+".", a, b)...)
		case fmt.Sprint(was[key]) != fmt.Sprint(v):
			list = append(list, fmt.Sprintf("%s%s: %s → %s", prefix, key, spelt(was[key]), spelt(v)))
		}
	}
	sort.Strings(list)
	return list
}

// spelt is a value of a configuration: lists as JSON, the rest plain.
func spelt(value any) string {
	if _, ok := value.([]any); !ok {
		return fmt.Sprint(value)
	}
	var text strings.Builder
	e := json.NewEncoder(&text)
	e.SetEscapeHTML(false)
	if err := e.Encode(value); err != nil {
		return fmt.Sprint(value)
	}
	return strings.TrimSuffix(text.String(), "\n")
}

func (r *run) sayComplete() {
	r.infof("this run is complete: step %s of %s; a larger max_steps or num_epochs goes on from here", monitor.FormatCount(r.done.Step),
		monitor.FormatCount(r.totalSteps))
	r.infof("final model: %s", filepath.Join(r.config.OutputDir, "final_model"))
}

// sayDone ends the log: what came out, where it lies, how to go on.
func (r *run) sayDone(took time.Duration) {
	if e := r.lastEvaluation; e != nil {
		r.infof("evaluation at the end: %s", e)
	}
	out := r.config.OutputDir
	r.infof("done: %s steps, %s tokens, %s in this session; peak memory %s", monitor.FormatCount(r.done.Step), monitor.FormatCount(r.done.Tokens),
		monitor.FormatDuration(took), monitor.FormatBytes(r.peakMemory()))
	r.infof("of the peak: %s", r.peakParts())
	r.sayDrawn()
	where := []string{"model " + filepath.Join(out, "final_model"), "checkpoint " + r.saved, "metrics " + filepath.Join(out, "metrics.jsonl")}
	if r.tensorBoard {
		where = append(where, "TensorBoard "+r.config.LoggingDir)
	}
	r.infof("to have it write: %s -model %s -prompt \"…\"", generateCommand(), filepath.Join(out, "final_model"))
	r.infof("%s; to go on from here, run the same command with%s -set max_steps=%d", strings.Join(where, ", "), strings.TrimPrefix(r.withResume(), " with"), 2*r.totalSteps)
}

// generateCommand is how to call cmd/generate: by its path where it was built beside this program.
func generateCommand() string {
	if program, err := os.Executable(); err == nil {
		beside := filepath.Join(filepath.Dir(program), "generate")
		if _, err := os.Stat(beside); err == nil {
			if here, err := os.Getwd(); err == nil {
				if relative, err := filepath.Rel(here, beside); err == nil && !strings.HasPrefix(relative, "..") {
					return relative
				}
			}
			return beside
		}
	}
	return "go run ./cmd/generate"
}

// withResume is what to add to a command that would not resume by itself.
func (r *run) withResume() string {
	if r.config.Resume == "auto" {
		return ""
	}
	return " with -resume auto"
}

func (e *Evaluation) String() string {
	s := fmt.Sprintf("loss %.4f, perplexity %.4g", e.Loss, e.Perplexity)
	if e.BitsPerByte > 0 {
		s += fmt.Sprintf(", %.3f bits per byte", e.BitsPerByte)
	}
	return s
}

// peakMemory is the most bytes that the tensors on the device took at once; 0 where its allocator does not say.
func (r *run) peakMemory() int64 {
	m, err := torch.MemoryStats(r.device)
	if err != nil {
		return 0
	}
	return m.AllocatedPeak
}

// peakParts lists what the peak consists of.
func (r *run) peakParts() string {
	var parts []string
	_, atPeak := torch.MemoryByKind(r.device)
	for _, f := range byKind(atPeak) {
		if bytes := f.Value.(int64); f.Name != torch.MemoryOther.String() || bytes > r.peakMemory()/100 {
			parts = append(parts, f.Name+" "+monitor.FormatBytes(bytes))
		}
	}
	return strings.Join(parts, ", ")
}
