package trainer

// -dry-run: what a run would be, what memory it would take and how long, without writing anything that stays.

import (
	"context"
	"fmt"
	"io"
	"os"
	"strings"
	"text/tabwriter"
	"time"

	"frugal/torch"
	"frugal/trainer/checkpoint"
	"frugal/trainer/data"
	"frugal/trainer/monitor"
)

// DryRun prepares a run as Run does, with the token cache in a directory that is removed again, and prints to out what it plans; then it
// takes the largest window through a step, twice, and the largest batch through an evaluation, and prints what that took.
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
	if err := r.printPlan(out); err != nil {
		return err
	}
	seconds, err := r.timeStep()
	if s := r.interrupted(); s != nil {
		return s
	}
	if err != nil {
		return err
	}
	return r.printMeasured(out, seconds)
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
	b := fullBatch(c.BatchSize, c.MaxPositionEmbeddings, c.VocabSize)
	if r.distillation != nil {
		r.distillation.timing = true
	}
	n := c.GradientAccumulationSteps * r.processes()
	w := &data.Window{Targets: b.Targets * int64(n), Tokens: int64(len(b.InputIDs)) * int64(n)}
	for range n {
		w.Batches = append(w.Batches, b)
	}
	defer func(h *histograms) { r.histograms = h }(r.histograms)
	r.histograms = nil // the plan has a line for them
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

// tryEvaluation takes a full batch of full rows through the model.
func (r *run) tryEvaluation() (err error) {
	defer protect("trying an evaluation", &err)
	scope := torch.OpenScope()
	defer scope.Close()
	b := fullBatch(r.evaluationRows(), r.config.MaxPositionEmbeddings, r.config.VocabSize)
	sum := torch.Zeros(nil, torch.Float64, r.device)
	torch.ResetPeakMemory(r.device)
	r.addLosses(&b, sum)
	sum.Item() // waits for the device
	return nil
}

// fullBatch is rows of arbitrary ids.
func fullBatch(rows, length, vocabSize int) data.Batch {
	b := data.Batch{Rows: rows, Length: length, InputIDs: make([]int64, rows*length), Lengths: make([]int32, rows), Targets: int64(rows * (length - 1))}
	for i := range b.InputIDs {
		b.InputIDs[i] = int64(i*2654435761) % int64(vocabSize)
	}
	for i := range b.Lengths {
		b.Lengths[i] = int32(length)
	}
	return b
}

// table is rows of a name and a value. What is planned and what is measured are two tables whose columns stand alike.
func (r *run) table(out io.Writer) (row func(name, value string), flush func() error) {
	longest := "memory: activations"
	if r.distillation != nil {
		longest = "memory: " + partTeacher.name(r.config.Distillation.Cache != "")
	}
	t := tabwriter.NewWriter(out, len(longest)+2, 0, 2, ' ', 0)
	return func(name, value string) { fmt.Fprintf(t, "%s\t%s\n", name, value) }, t.Flush
}

func (r *run) printPlan(out io.Writer) error {
	row, flush := r.table(out)
	size, n := monitor.FormatBytes, monitor.FormatCount
	parameters := r.model.NumParameters()
	row("parameters", n(parameters))
	row("tokens", fmt.Sprintf("%s to train on, %s to evaluate", n(r.data.Train().Tokens), n(r.data.Eval().Tokens)))
	row("steps", fmt.Sprintf("%s; %s an epoch", n(r.totalSteps), n(int64(r.data.WindowsPerEpoch()))))
	if r.processes() > 1 {
		row("processes", fmt.Sprintf("%d; memory and time are one's", r.processes()))
	}
	if r.from != nil {
		row("resume", "would go on from "+r.from.Dir)
	}
	if r.budget > 0 {
		row(r.fitted.Key, r.fitted.Value+": "+r.fitted.Reason)
	}
	shape := r.stepShape()
	for part, bytes := range shape.plan() {
		if bytes > 0 {
			row("memory: "+memoryPart(part).name(shape.topK > 0), size(bytes))
		}
	}
	for i, a := range r.plans() {
		if i == 0 {
			row("memory: sum", fmt.Sprintf("%s on %s (estimated)", size(a.sum()), r.device))
			continue
		}
		row("memory: "+a.name, size(a.sum())+r.partsOf(a, shape))
	}
	row("disk", fmt.Sprintf("%s for %d checkpoints and the final model", size((12*int64(r.config.MaxCheckpoints+1)+4)*parameters), r.config.MaxCheckpoints+1))
	return flush()
}

// partsOf lists what an activity takes: what stays throughout it by name, the rest with its size.
func (r *run) partsOf(a activity, s stepShape) string {
	var stay, parts []string
	for i, bytes := range a.memoryPlan {
		part := memoryPart(i)
		switch name := part.name(s.topK > 0 && a.name != "filling the cache"); {
		case bytes == 0:
		case part == partActivations, part == partHead, part == partHistograms, part == partTeacher:
			parts = append(parts, name+" "+monitor.FormatBytes(bytes))
		default:
			stay = append(stay, name)
		}
	}
	if last := len(stay) - 1; last > 0 {
		stay = append(stay[:last-1], stay[last-1]+" and "+stay[last])
	}
	text := ": " + strings.Join(append(stay, parts...), ", ")
	switch a.name {
	case "evaluation":
		text += fmt.Sprintf("; %d rows at once", s.evaluationRows(r.budget))
	case "filling the cache":
		text += fmt.Sprintf("; %d rows at once", s.fillingRows(r.budget))
	}
	return text
}

// withoutNetwork says what a dry run of one of several processes leaves out.
func (r *run) withoutNetwork() string {
	if r.processes() == 1 {
		return ""
	}
	return fmt.Sprintf(" by %d processes like this one, without what the network takes", r.processes())
}

func (r *run) printMeasured(out io.Writer, stepSeconds float64) error {
	row, flush := r.table(out)
	size, n := monitor.FormatBytes, monitor.FormatCount
	peaks := size(r.peakMemory()) + " at the peak of a step"
	if r.evaluates() {
		if err := r.tryEvaluation(); err != nil {
			return err
		}
		peaks += fmt.Sprintf(", %s of an evaluation", size(r.peakMemory()))
	}
	row("memory: measured", peaks)
	row("a step", fmt.Sprintf("%.3gs, %s tokens/s", stepSeconds, n(int64(float64(r.perUpdate()*r.config.MaxPositionEmbeddings)/stepSeconds)))+r.withoutNetwork())
	if d := r.distillation; d != nil && d.planned > 0 {
		row("distillation.cache", fmt.Sprintf("would be made first, with the teacher alone in memory: %s on disk", size(d.planned)))
	}
	left := float64(max(0, r.totalSteps-r.done.Step)) * stepSeconds
	row("the run", fmt.Sprintf("about %s, evaluations and saves apart", monitor.FormatDuration(time.Duration(left*float64(time.Second)))))
	return flush()
}
