package trainer

// What becomes of a window's losses: sums on the device, tallies on the host, fields of metrics.jsonl.

import (
	"encoding/binary"
	"math"

	"frugal/torch"
	"frugal/trainer/monitor"
	"frugal/trainer/safetensors"
)

// windowLosses are sums over one window: of cross entropies and, with a teacher, of its part.
type windowLosses struct{ task, distilled *torch.Tensor }

// windowLosses are the sums that a window begins with.
func (r *run) windowLosses() (w windowLosses) {
	w.task = torch.Zeros(nil, torch.Float64, r.device)
	if r.distillation != nil {
		w.distilled = torch.Zeros(nil, torch.Float64, r.device)
	}
	return w
}

// countLosses prepares to add a window's to the run's, which add then does without allocating.
func (r *run) countLosses(w windowLosses, targets int64, foundInf *torch.Tensor) (add func()) {
	losses, sums := []*torch.Tensor{w.task}, []*torch.Tensor{r.lossSum}
	if d := r.distillation; d != nil {
		losses, sums = []*torch.Tensor{d.objective(w.task, w.distilled), w.task, w.distilled}, []*torch.Tensor{r.lossSum, d.task, d.sum}
	}
	if r.scaler != nil {
		losses, sums = r.scaler.count(losses, targets, foundInf, sums)
	}
	return func() {
		for i, sum := range sums {
			sum.Add_(losses[i])
		}
	}
}

// tally is a sum of losses with what it was summed over. Of what was learnt from a teacher as well it knows the parts.
type tally struct {
	Loss    float64 `json:"loss"` // the objective
	Targets int64   `json:"targets"`

	Task         float64 `json:"task_loss,omitempty"`         // of all targets, once there is a distilled one
	Distillation float64 `json:"distillation_loss,omitempty"` // of the distilled ones
	Distilled    int64   `json:"distilled_targets,omitempty"`
}

func (t tally) mean() float64 { return t.Loss / float64(t.Targets) }

func (t *tally) add(p pendingLosses, targets int64) {
	if p.distilled && t.Distilled == 0 { // until here the objective was the task
		t.Task = t.Loss
	}
	t.Loss += p.loss
	t.Targets += targets
	if p.distilled {
		t.Task += p.task
		t.Distillation += p.distillation
		t.Distilled += targets
	} else if t.Distilled > 0 {
		t.Task += p.loss
	}
}

// fields are the mean losses; none where every window was skipped before its loss was finite.
func (t tally) fields() []monitor.Field {
	if t.Targets == 0 {
		return nil
	}
	fields := []monitor.Field{{Name: "loss", Value: t.mean()}}
	if t.Distilled > 0 {
		fields = append(fields, monitor.Field{Name: "task_loss", Value: t.Task / float64(t.Targets)},
			monitor.Field{Name: "distillation_loss", Value: t.Distillation / float64(t.Distilled)})
	}
	return fields
}

// pendingLosses are sums that are still on the device.
type pendingLosses struct {
	loss, task, distillation float64
	distilled                bool
}

// read moves the sums of losses from the device to the host. On a CUDA card it waits for the steps in flight.
func (r *run) read() (err error) {
	defer protect("reading the loss", &err)
	if err := r.gatherLosses(); err != nil {
		return err
	}
	p := pendingLosses{loss: r.lossSum.Item()}
	if d := r.distillation; d != nil {
		p.distilled, p.task, p.distillation = true, d.task.Item(), d.sum.Item()
	}
	r.settle(p)
	return r.checkFinite(p.loss)
}

// settle counts what was pending and empties the sums.
func (r *run) settle(p pendingLosses) {
	targets := r.done.PendingTargets
	if r.scaler != nil {
		targets -= int64(r.scaler.lost.Item())
		r.scaler.lost.Fill_(0)
	}
	r.done.Interval.add(p, targets)
	r.done.Epoch.tally.add(p, targets)
	r.done.PendingTargets = 0
	r.lossSum.Fill_(0)
	if d := r.distillation; d != nil {
		d.task.Fill_(0)
		d.sum.Fill_(0)
	}
}

// pendingLossesOf reads what was pending at a checkpoint, for a run that learns otherwise from there on.
func pendingLossesOf(f *safetensors.File) (p pendingLosses) {
	scalar := func(name string) (x float64) {
		if _, raw, ok := f.Tensor(name); ok && len(raw) == 8 {
			x = math.Float64frombits(binary.LittleEndian.Uint64(raw))
		}
		return x
	}
	_, _, p.distilled = f.Tensor("task_loss_sum")
	p.loss, p.task, p.distillation = scalar("loss_sum"), scalar("task_loss_sum"), scalar("distillation_loss_sum")
	return p
}
