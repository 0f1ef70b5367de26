package trainer

// The training loop, top to bottom in the order things happen.

import (
	"context"
	"fmt"

	"frugal/trainer/data"
	"frugal/trainer/monitor"
)

// train runs from the position of the run to its last step. It returns nil at the end, *Interrupted after a signal.
func (r *run) train(ctx context.Context) error {
	r.training = true
	windows := r.prefetch()
	defer windows.stop()
	r.progressBar.Start(monitor.Plan{FirstStep: r.done.Step, TotalSteps: r.totalSteps, Epochs: r.epochs()})
	r.clock = newStopwatch(r.done.Step)
	if r.done.Step == 0 { // where it starts from, as nanoGPT shows it
		r.done.EvaluationDue = r.evaluates()
	}
	if err := r.evaluateIfDue(); err != nil {
		return err
	}
	if err := r.sampleIfDue(); err != nil {
		return err
	}
	if interrupted := r.interrupted(); interrupted != nil {
		return interrupted
	}
	if r.done.Step == r.totalSteps { // only these were left to do
		return r.save(ctx)
	}

	for r.done.Step < r.totalSteps {
		var window *data.Window
		var err error
		r.clock.wait(func() { window, err = windows.next() })
		if err != nil {
			return err
		}
		if err := r.step(window); err != nil {
			return err
		}
		synchronised := r.outer == nil
		if !synchronised && (r.due(r.config.LocalSteps) || r.done.Step == r.totalSteps) {
			if err := r.synchronise(); err != nil {
				return err
			}
			synchronised = true
		}
		r.sayPageable()
		r.clock.tokens += window.Tokens
		r.progressBar.Step(r.done.Step)
		last := r.done.Step == r.totalSteps

		r.recordHistograms()
		if r.due(r.config.LoggingSteps) || last {
			if err := r.log(); err != nil {
				return err
			}
		}
		if window.Index == r.data.WindowsPerEpoch()-1 {
			if err := r.finishEpoch(); err != nil {
				return err
			}
		}
		if !synchronised && r.signal != nil { // they have learnt of it with the losses
			if err := r.synchronise(); err != nil {
				return err
			}
		}
		r.done.EvaluationDue = r.evaluates() && (r.due(r.config.EvalSteps) || last)
		if err := r.evaluateIfDue(); err != nil {
			return err
		}
		r.done.SamplesDue = len(r.prompts) > 0 && (r.due(r.config.Monitoring.SampleSteps) || last)
		if err := r.sampleIfDue(); err != nil {
			return err
		}
		interrupted := r.interrupted()
		if r.due(r.config.SaveSteps) || last || interrupted != nil {
			if err := r.save(ctx); err != nil {
				return err
			}
		}
		if interrupted != nil && (!last || r.done.unfinished()) {
			return interrupted
		}
	}
	return nil
}

// evaluates says whether the run evaluates at all.
func (r *run) evaluates() bool { return r.config.EvalSteps > 0 && r.data.Eval().Rows > 0 }

// due says whether something that happens every so many steps happens now; 0 is never.
func (r *run) due(every int) bool { return every > 0 && r.done.Step%int64(every) == 0 }

// epochs is the number of epochs that num_epochs asks for; 0 where max_steps decides.
func (r *run) epochs() int {
	if r.config.MaxSteps > 0 {
		return 0
	}
	return r.config.NumEpochs
}

// log reads the loss from the device and records the interval: the mean over all its targets.
func (r *run) log() (err error) {
	defer protect("logging", &err)
	if err := r.read(); err != nil {
		return err
	}
	interval := r.done.Interval
	waited := r.clock.waited.Seconds()
	seconds, steps := r.clock.lap(r.done.Step)
	f := []monitor.Field{
		{Name: "epoch", Value: float64(r.done.Step) / float64(r.data.WindowsPerEpoch())},
	}
	f = append(f, interval.fields()...)
	f = append(f, []monitor.Field{
		{Name: "learning_rate", Value: r.schedule.At(r.lastUpdate())},
		{Name: "grad_norm", Value: r.optimizer.norm.Item()},
	}...)
	if r.scaler != nil {
		f = append(f, monitor.Field{Name: "loss_scale", Value: r.scaler.scale.Item()}, monitor.Field{Name: "skipped_updates", Value: r.known.skipped})
	}
	f = append(f, monitor.Field{Name: "tokens", Value: r.done.Tokens})
	if seconds > 0 {
		f = append(f, monitor.Field{Name: "tokens_per_second", Value: float64(r.clock.tokens) / seconds},
			monitor.Field{Name: "step_seconds", Value: seconds / float64(steps)},
			monitor.Field{Name: "data_wait_seconds", Value: waited / float64(steps)})
	}
	f = append(f, r.curriculum.fields(&r.done)...)
	f = append(f, memoryFields(r.device, r.stats)...)
	r.monitor.Record(monitor.Record{Event: "train", Step: r.done.Step, Fields: f})
	r.done.Interval = tally{}
	clear(r.done.IntervalDrawn)
	r.clock.tokens = 0
	return nil
}

// lastUpdate is the number of updates that the last one followed.
func (r *run) lastUpdate() int64 { return max(0, r.done.Step-r.known.skipped-1) }

func (r *run) finishEpoch() error {
	if err := r.read(); err != nil {
		return err
	}
	e := r.done.Epoch
	f := []monitor.Field{{Name: "epoch", Value: r.done.Step / int64(r.data.WindowsPerEpoch())}}
	f = append(f, e.fields()...)
	f = append(f, monitor.Field{Name: "tokens", Value: e.Tokens}, monitor.Field{Name: "seconds", Value: e.Seconds + r.clock.epoch()})
	r.monitor.Record(monitor.Record{Event: "epoch", Step: r.done.Step, Fields: f})
	r.done.Epoch = progress{}.Epoch
	r.clock.beginEpoch()
	return nil
}

// evaluateIfDue evaluates and records it, unless a signal arrives first: then it stays due, also in the checkpoint, and a
// resumed run begins with it.
func (r *run) evaluateIfDue() error {
	if !r.done.EvaluationDue {
		return nil
	}
	e, err := r.evaluate()
	if _, stopped := err.(*Interrupted); stopped {
		return nil
	}
	if err != nil {
		return err
	}
	r.done.EvaluationDue = false
	r.lastEvaluation = &e
	r.monitor.Record(monitor.Record{Event: "eval", Step: r.done.Step, Fields: e.fields()})
	r.clock.exclude(e.Duration)
	if !isFinite(e.Loss) {
		return &NotFiniteError{Step: r.done.Step, What: fmt.Sprintf("the evaluation's loss is %v", e.Loss)}
	}
	return nil
}

// interrupted is the signal that has arrived, if any: while several processes train, one that all of them know of.
func (r *run) interrupted() error {
	r.receive()
	if r.world == nil || !r.training {
		r.signal = r.received
	}
	if r.signal == nil {
		return nil
	}
	return &Interrupted{Signal: r.signal}
}
