package trainer

// One step: a window of micro-batches through the model, then the update. Also the one place where a panic of the binding
// becomes an error.

import (
	"errors"
	"fmt"

	"frugal/torch"
	"frugal/trainer/data"
	"frugal/trainer/gpt2"
)

// protect turns a panic that is a *torch.Error into an error that says what was being done; any other panic goes on.
func protect(doing string, err *error) {
	v := recover()
	if v == nil {
		return
	}
	var e *torch.Error
	if cause, ok := v.(error); ok && errors.As(cause, &e) {
		*err = fmt.Errorf("%s: %w", doing, e)
		return
	}
	panic(v)
}

// step trains on one window. Where memory does not suffice, the window is repeated from its start with micro-batches of half as
// many rows, as often as that is possible; so are those that follow, after a resume too.
func (r *run) step(w *data.Window) error {
	for {
		err := r.tryStep(w)
		if !outOfMemory(err) || r.halfway || !r.halveMicroBatches(w) {
			return err
		}
	}
}

func outOfMemory(err error) bool {
	var e *torch.Error
	return errors.As(err, &e) && e.Kind == torch.OutOfMemory
}

// halveMicroBatches makes the micro-batches smaller than the largest of the window that was tried; false where it had one row.
func (r *run) halveMicroBatches(w *data.Window) bool {
	largest := 0
	for _, b := range w.Batches {
		largest = max(largest, b.Rows)
	}
	if n := r.done.MicroBatchRows; n > 0 {
		largest = min(largest, n)
	}
	if largest < 2 {
		return false
	}
	r.done.MicroBatchRows = (largest + 1) / 2
	r.model.ClearGradients()
	torch.EmptyCache(r.device)
	divisor := r.done.MicroBatchRows // of the effective batch
	for r.config.EffectiveBatchSize()%divisor != 0 {
		divisor--
	}
	r.logger.Warnf("out of memory in step %d with %d rows at once: the step is repeated with %d, and so the run goes on; the effective batch stays. "+
		"To have it so from the start: -set batch_size=%d -set gradient_accumulation_steps=%d", r.done.Step+1, largest, r.done.MicroBatchRows,
		divisor, r.config.EffectiveBatchSize()/divisor)
	return true
}

// tryStep trains on one window, or changes nothing but gradients when it fails. Each target's loss counts 1/targets, whichever
// micro-batch it is in, so that accumulation equals the big batch also when micro-batches are unequal (huggingface/transformers#34191).
//
// Of several processes each takes its share of the micro-batches; the sums of gradients and losses are everybody's. One that lacks memory
// still takes part in them, so that all learn of it and repeat the window together.
func (r *run) tryStep(w *data.Window) (err error) {
	defer protect(fmt.Sprintf("step %d", r.done.Step+1), &err)
	scope := torch.OpenScope()
	defer scope.Close()
	own := w.Share(r.rank(), r.processes())
	losses := r.windowLosses()
	var summed *reduction // nil: the gradients stay this process's own
	if r.world != nil {
		if r.model.MakeGradients(); r.outer == nil {
			summed = r.newReduction()
		}
	}
	err = r.backward(own, losses, summed)
	if err != nil && (r.world == nil || !outOfMemory(err)) {
		return err
	}
	r.halfway = r.world != nil && r.outer == nil // others may be done when something fails here: it cannot be repeated
	if err := r.meet(losses, summed, err); err != nil {
		return err
	}
	if r.beforeUpdate != nil {
		r.beforeUpdate(r)
	}
	u := r.optimizer.prepare(r.rate(), r.scaler, r.observeGradients())
	add := r.countLosses(losses, r.weighed(own), u.foundInf)
	// From here on nothing is allocated, so nothing fails half-way.
	add()
	r.optimizer.apply(u)
	if s := r.optimizer.shard; s != nil {
		if err := s.spread(r.model); err != nil {
			return err
		}
	}
	r.done.advance(w)
	r.halfway = false
	return nil
}

// backward takes micro-batches through the model. What is summed begins to be in the last of them.
func (r *run) backward(w *data.Window, losses windowLosses, summed *reduction) (err error) {
	defer protect(fmt.Sprintf("step %d", r.done.Step+1), &err)
	targets := float64(max(1, r.weighed(w)))
	weight := torch.Full(nil, 1/targets, torch.Float32, r.device)
	if r.scaler != nil {
		weight = r.scaler.scale.MulScalar(1/targets).To(torch.Float32, r.device)
	}
	if len(w.Batches) == 0 {
		r.model.ZeroGradients()
		return nil
	}
	index := r.rank() // of the micro-batch among those of all processes
	for i := range w.Batches {
		parts := w.Batches[i : i+1]
		if n := r.done.MicroBatchRows; n > 0 {
			parts = parts[0].Split(n)
		}
		for j := range parts {
			var complete func(offset, length int64)
			if summed != nil && i == len(w.Batches)-1 && j == len(parts)-1 {
				complete = summed.begin
			}
			if err := r.microBatch(&parts[j], index, weight, losses, complete); err != nil {
				return err
			}
			index += r.processes()
		}
	}
	return nil
}

// weighed are the targets that the loss of a process's share of a window is divided by: the whole window's, or with local_steps its own.
func (r *run) weighed(own *data.Window) (targets int64) {
	if r.outer == nil {
		return own.Targets
	}
	for _, b := range own.Batches {
		targets += b.Targets
	}
	return targets
}

// meet ends a window's sums over all processes. failed is a lack of memory of this one, or nil; the error is such a lack where anybody has it,
// and then all repeat the window. With local_steps nobody meets.
func (r *run) meet(l windowLosses, summed *reduction, failed error) error {
	if r.world == nil || r.outer != nil {
		return failed
	}
	summed.rest()
	if err := summed.wait(); err != nil {
		return err
	}
	numbers := []float64{l.task.Item()}
	if l.distilled != nil {
		numbers = append(numbers, l.distilled.Item())
	}
	lacks, err := r.agree(numbers, failed != nil)
	r.halfway = !lacks
	switch {
	case err != nil:
		return err
	case failed != nil:
		return failed
	case lacks:
		return errOtherLacks()
	}
	l.task.Fill_(numbers[0])
	if l.distilled != nil {
		l.distilled.Fill_(numbers[1])
	}
	return nil
}

func (r *run) microBatch(b *data.Batch, index int, weight *torch.Tensor, losses windowLosses, complete func(offset, length int64)) (err error) {
	scope := torch.OpenScope()
	defer scope.Close()
	var ids, targets *torch.Tensor
	torch.CountAs(torch.MemoryActivations, func() { ids, targets = tensors(b, r.model.Home(), r.device) })
	var guide gpt2.Guide
	if r.distillation != nil {
		torch.CountAs(torch.MemoryHead, func() { guide, err = r.guide(b, ids, losses.distilled) })
		if err != nil {
			return err
		}
	}
	r.model.ForwardBackward(ids, targets, gpt2.Pass{
		Precision:     r.precision,
		Checkpointing: r.config.GradientCheckpointing,
		Seed:          func(stage int) uint64 { return dropoutSeed(r.config.Seed, r.done.Step, index, stage, 0) },
		Weight:        weight,
		LossSum:       losses.task,
		Guide:         guide,
		Complete:      complete,
	})
	return nil
}

// tensors are the batch's ids at a model's home and, on its device, at each position the id that follows it, or -1 at a row's end and
// in its padding: both int64 [rows, length].
func tensors(b *data.Batch, home, device torch.Device) (ids, targets *torch.Tensor) {
	next := make([]int64, len(b.InputIDs))
	for row, length := range b.Lengths {
		at := row * b.Length
		n := max(0, int(length)-1)
		copy(next[at:at+n], b.InputIDs[at+1:])
		for i := n; i < b.Length; i++ {
			next[at+i] = -1
		}
	}
	shape := []int64{int64(b.Rows), int64(b.Length)}
	return torch.FromInt64s(b.InputIDs, shape, home), torch.FromInt64s(next, shape, device)
}

// rate is the learning rate of the next update: a scalar where that is made. A skipped update does not advance the schedule, and
// only the device knows how many there were since the last time it was asked: it picks from those that are possible.
func (r *run) rate() *torch.Tensor {
	home := r.model.Home()
	if r.scaler == nil {
		return torch.Full(nil, r.schedule.At(r.done.Step), rateDType(home), home)
	}
	pending := r.done.Step - r.known.step
	rates := make([]float64, pending+1)
	for i := range rates {
		rates[i] = r.schedule.At(r.done.Step - r.known.skipped - int64(i))
	}
	since := r.scaler.skipped.Clone().AddScalar_(-float64(r.known.skipped)).To(torch.Int64, home)
	all := torch.FromFloat64s(rates, []int64{pending + 1}, home).To(rateDType(home), home)
	return all.IndexSelect(0, since.Reshape(1)).Reshape()
}

// rateDType is what the fused AdamW reads: CUDA's kernel a float32, the CPU's a double.
func rateDType(d torch.Device) torch.DType {
	if d.Type == torch.CPUType {
		return torch.Float64
	}
	return torch.Float32
}

// dropoutSeed mixes its arguments, so that dropout is a function of them: recomputation and resume need no saved generator.
func dropoutSeed(seed uint64, step int64, microBatch, stage, rank int) uint64 {
	h := seed
	for _, v := range []uint64{uint64(step), uint64(microBatch), uint64(stage), uint64(rank)} {
		h = mix(h ^ mix(v+0x9e3779b97f4a7c15))
	}
	return h
}

// mix is the finalizer of splitmix64 (Steele et al., 2014).
func mix(z uint64) uint64 {
	z = (z ^ z>>30) * 0xbf58476d1ce4e5b9
	z = (z ^ z>>27) * 0x94d049bb133111eb
	return z ^ z>>31
}
