package data

import (
	"bytes"
	"slices"
	"strings"
	"testing"
	"testing/fstest"
	"unicode/utf8"

	"pgregory.net/rapid"
)

// textGenerator draws texts with all that tokenizers' patterns tell apart.
func textGenerator() *rapid.Generator[string] {
	pieces := rapid.SampledFrom([]string{"a", "Zé", "não", "it's", "'ll", " ", "  ", "\n", "\n\n", "\r\n", "\t", "\u2003", "\u2028", ".", ",",
		"...", "。", "(", "1", "1234", "½", "字", "e\u0301", "🌃", "ﷺ", "İ", "/", "\u0085", " x", "\nx", "\u0301", "a b", "é\nO", "7 8", " um", ". Um"})
	return rapid.Custom(func(t *rapid.T) string {
		return strings.Join(rapid.SliceOfN(pieces, 10, 40).Draw(t, "pieces"), "")
	})
}

// Whatever the pattern, and whatever follows, a text cut at a safe place has the ids of the whole.
func TestCutsLeaveTheTokensAsTheyAre(t *testing.T) {
	for name, e := range patterns {
		t.Run(name, func(t *testing.T) {
			cuts := 0
			rapid.Check(t, func(t *rapid.T) {
				text := textGenerator().Draw(t, "text")
				whole := text + textGenerator().Draw(t, "what follows")
				want := e.AppendEncode(nil, []byte(whole))
				for limit, was := 0, 0; limit <= len(text); limit++ {
					n := safeSplit([]byte(text), limit)
					if n == was {
						continue
					}
					cuts, was = cuts+1, n
					got := e.AppendEncode(e.AppendEncode(nil, []byte(whole[:n])), []byte(whole[n:]))
					if n > limit || !slices.Equal(got, want) {
						t.Fatalf("cut at %d of %d: %q | %q", n, limit, whole[:n], whole[n:])
					}
				}
			})
			if cuts < 50 {
				t.Errorf("only %d cuts", cuts)
			}
		})
	}
}

// A file's sections join to the file and each encodes as in the whole, also across the reader's buffers.
func TestSectionsOfALongTextEncodeAsTheWhole(t *testing.T) {
	for name, e := range patterns {
		t.Run(name, func(t *testing.T) {
			text := longText(300_000)
			c, err := newCorpus(FromFS(fstest.MapFS{"a.txt": {Data: text}}), []string{"a.txt"}, Options{Encoder: e})
			if err != nil {
				t.Fatal(err)
			}
			var joined []byte
			var ids []uint32
			sections, longest := 0, 0
			err = c.chunks(t.Context(), func(k *chunk) error {
				for _, p := range k.parts {
					sections, longest = sections+1, max(longest, len(p.bytes))
					joined = append(joined, p.bytes...)
					ids = e.AppendEncode(ids, p.bytes)
				}
				return nil
			})
			if err != nil {
				t.Fatal(err)
			}
			if !bytes.Equal(joined, text) {
				t.Fatal("the sections are not the text")
			}
			if !slices.Equal(ids, e.AppendEncode(nil, text)) {
				t.Error("the ids are not those of the whole")
			}
			if sections < len(text)/(8*sectionBytes) || longest > 2*sectionLook {
				t.Errorf("%d sections, the longest of %d bytes", sections, longest)
			}
		})
	}
}

// longText has paragraphs, long lines, runs of white space, numbers and text without spaces.
func longText(n int) (text []byte) {
	kinds := []string{story(1, 30), strings.Repeat("sem fim de linha ", 900), strings.Repeat(" \n", 3000), strings.Repeat("3.14 159,2\n", 700),
		strings.Repeat("東京は夜の七時。\n", 300), strings.Repeat("x", 3000) + "\n", "\u2003\u2003\r\n\r\n"}
	for i := 0; len(text) < n; i++ {
		text = append(text, kinds[(i*i+i/3)%len(kinds)]...)
	}
	return text
}

func TestSectionsEndAtParagraphs(t *testing.T) {
	text := []byte(story(1, 1000))
	for at := 0; len(text)-at > 2*sectionBytes; {
		n := cutSection(text[at:], true, byteEncoder{}.SafeSplit)
		if n < sectionBytes || n > 2*sectionBytes || !bytes.HasSuffix(text[:at+n], []byte("\n\n")) {
			t.Fatalf("section of %d bytes ends with %q", n, text[at+n-8:at+n])
		}
		at += n
	}
}

func TestATextWithoutAPlaceToCutIsRefused(t *testing.T) {
	text := bytes.Repeat([]byte("x"), maxPart+1<<20)
	err := error(nil)
	for _, err = range Documents(FromFS(fstest.MapFS{"a.txt": {Data: text}}), []string{"a.txt"}, "text") {
	}
	if want := "data: a.txt: byte 0: no place to divide the text in the 64 MiB from here: is it text?"; err == nil || err.Error() != want {
		t.Errorf("%v, want %s", err, want)
	}
	small := bytes.Repeat([]byte("x"), 1<<20)
	if got := readDocuments(t, FromFS(fstest.MapFS{"a.txt": {Data: small}}), "a.txt"); len(got) != 1 || got[0].Text != string(small) {
		t.Error("a shorter one is not one document")
	}
}

func TestRunesAreNotCut(t *testing.T) {
	text := []byte(strings.Repeat("é字🌃", 20000))
	c := corpus{split: byteEncoder{}.SafeSplit}
	w := &textWindow{r: bytes.NewReader(text)}
	for first := true; ; first = false {
		section, n, skip, err := c.nextSection(w, first)
		if err != nil {
			t.Fatal(err)
		}
		if !utf8.Valid(section[:n]) {
			t.Fatalf("at %d: cut inside a rune", w.offset)
		}
		w.advance(n)
		if skip == 0 && n == len(section) {
			break
		}
	}
	if w.offset != int64(len(text)) {
		t.Errorf("%d bytes of %d", w.offset, len(text))
	}
}
