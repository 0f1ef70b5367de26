package curriculum

// Words a sentence, by Unicode's own segmentation (UAX #29), with what it leaves to others: line breaks inside paragraphs, and
// points that end an abbreviation and not a sentence.

import (
	"bytes"
	"strings"
	"unicode"
	"unicode/utf8"

	"github.com/rivo/uniseg"
)

// SentenceLength scores a text by its words and its sentences. A line that ends without a full stop goes on in the next, a
// paragraph ends at a blank line. Scripts without spaces between words count a word for each of their characters.
func SentenceLength(text []byte) (s Score) {
	for _, paragraph := range paragraphs(text) {
		words, state := 0, -1
		for rest, sentence := paragraph, []byte(nil); len(rest) > 0; {
			sentence, rest, state = uniseg.FirstSentence(rest, state)
			words += countWords(sentence)
			if words > 0 && (len(rest) == 0 || !abbreviated(sentence)) {
				s.Total += float64(words)
				s.Amount++
				words = 0
			}
		}
	}
	return s
}

// paragraphs cuts a text at blank lines, and makes one line of each.
func paragraphs(text []byte) (list [][]byte) {
	var paragraph []byte
	for line := range bytes.Lines(text) {
		if line = bytes.TrimSpace(line); len(line) > 0 {
			paragraph = append(append(paragraph, line...), ' ')
		} else if len(paragraph) > 0 {
			list, paragraph = append(list, paragraph), nil
		}
	}
	if len(paragraph) > 0 {
		list = append(list, paragraph)
	}
	return list
}

// countWords counts the pieces that have a letter or a digit.
func countWords(sentence []byte) (words int) {
	for state, word := -1, []byte(nil); len(sentence) > 0; {
		word, sentence, state = uniseg.FirstWord(sentence, state)
		if bytes.ContainsFunc(word, func(r rune) bool { return unicode.IsLetter(r) || unicode.IsDigit(r) }) {
			words++
		}
	}
	return words
}

// abbreviations are those that a capital letter or a number often follows, in Portuguese and in English, without their point.
var abbreviations = func() map[string]bool {
	list := map[string]bool{}
	for word := range strings.FieldsSeq("sr sra srs sras srta dr dra drs prof profa eng gen cel cap sto sta d exmo exma v fig figs cf pág págs p pp art arts " +
		"n no nº vol ed av tel séc a.c d.c mr mrs ms st jr gov rep sen rev hon mt vs nos e.g i.e ph.d u.s jan feb mar apr aug sept oct nov dec") {
		list[word] = true
	}
	return list
}()

// abbreviated reports a sentence whose last point is an abbreviation's: one of the list, or an initial.
func abbreviated(sentence []byte) bool {
	text, ok := bytes.CutSuffix(bytes.TrimSpace(sentence), []byte("."))
	if !ok {
		return false
	}
	last := text[bytes.LastIndexFunc(text, func(r rune) bool { return unicode.IsSpace(r) || unicode.In(r, unicode.Ps, unicode.Pi) })+1:]
	if r, size := utf8.DecodeRune(last); size == len(last) && unicode.IsUpper(r) {
		return true
	}
	return abbreviations[string(bytes.ToLower(last))]
}
