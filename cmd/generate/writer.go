package main

// Texts on standard output: as they are where it is a file or a pipe, and harmless where it is a terminal.

import (
	"fmt"
	"strings"
	"unicode"

	"frugal/trainer/tokenizer"
)

// writer writes the texts of one prompt. After an error it does nothing.
type writer struct {
	*session
	stream *tokenizer.StreamDecoder
	err    error
}

// begin writes what stands before a text, and its prompt: an empty line between prompts, and a heading where there are several
// texts to one.
func (w *writer) begin(sequence int, prompt string) {
	if w.texts > 0 {
		w.write("\n")
	}
	if w.n > 1 {
		w.write(fmt.Sprintf("--- %d of %d ---\n", sequence+1, w.n))
	}
	w.write(prompt)
}

// finish ends a text, and its line.
func (w *writer) finish() {
	w.write(w.stream.Flush())
	w.write("\n")
	w.texts++
}

func (w *writer) write(text string) {
	if w.shows {
		text = visible(text)
	}
	if w.err == nil && text != "" {
		_, w.err = w.stdout.WriteString(text)
	}
}

// visible replaces what would not show on a terminal, or would control it: bytes that are not UTF-8, control characters.
func visible(text string) string {
	return strings.Map(func(r rune) rune {
		if unicode.IsControl(r) && r != '\n' && r != '\t' {
			return unicode.ReplacementChar
		}
		return r
	}, strings.ToValidUTF8(text, "\uFFFD"))
}
