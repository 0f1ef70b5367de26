// What the corpus promises: good form, and text that was written, not stamped from templates.
package corpus

import (
	"bytes"
	"compress/flate"
	"io/fs"
	"regexp"
	"slices"
	"strings"
	"testing"
	"unicode"
	"unicode/utf8"

	"golang.org/x/text/unicode/norm"
)

var texts = []string{"01-historias.txt", "02-artigos.txt", "03-prosa.txt"}

const separator = "\n<|endoftext|>\n"

func read(t *testing.T, name string) string {
	t.Helper()
	b, err := fs.ReadFile(PT, name)
	if err != nil {
		t.Fatal(err)
	}
	return string(b)
}

// words are runs of letters, with the hyphens and apostrophes inside them: guarda-chuva, d'água.
func words(text string) []string {
	return wordPattern.FindAllString(text, -1)
}

var wordPattern = regexp.MustCompile(`\p{L}+(?:[-'’]\p{L}+)*`)

func TestCorpusHoldsTheThreeTexts(t *testing.T) {
	names, err := fs.Glob(PT, "*")
	if err != nil || !slices.Equal(names, texts) {
		t.Fatalf("files %v, %v; want %v", names, err, texts)
	}
}

func TestTextsAreWellFormed(t *testing.T) {
	for _, name := range texts {
		t.Run(name, func(t *testing.T) {
			text := read(t, name)
			if n := len(text); n < 48_000 || n > 56_000 {
				t.Errorf("%d bytes, want 48,000 to 56,000: the grades have equal weight", n)
			}
			if !utf8.ValidString(text) || !norm.NFC.IsNormalString(text) {
				t.Error("not UTF-8 in normal form C")
			}
			if !strings.HasSuffix(text, "\n") || strings.HasSuffix(text, "\n\n") {
				t.Error("does not end with one newline")
			}
			for i, line := range strings.Split(text, "\n") {
				if line != strings.TrimSpace(line) || strings.Contains(line, "  ") {
					t.Errorf("line %d: stray white space: %q", i+1, line)
				}
				if strings.IndexFunc(line, func(r rune) bool { return unicode.IsControl(r) || r == utf8.RuneError }) >= 0 {
					t.Errorf("line %d: control character: %q", i+1, line)
				}
			}
			for _, document := range strings.Split(text, separator) {
				title, body, found := strings.Cut(document, "\n\n")
				if !found || strings.ContainsAny(title, "\n|") || len(title) > 100 || len(words(body)) < 100 {
					t.Errorf("not a title and a text: %.80q", document)
				}
			}
		})
	}
}

// The texts are to keep at least 30% of their size under xz -9. numbers_test.go asks xz itself where there is one; here
// DEFLATE stands for it, which leaves 2 to 3 points more of prose of this length (a window of 32 KB, a plainer code):
// 34% for 30%. Text from templates stays far below: 10% is usual.
func TestTextsDoNotCompressLikeTemplates(t *testing.T) {
	for _, name := range texts {
		text := read(t, name)
		var packed bytes.Buffer
		w, err := flate.NewWriter(&packed, flate.BestCompression)
		if err != nil {
			t.Fatal(err)
		}
		if _, err := w.Write([]byte(text)); err != nil {
			t.Fatal(err)
		}
		if err := w.Close(); err != nil {
			t.Fatal(err)
		}
		share := 100 * float64(packed.Len()) / float64(len(text))
		t.Logf("%s: DEFLATE leaves %.1f%%", name, share)
		if share < 34 {
			t.Errorf("%s: DEFLATE leaves %.1f%%, want at least 34%%", name, share)
		}
	}
}

// Over all three texts together: no paragraph twice, hardly a sentence twice, hardly eight words in a row twice.
func TestTextsDoNotRepeatThemselves(t *testing.T) {
	const shortest = 5 // words; below it are greetings and exclamations, which people do repeat
	var paragraphs, sentences, runs counter
	for _, name := range texts {
		for _, document := range strings.Split(read(t, name), separator) {
			for _, paragraph := range strings.Split(document, "\n") {
				if len(words(paragraph)) < shortest {
					continue
				}
				paragraphs.add(paragraph)
				for _, sentence := range strings.FieldsFunc(paragraph, func(r rune) bool { return strings.ContainsRune(".!?…:;", r) }) {
					if len(words(sentence)) >= shortest {
						sentences.add(strings.TrimSpace(sentence))
					}
				}
			}
			all := words(strings.ToLower(document))
			for i := 8; i <= len(all); i++ {
				runs.add(strings.Join(all[i-8:i], " "))
			}
		}
	}
	for what, c := range map[string]struct {
		counter
		most float64 // percent that may be repetitions
	}{"paragraphs": {paragraphs, 0}, "sentences": {sentences, 0.2}, "runs of eight words": {runs, 0.2}} {
		share := 100 * float64(c.repeated) / float64(c.total)
		t.Logf("%s: %d, repeated: %d", what, c.total, c.repeated)
		if share > c.most {
			t.Errorf("%s: %.2f%% are repetitions (last: %q), want at most %g%%", what, share, c.last, c.most)
		}
	}
}

type counter struct {
	seen            map[string]bool
	total, repeated int
	last            string // the last repetition
}

func (c *counter) add(s string) {
	if c.seen == nil {
		c.seen = map[string]bool{}
	}
	c.total++
	if c.seen[s] {
		c.repeated++
		c.last = s
	}
	c.seen[s] = true
}
