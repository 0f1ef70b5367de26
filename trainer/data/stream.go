package data

// The two streams that a corpus is divided into: the ids of some of a cache's sections, an end token after each document.

import (
	"math"
	"sort"
)

// divide decides which sections are evaluated: those whose hash lies in the lowest fraction. A section's side depends on its
// text alone, so that files added, removed or reordered move nothing. Where a small corpus would fall to one side wholly, the
// section of the lowest hash is evaluated, or that of the highest trained on; of one section alone, none is evaluated.
func divide(p *trainingPart, fraction float64, log func(string, ...any)) func(hash uint64) bool {
	c, nothing := p.cache, "nothing is evaluated: the corpus is"
	if p.name != "" {
		nothing = "nothing of " + p.called() + " is evaluated: it is"
	}
	threshold := uint64(math.Ldexp(fraction, 64))
	lowest, highest := uint64(math.MaxUint64), uint64(0)
	for i := range c.header.sections {
		hash := c.record(i).hash
		lowest, highest = min(lowest, hash), max(highest, hash)
	}
	if lowest == highest {
		log("warning: %s one short document (copies count once), which is not divided; name files in data.eval", nothing)
		return func(uint64) bool { return false }
	}
	threshold = min(max(threshold, lowest+1), highest)
	return func(hash uint64) bool { return hash < threshold }
}

// stream is a sequence of ids: the sections kept of a cache, in order, the end token after the last kept of each document.
type stream struct {
	cache     *cache
	endToken  int64
	sections  []uint32 // kept, as numbers in the cache's index
	starts    []int64  // in the stream, of each kept section, and the length of the stream
	firsts    []int64  // in the stream, of each document
	documents int64
	bytes     int64
}

func newStream(c *cache, keep func(section int64, hash uint64) bool, endToken uint32) *stream {
	s := &stream{cache: c, endToken: int64(endToken)}
	length, document, was := int64(0), int64(-1), c.record(-1)
	for i := range c.header.sections {
		is := c.record(i)
		if keep(i, is.hash) {
			if is.document != document {
				if document >= 0 {
					length++ // the end token of the document before
				}
				document = is.document
				s.documents++
				s.firsts = append(s.firsts, length)
			}
			s.sections = append(s.sections, uint32(i))
			s.starts = append(s.starts, length)
			length += is.tokenEnd - was.tokenEnd
			s.bytes += is.byteEnd - was.byteEnd
		}
		was = is
	}
	if s.documents > 0 {
		length++
	}
	s.starts = append(s.starts, length)
	return s
}

func (s *stream) length() int64 { return s.starts[len(s.starts)-1] }

// read fills dst with the ids from position from on.
func (s *stream) read(dst []int64, from int64) {
	i := sort.Search(len(s.sections), func(i int) bool { return s.starts[i+1] > from })
	for ; len(dst) > 0; i++ {
		section := int64(s.sections[i])
		first, end := s.cache.record(section-1).tokenEnd, s.cache.record(section).tokenEnd
		skip := from - s.starts[i]
		if n := min(end-first-skip, int64(len(dst))); n > 0 {
			s.cache.copy(dst[:n], first+skip)
			dst, from = dst[n:], from+n
		}
		if len(dst) > 0 && from < s.starts[i+1] {
			dst[0] = s.endToken
			dst, from = dst[1:], from+1
		}
	}
}

func (s *stream) split(r rows) Split {
	return Split{Documents: s.documents, Rows: int64(r.len()), Tokens: s.length(), Bytes: s.bytes}
}
