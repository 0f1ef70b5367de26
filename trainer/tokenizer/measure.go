// What a corpus builder asks: how long a token's text is, and where a text may be cut.

package tokenizer

import (
	"slices"
	"strings"
)

// TokenBytes is the number of bytes of the text that id stands for; 0 for an id that no token has.
func (t *Tokenizer) TokenBytes(id uint32) int {
	if int64(id) >= int64(len(t.tokens)) {
		return 0
	}
	return len(t.tokens[id])
}

// SafeSplit returns the largest n ≤ limit at which text may be cut: the ids of text[:n] followed by those of text[n:] are the
// ids of text, whatever follows it. 0 says that there is no such place, or that none is known for a file's own pattern.
func (t *Tokenizer) SafeSplit(text []byte, limit int) int {
	var fits func(before, after []byte) bool
	switch splits, ok := t.splitting(); {
	case !ok:
		return 0
	case splits == byGPT2:
		fits = betweenWords
	case splits == byKnownPattern:
		fits = betweenLettersOrLines
	}
	for n := min(limit, len(text)-1); n > 0; n-- {
		if fits(text[:n], text[n:]) {
			return n
		}
	}
	return 0
}

// betweenWords is true before a space or a line's end that stands behind a printable ASCII character: no word and no white
// space of GPT-2's splitting crosses such a place, and the white space that looks ahead (\s+(?!\S)) stands on its right.
func betweenWords(before, after []byte) bool {
	last := before[len(before)-1]
	return (after[0] == ' ' || after[0] == '\n') && last > ' ' && last < 0x7f
}

// betweenLettersOrLines is true before a space between two letters and, where the right one is ASCII's, at a line's begin.
func betweenLettersOrLines(before, after []byte) bool {
	last := before[len(before)-1]
	if last == '\n' {
		return isLetter(after[0])
	}
	return after[0] == ' ' && len(after) > 1 && isLetter(after[1]) && isLetter(last)
}

func isLetter(c byte) bool { return c|0x20 >= 'a' && c|0x20 <= 'z' }

// splitting is what is known of the words that text is split into.
type splitting int

const (
	byGPT2 splitting = iota + 1
	byKnownPattern
)

// splitting says which places part words for certain; false if none does, or if something else decides ids than the words: a
// space that is put before a text, an added token that reaches over white space.
func (t *Tokenizer) splitting() (splitting, bool) {
	for _, a := range t.added {
		if a.lstrip || a.rstrip || strings.ContainsAny(a.content+a.sought, " \n") {
			return 0, false
		}
	}
	for _, s := range t.steps {
		switch {
		case s.addPrefixSpace:
			return 0, false
		case s.gpt2:
			return byGPT2, true // the steps that follow see one word each
		case s.pattern == nil:
			continue
		case s.behavior == mergedWithPrevious || s.behavior == mergedWithNext || s.spelled:
			return 0, false
		case s.pattern.partsLetters() && (s.behavior == isolated || s.invert && s.behavior == removed):
			return byKnownPattern, true
		case !s.pattern.leavesWords():
			return 0, false
		}
	}
	return byGPT2, len(t.steps) == 1 && t.oneByOne() // every byte is a word
}

// leavesWords says that the pattern takes neither space nor ASCII letter nor end of line and looks at no text around it: what
// it does to one side of a space or line between letters does not depend on the other.
func (p *pattern) leavesWords() bool {
	for _, set := range p.parsed.sets {
		if len(set.intersect(asciiLetter.union(setOf(codeRange{' ', ' '}, codeRange{'\n', '\n'})))) > 0 {
			return false
		}
	}
	return !p.parsed.asserts
}

// knownBranches are the alternatives of well-known patterns (cl100k, o200k, Llama 3, Qwen, DeepSeek and their kin). None of
// them takes a letter and the space behind it, or an end of line and the letter behind it, or looks over such a place.
var knownBranches = func() map[string]bool {
	known := map[string]bool{}
	for _, branch := range []string{
		`'s`, `'t`, `'re`, `'ve`, `'m`, `'ll`, `'d`, `(?i:'s|'t|'re|'ve|'m|'ll|'d)`, `'(?i:[sdmt]|ll|ve|re)`,
		`[^\r\n\p{L}\p{N}]?\p{L}+`, `[^\r\n\p{L}\p{N}]?+\p{L}+`, `[^\r\n\p{L}\p{N}]?+\p{L}++`, `[^\r\n\p{L}\p{N}]?[\p{L}\p{M}]+`,
		`[^\r\n\p{L}\p{P}\p{S}]?[\p{L}\p{M}]+`, "[!\"#$%&'()*+,\\-./:;<=>?@\\[\\\\\\]^_`{|}~][A-Za-z]+",
		`[^\r\n\p{L}\p{N}]?[\p{Lu}\p{Lt}\p{Lm}\p{Lo}\p{M}]*[\p{Ll}\p{Lm}\p{Lo}\p{M}]+`,
		`[^\r\n\p{L}\p{N}]?[\p{Lu}\p{Lt}\p{Lm}\p{Lo}\p{M}]+[\p{Ll}\p{Lm}\p{Lo}\p{M}]*`,
		`[^\r\n\p{L}\p{N}]?[\p{Lu}\p{Lt}\p{Lm}\p{Lo}\p{M}]*[\p{Ll}\p{Lm}\p{Lo}\p{M}]+(?i:'s|'t|'re|'ve|'m|'ll|'d)?`,
		`[^\r\n\p{L}\p{N}]?[\p{Lu}\p{Lt}\p{Lm}\p{Lo}\p{M}]+[\p{Ll}\p{Lm}\p{Lo}\p{M}]*(?i:'s|'t|'re|'ve|'m|'ll|'d)?`,
		`\p{N}`, `\p{N}+`, `\p{N}{1,3}`, `\p{N}{1,3}+`, ` ?[^\s\p{L}\p{N}]+[\r\n]*`, ` ?[^\s\p{L}\p{N}]++[\r\n]*`,
		` ?[^\s\p{L}\p{N}]++[\r\n]*+`, ` ?[^\s\p{L}\p{N}]+[\r\n/]*`, ` ?[^\s\p{L}\p{M}\p{N}]+[\r\n]*`, ` ?[\p{P}\p{S}]+[\r\n]*`,
	} {
		known[branch] = true
	}
	return known
}()

// spaceBranches end all of these patterns, in one of these orders: a run of white space that ends a line goes before one that
// looks ahead, and the last takes any.
var spaceBranches = []string{`\s*[\r\n]+|\s+(?!\S)|\s+`, `\s*[\r\n]|\s+(?!\S)|\s+`, `\s*[\r\n]+|\s+(?!\S)|\s`, `\s*[\r\n]|\s+(?!\S)|\s`}

// partsLetters says that a match begins before each space between two letters, and at each ASCII letter that begins a line.
func (p *pattern) partsLetters() bool {
	branches := p.parsed.branches
	if len(branches) < 4 || !slices.Contains(spaceBranches, strings.Join(branches[len(branches)-3:], "|")) {
		return false
	}
	for _, branch := range branches[:len(branches)-3] {
		if !knownBranches[branch] {
			return false
		}
	}
	return true
}
