package trainer

// Going on from a checkpoint: which one, whether it is of this training, and what was done of its step.

import (
	"encoding/json"
	"errors"
	"fmt"
	"io/fs"
	"path/filepath"

	"frugal/trainer/checkpoint"
	"frugal/trainer/internal/vfs"
	"frugal/trainer/monitor"
)

// findCheckpoint opens the store and finds the checkpoint to go on from; nil: none.
func (r *run) findCheckpoint() (_ *checkpoint.Checkpoint, err error) {
	r.store, err = checkpoint.Open(checkpoint.Options{FS: r.fs, Dir: r.config.OutputDir, Prefix: r.config.ModelName,
		Keep: r.config.MaxCheckpoints, Log: r.infof})
	if err != nil {
		return nil, &OutputError{fmt.Errorf("output_dir: %w", err)}
	}
	if c, err := r.findOwn(); c != nil || err != nil {
		return c, err
	}
	return r.chooseCheckpoint(r.store.Newest)
}

// launchFile, in output_dir, is for a run that was told to begin anew or from a certain checkpoint, and whose launcher starts it again:
// then it goes on from what it has saved since. It stays when the run is complete: another process may be lost behind that.
const launchFile = ".launch"

type launchMark struct {
	Job   string `json:"job"`   // the launcher's name of the run
	After int64  `json:"after"` // the step that it began behind; -1: anew
}

func (r *run) launchPath() string { return filepath.Join(r.config.OutputDir, launchFile) }

// markLaunch: there is no checkpoint of a later step now.
func (r *run) markLaunch(after int64) error {
	if r.Place == nil || r.config.Resume == "auto" || r.marked {
		return nil
	}
	text, err := json.Marshal(launchMark{r.Place.Job, after})
	if err != nil {
		return err
	}
	return vfs.WriteFileAtomic(r.fs, r.launchPath(), text)
}

// findOwn is the newest checkpoint that this launch has saved; nil where resume decides.
func (r *run) findOwn() (*checkpoint.Checkpoint, error) {
	if r.attempt == 0 {
		if err := r.fs.Remove(r.launchPath()); err != nil && !errors.Is(err, fs.ErrNotExist) {
			return nil, &OutputError{fmt.Errorf("output_dir: %w", err)}
		}
		return nil, nil
	}
	var mark launchMark
	text, err := vfs.ReadFile(r.fs, r.launchPath())
	if r.config.Resume == "auto" || err != nil || json.Unmarshal(text, &mark) != nil || mark.Job != r.Place.Job {
		return nil, nil
	}
	r.marked = true
	c, _, err := r.store.Newest()
	if err != nil || c == nil || c.Step <= mark.After {
		return nil, nil
	}
	r.infof("resume: started again by %s: %s is its own", r.Place.From, c.Dir)
	return c, nil
}

// chooseCheckpoint takes what resume says; newest finds the newest intact one and says which it passed over.
func (r *run) chooseCheckpoint(newest func() (*checkpoint.Checkpoint, []error, error)) (*checkpoint.Checkpoint, error) {
	switch r.config.Resume {
	case "never":
		r.infof("resume: a fresh start (resume is never)")
		return nil, nil
	case "auto":
		c, passedOver, err := newest()
		for _, e := range passedOver {
			r.logger.Warnf("resume: passed over %v", e)
		}
		if err != nil {
			return nil, fmt.Errorf("%w; restore one, or start anew with -resume never", err)
		}
		if c == nil {
			r.infof("resume: a fresh start (no checkpoint in %s)", r.config.OutputDir)
		}
		return c, nil
	}
	c, err := checkpoint.Load(r.fs, r.config.Resume)
	if err != nil {
		return nil, fmt.Errorf("resume: %w", err)
	}
	return c, nil
}

// isComplete says whether the run ended before, at a checkpoint with nothing left to do. A dry run asks what it would be all the same.
func (r *run) isComplete() bool {
	if r.from == nil || r.from.Step < r.totalSteps || r.scratch != "" {
		return false
	}
	done := r.savedProgress()
	return done.Step == r.from.Step && !done.unfinished()
}

// savedProgress is where the checkpoint stands that the run goes on from; zero without one, and where it cannot be read, which restore
// will say.
func (r *run) savedProgress() (done progress) {
	if r.from == nil {
		return done
	}
	if text, err := readFile(r.from, "training_state.json"); err != nil || json.Unmarshal(text, &done) != nil {
		return progress{}
	}
	r.divideAnew(&done)
	return done
}

// divideAnew forgets that memory ran out before the checkpoint where somebody has divided the batch otherwise since. A budget's choice
// is not somebody's: it keeps below what did not fit.
func (r *run) divideAnew(done *progress) {
	var was struct {
		BatchSize int `json:"batch_size"`
	}
	if done.MicroBatchRows == 0 || r.budget > 0 || r.from == nil {
		return
	}
	if text, err := readFile(r.from, "training_config.json"); err == nil && json.Unmarshal(text, &was) == nil && was.BatchSize != r.config.BatchSize {
		done.MicroBatchRows = 0
	}
}

// sayMicroBatches says at a resume that memory ran out before.
func (r *run) sayMicroBatches() {
	if rows := r.done.MicroBatchRows; rows > 0 && rows < r.config.BatchSize {
		r.infof("resume: memory ran out before the checkpoint: at most %d of the %d rows of a micro-batch are computed at once, as they were then; another batch_size "+
			"(with gradient_accumulation_steps for the same effective batch) is tried as it is", rows, r.config.BatchSize)
	}
}

// resume checks that the checkpoint is of this training, then takes its state.
func (r *run) resume(c *checkpoint.Checkpoint) error {
	was, now := c.Manifest.Fingerprints, r.fingerprints()
	if had, has := was["teacher_cache"], now["teacher_cache"]; had != "" && has != "" && had != has {
		r.logger.Warnf("resume: distillation.cache holds something else than at the checkpoint, such as another cache_top_k, temperature or precision: " +
			"the run goes on with it, and not to the same last bit")
	}
	for _, what := range []string{"architecture", "tokenizer", "data", "teacher"} {
		if what == "teacher" && (was[what] == "" || now[what] == "") { // distillation may begin and end at a resume
			continue
		}
		if was[what] != now[what] {
			return fmt.Errorf("checkpoint %s: its %s is another than the configuration's (%s); to train these weights on "+
				"something else, set init_from to it and choose a new output_dir, or start anew with -resume never", c.Dir, what, whatDiffers[what])
		}
	}
	if err := r.restore(c); err != nil {
		return err
	}
	r.id, r.saved = c.Manifest.RunID, c.Dir
	r.infof("resume: going on from %s, step %s", c.Dir, monitor.FormatCount(r.done.Step))
	r.sayChanges(c)
	r.sayMicroBatches()
	return nil
}

var whatDiffers = map[string]string{
	"architecture": "vocab_size, hidden_size, num_layers, num_heads, intermediate_size or max_position_embeddings",
	"tokenizer":    "the tokenizer section, or the corpus that it was trained on",
	"data":         "the files, the data section, curriculum.stages or how they were measured, seed, batch_size, gradient_accumulation_steps or max_position_embeddings",
	"teacher":      "distillation.teacher, or the cache of its probabilities",
}

// forgetWhatWasDone: an evaluation or samples that were due at the checkpoint may have been recorded by a session that was killed
// before the next one.
func (r *run) forgetWhatWasDone(metrics string) error {
	for event, due := range map[string]*bool{"eval": &r.done.EvaluationDue, "sample": &r.done.SamplesDue} {
		if *due {
			found, err := monitor.Recorded(r.fs, metrics, event, r.done.Step)
			if err != nil {
				return err
			}
			*due = !found
		}
	}
	return nil
}
