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
	if err := r.fromFirst(&rows); err != nil {
		return Evaluation{}, err
	}
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

// evaluationsBetween are the batches of each process between two times that all learn of a signal: on a slow network that takes longer
// than a batch.
const evaluationsBetween = 8

// evaluateBy is evaluate with batches of the size of so many full rows. Of several processes each takes every so many-th batch; what is
// known of a batch is summed in the order of the batches by all, so that their number changes no bit.
func (r *run) evaluateBy(rows int) (e Evaluation, err error) {
	start := time.Now()
	if err := r.interrupted(); err != nil {
		return e, err
	}
	batches := r.data.EvalBatches(rows * r.config.MaxPositionEmbeddings)
	const loss, targets, bytes = 0, 1, 2
	n, size := len(batches), r.processes()
	found := make([]float64, 3*n) // whole numbers below 2^53 but for the losses
	var failed error
	for first := 0; first < n; first += size {
		if i := first + r.rank(); i < n && failed == nil {
			failed = r.evaluateBatch(batches[i], found[3*i:3*i+3])
		}
		if failed != nil && !outOfMemory(failed) {
			return e, failed
		}
		if r.world != nil && first/size%evaluationsBetween != 0 && first+size < n {
			continue
		}
		switch lacks, err := r.agree(nil, failed != nil); {
		case err != nil:
			return e, err
		case failed != nil:
			return e, failed
		case lacks:
			return e, errOtherLacks()
		case r.signal != nil && first+size < n:
			return e, &Interrupted{Signal: r.signal}
		}
	}
	if r.world != nil {
		if err := r.world.AllReduceNumbers(found); err != nil {
			return e, err
		}
	}
	var total, text float64
	for i := range batches {
		total += found[3*i+loss]
		e.Targets += int64(found[3*i+targets])
		text += found[3*i+bytes]
	}
	e.Loss = total / float64(e.Targets)
	e.Perplexity = math.Exp(e.Loss)
	if text > 0 {
		e.BitsPerByte = total / (math.Ln2 * text)
	}
	e.Duration = time.Since(start)
	return e, nil
}

// evaluateBatch finds the sum of a batch's losses, its targets and the bytes of their text.
func (r *run) evaluateBatch(part data.EvalRange, found []float64) (err error) {
	defer protect("evaluation", &err)
	b, err := r.data.EvalBatch(part)
	if err != nil {
		return err
	}
	scope := torch.OpenScope()
	defer scope.Close()
	sum := torch.Zeros(nil, torch.Float64, r.device)
	r.addLosses(b, sum)
	found[0], found[1], found[2] = sum.Item(), float64(b.Targets), float64(b.Bytes)
	return nil
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
