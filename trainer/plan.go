package trainer

// What memory a step will take, by part, from the configuration alone: the step's allocations and releases gone through in their
// order, in a ledger of numbers, up to the moment at which most is live.

import (
	"frugal/torch"
	"frugal/trainer/gpt2"
)

// memoryPart is one of the things that memory goes to.
type memoryPart int

const (
	partWeights memoryPart = iota
	partGradients
	partOptimizer
	partActivations
	partHead
	partTeacherWeights
	partTeacher // of a batch: hidden states or kept probabilities, and what a chunk of the head has of them
	partHistograms

	numMemoryParts
)

func (p memoryPart) name(cached bool) string {
	if p == partTeacher && cached {
		return "teacher's probabilities"
	}
	return [numMemoryParts]string{"weights", "gradients", "optimizer", "activations", "head", "teacher's weights", "teacher's part of a batch", "histograms"}[p]
}

// memoryPlan is the bytes of each part at the moment of a step's peak.
type memoryPlan [numMemoryParts]int64

func (p memoryPlan) sum() (n int64) {
	for _, bytes := range p {
		n += bytes
	}
	return n
}

// stepShape is all that the memory of a step depends on.
type stepShape struct {
	model         gpt2.Config
	rows, length  int64       // of a micro-batch
	precision     torch.DType // to compute in
	offload       gpt2.Offload
	checkpointing bool
	composed      bool  // attention's scores [rows·heads, length, length] exist
	card          bool  // a card's dropout keeps a byte for each element, a CPU's a number
	chunkRows     int64 // of the head, at most
	teacher       *gpt2.Config
	topK          int64        // kept probabilities a position, where a cache stands for the teacher; 0: none does
	filler        *gpt2.Config // the teacher that fills the cache first; nil: nothing is to be filled

	// Of one of several processes:
	moments int64 // elements of each of the two that are here; 0: all
	local   bool  // the weights that all began with and a momentum are kept
	reduced int64 // bytes of an element that crosses the network from a place of its own on this device; 0: from where it lies
}

func (s stepShape) width() int64  { return int64(s.precision.Size()) }
func (s stepShape) tokens() int64 { return s.rows * s.length }
func (s stepShape) half() bool    { return s.precision != torch.Float32 }

// plan goes through a window's last micro-batch: forward, head, backward. The update takes a few scalars.
func (s stepShape) plan() memoryPlan {
	l := ledger{}
	s.resident(&l)
	l.take(partActivations, 8*s.tokens()) // ids
	l.take(partActivations, 8*s.tokens()) // targets
	s.askTeacher(&l)
	s.forwardBackward(&l)
	return l.peak
}

// resident takes what a run holds whatever it does, once it has made its first step.
func (s stepShape) resident(l *ledger) {
	s.takeBuffers(l)
	if s.teacher != nil {
		takeFrozen(l, *s.teacher, s.precision)
	}
}

// takeBuffers takes the weights, their gradients and the moments, or what an offload leaves of them on the device.
func (s stepShape) takeBuffers(l *ledger) {
	if s.offload != gpt2.NoOffload {
		weights, gradients := s.model.OffloadBytes(s.offload, s.precision)
		for _, bytes := range weights {
			l.take(partWeights, bytes)
		}
		for _, bytes := range gradients {
			l.take(partGradients, bytes)
		}
		return
	}
	n := s.model.BufferLength()
	l.take(partWeights, 4*n)
	if s.half() {
		l.take(partWeights, s.width()*n)
	}
	l.take(partGradients, 4*n)
	moments := n
	if s.moments > 0 {
		moments = s.moments
	}
	l.take(partOptimizer, 4*moments)
	l.take(partOptimizer, 4*moments)
	if s.local {
		l.take(partOptimizer, 4*n)
		l.take(partOptimizer, 4*n)
	}
	if s.reduced > 0 {
		l.take(partGradients, s.reduced*n)
	}
}

// forwardBackward is gpt2.Model's.
func (s stepShape) forwardBackward(l *ledger) {
	residual := 4 * s.tokens() * int64(s.model.HiddenSize)
	x := l.take(partActivations, residual)
	var mask loan
	if s.model.Dropout > 0 {
		mask, x = s.dropout(l, residual, 4) // what was embedded stays as well
	}
	inputs, blocks := []loan{x}, make([]keptOfBlock, s.model.NumLayers)
	for i := range blocks {
		blocks[i] = s.blockForward(l, partActivations, !s.checkpointing)
		inputs = append(inputs, blocks[i].output)
	}
	gradient := s.head(l)
	for i := len(blocks) - 1; i >= 0; i-- {
		if s.checkpointing {
			l.free(inputs[i+1])
			blocks[i] = s.blockForward(l, partActivations, true)
		}
		gradient = s.blockBackward(l, blocks[i], gradient)
	}
	if s.model.Dropout > 0 {
		l.take(partActivations, residual)
		l.free(mask)
	}
	l.take(partActivations, 4*s.length*int64(s.model.HiddenSize)) // the positions' gradient
}

// ledger counts what is live, and what was when it was most.
type ledger struct {
	live, peak memoryPlan
	all, most  int64
}

// loan is memory taken for one tensor; the zero loan is none.
type loan struct {
	part  memoryPart
	bytes int64
}

const allocationUnit = 64 // the CPU's allocator rounds up to it

func (l *ledger) take(part memoryPart, bytes int64) loan {
	bytes = (bytes + allocationUnit - 1) / allocationUnit * allocationUnit
	l.live[part] += bytes
	if l.all += bytes; l.all > l.most {
		l.most, l.peak = l.all, l.live
	}
	return loan{part, bytes}
}

func (l *ledger) free(loans ...loan) {
	for _, m := range loans {
		l.live[m.part] -= m.bytes
		l.all -= m.bytes
	}
}

// pass is memory that is taken and given back with nothing else in between.
func (l *ledger) pass(part memoryPart, bytes int64) { l.free(l.take(part, bytes)) }
