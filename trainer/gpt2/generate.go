package gpt2

// Generating text: the prompt goes through the model at once, then one token a step, for N sequences side by side.

import (
	"context"
	"errors"
	"fmt"

	"frugal/torch"
)

// Generate continues prompt n times and returns the n continuations, without the prompt and without the end token. emit, unless
// nil, is told of each token as it comes, sequence by sequence; when it returns false, or ctx is done (its error is returned),
// all that there is so far is returned. The end token ends a sequence. A prompt must be shorter than s.MaxLength and than
// the model's positions, where generation stops; an empty one begins with the end token, as in Hugging Face's generate.
//
// Sequence i draws with a generator of its own, made from s.Seed and i. On a CPU, what the model computes for it depends
// neither on the other sequences nor on the number of threads, so that the same seed gives the same text; on a card only as
// far as its products of several rows round alike.
//
// It belongs on the tensor thread, and panics with *torch.Error as operations on tensors do; no tensor outlives it.
func (m *Model) Generate(ctx context.Context, prompt []int64, n int, s Sampling, emit func(sequence int, id int64) bool) ([][]int64, error) {
	if err := m.checkGenerate(prompt, n, s); err != nil {
		return nil, err
	}
	if len(prompt) == 0 {
		prompt = []int64{s.EndToken}
	}
	if emit == nil {
		emit = func(int, int64) bool { return true }
	}
	scope := torch.OpenScope()
	defer scope.Close()
	g := generation{ctx: ctx, sampling: s, emit: emit, limit: m.lengthLimit(s), sequences: make([][]int64, n), done: make([]bool, n)}
	torch.NoGrad(func() {
		g.model = m.forGeneration(s.Precision)
		g.cache = m.newCache(int64(n), int64(g.limit), s.Precision)
	})
	for i := range n {
		g.samplers = append(g.samplers, newSampler(s, i))
	}
	err := g.run(prompt)
	return g.sequences, err
}

// lengthLimit is the most tokens that a sequence may have, its prompt included.
func (m *Model) lengthLimit(s Sampling) int {
	if s.MaxLength == 0 {
		return m.MaxPositionEmbeddings
	}
	return min(s.MaxLength, m.MaxPositionEmbeddings)
}

func (m *Model) checkGenerate(prompt []int64, n int, s Sampling) error {
	if err := s.Check(); err != nil {
		return err
	}
	if n < 1 {
		return fmt.Errorf("%d sequences, want at least 1", n)
	}
	return m.CheckPrompt(prompt, s)
}

// tokens counts a prompt's: an empty one begins with the end token.
func tokens(prompt []int64) string {
	if len(prompt) <= 1 {
		return "1 token"
	}
	return fmt.Sprintf("%d tokens", len(prompt))
}

// CheckPrompt says why a prompt cannot be continued, before Generate does.
func (m *Model) CheckPrompt(prompt []int64, s Sampling) error {
	if len(prompt) == 0 && (s.EndToken < 0 || s.EndToken >= int64(m.VocabSize)) {
		return errors.New("the prompt is empty, and there is no end token to begin with")
	}
	for _, id := range prompt {
		if id < 0 || id >= int64(m.VocabSize) {
			return fmt.Errorf("the prompt holds the token id %d; the model's vocabulary has %d", id, m.VocabSize)
		}
	}
	switch limit := m.lengthLimit(s); {
	case max(1, len(prompt)) < limit:
		return nil
	case limit == m.MaxPositionEmbeddings:
		return fmt.Errorf("the prompt has %s; the model has %d positions, of which one at least must be left", tokens(prompt), limit)
	default:
		return fmt.Errorf("the prompt has %s, which leaves nothing of a length of %d with the prompt included", tokens(prompt), limit)
	}
}

// forGeneration is m without dropout and with products by rows. It has m's weights, and the blocks' code is the same.
func (m *Model) forGeneration(precision torch.DType) *Model {
	m.prepare(precision)
	g := *m
	g.Dropout, g.byRows = 0, true
	return &g
}

// nextLogits puts ids [B, T], the next T tokens of each sequence, through the model and the cache, and returns the logits of the
// token that follows: [B, V]. Without gradients, on a model of forGeneration.
func (m *Model) nextLogits(ids *torch.Tensor, past cache) *torch.Tensor {
	return torch.Scoped(func() *torch.Tensor {
		shape := ids.Shape()
		x := m.embed(ids, past.length())
		for i := range m.blocks {
			m.arrive(i + 1)
			x = torch.Scoped(func() *torch.Tensor { return m.blocks[i].forward(m, x, &past[i]) })
			m.leave(i+1, m.following(i))
		}
		m.headArrives()
		defer m.headLeaves()
		last := x.Narrow(1, shape[1]-1, 1).Reshape(shape[0], int64(m.HiddenSize))
		return torch.LinearRows(m.lnF.forward(m, last), m.wte.working.Transpose(0, 1), nil)
	})
}

// generation is the state of one Generate.
type generation struct {
	ctx       context.Context
	model     *Model
	cache     cache
	sampling  Sampling
	samplers  []*sampler
	emit      func(sequence int, id int64) bool
	limit     int // tokens, the prompt's included
	sequences [][]int64
	done      []bool // the end token has come
	stopped   bool   // emit has asked for it
}

func (g *generation) run(prompt []int64) error {
	next, err := g.step(prompt, 1)
	for length := len(prompt) + 1; err == nil && !g.finished() && length < g.limit; length++ {
		next, err = g.step(next, len(next))
	}
	return err
}

// step gives the model the next tokens of the given number of sequences, one after another in ids, and returns the token that
// follows in each. One sequence stands for all: the prompt.
func (g *generation) step(ids []int64, sequences int) (next []int64, err error) {
	if err := g.ctx.Err(); err != nil {
		return nil, err
	}
	logits := g.logits(ids, int64(sequences))
	next = make([]int64, len(g.sequences))
	for i := range next {
		if next[i] = max(0, g.sampling.EndToken); g.done[i] {
			continue // its row is computed with the others', and nobody looks at it
		}
		row := logits
		if sequences > 1 {
			row = logits[i*g.model.VocabSize:][:g.model.VocabSize]
		}
		if next[i], err = g.samplers[i].next(row); err != nil {
			return nil, err
		}
		if g.take(i, next[i]); g.stopped {
			return next, nil
		}
	}
	return next, nil
}

func (g *generation) logits(ids []int64, sequences int64) (logits []float32) {
	scope := torch.OpenScope()
	defer scope.Close()
	torch.NoGrad(func() {
		input := torch.FromInt64s(ids, []int64{sequences, int64(len(ids)) / sequences}, g.model.Device)
		logits = g.model.nextLogits(input, g.cache).Float32s()
	})
	return logits
}

func (g *generation) take(sequence int, id int64) {
	if id == g.sampling.EndToken {
		g.done[sequence] = true
		return
	}
	g.sequences[sequence] = append(g.sequences[sequence], id)
	g.stopped = !g.emit(sequence, id)
}

func (g *generation) finished() bool {
	if g.stopped {
		return true
	}
	for _, done := range g.done {
		if !done {
			return false
		}
	}
	return true
}
