package data

// Windows: what one update of the weights is computed from.

import (
	"fmt"

	"frugal/trainer/internal/vfs"
)

// Window is the batches of one update. Their number of targets is known before the first backward pass.
type Window struct {
	Epoch, Index int
	Batches      []Batch
	Targets      int64   // of all batches
	Tokens       int64   // ids of all batches, padding not counted
	Drawn        []int64 // its rows by stage; nil where it was not drawn
}

func (w *Window) add(b Batch) {
	w.Batches = append(w.Batches, b)
	w.Targets += b.Targets
	w.Tokens += b.Targets + int64(b.Rows) // a row's first id is no target
}

// Share is what one of size processes computes of the window: every size-th batch, from rank on; none where there are fewer batches.
// Targets, Tokens and Drawn stay those of the whole.
func (w *Window) Share(rank, size int) *Window {
	own := *w
	own.Batches = nil
	for i := rank; i < len(w.Batches); i += size {
		own.Batches = append(own.Batches, w.Batches[i])
	}
	return &own
}

// Batch is some rows, padded with the end token to the longest of them. Position t of a row is the input for a target where
// t+1 < Lengths[row]; the target is the id at t+1.
type Batch struct {
	Rows, Length int
	InputIDs     []int64 // [Rows, Length]
	Lengths      []int32 // [Rows], ids without the padding
	Numbers      []int   // [Rows], each row's number among the rows that are trained on, or evaluated, whatever their order
	Targets      int64
	Bytes        int64 // of the targets' text, the end token's none; 0 where the Encoder is no TokenSizer
}

// Split cuts b into batches of at most rows rows, of b's length and sharing its memory. What Bytes counts is not divided.
func (b *Batch) Split(rows int) (parts []Batch) {
	for first := 0; first < b.Rows; first += rows {
		last := min(b.Rows, first+rows)
		p := Batch{Rows: last - first, Length: b.Length, InputIDs: b.InputIDs[first*b.Length : last*b.Length], Lengths: b.Lengths[first:last]}
		if b.Numbers != nil {
			p.Numbers = b.Numbers[first:last]
		}
		for _, length := range p.Lengths {
			p.Targets += int64(max(0, length-1))
		}
		parts = append(parts, p)
	}
	return parts
}

// WindowsPerEpoch counts the windows that visit every training row once. The last one may have fewer batches than the
// others, and its last batch fewer rows; windows that are drawn are all full, and an epoch is as many of them.
func (d *Dataset) WindowsPerEpoch() int {
	rows := d.options.BatchSize * d.options.Accumulation
	return (d.train.len() + rows - 1) / rows
}

// Window returns window index, in [0, WindowsPerEpoch()), of an epoch, from 0 on. It is a function of the dataset, the seed
// and its arguments: nothing depends on windows asked for earlier.
func (d *Dataset) Window(epoch, index int) (w *Window, err error) {
	defer vfs.CatchFaults(&err, d.cacheName())()
	if epoch < 0 || index < 0 || index >= d.WindowsPerEpoch() {
		return nil, fmt.Errorf("data: no window %d in epoch %d: an epoch has %d windows", index, epoch, d.WindowsPerEpoch())
	}
	o := d.options
	order := newOrder(o.Seed, epoch, d.train.len())
	first := index * o.BatchSize * o.Accumulation
	last := min(first+o.BatchSize*o.Accumulation, d.train.len())
	w = &Window{Epoch: epoch, Index: index}
	for from := first; from < last; from += o.BatchSize {
		var numbers []int
		for position := from; position < min(from+o.BatchSize, last); position++ {
			numbers = append(numbers, order.at(position))
		}
		w.add(d.batch(d.train, numbers))
	}
	return w, nil
}

// EvalRange is some of the evaluation rows, from First up to End, in the order in which they are evaluated.
type EvalRange struct{ First, End int }

// EvalBatches divides the evaluation rows into batches of at most places ids, padding included, or of one row; none where nothing is
// evaluated. Joined documents are evaluated in their order. Rows of a document each are, the longest first: those of a batch are then
// about as long, so that there is little padding, and the batch that takes the most memory comes first.
func (d *Dataset) EvalBatches(places int) (batches []EvalRange) {
	for first := 0; d.eval != nil && first < d.eval.len(); {
		_, longest := d.eval.at(d.evalRow(first))
		end := min(d.eval.len(), first+max(1, places/longest))
		batches = append(batches, EvalRange{first, end})
		first = end
	}
	return batches
}

// evalRow is the number of the row at a position of the evaluation.
func (d *Dataset) evalRow(position int) int {
	if d.evalOrder == nil {
		return position
	}
	return int(d.evalOrder[position])
}

// EvalBatch returns the rows of one of EvalBatches.
func (d *Dataset) EvalBatch(r EvalRange) (_ *Batch, err error) {
	defer vfs.CatchFaults(&err, d.cacheName())()
	if d.eval == nil || r.First < 0 || r.First >= r.End || r.End > d.eval.len() {
		return nil, fmt.Errorf("data: no evaluation rows %d to %d", r.First, r.End)
	}
	numbers := numbered(r.First, r.End)
	for i := range numbers {
		numbers[i] = d.evalRow(numbers[i])
	}
	b := d.batch(d.eval, numbers)
	return &b, nil
}

// SetBatch divides windows into other batches. Their product is as before, so that every window keeps its rows. It comes before the
// first window is asked for.
func (d *Dataset) SetBatch(batchSize, accumulation int) error {
	if o := d.options; batchSize < 1 || batchSize*accumulation != o.BatchSize*o.Accumulation {
		return fmt.Errorf("data: batches of %d × %d are another window than %d × %d", batchSize, accumulation, o.BatchSize, o.Accumulation)
	}
	d.options.BatchSize, d.options.Accumulation = batchSize, accumulation
	return nil
}

// TrainRows counts the rows that are trained on.
func (d *Dataset) TrainRows() int { return d.train.len() }

// TrainBatch returns rows [first, end) of those that are trained on, by their numbers: not in an epoch's order.
func (d *Dataset) TrainBatch(first, end int) (_ *Batch, err error) {
	defer vfs.CatchFaults(&err, d.cacheName())()
	if first < 0 || first >= end || end > d.train.len() {
		return nil, fmt.Errorf("data: no training rows %d to %d of %d", first, end, d.train.len())
	}
	b := d.batch(d.train, numbered(first, end))
	return &b, nil
}

// cacheName is what an error calls the mapped files.
func (d *Dataset) cacheName() string { return "data: the token cache in " + d.options.CacheDir }

// numbered is first, first+1, … end-1.
func numbered(first, end int) []int {
	numbers := make([]int, end-first)
	for i := range numbers {
		numbers[i] = first + i
	}
	return numbers
}

// batch reads rows and pads them to the longest.
func (d *Dataset) batch(r rows, numbers []int) Batch {
	b := Batch{Rows: len(numbers), Lengths: make([]int32, len(numbers)), Numbers: numbers}
	for i, number := range numbers {
		_, length := r.at(number)
		b.Lengths[i] = int32(length)
		b.Length = max(b.Length, length)
	}
	b.InputIDs = make([]int64, b.Rows*b.Length)
	for i, number := range numbers {
		row := b.InputIDs[i*b.Length : (i+1)*b.Length]
		from, length := r.at(number)
		r.read(row[:length], from)
		for t := length; t < b.Length; t++ {
			row[t] = int64(d.options.EndToken)
		}
		b.Targets += int64(length) - 1
		b.Bytes += d.textBytes(row[1:length])
	}
	return b
}

func (d *Dataset) textBytes(ids []int64) (total int64) {
	if d.sizes == nil {
		return 0
	}
	for _, id := range ids {
		total += int64(d.sizes[id])
	}
	return total
}
