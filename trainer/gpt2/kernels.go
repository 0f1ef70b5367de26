package gpt2

// Which of libtorch's ways to compute the same thing is the faster one here: a question for the machine, asked once a run.

import (
	"time"

	"frugal/torch"
)

// Choice is what a measurement found: the time of a layer's forward and backward pass in each way.
type Choice struct{ Usual, Other time.Duration }

// better says whether the other way is faster by a tenth: less can be chance, and would make two runs differ for nothing.
func (c Choice) better() bool { return c.Other < c.Usual*9/10 }

// clear says that another turn would hardly change the answer.
func (c Choice) clear() bool { return c.Other < c.Usual*3/4 || c.Other > c.Usual*5/4 }

// What is measured is a part of a step, so that the start of a run is not delayed by more than some tenths of a second.
const (
	measuredTurns   = 2 // of each way, in turn, after one that does not count; the fastest counts, and one is enough where it is clear
	measuredTokens  = 256
	measuredClasses = 4096 // of the head's
)

// MeasureLibrary times the products of a block and of the head, without the gradients of weights, for a part of a batch of so many
// tokens in fp32: OneDNN, which is usual where there is one, and BLAS. Only for a CPU.
func (m *Model) MeasureLibrary(tokens int) (torch.Library, Choice) {
	scope := torch.OpenScope()
	defer scope.Close()
	m.prepare(torch.Float32)
	b := &m.blocks[0]
	n := int64(min(tokens, measuredTokens))
	pass := func(library torch.Library) func() {
		return func() {
			scope := torch.OpenScope()
			defer scope.Close()
			for _, w := range []*weight{b.attn.weight, b.attnPr.weight, b.fc.weight, b.mlpPr.weight} {
				both(n, w.master, library)
			}
			both(n, m.wte.master.Narrow(0, 0, int64(min(m.VocabSize, measuredClasses))).Transpose(0, 1), library)
		}
	}
	var c Choice
	torch.NoGrad(func() { c = measure(pass(torch.OneDNN), pass(torch.BLAS)) })
	if c.better() {
		return torch.BLAS, c
	}
	return torch.OneDNN, c
}

// both is the product of n rows with w [in, out], and that of n gradients with its transpose.
func both(n int64, w *torch.Tensor, library torch.Library) {
	scope := torch.OpenScope()
	defer scope.Close()
	shape := w.Shape()
	torch.Product(torch.Full([]int64{n, shape[0]}, 0.5, w.DType(), w.Device()), w, library)
	torch.Product(torch.Full([]int64{n, shape[1]}, 0.5, w.DType(), w.Device()), w.Transpose(0, 1), library)
}

// MayCompose says whether Composed attention to rows of so many tokens is considered: where it keeps more memory than the rest of a
// block it is not.
func (c Config) MayCompose(length int) bool {
	const restOfBlock = 34 // bytes a token and unit of width in half precision (Korthikanti et al., arXiv 2205.05198)
	return c.NumHeads*length*2 <= restOfBlock*c.HiddenSize
}

// MeasureAttention times a block's attention on rows of so many tokens: Flash, the usual one, and Composed, if MayCompose.
// Only for a CPU.
func (m *Model) MeasureAttention(rows, length int, precision torch.DType) (torch.AttentionKernel, Choice) {
	if !m.MayCompose(length) {
		return torch.Flash, Choice{}
	}
	scope := torch.OpenScope()
	defer scope.Close()
	shape := []int64{int64(max(1, min(rows, measuredTokens/length))), int64(length), 3 * int64(m.HiddenSize)}
	qkv := torch.Full(shape, 0.5, precision, m.Device)
	gradient := torch.Full([]int64{shape[0], shape[1], int64(m.HiddenSize)}, 0.5, precision, m.Device)
	pass := func(kernel torch.AttentionKernel) func() {
		return func() {
			scope := torch.OpenScope()
			defer scope.Close()
			torch.Backward([]*torch.Tensor{torch.SelfAttention(leaf(qkv), m.NumHeads, 0, kernel)}, []*torch.Tensor{gradient})
		}
	}
	c := measure(pass(torch.Flash), pass(torch.Composed))
	if c.better() {
		return torch.Composed, c
	}
	return torch.Flash, c
}

// measure times two ways in turn, after one turn of each that does not count.
func measure(usual, other func()) (c Choice) {
	for turn := range measuredTurns + 1 {
		for _, way := range []struct {
			run  func()
			best *time.Duration
		}{{usual, &c.Usual}, {other, &c.Other}} {
			start := time.Now()
			way.run()
			if took := time.Since(start); turn <= 1 || took < *way.best {
				*way.best = took
			}
		}
		if turn > 0 && c.clear() {
			break
		}
	}
	return c
}
