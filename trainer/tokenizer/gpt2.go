// GPT-2's vocabulary, from the Go module that carries it.

package tokenizer

import (
	"fmt"

	"github.com/tiktoken-go/tokenizer/codec"
)

const gpt2Size = 50257

// GPT2 is GPT-2's own tokenizer: 50257 ids, <|endoftext|> is 50256.
func GPT2() (*Tokenizer, error) {
	tokens, err := gpt2Tokens()
	if err != nil {
		return nil, fmt.Errorf("tokenizer: the embedded GPT-2 vocabulary: %w", err)
	}
	merges, err := mergesOf(tokens[:gpt2Size-1])
	if err != nil {
		return nil, fmt.Errorf("tokenizer: the embedded GPT-2 vocabulary: %w", err)
	}
	// Hugging Face's file of GPT-2 has normalized set, which for a tokenizer without normalizer makes no difference.
	return newTokenizer(byteLevelAlone(false, true), tokens, nil, merges, []addedToken{endOfText(gpt2Size - 1)}, EndOfText)
}

func gpt2Tokens() ([]string, error) {
	vocabulary := codec.NewR50kBase()
	tokens := make([]string, gpt2Size)
	for id := range tokens[:gpt2Size-1] {
		token, err := vocabulary.Decode([]uint{uint(id)})
		if err != nil {
			return nil, err
		}
		tokens[id] = token
	}
	tokens[gpt2Size-1] = EndOfText
	return tokens, nil
}

// mergesOf finds the merges of a vocabulary that comes as tokens in the order they were made, the 256 bytes first: those made
// before a token was join it into two, and these are what its own merge joins.
func mergesOf(tokens []string) ([]merge, error) {
	t := Tokenizer{tokens: tokens}
	if err := t.indexBytes(); err != nil {
		return nil, err
	}
	merges := make([]merge, 0, len(tokens))
	t.pairs = newPairTable(len(tokens))
	var parts []uint32
	for id := 256; id < len(tokens); id++ {
		parts = t.appendWord(parts[:0], []byte(tokens[id]))
		if len(parts) != 2 {
			return nil, fmt.Errorf("token %d (%s) is made of %d others, want 2", id, quote(tokens[id]), len(parts))
		}
		m := merge{parts[0], parts[1], uint32(id)}
		t.pairs.add(m, uint32(len(merges)))
		merges = append(merges, m)
	}
	return merges, nil
}
