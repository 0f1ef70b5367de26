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
	return "> " + plainMarkdown(prompt) + "\n\n" + plainMarkdown(text)
}

// plainMarkdown is a line of Markdown that reads as the text does: its lines end by <br>, for TensorBoard breaks a line at a
// newline as well as at the break that Markdown makes of it, and no other character in it means anything.
func plainMarkdown(text string) string {
	var b strings.Builder
	atStart := true // of a line, where Markdown and HTML would drop a space
	for _, r := range strings.ToValidUTF8(text, "\uFFFD") {
		switch {
		case r == '\n':
			b.WriteString("<br>")
		case (r == ' ' || r == '\t') && atStart:
			b.WriteString("&#160;")
		case r < ' ' && r != '\t' || r >= 0x7f && r < 0xa0 || r == '\u2028' || r == '\u2029':
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
