// Splitting text into words as GPT-2 does, by hand: what the regular expression
//
//	's|'t|'re|'ve|'m|'ll|'d| ?\p{L}+| ?\p{N}+| ?[^\s\p{L}\p{N}]+|\s+(?!\S)|\s+
//
// matches, at the speed of a scan over the bytes. Source: encoder.py of openai/gpt-2.

package tokenizer

import "unicode/utf8"

// class is what the regular expression distinguishes.
type class = byte

const (
	symbol class = iota // [^\s\p{L}\p{N}], bytes of no valid rune included
	letter              // \p{L}
	number              // \p{N}
	space               // \s
)

// classes holds two bits a code point. It is filled from tables of our own, not from package unicode, so that ids do not
// change with Go's version of Unicode.
var classes = func() *[(utf8.MaxRune + 1) / 4]byte {
	table := new([(utf8.MaxRune + 1) / 4]byte)
	fill := func(ranges []codeRange, k class) {
		for _, r := range ranges {
			for c := r[0]; c <= r[1]; c++ {
				table[c>>2] |= k << (c & 3 * 2)
			}
		}
	}
	for name, ranges := range properties {
		switch {
		case len(name) == 2 && name[0] == 'L':
			fill(ranges, letter)
		case len(name) == 2 && name[0] == 'N':
			fill(ranges, number)
		}
	}
	fill(spaces, space)
	return table
}()

// asciiClasses spares the shifts for one-byte runes.
var asciiClasses = func() (table [utf8.RuneSelf]class) {
	for c := range table {
		table[c] = runeClass(rune(c))
	}
	return table
}()

func runeClass(r rune) class {
	return classes[r>>2] >> (r & 3 * 2) & 3
}

// classAt returns the class and the length of the rune at text[i].
func classAt(text []byte, i int) (class, int) {
	if c := text[i]; c < utf8.RuneSelf {
		return asciiClasses[c], 1
	}
	r, n := utf8.DecodeRune(text[i:])
	if n == 1 {
		return symbol, 1
	}
	return runeClass(r), n
}

// wordEnd returns where the word that begins at text[i] ends; i < len(text).
func wordEnd(text []byte, i int) int {
	c := text[i]
	if c == ' ' && i+1 < len(text) {
		if k, n := classAt(text, i+1); k != space {
			return runEnd(text, i+1+n, k)
		}
	}
	if c == '\'' {
		if n := contraction(text[i+1:]); n > 0 {
			return i + 1 + n
		}
	}
	k, n := classAt(text, i)
	if k != space {
		return runEnd(text, i+n, k)
	}
	return spaceEnd(text, i, n)
}

// runEnd returns the end of the run of class k that reaches up to text[i] at least.
func runEnd(text []byte, i int, k class) int {
	for i < len(text) {
		if c := text[i]; c < utf8.RuneSelf {
			if asciiClasses[c] != k {
				return i
			}
			i++
			continue
		}
		next, n := classAt(text, i)
		if next != k {
			return i
		}
		i += n
	}
	return i
}

// spaceEnd is \s+(?!\S)|\s+ at text[i], whose rune has n bytes: a run of white space leaves its last rune to the word that
// follows, unless it has no other.
func spaceEnd(text []byte, i, n int) int {
	last, end := i, i+n
	for end < len(text) {
		k, n := classAt(text, end)
		if k != space {
			if last > i {
				return last
			}
			return end
		}
		last = end
		end += n
	}
	return end
}

// contraction returns the length of the English ending that follows an apostrophe, 0 for none.
func contraction(rest []byte) int {
	if len(rest) == 0 {
		return 0
	}
	switch rest[0] {
	case 's', 't', 'm', 'd':
		return 1
	case 'r', 'v':
		if len(rest) > 1 && rest[1] == 'e' {
			return 2
		}
	case 'l':
		if len(rest) > 1 && rest[1] == 'l' {
			return 2
		}
	}
	return 0
}
