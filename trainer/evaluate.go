package trainer

// Evaluation: the mean over all targets of the evaluation rows, without gradients or dropout.

import (
	"math"
	"time"

	"frugal/torch"
	"frugal/trainer/data"
	"frugal/trainer/monitor"
)

// Evaluation is what an evaluation found.
type Evaluation struct {
	Loss        float64 // nats a target
	Perplexity  float64 // e^Loss
	BitsPerByte float64 // Loss·targets / (ln 2 · bytes of their text), comparable across tokenizers; 0 where the bytes are unknown
	Targets     int64
	Duration    time.Duration
}

// evaluate goes through all evaluation rows. It stops between two batches when a signal has arrived: the error is then *Interrupted.
// Where memory does not suffice it begins again with half as many rows at once, as often as that is possible, and so do those that follow.
func (r *run) evaluate() (Evaluation, error) {
	rows := r.evaluationRows()
	if r.evaluationLimit > 0 {
		rows = min(rows, r.evaluationLimit)
	}
	for {
		e, err := r.evaluateBy(rows)
		if !outOfMemory(err) || rows < 2 {
			return e, err
		}
		torch.EmptyCache(r.device)
		r.logger.Warnf("out of memory in the evaluation of step %d with %d rows at once: it begins again with %d", r.done.Step, rows, (rows+1)/2)
		rows = (rows + 1) / 2
		r.evaluationLimit = rows
	}
}

// evaluateBy is evaluate with batches of the size of so many full rows.
func (r *run) evaluateBy(rows int) (e Evaluation, err error) {
	defer protect("evaluation", &err)
	start := time.Now()
	scope := torch.OpenScope()
	defer scope.Close()
	sum := torch.Zeros(nil, torch.Float64, r.device)
	var bytes int64
	for _, part := range r.data.EvalBatches(rows * r.config.MaxPositionEmbeddings) {
		if err := r.interrupted(); err != nil {
			return e, err
		}
		b, err := r.data.EvalBatch(part)
		if err != nil {
			return e, err
		}
		r.addLosses(b, sum)
		e.Targets += b.Targets
		bytes += b.Bytes
	}
	total := sum.Item()
	e.Loss = total / float64(e.Targets)
	e.Perplexity = math.Exp(e.Loss)
	if bytes > 0 {
		e.BitsPerByte = total / (math.Ln2 * float64(bytes))
	}
	e.Duration = time.Since(start)
	return e, nil
}

// addLosses adds a batch's to sum.
func (r *run) addLosses(b *data.Batch, sum *torch.Tensor) {
	scope := torch.OpenScope()
	defer scope.Close()
	var ids, targets *torch.Tensor
	torch.CountAs(torch.MemoryActivations, func() { ids, targets = tensors(b, r.model.Home(), r.device) })
	r.model.Loss(ids, targets, r.precision, sum)
}

func (e Evaluation) fields() []monitor.Field {
	f := []monitor.Field{{Name: "loss", Value: e.Loss}, {Name: "perplexity", Value: e.Perplexity}}
	if e.BitsPerByte > 0 {
		f = append(f, monitor.Field{Name: "bits_per_byte", Value: e.BitsPerByte})
	}
	return append(f, monitor.Field{Name: "tokens", Value: e.Targets}, monitor.Field{Name: "seconds", Value: e.Duration.Seconds()})
}
