// What a corpus builder asks: how long a token's text is, and where a text may be cut.

package tokenizer

import "strings"

// TokenBytes is the number of bytes of the text that id stands for; 0 for an id that no token has.
func (t *Tokenizer) TokenBytes(id uint32) int {
	if int64(id) >= int64(len(t.tokens)) {
		return 0
	}
	return len(t.tokens[id])
}

// SafeSplit returns the largest n ≤ limit at which text may be cut: the ids of text[:n] followed by those of text[n:] are the
// ids of text, whatever follows it. 0 says that there is no such place. It cuts before a space or a line's end that stands
// behind a printable ASCII character: no word and no white space of the splitting crosses such a place, and the white space
// that looks ahead (\s+(?!\S)) stands on its right.
func (t *Tokenizer) SafeSplit(text []byte, limit int) int {
	if !t.cutsBetweenWords() {
		return 0
	}
	for n := min(limit, len(text)-1); n > 0; n-- {
		if (text[n] == ' ' || text[n] == '\n') && text[n-1] > ' ' && text[n-1] < 0x7f {
			return n
		}
	}
	return 0
}

// cutsBetweenWords says whether the end of a word is the end of everything that decides its ids: no prefix space is put
// before a piece, words exist, and no added token reaches over white space.
func (t *Tokenizer) cutsBetweenWords() bool {
	oneByOne := len(t.merges) == 0 && !t.ignoreMerges // every byte is a word
	if t.addPrefixSpace || !t.useRegex && !oneByOne {
		return false
	}
	for _, a := range t.added {
		if a.lstrip || a.rstrip || strings.ContainsAny(a.content, " \n") {
			return false
		}
	}
	return true
}
