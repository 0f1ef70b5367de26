// Splitting text into words, step by step, as a pre_tokenizer says.

package tokenizer

// behavior is what becomes of the matches of a pattern.
type behavior string

const (
	removed            behavior = "Removed"
	isolated           behavior = "Isolated"
	mergedWithPrevious behavior = "MergedWithPrevious"
	mergedWithNext     behavior = "MergedWithNext"
	contiguous         behavior = "Contiguous"
)

var behaviors = []behavior{removed, isolated, mergedWithPrevious, mergedWithNext, contiguous}

// step is one of a pre_tokenizer's. It may put a space before a text and then split it, by GPT-2's scanner or by a pattern.
type step struct {
	addPrefixSpace bool // to a piece of text that does not begin with a space
	gpt2           bool // split as GPT-2 does
	pattern        *pattern
	behavior       behavior
	invert         bool // what does not match is the match
	spelled        bool // stands behind ByteLevel: sees a character for each byte
}

// appendSteps takes text through the steps and appends the tokens of the words that come out.
func (t *Tokenizer) appendSteps(dst []uint32, text []byte, steps []step) []uint32 {
	if len(steps) == 0 {
		return t.appendCached(dst, text)
	}
	s, rest := &steps[0], steps[1:]
	if s.addPrefixSpace && text[0] != ' ' {
		text = append([]byte{' '}, text...)
	}
	switch {
	case s.gpt2:
		for i := 0; i < len(text); {
			end := wordEnd(text, i)
			dst = t.appendSteps(dst, text[i:end], rest)
			i = end
		}
		return dst
	case s.pattern != nil:
		for _, part := range s.parts(text) {
			dst = t.appendSteps(dst, text[part.start:part.end], rest)
		}
		return dst
	}
	return t.appendSteps(dst, text, rest)
}

// part is a stretch of text with what a pattern says of it.
type part struct {
	span
	match bool
}

// parts splits text by the step's pattern. Where the pattern gives up, the text stays whole.
func (s *step) parts(text []byte) []part {
	matches, ok := s.pattern.find(text, s.spelled)
	if !ok {
		return []part{{span{0, len(text)}, false}}
	}
	var all []part
	end := 0
	for _, m := range matches {
		if end < m.start {
			all = append(all, part{span{end, m.start}, s.invert})
		}
		all = append(all, part{m, !s.invert})
		end = m.end
	}
	if end < len(text) {
		all = append(all, part{span{end, len(text)}, s.invert})
	}
	return dropEmpty(s.behavior.apply(all))
}

// apply joins parts, or leaves them out. Source: NormalizedString::split of Hugging Face tokenizers.
func (b behavior) apply(all []part) []part {
	kept := all[:0]
	switch b {
	case removed:
		for _, p := range all {
			if !p.match {
				kept = append(kept, p)
			}
		}
	case isolated:
		return all
	case contiguous, mergedWithPrevious:
		before := false // whether the part before was a match
		for _, p := range all {
			joins := p.match && !before
			if b == contiguous {
				joins = p.match == before
			}
			if last := len(kept) - 1; joins && last >= 0 {
				kept[last].end = p.end
			} else {
				kept = append(kept, p)
			}
			before = p.match
		}
	case mergedWithNext:
		kept = nil
		after := false
		for i := len(all) - 1; i >= 0; i-- {
			p := all[i]
			if p.match && !after && len(kept) > 0 {
				kept[len(kept)-1].start = p.start
			} else {
				kept = append(kept, p)
			}
			after = p.match
		}
		for i, j := 0, len(kept)-1; i < j; i, j = i+1, j-1 {
			kept[i], kept[j] = kept[j], kept[i]
		}
	}
	return kept
}

// dropEmpty leaves out matches of no text, which have parted what stands beside them.
func dropEmpty(parts []part) []part {
	kept := parts[:0]
	for _, p := range parts {
		if p.start < p.end {
			kept = append(kept, p)
		}
	}
	return kept
}
