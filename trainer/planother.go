package trainer

// The memory of what a run does beside its steps: evaluation, samples, checkpoints, histograms. Weights, gradients and the optimizer
// stay where they are meanwhile.

import (
	"frugal/torch"
	"frugal/trainer/gpt2"
	"frugal/trainer/monitor"
)

// evaluation is gpt2.Model.Loss of a batch of so many rows.
func (s stepShape) evaluation(rows int64) memoryPlan {
	l := ledger{}
	s.resident(&l)
	s.rows, s.model.Dropout = rows, 0
	s.loss(&l)
	return l.peak
}

// loss is a batch through the model for its losses alone.
func (s stepShape) loss(l *ledger) {
	l.take(partActivations, 8*s.tokens()) // ids
	l.take(partActivations, 8*s.tokens()) // targets
	s.withoutGradients(l, partActivations)
	statistics, _ := s.norm(l, partHead)
	l.free(statistics)
	chunk := min(s.tokens(), s.chunkRows)
	l.take(partHead, s.width()*chunk*int64(s.model.VocabSize))
	s.entropy(l, chunk)
}

// measuring is curriculum.model reading a passage, alone and in fp32. A passage has at most as many tokens as bytes.
func (s stepShape) measuring(m gpt2.Config) memoryPlan {
	const ids = modelBytes + 1 // with the end token before it
	length := int64(min(m.MaxPositionEmbeddings, ids))
	m.Dropout = 0
	t := stepShape{model: m, rows: (ids - 1 + length - 2) / (length - 1), length: length, precision: torch.Float32, card: s.card, chunkRows: m.ChunkRows()}
	l := ledger{}
	l.take(partWeights, 4*m.BufferLength())
	t.readWeights(&l, partWeights)
	t.loss(&l)
	return l.peak
}

// readWeights is the largest tensor of a file of weights in fp32, which are read one at a time into the CPU's memory.
func (s stepShape) readWeights(l *ledger, part memoryPart) {
	if !s.card {
		l.pass(part, 4*int64(s.model.VocabSize)*int64(s.model.HiddenSize))
	}
}

// sampleShape is what the memory of samples depends on beside the model.
type sampleShape struct{ sequences, prompt, limit int64 } // of a prompt, tokens of the longest, tokens of a sample with its prompt

// sampling is gpt2.Model.Generate: the keys and values of all sequences, beside which the prompt goes through the model, then a token
// of each sequence.
func (s stepShape) sampling(g sampleShape) memoryPlan {
	l := ledger{}
	s.resident(&l)
	s.model.Dropout = 0
	for range 2 * s.model.NumLayers {
		l.take(partActivations, s.width()*g.sequences*g.limit*int64(s.model.HiddenSize))
	}
	s.rows, s.length = 1, g.prompt
	l.free(s.nextLogits(&l)...)
	s.rows, s.length = g.sequences, 1
	s.nextLogits(&l)
	return l.peak
}

// nextLogits is gpt2's: what enters the blocks stays until the logits have been read.
func (s stepShape) nextLogits(l *ledger) (all []loan) {
	const part = partActivations
	C, inner, n := int64(s.model.HiddenSize), int64(s.model.IntermediateSize), s.tokens()
	stream := func() loan { return l.take(part, 4*n*C) }
	all = append(all, l.take(part, 8*n), stream())
	for range s.model.NumLayers {
		rows := s.rowNorm(l, part, n)
		qkv := s.linearRows(l, part, n, C, 3*C)
		y := s.attentionRows(l, part)
		middle := s.branchRows(l, C)
		l.free(rows, qkv, y)
		rows = s.rowNorm(l, part, n)
		h := s.linearRows(l, part, n, C, inner)
		output := s.branchRows(l, inner)
		l.free(rows, h, middle)
		all = append(all, output)
	}
	if s.length > 1 {
		n = s.rows
	}
	all = append(all, s.rowNorm(l, partHead, n), s.linearRows(l, partHead, n, C, int64(s.model.VocabSize)))
	if s.half() { // they are read in fp32
		l.pass(partHead, 4*n*int64(s.model.VocabSize))
	}
	return all
}

// rowNorm is norm of n rows without its statistics.
func (s stepShape) rowNorm(l *ledger, part memoryPart, n int64) loan {
	s.rows, s.length = n, 1
	statistics, y := s.norm(l, part)
	l.free(statistics)
	return y
}

// branchRows is a projection of so many columns back to the residual stream, and the sum.
func (s stepShape) branchRows(l *ledger, in int64) (sum loan) {
	C, n := int64(s.model.HiddenSize), s.tokens()
	y := s.linearRows(l, partActivations, n, in, C)
	if !s.half() {
		return y
	}
	sum = l.take(partActivations, 4*n*C)
	l.free(y)
	return sum
}

// linearRows is torch.LinearRows of n rows: on a CPU it computes in fp32.
func (s stepShape) linearRows(l *ledger, part memoryPart, n, in, out int64) loan {
	if s.card || !s.half() {
		return l.take(part, s.width()*n*out)
	}
	rows, y := l.take(part, 4*n*in), l.take(part, 4*n*out)
	rounded := l.take(part, s.width()*n*out)
	l.free(rows, y)
	return rounded
}

// attentionRows is torch.AttentionRows: on a CPU the queries are scaled in fp32 and laid out anew.
func (s stepShape) attentionRows(l *ledger, part memoryPart) loan {
	row := s.tokens() * int64(s.model.HiddenSize)
	if s.card {
		return l.take(part, s.width()*row)
	}
	wide := loan{}
	if s.half() {
		wide = l.take(part, 4*row)
	}
	scaled := l.take(part, 4*row)
	if s.length > 1 {
		inOrder := l.take(part, 4*row)
		l.free(scaled)
		scaled = inOrder
	}
	l.free(wide)
	y := l.take(part, 4*row)
	if s.half() {
		rounded := l.take(part, s.width()*row)
		l.free(y)
		y = rounded
	}
	l.free(scaled)
	return y
}

// saving writes tensors through a buffer of the host's: nothing is taken but, where the moments are shared out, a piece of them at rank 0.
func (s stepShape) saving() memoryPlan {
	l := ledger{}
	s.resident(&l)
	if s.moments > 0 && !s.card {
		l.pass(partOptimizer, 4*min(pieceElements, s.moments))
	}
	return l.peak
}

// Of torch/histogram.cc.
const (
	histogramPiece = 1 << 20  // piece: elements binned at once
	binningBytes   = 18       // an element of a piece, when its bin is compared with the edge
	binsBytes      = 25 << 16 // while the bins of all upper halves of a float32 are looked up
	keptBinsBytes  = 4 << 16
)

// histograms is what comes after a step whose gradients were binned: there is a row of counts for each of these while the weights are
// binned.
func (s stepShape) histograms() memoryPlan {
	l := ledger{}
	s.resident(&l)
	edges := int64(len(monitor.HistogramLimits()))
	row := 8 * (torch.HistogramRow + edges + 1)
	sizes := s.model.ParameterSizes()
	all := row * int64(len(sizes))
	l.take(partHistograms, 4*edges)
	l.take(partHistograms, all) // the gradients'
	l.pass(partHistograms, binsBytes)
	l.take(partHistograms, keptBinsBytes)
	for _, elements := range sizes {
		l.take(partHistograms, row)
		l.pass(partHistograms, binningBytes*min(histogramPiece, elements))
	}
	l.pass(partHistograms, all) // side by side
	return l.peak
}
