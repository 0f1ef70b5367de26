package trainer

// -dry-run: what a run would be, what memory it would take and how long, without writing anything that stays.

import (
	"context"
	"fmt"
	"io"
	"os"
	"text/tabwriter"
	"time"

	"frugal/torch"
	"frugal/trainer/checkpoint"
	"frugal/trainer/data"
	"frugal/trainer/monitor"
)

// DryRun prepares a run as Run does, with the token cache in a directory that is removed again, takes the largest window
// through a step, twice, and prints what it found to out.
func DryRun(ctx context.Context, o Options, out io.Writer) error {
	r := newRun(o)
	thread := torch.StartThread()
	defer thread.Stop()
	return torch.Call(thread, func() error {
		defer r.close()
		return r.dryRun(ctx, out)
	})
}

func (r *run) dryRun(ctx context.Context, out io.Writer) (err error) {
	if r.console, err = monitor.NewConsole(r.Stderr, r.config.Monitoring.Progress); err != nil {
		return err
	}
	r.logger = monitor.SetupLog(r.console, nil)
	r.progressBar = monitor.NewProgress(r.console, r.logger)
	r.onClose(func() { r.progressBar.Close() })
	if r.scratch, err = os.MkdirTemp("", "frugal-dry-run-"); err != nil {
		return err
	}
	r.onClose(func() { os.RemoveAll(r.scratch) })
	if err := r.build(ctx, r.dryCheckpoint); err != nil {
		return err
	}
	if r.from != nil {
		err = r.resume(r.from)
	} else {
		err = r.initialise()
	}
	if err != nil {
		return err
	}
	if err := r.chooseKernels(); err != nil {
		return err
	}
	seconds, err := r.timeStep()
	if s := r.interrupted(); s != nil {
		return s
	}
	if err != nil {
		return err
	}
	return r.printPlan(out, seconds)
}

// dryCheckpoint is findCheckpoint without a store, which would clear up.
func (r *run) dryCheckpoint() (*checkpoint.Checkpoint, error) {
	return r.chooseCheckpoint(func() (*checkpoint.Checkpoint, []error, error) {
		return checkpoint.Newest(r.fs, r.config.OutputDir, r.config.ModelName)
	})
}

// timeStep takes a full window of full rows through a step, twice: the first warms the caches.
func (r *run) timeStep() (seconds float64, err error) {
	defer protect("timing a step", &err)
	c := r.config
	rows, length := c.BatchSize, c.MaxPositionEmbeddings
	b := data.Batch{Rows: rows, Length: length, InputIDs: make([]int64, rows*length), Lengths: make([]int32, rows), Targets: int64(rows * (length - 1))}
	for i := range b.InputIDs {
		b.InputIDs[i] = int64(i*2654435761) % int64(c.VocabSize)
	}
	for i := range b.Lengths {
		b.Lengths[i] = int32(length)
	}
	if r.distillation != nil {
		r.distillation.timing = true
	}
	w := &data.Window{Targets: b.Targets * int64(c.GradientAccumulationSteps), Tokens: int64(rows*length) * int64(c.GradientAccumulationSteps)}
	for range c.GradientAccumulationSteps {
		w.Batches = append(w.Batches, b)
	}
	torch.ResetPeakMemory(r.device)
	for range 2 {
		start := time.Now()
		if err := r.step(w); err != nil {
			return 0, err
		}
		r.lossSum.Item() // waits for the device
		seconds = time.Since(start).Seconds()
	}
	return seconds, nil
}

func (r *run) printPlan(out io.Writer, seconds float64) error {
	t := tabwriter.NewWriter(out, 0, 0, 2, ' ', 0)
	row := func(name, value string) { fmt.Fprintf(t, "%s\t%s\n", name, value) }
	size, n := monitor.FormatBytes, monitor.FormatCount
	parameters := r.model.NumParameters()
	row("parameters", n(parameters))
	row("tokens", fmt.Sprintf("%s to train on, %s to evaluate", n(r.data.Train().Tokens), n(r.data.Eval().Tokens)))
	row("steps", fmt.Sprintf("%s; %s an epoch", n(r.totalSteps), n(int64(r.data.WindowsPerEpoch()))))
	from := int64(0)
	if r.from != nil {
		from = r.from.Step
		row("resume", "would go on from "+r.from.Dir)
	}
	total := int64(0)
	for _, part := range r.memoryPlan() {
		row("memory: "+part.name, size(part.bytes))
		total += part.bytes
	}
	row("memory: sum", fmt.Sprintf("%s on %s (estimated)", size(total), r.device))
	row("memory: measured", fmt.Sprintf("%s at the peak of a step", size(r.peakMemory())))
	row("disk", fmt.Sprintf("%s for %d checkpoints and the final model", size((12*int64(r.config.MaxCheckpoints+1)+4)*parameters), r.config.MaxCheckpoints+1))
	row("a step", fmt.Sprintf("%.3gs, %s tokens/s", seconds, n(int64(float64(r.config.EffectiveBatchSize()*r.config.MaxPositionEmbeddings)/seconds))))
	if d := r.distillation; d != nil && d.planned > 0 {
		row("distillation.cache", fmt.Sprintf("would be made first, with the teacher alone in memory: %s on disk", size(d.planned)))
	}
	left := float64(max(0, r.totalSteps-from)) * seconds
	row("the run", fmt.Sprintf("about %s, evaluations and saves apart", monitor.FormatDuration(time.Duration(left*float64(time.Second)))))
	return t.Flush()
}

type memoryPart struct {
	name  string
	bytes int64
}

// memoryPlan estimates the device's memory by part. Activations: what autograd keeps of each block (or of one, and each
// block's input, with gradient checkpointing); head: one chunk's logits in compute precision, fp32 and as gradient.
func (r *run) memoryPlan() []memoryPart {
	c := r.config
	parameters, width := r.model.NumParameters(), int64(r.precision.Size())
	tokens := int64(c.BatchSize) * int64(c.MaxPositionEmbeddings)
	C, inner, L, V := int64(c.HiddenSize), int64(c.IntermediateSize), int64(c.NumLayers), int64(c.VocabSize)
	casts := int64(0)
	if width < 4 {
		casts = 2 * C * width // the LayerNorms' outputs in compute precision
	}
	block := tokens * (4*4*C + casts + (5*C+2*inner)*width) // residuals and LayerNorms in fp32; q, k, v, attention, MLP
	activations := L*block + tokens*4*C
	if c.GradientCheckpointing {
		activations = block + (L+1)*tokens*4*C
	}
	rows := min(tokens, r.model.ChunkRows())
	head := rows*V*(4+2*width) + tokens*C*12
	if width < 4 {
		head += V * C * width
	}
	return append([]memoryPart{{"weights", 4 * parameters}, {"gradients", 4 * parameters}, {"optimizer", 8 * parameters},
		{"activations", activations}, {"head", head}}, r.teacherPlan(tokens, rows*V)...)
}

// teacherPlan is what distillation adds: the teacher's weights and hidden states, or its kept probabilities (in int64 and fp32) of a
// batch; and of a chunk's logits both models' softened probabilities and their difference in fp32, or the student's alone, twice.
func (r *run) teacherPlan(tokens, chunk int64) []memoryPart {
	d := r.distillation
	if d == nil {
		return nil
	}
	if d.teacher == nil {
		k := int64(min(r.config.Distillation.CacheTopK, r.config.VocabSize))
		return []memoryPart{{"teacher's probabilities", tokens*(12*k+4) + 8*chunk}}
	}
	return []memoryPart{{"teacher's weights", d.teacher.Bytes()}, {"teacher's part of a batch", d.teacher.HiddenBytes(tokens) + 12*chunk}}
}
