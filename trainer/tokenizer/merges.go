// Training a vocabulary: finding the merges. The most frequent pair of neighbouring tokens becomes a token, of equally
// frequent ones the pair of the lowest ids, and so on; counts are kept up to date by visiting only the words that have the
// pair. The order among equals is that of the BpeTrainer of Hugging Face tokenizers, and so are the results.

package tokenizer

import (
	"container/heap"
	"context"
)

type trainer struct {
	tokens []string
	byText map[string]uint32
	merges []merge

	symbols []uint32 // of all words, end to end; a word shrinks in its place
	starts  []int    // by word
	lengths []int32
	counts  []int64

	index   map[uint64]int32 // left<<32 | right → number of the pair
	pairs   []pairState
	touched []int32 // pairs with fresh words
	queue   pairQueue
}

// pairState: fresh are the words that came to have the pair and are not queued yet.
type pairState struct {
	key   uint64
	count int64
	fresh []int32
}

// queued is a pair with the count it had when it was queued and words that have it.
type queued struct {
	count int64
	key   uint64
	pair  int32
	words []int32
}

type pairQueue []queued

func (q pairQueue) Len() int      { return len(q) }
func (q pairQueue) Swap(i, j int) { q[i], q[j] = q[j], q[i] }
func (q pairQueue) Less(i, j int) bool {
	return q[i].count > q[j].count || q[i].count == q[j].count && q[i].key < q[j].key
}
func (q *pairQueue) Push(x any) { *q = append(*q, x.(queued)) }
func (q *pairQueue) Pop() any {
	last := len(*q) - 1
	x := (*q)[last]
	(*q)[last] = queued{}
	*q = (*q)[:last]
	return x
}

// newTrainer numbers the end token and the bytes and counts the pairs of the words.
func newTrainer(words []wordCount) *trainer {
	r := &trainer{byText: map[string]uint32{}, index: map[uint64]int32{}}
	r.token(EndOfText)
	var ids [256]uint32
	for _, b := range byteOrder {
		ids[b] = r.token(string([]byte{b}))
	}
	for w, word := range words {
		r.starts = append(r.starts, len(r.symbols))
		r.lengths = append(r.lengths, int32(len(word.word)))
		r.counts = append(r.counts, word.count)
		for i := range len(word.word) {
			r.symbols = append(r.symbols, ids[word.word[i]])
			if i > 0 {
				left := r.symbols[len(r.symbols)-2]
				r.change(left, ids[word.word[i]], word.count, int32(w))
			}
		}
	}
	r.enqueue()
	return r
}

// token returns the id of the token with this text, a new one if there is none.
func (r *trainer) token(text string) uint32 {
	id, ok := r.byText[text]
	if !ok {
		id = uint32(len(r.tokens))
		r.byText[text] = id
		r.tokens = append(r.tokens, text)
	}
	return id
}

// change adds n to the count of a pair; where it grows, word has it.
func (r *trainer) change(left, right uint32, n int64, word int32) {
	key := uint64(left)<<32 | uint64(right)
	at, ok := r.index[key]
	if !ok {
		at = int32(len(r.pairs))
		r.index[key] = at
		r.pairs = append(r.pairs, pairState{key: key})
	}
	p := &r.pairs[at]
	p.count += n
	if n < 0 {
		return
	}
	if len(p.fresh) == 0 {
		r.touched = append(r.touched, at)
	}
	if len(p.fresh) == 0 || p.fresh[len(p.fresh)-1] != word {
		p.fresh = append(p.fresh, word)
	}
}

// enqueue queues the pairs that words came to have.
func (r *trainer) enqueue() {
	for _, at := range r.touched {
		p := &r.pairs[at]
		if p.count > 0 {
			heap.Push(&r.queue, queued{p.count, p.key, at, p.fresh})
		}
		p.fresh = nil
	}
	r.touched = r.touched[:0]
}

// run finds merges until there are vocabSize tokens or no pair is frequent enough.
func (r *trainer) run(ctx context.Context, vocabSize int, progress func(done, total int)) error {
	total := vocabSize - len(r.tokens)
	for first := len(r.tokens); len(r.tokens) < vocabSize && len(r.queue) > 0; {
		if err := ctx.Err(); err != nil {
			return err
		}
		top := &r.queue[0]
		if now := r.pairs[top.pair].count; top.count != now {
			top.count = now
			heap.Fix(&r.queue, 0)
			continue
		}
		if top.count < minFrequency {
			break
		}
		r.apply(heap.Pop(&r.queue).(queued))
		if done := len(r.tokens) - first; progress != nil && done*100/total != (done-1)*100/total {
			progress(done, total)
		}
	}
	return nil
}

// apply makes a pair a token.
func (r *trainer) apply(q queued) {
	m := merge{left: uint32(q.key >> 32), right: uint32(q.key)}
	m.result = r.token(r.tokens[m.left] + r.tokens[m.right])
	r.merges = append(r.merges, m)
	for _, w := range q.words {
		r.applyTo(w, m)
	}
	r.enqueue()
}

// applyTo joins a pair wherever one word has it.
func (r *trainer) applyTo(word int32, m merge) {
	symbols := r.symbols[r.starts[word]:][:r.lengths[word]]
	n := r.counts[word]
	kept := 0
	for i := 0; i < len(symbols); i++ {
		if symbols[i] != m.left || i+1 == len(symbols) || symbols[i+1] != m.right {
			symbols[kept] = symbols[i]
			kept++
			continue
		}
		i++
		if kept > 0 {
			r.change(symbols[kept-1], m.left, -n, word)
			r.change(symbols[kept-1], m.result, n, word)
		}
		if i+1 < len(symbols) {
			r.change(m.right, symbols[i+1], -n, word)
			r.change(m.result, symbols[i+1], n, word)
		}
		symbols[kept] = m.result
		kept++
	}
	r.lengths[word] = int32(kept)
}
