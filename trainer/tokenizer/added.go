// Added tokens: whole strings, such as <|endoftext|>, that are looked for in a text before it is split into words.

package tokenizer

import (
	"bytes"
	"slices"
	"unicode"
	"unicode/utf8"
)

// addedToken is an entry of added_tokens in a tokenizer.json.
type addedToken struct {
	id         uint32
	content    string
	sought     string // what is looked for: the content, normalized if the token is
	singleWord bool   // only between characters that are not part of words
	lstrip     bool   // takes the white space before it
	rstrip     bool   // takes the white space after it
	normalized bool   // looked for in normalized text
	special    bool
	outside    bool // not in the model's vocabulary
}

// isOutside tells whether id belongs to an added token that the model's vocabulary lacks.
func isOutside(added []addedToken, id uint32) bool {
	i, ok := slices.BinarySearchFunc(added, id, func(a addedToken, id uint32) int { return int(a.id) - int(id) })
	return ok && added[i].outside
}

// matcher finds a set of added tokens in text: the leftmost, among those the longest.
type matcher struct {
	byFirst [256][]*addedToken // longest first
	only    int                // the first byte of all of them, or -1
}

// newMatchers makes one matcher of the tokens that are not normalized, which go first, and one of the others.
func newMatchers(added []addedToken) (matchers [2]*matcher) {
	for stage, normalized := range []bool{false, true} {
		var m *matcher
		for i := range added {
			a := &added[i]
			if a.normalized != normalized {
				continue
			}
			first := int(a.sought[0])
			if m == nil {
				m = &matcher{only: first}
				matchers[stage] = m
			}
			if m.only != first {
				m.only = -1
			}
			m.byFirst[first] = append(m.byFirst[first], a)
		}
		if m != nil {
			for _, tokens := range m.byFirst {
				slices.SortStableFunc(tokens, func(a, b *addedToken) int { return len(b.sought) - len(a.sought) })
			}
		}
	}
	return matchers
}

// next returns the first token in text and where it begins; nil for none.
func (m *matcher) next(text []byte) (*addedToken, int) {
	for i := 0; i < len(text); i++ {
		if m.only >= 0 {
			skip := bytes.IndexByte(text[i:], byte(m.only))
			if skip < 0 {
				return nil, 0
			}
			i += skip
		}
		for _, a := range m.byFirst[text[i]] {
			if len(text)-i >= len(a.sought) && string(text[i:i+len(a.sought)]) == a.sought {
				return a, i
			}
		}
	}
	return nil, 0
}

// eachPiece cuts text at the added tokens that are not normalized, normalizes what is between them, and cuts that at the
// others. It calls yield with the pieces in order: a token, or text that is not empty. stage is 0, 1 or 2 of these.
func (t *Tokenizer) eachPiece(stage int, text []byte, yield func(piece []byte, token *addedToken)) {
	if len(text) == 0 {
		return
	}
	if stage == 1 {
		text = t.normalize(text)
	}
	if stage == len(t.matchers) {
		yield(text, nil)
		return
	}
	m := t.matchers[stage]
	if m == nil {
		t.eachPiece(stage+1, text, yield)
		return
	}
	done, searched := 0, 0
	for {
		token, at := m.next(text[searched:])
		if token == nil {
			break
		}
		start := searched + at
		end := start + len(token.sought)
		searched = end
		if token.singleWord && (endsInWord(text[:start]) || beginsWithWord(text[end:])) {
			continue
		}
		if token.lstrip {
			start = trimmedEnd(text[:start])
		}
		if token.rstrip {
			end += spaceLength(text[end:])
		}
		if done < start {
			t.eachPiece(stage+1, text[done:start], yield)
		}
		yield(nil, token)
		done = end
	}
	t.eachPiece(stage+1, text[done:], yield)
}

// trimmedEnd returns the length of text without the white space at its end.
func trimmedEnd(text []byte) int {
	for len(text) > 0 {
		r, n := utf8.DecodeLastRune(text)
		if runeClass(r) != space {
			break
		}
		text = text[:len(text)-n]
	}
	return len(text)
}

// spaceLength returns the length of the white space that text begins with.
func spaceLength(text []byte) int {
	i := 0
	for i < len(text) {
		k, n := classAt(text, i)
		if k != space {
			break
		}
		i += n
	}
	return i
}

func endsInWord(text []byte) bool {
	r, _ := utf8.DecodeLastRune(text)
	return len(text) > 0 && isWord(r)
}

func beginsWithWord(text []byte) bool {
	r, _ := utf8.DecodeRune(text)
	return len(text) > 0 && isWord(r)
}

// isWord is \w as Unicode Technical Standard 18 defines it, which is what Hugging Face means here.
func isWord(r rune) bool {
	return unicode.In(r, unicode.L, unicode.M, unicode.Nd, unicode.Nl, unicode.Pc, unicode.Other_Alphabetic, unicode.Join_Control)
}
