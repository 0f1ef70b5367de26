// Training a vocabulary: counting the corpus's words. What is made of the counts is in merges.go.

package tokenizer

import (
	"cmp"
	"context"
	"fmt"
	"iter"
	"maps"
	"runtime"
	"slices"
	"sync"
)

const (
	// batchSize is how much text a worker gets at once, in bytes.
	batchSize = 1 << 20
	// minFrequency is how often a pair must occur to become a token, as in Hugging Face's ByteLevelBPETokenizer.
	minFrequency = 2
	minVocabSize = 257
)

// Train makes a vocabulary of vocabSize ids from the documents: <|endoftext|> is 0, the bytes follow, then the merges. It gives
// the vocabulary and the merges that Hugging Face's BpeTrainer does with min_frequency=2, special_tokens=["<|endoftext|>"] and
// initial_alphabet=ByteLevel.alphabet(); like it, it stops early when no pair occurs twice. A document may be overwritten once
// the next one is asked for. Memory grows with the number of different words, not with the corpus. progress, which may be
// nil, is called from this goroutine with the number of merges found and wanted.
func Train(ctx context.Context, documents iter.Seq2[[]byte, error], vocabSize int, progress func(done, total int)) (*Tokenizer, error) {
	if vocabSize < minVocabSize || vocabSize > maxID+1 {
		return nil, fmt.Errorf("tokenizer: a vocabulary of %d ids cannot be trained, want %d to %d", vocabSize, minVocabSize, maxID+1)
	}
	counts, err := countWords(ctx, documents)
	if err != nil {
		return nil, err
	}
	if len(counts) == 0 {
		return nil, fmt.Errorf("tokenizer: there is no text to train a vocabulary on")
	}
	r := newTrainer(counts)
	if err := r.run(ctx, vocabSize, progress); err != nil {
		return nil, err
	}
	return newTokenizer(byteLevelAlone(false, true), r.tokens, nil, r.merges, []addedToken{endOfText(0)}, EndOfText)
}

// wordCount is a word and how often it occurs.
type wordCount struct {
	word  string
	count int64
}

// countWords splits the documents into words on all cores and counts them, sorted by word.
func countWords(ctx context.Context, documents iter.Seq2[[]byte, error]) ([]wordCount, error) {
	batches := make(chan *batch)
	workers := runtime.GOMAXPROCS(0)
	parts := make([]map[string]int64, workers)
	var wait sync.WaitGroup
	for i := range workers {
		parts[i] = map[string]int64{}
		wait.Go(func() {
			for b := range batches {
				b.count(parts[i])
			}
		})
	}
	err := fillBatches(ctx, documents, batches)
	close(batches)
	wait.Wait()
	if err != nil {
		return nil, err
	}
	total := parts[0]
	for _, part := range parts[1:] {
		for word, n := range part {
			total[word] += n
		}
	}
	counts := make([]wordCount, 0, len(total))
	for word, n := range maps.All(total) {
		counts = append(counts, wordCount{word, n})
	}
	slices.SortFunc(counts, func(a, b wordCount) int { return cmp.Compare(a.word, b.word) })
	return counts, nil
}

// batch is some documents, or pieces of documents, end to end.
type batch struct {
	text []byte
	ends []int
}

func (b *batch) count(words map[string]int64) {
	start := 0
	for _, end := range b.ends {
		for text := b.text[start:end]; len(text) > 0; {
			n := wordEnd(text, 0)
			words[string(text[:n])]++
			text = text[n:]
		}
		start = end
	}
}

// fillBatches copies the documents into batches. A long document is cut where its words are split anyway.
func fillBatches(ctx context.Context, documents iter.Seq2[[]byte, error], batches chan<- *batch) error {
	current := &batch{}
	send := func() error {
		select {
		case batches <- current:
			current = &batch{}
			return nil
		case <-ctx.Done():
			return ctx.Err()
		}
	}
	for document, err := range documents {
		if err != nil {
			return err
		}
		for len(document) > 0 {
			n := cut(document, batchSize)
			current.text = append(current.text, document[:n]...)
			current.ends = append(current.ends, len(current.text))
			document = document[n:]
			if len(current.text) >= batchSize {
				if err := send(); err != nil {
					return err
				}
			}
		}
		if ctx.Err() != nil {
			return ctx.Err()
		}
	}
	return send()
}

// cut returns the length of a first piece of text, from size bytes on, after which a word begins for certain: before a space
// that a printed ASCII character follows. It is all of text where there is no such place.
func cut(text []byte, size int) int {
	for i := size; i+1 < len(text); i++ {
		if next := text[i+1]; text[i] == ' ' && '!' <= next && next <= '~' {
			return i
		}
	}
	return len(text)
}
