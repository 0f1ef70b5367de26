// Package trainer trains a GPT-2 from a configuration: it makes the parts, resumes from the newest checkpoint, runs the loop,
// saves, and leaves a final model. libtorch does the arithmetic; everything that decides what is computed is here.
package trainer

import (
	"context"
	"crypto/rand"
	"encoding/hex"
	"errors"
	"fmt"
	"io"
	"os"
	"path/filepath"
	"sync"
	"time"

	"github.com/sirupsen/logrus"

	"frugal/torch"
	"frugal/trainer/checkpoint"
	"frugal/trainer/cluster"
	"frugal/trainer/config"
	"frugal/trainer/data"
	"frugal/trainer/gpt2"
	"frugal/trainer/internal/vfs"
	"frugal/trainer/launch"
	"frugal/trainer/monitor"
	"frugal/trainer/tokenizer"
)

// Options are what a run needs beside its configuration.
type Options struct {
	Config  *config.TrainingConfig
	Choices []config.Choice  // automatic choices made while loading it, for the log
	Version string           // of the program
	FS      vfs.FS           // nil: the operating system's
	Stderr  io.Writer        // log and progress
	Signals <-chan os.Signal // one ends the run after the step in hand, with a checkpoint; may be nil

	Place *launch.Place    // among several processes; nil: it is alone
	Gone  <-chan struct{}  // closed when another process is known to be gone, perhaps before all have met; may be nil
	Lost  func(*LostError) // called where another process is lost and this one does not come to an end by itself; needed with Place
}

// run is a training in progress.
type run struct {
	Options
	config    *config.TrainingConfig
	fs        vfs.FS
	signals   <-chan os.Signal
	console   *monitor.Console
	logger    *logrus.Logger
	closers   []func()
	device    torch.Device
	precision torch.DType
	id        string

	store        *checkpoint.Store
	from         *checkpoint.Checkpoint // what the run goes on from; nil: it starts
	saved        string                 // directory of the checkpoint that holds the present state, or an earlier one
	scratch      string                 // of a dry run, in the place of the cache
	source       string                 // directory of the model that decides the architecture; "": the configuration does
	sourceFS     vfs.FS                 // where that is
	architecture gpt2.Config            // of that model

	tokenizer *tokenizer.Tokenizer
	data      *data.Dataset
	model     *gpt2.Model
	optimizer *optimizer
	scaler    *lossScaler // nil: no loss scaling
	lossSum   *torch.Tensor
	schedule  Schedule

	world        *cluster.World // nil: this process is alone
	attempt      int            // restarts by a launcher before this one
	marked       bool           // .launch is of this launch
	reduceBuffer *torch.Tensor  // nil: gradients are summed where they lie
	outer        *outer         // nil: every update is everybody's
	gathering    *gathering     // of the moments that are shared out, while rank 0 saves
	saving       sync.Mutex     // held by what is not to be cut off
	halfway      bool           // the step in hand can only be ended
	saidUneven   bool

	curriculum   *staging      // nil: none
	measured     *measured     // what curriculum.difficulty auto found; nil: nothing was measured
	distillation *distillation // nil: none

	budget     int64         // bytes of the device's memory that the run is to fit in; 0: none
	fitted     config.Choice // what was chosen for that
	totalSteps int64
	done       progress
	known      known

	monitor        *monitor.Monitor
	tensorBoard    bool // its event file is open
	progressBar    *monitor.Progress
	histograms     *histograms // nil: none
	prompts        []prompt    // none: no samples
	stats          monitor.SystemStats
	clock          *stopwatch
	lastEvaluation *Evaluation
	saidPageable   bool

	evaluationLimit  int       // rows at once, since memory ran out; 0: none
	received, signal os.Signal // what has arrived here; what all processes know of
	training         bool      // they know by what they share

	freeMemory   func() (int64, error) // of the device; for tests to replace
	measureBF16  func() string         // likewise
	beforeUpdate func(r *run)          // for tests: the window's gradients are there
}

// Run trains until the configured end, a signal or an error. Everything that the tensors need happens on one thread.
func Run(ctx context.Context, o Options) error {
	r := newRun(o)
	thread := torch.StartThread()
	defer thread.Stop()
	return torch.Call(thread, func() error {
		defer r.close()
		err := r.run(ctx)
		r.part(err)
		if err != nil && r.logger != nil { // the caller tells the person; who looks later finds it here
			monitor.LogToFile(r.logger, logrus.ErrorLevel, err.Error())
		}
		return err
	})
}

func newRun(o Options) *run {
	r := &run{Options: o, config: o.Config, fs: o.FS, signals: o.Signals}
	if r.fs == nil {
		r.fs = vfs.OS
	}
	r.freeMemory, r.measureBF16 = r.freeOnDevice, measureBF16
	return r
}

func (r *run) run(ctx context.Context) error {
	start, load := time.Now(), monitor.NewMachineLoad(r.fs)
	if err := r.join(ctx); err != nil {
		if s := r.interrupted(); s != nil {
			return s
		}
		return err
	}
	open := r.openOutput
	if !r.leads() {
		open = r.openOther
	}
	if err := open(); err != nil {
		return err
	}
	if err := r.build(ctx, r.findCheckpoint); err != nil {
		return err
	}
	r.meetBusy(load)
	if err := r.compareFingerprints(); err != nil {
		return err
	}
	complete, err := r.begin()
	if err != nil {
		return err
	}
	if complete {
		// A run that was killed behind its last checkpoint has no final model yet.
		if err := r.writeFinalModel(); err != nil {
			return err
		}
		r.sayComplete()
		return nil
	}
	if err := r.train(context.WithoutCancel(ctx)); err != nil { // a signal cancels ctx: the checkpoint is still to be saved
		if stop, ok := err.(*Interrupted); ok {
			stop.Dir, stop.Resume = r.saved, "the same command"+r.withResume()
		}
		if lost := (*LostError)(nil); errors.As(err, &lost) && r.leads() && r.saved != "" {
			err = &LostError{Why: fmt.Sprintf("%s; the same command%s goes on from %s", lost.Why, r.withResume(), r.saved)}
		}
		r.recordRun("stopped", []monitor.Field{{Name: "reason", Value: err.Error()}})
		return err
	}
	if err := r.writeFinalModel(); err != nil {
		return err
	}
	r.recordRun("complete", []monitor.Field{{Name: "seconds", Value: time.Since(start).Seconds()}})
	r.progressBar.Close()
	r.sayDone(time.Since(start))
	return nil
}

// openOutput makes and locks the output directory and starts the log.
func (r *run) openOutput() error {
	lock, err := checkpoint.Lock(r.fs, r.config.OutputDir)
	if errors.Is(err, vfs.ErrLocked) {
		return fmt.Errorf("output_dir: %w", err)
	}
	if err != nil {
		return &OutputError{fmt.Errorf("output_dir: %w", err)}
	}
	r.onClose(func() { lock.Close() })
	file, err := r.fs.OpenFile(filepath.Join(r.config.OutputDir, "train.log"), os.O_WRONLY|os.O_CREATE|os.O_APPEND, 0o666)
	if err != nil {
		return &OutputError{fmt.Errorf("output_dir: %w", err)}
	}
	r.onClose(func() { file.Close() })
	if r.console, err = monitor.NewConsole(r.Stderr, r.config.Monitoring.Progress); err != nil {
		return err
	}
	r.logger = monitor.SetupLog(r.console, file)
	r.progressBar = monitor.NewProgress(r.console, r.logger)
	r.onClose(func() { r.progressBar.Close() })
	return nil
}

func (r *run) onClose(f func()) { r.closers = append(r.closers, f) }

func (r *run) close() {
	for i := len(r.closers) - 1; i >= 0; i-- {
		r.closers[i]()
	}
}

func (r *run) infof(format string, a ...any) { r.logger.Infof(format, a...) }

// begin restores the checkpoint to go on from, or initialises the weights, and opens the sinks. complete: nothing is left to do.
func (r *run) begin() (complete bool, err error) {
	if r.leads() {
		complete, err = r.beginFirst()
	} else {
		r.monitor = monitor.New(r.logger)
		r.stats, _ = systemStats(r.fs, r.device) // nobody records them
	}
	if err != nil {
		return false, err
	}
	if err := r.shareState(&complete); err != nil {
		return false, err
	}
	if r.done.Processes = r.processes(); r.done.Processes == 1 {
		r.done.Processes = 0
	}
	if r.from == nil {
		r.done.Began = r.done.Processes
	}
	return complete, nil
}

// beginFirst is begin for who has the output directory.
func (r *run) beginFirst() (complete bool, err error) {
	resumeStep := int64(-1)
	if r.from == nil {
		r.id = newRunID()
		if err := r.initialise(); err != nil {
			return false, err
		}
	} else {
		if err := r.resume(r.from); err != nil {
			return false, err
		}
		resumeStep = r.done.Step
		if r.done.Step > r.totalSteps || r.done.Step == r.totalSteps && !r.done.unfinished() {
			return true, nil
		}
	}
	if err := r.chooseKernels(); err != nil {
		return false, err
	}
	r.sayEvaluation()
	if err := r.store.Supersede(resumeStep); err != nil {
		return false, &OutputError{fmt.Errorf("output_dir: %w", err)}
	}
	if err := r.markLaunch(resumeStep); err != nil {
		return false, &OutputError{fmt.Errorf("output_dir: %w", err)}
	}
	if resumeStep >= 0 {
		r.store.Prune(resumeStep) // a run that was killed behind its last save had not come to it
	}
	return false, r.openSinks(resumeStep)
}

// openSinks opens everything that records the run. The metrics file is needed; TensorBoard's is a convenience.
func (r *run) openSinks(resumeStep int64) error {
	path := filepath.Join(r.config.OutputDir, "metrics.jsonl")
	if err := r.forgetWhatWasDone(path); err != nil {
		return &OutputError{err}
	}
	metrics, err := monitor.OpenJSONL(r.fs, path, resumeStep)
	if err != nil {
		return &OutputError{err}
	}
	sinks := []monitor.Sink{metrics, r.progressBar}
	if r.config.Monitoring.TensorBoard {
		tb, err := monitor.OpenTensorBoard(r.fs, r.config.LoggingDir, r.id, resumeStep)
		if err != nil {
			r.logger.Warnf("logging_dir: %v; training goes on without TensorBoard", err)
		} else {
			sinks = append(sinks, tb)
			r.tensorBoard = true
		}
	}
	if page := r.openLive(); page != nil {
		sinks = append(sinks, page)
	}
	var why error
	if r.stats, why = systemStats(r.fs, r.device); why != nil {
		r.logger.Warnf("the card's own figures are not recorded: %v", why)
	}
	r.monitor = monitor.New(r.logger, sinks...)
	r.onClose(r.monitor.Close)
	return r.recordStart(resumeStep)
}

// save writes a checkpoint of the present state. The metrics reach the disk before it, unless that fails, which is a warning.
func (r *run) save(ctx context.Context) error {
	start := time.Now()
	if err := r.checkState(); err != nil {
		return err
	}
	r.done.Epoch.Seconds += r.clock.epoch()
	r.clock.beginEpoch()
	if r.outer != nil {
		if err := r.gatherLosses(); err != nil {
			return err
		}
		r.leaveLosses()
		if err := r.unite(); err != nil {
			return err
		}
	}
	if err := r.level(); err != nil {
		return err
	}
	var err error
	switch s := r.optimizer.shard; {
	case r.leads():
		err = r.saveFirst(ctx, start)
	case s != nil:
		if err := r.giveMoments(s); err != nil {
			return err
		}
	}
	if err := r.shareSaved(err); err != nil {
		return err
	}
	r.clock.exclude(time.Since(start))
	return nil
}

// saveFirst is save for who has the output directory.
func (r *run) saveFirst(ctx context.Context, start time.Time) error {
	r.saving.Lock()
	defer r.saving.Unlock()
	if s := r.optimizer.shard; s != nil {
		r.gathering = s.gather(r.optimizer)
		defer func() { r.gathering = nil }()
	}
	dir, err := r.writeCheckpoint(ctx)
	if g := r.gathering; g != nil {
		if err := g.drain(); err != nil {
			return err
		}
	}
	if err != nil {
		return err
	}
	r.saved = dir
	r.monitor.Record(monitor.Record{Event: "save", Step: r.done.Step, Fields: []monitor.Field{
		{Name: "path", Value: dir}, {Name: "bytes", Value: directorySize(r.fs, dir)}, {Name: "seconds", Value: time.Since(start).Seconds()}}})
	return nil
}

func (r *run) writeCheckpoint(ctx context.Context) (dir string, err error) {
	files, err := r.checkpointFiles()
	if err != nil {
		return "", err
	}
	r.monitor.Sync()
	dir, err = r.store.Save(ctx, r.done.Step, checkpoint.Info{RunID: r.id, Fingerprints: r.fingerprints()}, files)
	var lost *LostError
	if errors.As(err, &lost) {
		return "", lost
	}
	if err != nil {
		return "", &OutputError{err}
	}
	return dir, nil
}

func (r *run) writeFinalModel() error {
	if !r.leads() {
		return nil
	}
	r.saving.Lock()
	defer r.saving.Unlock()
	files, err := r.modelFiles()
	if err != nil {
		return err
	}
	if err := r.store.WriteDir("final_model", files); err != nil {
		return &OutputError{err}
	}
	return nil
}

func directorySize(fsys vfs.FS, dir string) (n int64) {
	entries, _ := fsys.ReadDir(dir)
	for _, e := range entries {
		if info, err := e.Info(); err == nil {
			n += info.Size()
		}
	}
	return n
}

func newRunID() string {
	b := make([]byte, 8)
	rand.Read(b) // never fails (crypto/rand)
	return hex.EncodeToString(b)
}
