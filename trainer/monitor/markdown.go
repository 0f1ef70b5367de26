// Texts for TensorBoard's TEXT tab, which reads them as Markdown.

package monitor

import (
	"fmt"
	"strings"
	"unicode"
)

// sampleText shows a sample as what it is: the prompt, where there is one, as a quotation, and below it the whole text.
func sampleText(prompt, text string) string {
	if prompt == "" {
		return plainMarkdown(text)
	}
	return "> " + strings.ReplaceAll(plainMarkdown(prompt), "\n", "\n> ") + "\n\n" + plainMarkdown(text)
}

// plainMarkdown is Markdown that reads as the text does: its lines stay lines, and no character in it means anything.
func plainMarkdown(text string) string {
	var b strings.Builder
	atStart := true // of a line, where Markdown would drop a space or make it a block of code
	for _, r := range strings.ToValidUTF8(text, "\uFFFD") {
		switch {
		case r == '\n' && atStart:
			b.WriteString("&#160;  \n") // an empty line, which would end the paragraph
		case r == '\n':
			b.WriteString("  \n") // a line break
		case (r == ' ' || r == '\t') && atStart:
			b.WriteString("&#160;")
		case r < ' ' && r != '\t' || r >= 0x7f && r < 0xa0:
			b.WriteRune('\uFFFD')
		case r < 0x80 && !unicode.IsLetter(r) && !unicode.IsDigit(r) && !strings.ContainsRune(" \t,;:?'\"", r):
			fmt.Fprintf(&b, "&#%d;", r)
		default:
			b.WriteRune(r)
		}
		atStart = r == '\n' || atStart && (r == ' ' || r == '\t')
	}
	return b.String()
}

// codeBlock is text that Markdown leaves as it is, in a fixed-width font.
func codeBlock(text string) string {
	return "    " + strings.ReplaceAll(strings.TrimRight(text, "\n"), "\n", "\n    ")
}
