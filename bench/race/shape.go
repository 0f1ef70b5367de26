package main

// What a model's name says: 6x384-v50257-t256 is 6 layers of width 384, 50,257 tokens, rows of 256.

import (
	"fmt"
	"regexp"
	"strconv"
)

// rowTokens is how many tokens a batch has where its size is not given: 4 rows of 256, 1 of 1024.
const rowTokens = 1024

// headWidth is that of GPT-2 in all its sizes.
const headWidth = 64

// shape is a model and its batch.
type shape struct {
	Layers, Width, Vocabulary, Sequence, Batch int
}

var shapeName = regexp.MustCompile(`^(\d+)x(\d+)-v(\d+)-t(\d+)(?:-b(\d+))?$`)

// parseShape reads a model's name.
func parseShape(name string) (s shape, err error) {
	m := shapeName.FindStringSubmatch(name)
	if m == nil {
		return s, fmt.Errorf("%q is no model: want LAYERSxWIDTH-vVOCABULARY-tSEQUENCE, such as 6x384-v50257-t256, and -bBATCH behind it", name)
	}
	for i, to := range []*int{&s.Layers, &s.Width, &s.Vocabulary, &s.Sequence, &s.Batch} {
		if m[i+1] == "" {
			continue
		}
		if *to, err = strconv.Atoi(m[i+1]); err != nil || *to == 0 {
			return s, fmt.Errorf("%q: %s is no size", name, m[i+1])
		}
	}
	if s.Batch == 0 {
		s.Batch = max(1, rowTokens/s.Sequence)
	}
	switch {
	case s.Width%headWidth != 0:
		return s, fmt.Errorf("%q: a width of %d is not a multiple of %d, the width of a head", name, s.Width, headWidth)
	case s.Vocabulary < byteVocabulary || s.Vocabulary > 1<<16:
		return s, fmt.Errorf("%q: want a vocabulary of %d to %d tokens", name, byteVocabulary, 1<<16)
	case s.Sequence < 2:
		return s, fmt.Errorf("%q: a row of one token has nothing to learn", name)
	}
	return s, nil
}

func (s shape) String() string {
	return fmt.Sprintf("%d × %d, vocabulary %s, batch %d × %d", s.Layers, s.Width, thousands(float64(s.Vocabulary)), s.Batch, s.Sequence)
}

// heads is the number of attention heads.
func (s shape) heads() int { return s.Width / headWidth }

// tokens of a step.
func (s shape) tokens() int { return s.Batch * s.Sequence }

// matmulParameters are the weights that each token is multiplied with: 12·C² a layer, and the output's, which are the embedding's.
func (s shape) matmulParameters() int { return 12*s.Layers*s.Width*s.Width + s.Vocabulary*s.Width }

// parameters are all of them: positions, biases and LayerNorms as well.
func (s shape) parameters() int {
	return s.matmulParameters() + s.Sequence*s.Width + s.Layers*13*s.Width + 2*s.Width
}

// flopsPerToken is nanoGPT's estimate (estimate_mfu in its model.py) of a token's forward and backward pass: 6·N + 12·L·C·T, N being
// the parameters that take part in products. That attention is causal is not discounted.
func (s shape) flopsPerToken() float64 {
	return float64(6*s.matmulParameters() + 12*s.Layers*s.Width*s.Sequence)
}

// evaluationFlopsPerToken is the forward pass's share of it, a third.
func (s shape) evaluationFlopsPerToken() float64 { return s.flopsPerToken() / 3 }
