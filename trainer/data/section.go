package data

// Where a text may be cut: sections of long documents, at places where tokens end.

import (
	"bytes"
	"unicode"
	"unicode/utf8"
)

// A .txt document of more than wholeBytes is divided into sections of at least sectionBytes, so that a corpus of one
// input.txt can still be divided between training and evaluation. Tokens do not depend on it: sections end where tokens end.
const (
	wholeBytes   = 32 << 10
	sectionBytes = 2 << 10
	sectionLook  = 16 << 10
)

// A document of a token file has the same division at the same lengths, taking 4 bytes of text for a token.
const (
	wholeTokens   = wholeBytes / 4
	sectionTokens = sectionBytes / 4
)

// cutSection returns the length of the section that text begins with: up to a blank line, else a line's end, else any place
// where split allows a cut. end says that the document ends with text; without it, 0 asks for more text.
func cutSection(text []byte, end bool, split func([]byte, int) int) int {
	if end && len(text) <= 2*sectionBytes {
		return len(text)
	}
	if n := split(text, paragraphEnd(text)); n >= sectionBytes/2 {
		return n
	}
	if n := split(text, runeStart(text, len(text)*3/4)); n > 0 {
		return n
	}
	if end {
		return len(text)
	}
	return 0
}

// paragraphEnd returns a good place for the end of a section: after a blank line, else a line, else a rune.
func paragraphEnd(text []byte) int {
	within := text[:min(len(text), 4*sectionBytes)]
	if len(within) <= sectionBytes {
		return len(within)
	}
	within = within[:runeStart(text, len(within))]
	for _, blank := range []string{"\n\n", "\n\r\n", "\n"} {
		if i := bytes.Index(within[sectionBytes:], []byte(blank)); i >= 0 {
			n := sectionBytes + i + len(blank)
			return n + len(within[n:]) - len(bytes.TrimLeft(within[n:], "\r\n"))
		}
	}
	return len(within)
}

// runeStart returns the last position ≤ i where a rune starts or the text ends.
func runeStart(text []byte, i int) int {
	for i > 0 && i < len(text) && !utf8.RuneStart(text[i]) {
		i--
	}
	return i
}

// safeSplit is SafeSplit for an Encoder that has none. It cuts before a space between two words, or after a line's end
// between two lines, where the patterns of GPT-2, cl100k, o200k and Llama 3 all begin a token, and where no special token is
// (unless its text holds white space or takes that beside it).
func safeSplit(text []byte, limit int) int {
	for n := min(limit, len(text)-2); n > 1; n-- {
		switch {
		case text[n] == ' ' && wordBefore(text[:n]) && wordAfter(text[n+1:]):
			return n
		case text[n-1] == '\n' && wordBefore(text[:n-1]) && wordAfter(text[n:]):
			return n
		}
	}
	return 0
}

func wordBefore(text []byte) bool {
	r, _ := utf8.DecodeLastRune(text)
	return isWord(r) || r == '.' || r == ',' || r == '。' || r == '、'
}

func wordAfter(text []byte) bool {
	r, _ := utf8.DecodeRune(text)
	return isWord(r)
}

func isWord(r rune) bool {
	return r != utf8.RuneError && (unicode.IsLetter(r) || unicode.IsDigit(r))
}
