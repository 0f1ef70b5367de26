// A cache of words already encoded, bounded in size and without locks: natural text repeats a few thousand words.

package tokenizer

import (
	"encoding/binary"
	"math/bits"
	"sync/atomic"
)

const (
	cacheSlots = 1 << 16
	// A cachedWord fills one cache line of 64 bytes. Longer words and words of more tokens are rare and seldom repeat.
	cacheWordBytes = 22
	cacheWordIDs   = 10
)

// wordCache keeps at most cacheSlots words, 4.5 MB: a word has one slot, found by its hash, and takes it from another word.
// Entries never change after they are published, so readers need no lock.
type wordCache struct {
	slots [cacheSlots]atomic.Pointer[cachedWord]
}

type cachedWord struct {
	length, count uint8
	word          [cacheWordBytes]byte
	ids           [cacheWordIDs]uint32
}

func newWordCache() *wordCache { return new(wordCache) }

// slot returns the word's slot; word has 1 to cacheWordBytes bytes.
func (c *wordCache) slot(word []byte) *atomic.Pointer[cachedWord] {
	return &c.slots[hashWord(word)%cacheSlots]
}

func (e *cachedWord) is(word []byte) bool {
	return e != nil && int(e.length) == len(word) && string(e.word[:e.length]) == string(word)
}

// put keeps the word's ids unless there are too many.
func put(slot *atomic.Pointer[cachedWord], word []byte, ids []uint32) {
	if len(ids) > cacheWordIDs {
		return
	}
	e := &cachedWord{length: uint8(len(word)), count: uint8(len(ids))}
	copy(e.word[:], word)
	copy(e.ids[:], ids)
	slot.Store(e)
}

// hashWord reads a word in at most three overlapping parts of eight bytes and multiplies them together.
func hashWord(w []byte) uint64 {
	const k0, k1 = 0x9E3779B97F4A7C15, 0xE7037ED1A0B428DB
	n := len(w)
	var a, b uint64
	switch {
	case n >= 8:
		a = binary.LittleEndian.Uint64(w)
		b = binary.LittleEndian.Uint64(w[n-8:])
		if n > 16 {
			a ^= bits.RotateLeft64(binary.LittleEndian.Uint64(w[8:]), 29) * k1
		}
	case n >= 4:
		a = uint64(binary.LittleEndian.Uint32(w))
		b = uint64(binary.LittleEndian.Uint32(w[n-4:]))
	default:
		a = uint64(w[0]) | uint64(w[n/2])<<8 | uint64(w[n-1])<<16
	}
	high, low := bits.Mul64(a^k0, b^k1^uint64(n))
	return high ^ low
}
