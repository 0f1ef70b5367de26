// Unicode normalization as Hugging Face tokenizers does it: by the tables of golang.org/x/text, except that characters which
// are newer than Hugging Face's tables stay as they are, and that nothing is put into long runs of marks, as x/text does.

package tokenizer

import (
	"cmp"
	"slices"
	"sync"
	"unicode/utf8"

	"golang.org/x/text/unicode/norm"
)

// forms are the normalizers that may stand in a tokenizer.json, by type.
var forms = map[string]norm.Form{"NFC": norm.NFC, "NFD": norm.NFD, "NFKC": norm.NFKC, "NFKD": norm.NFKD}

// mark is a character with its canonical combining class. r is below 0 for a byte of no valid rune.
type mark struct {
	r     rune
	class uint8
}

// normalize returns text in a form; it may be text itself. Bytes of no valid rune stay where they are.
// Source: Unicode Standard Annex 15.
func normalize(form norm.Form, text []byte) []byte {
	if form.IsNormal(text) {
		return text
	}
	marks := decompose(form, text)
	for i := 0; i < len(marks); {
		end := i
		for end < len(marks) && marks[end].class != 0 {
			end++
		}
		slices.SortStableFunc(marks[i:end], func(a, b mark) int { return cmp.Compare(a.class, b.class) })
		i = end + 1
	}
	if form == norm.NFC || form == norm.NFKC {
		marks = compose(marks)
	}
	out := make([]byte, 0, len(text)+len(text)/8)
	for _, m := range marks {
		if m.r < 0 {
			out = append(out, byte(-m.r))
		} else {
			out = utf8.AppendRune(out, m.r)
		}
	}
	return out
}

// decompose takes each character apart, as far as the form does.
func decompose(form norm.Form, text []byte) []mark {
	apart := norm.NFD
	if form == norm.NFKC || form == norm.NFKD {
		apart = norm.NFKD
	}
	marks := make([]mark, 0, len(text))
	var buffer []byte
	for i := 0; i < len(text); {
		r, n := utf8.DecodeRune(text[i:])
		switch {
		case r == utf8.RuneError && n == 1:
			marks = append(marks, mark{r: -rune(text[i])})
		case r < utf8.RuneSelf || codeSet(unnormalized).has(r):
			marks = append(marks, mark{r: r})
		default:
			buffer = apart.Append(buffer[:0], text[i:i+n]...)
			for rest := buffer; len(rest) > 0; {
				r, n := utf8.DecodeRune(rest)
				marks = append(marks, mark{r, norm.NFD.Properties(rest).CCC()})
				rest = rest[n:]
			}
		}
		i += n
	}
	return marks
}

// compose joins what can be joined, in place.
func compose(marks []mark) []mark {
	kept := marks[:0]
	starter := -1 // in kept
	for _, m := range marks {
		if starter >= 0 {
			before := kept[len(kept)-1]
			adjacent := len(kept)-1 == starter
			if adjacent || before.class != 0 && before.class < m.class {
				if joined, ok := composites()[[2]rune{kept[starter].r, m.r}]; ok {
					kept[starter].r = joined
					continue
				}
			}
		}
		if m.class == 0 {
			starter = len(kept)
		}
		kept = append(kept, m)
	}
	return kept
}

// composites are the characters that two others make.
var composites = sync.OnceValue(func() map[[2]rune]rune {
	const firstHangul, lastHangul = 0xAC00, 0xD7A3 // which x/text has no table for
	pairs := map[[2]rune]rune{}
	for r := rune(utf8.RuneSelf); r <= utf8.MaxRune; r++ {
		text := string(r)
		hangul := firstHangul <= r && r <= lastHangul
		if !hangul && norm.NFC.PropertiesString(text).Decomposition() == nil || norm.NFC.String(text) != text || codeSet(unnormalized).has(r) {
			continue
		}
		apart := norm.NFD.String(text)
		last, n := utf8.DecodeLastRuneInString(apart)
		first := []rune(norm.NFC.String(apart[:len(apart)-n]))
		if len(first) == 1 {
			pairs[[2]rune{first[0], last}] = r
		}
	}
	return pairs
})
