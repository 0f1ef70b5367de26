// Byte-pair encoding of one word: of all neighbouring tokens that a merge joins, those of the lowest rank are joined first,
// the leftmost before the others, until none is left.

package tokenizer

import (
	"math/bits"
	"slices"
)

const (
	noMerge = ^uint64(0)
	// scanLimit is the longest word, in bytes, in which looking at all pairs for the next merge beats a heap.
	scanLimit = 48
)

// pairTable finds the merge of two tokens: open addressing, at most half full.
type pairTable struct {
	slots []pairSlot
	shift uint
}

// pairSlot: key is left<<32 | right, found is rank<<32 | result.
type pairSlot struct{ key, found uint64 }

func newPairTable(merges int) *pairTable {
	size := bits.Len(uint(merges)) + 1
	t := &pairTable{slots: make([]pairSlot, 1<<size), shift: uint(64 - size)}
	for i := range t.slots {
		t.slots[i].found = noMerge
	}
	return t
}

// add enters a merge; false if its pair has one already.
func (t *pairTable) add(m merge, rank uint32) bool {
	key := uint64(m.left)<<32 | uint64(m.right)
	i := t.slot(key)
	for ; t.slots[i].found != noMerge; i = (i + 1) & uint64(len(t.slots)-1) {
		if t.slots[i].key == key {
			return false
		}
	}
	t.slots[i] = pairSlot{key, uint64(rank)<<32 | uint64(m.result)}
	return true
}

// get returns rank<<32 | result, or noMerge, which is above all ranks.
func (t *pairTable) get(left, right uint32) uint64 {
	key := uint64(left)<<32 | uint64(right)
	for i := t.slot(key); ; i = (i + 1) & uint64(len(t.slots)-1) {
		if s := &t.slots[i]; s.key == key || s.found == noMerge {
			return s.found
		}
	}
}

func (t *pairTable) slot(key uint64) uint64 {
	return (key ^ key>>29) * 0x9E3779B97F4A7C15 >> t.shift
}

// appendWord appends the tokens of a word.
func (t *Tokenizer) appendWord(dst []uint32, word []byte) []uint32 {
	if t.ignoreMerges {
		if id, ok := t.whole[string(word)]; ok {
			return append(dst, id)
		}
	}
	start := len(dst)
	for _, b := range word {
		dst = append(dst, t.byteIDs[b])
	}
	if len(word) > scanLimit {
		return dst[:start+t.pairs.mergeHeap(dst[start:])]
	}
	return dst[:start+t.pairs.mergeScan(dst[start:])]
}

// mergeScan joins the tokens of a short word in place and returns how many are left.
func (t *pairTable) mergeScan(ids []uint32) int {
	var found [scanLimit]uint64 // found[i] is the merge of ids[i] and ids[i+1]
	n := len(ids)
	for i := range n - 1 {
		found[i] = t.get(ids[i], ids[i+1])
	}
	for n > 1 {
		best, at := noMerge, 0
		for i, f := range found[:n-1] {
			if f < best {
				best, at = f, i
			}
		}
		if best == noMerge {
			break
		}
		ids[at] = uint32(best)
		copy(ids[at+1:n-1], ids[at+2:n])
		copy(found[at:n-2], found[at+1:n-1])
		n--
		if at > 0 {
			found[at-1] = t.get(ids[at-1], ids[at])
		}
		if at < n-1 {
			found[at] = t.get(ids[at], ids[at+1])
		}
	}
	return n
}

// mergeHeap does the same for a long word, in time n log n. An entry of the queue is outdated where another pair stands in its
// place by now.
func (t *pairTable) mergeHeap(ids []uint32) int {
	n := int32(len(ids))
	prev, next := make([]int32, n), make([]int32, n)
	gone := make([]bool, n)
	queue := make(minHeap, 0, n) // rank<<32 | position
	for i := range n {
		prev[i], next[i] = i-1, i+1
	}
	push := func(i int32) {
		if f := t.get(ids[i], ids[next[i]]); f != noMerge {
			queue.push(f>>32<<32 | uint64(i))
		}
	}
	for i := range n - 1 {
		push(i)
	}
	for len(queue) > 0 {
		top := queue.pop()
		at := int32(uint32(top))
		if gone[at] || next[at] == n {
			continue
		}
		right := next[at]
		f := t.get(ids[at], ids[right])
		if f>>32 != top>>32 {
			continue
		}
		ids[at], gone[right] = uint32(f), true
		next[at] = next[right]
		if next[at] < n {
			prev[next[at]] = at
			push(at)
		}
		if prev[at] >= 0 {
			push(prev[at])
		}
	}
	left := int32(0)
	for i := int32(0); i < n; i = next[i] {
		ids[left] = ids[i]
		left++
	}
	return int(left)
}

// minHeap is a binary heap without the calls through an interface that container/heap makes.
type minHeap []uint64

func (h *minHeap) push(x uint64) {
	*h = append(*h, x)
	s := *h
	for i := len(s) - 1; i > 0; {
		parent := (i - 1) / 2
		if s[parent] <= s[i] {
			break
		}
		s[parent], s[i] = s[i], s[parent]
		i = parent
	}
}

func (h *minHeap) pop() uint64 {
	s := *h
	top, last := s[0], len(s)-1
	s[0] = s[last]
	s = slices.Delete(s, last, last+1)
	for i := 0; ; {
		child := 2*i + 1
		if child >= len(s) {
			break
		}
		if child+1 < len(s) && s[child+1] < s[child] {
			child++
		}
		if s[i] <= s[child] {
			break
		}
		s[i], s[child] = s[child], s[i]
		i = child
	}
	*h = s
	return top
}
