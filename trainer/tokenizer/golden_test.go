// The same ids as Hugging Face tokenizers: every code point, many languages, random text, files and trained vocabularies.

package tokenizer

import (
	"compress/gzip"
	"context"
	"crypto/sha256"
	"encoding/hex"
	"encoding/json"
	"fmt"
	"iter"
	"os"
	"path/filepath"
	"strconv"
	"strings"
	"sync"
	"testing"
	"unicode/utf8"

	"github.com/google/go-cmp/cmp"
	"github.com/google/go-cmp/cmp/cmpopts"
)

// golden reads a file that scripts/golden_tokenizer.py wrote.
func golden(t testing.TB, name string, into any) {
	t.Helper()
	f, err := os.Open(filepath.Join("testdata", name+".json.gz"))
	if err != nil {
		t.Fatalf("%v; make it with: python3 scripts/golden_tokenizer.py", err)
	}
	defer f.Close()
	r, err := gzip.NewReader(f)
	if err == nil {
		err = json.NewDecoder(r).Decode(into)
	}
	if err != nil {
		t.Fatalf("testdata/%s.json.gz: %v", name, err)
	}
}

type goldenCase struct {
	Text string
	IDs  []uint32
}

// check compares ids and decodes them again.
func (c goldenCase) check(t *testing.T, tokenizer *Tokenizer) {
	t.Helper()
	if diff := cmp.Diff(c.IDs, tokenizer.Encode(c.Text), cmpopts.EquateEmpty()); diff != "" {
		t.Errorf("%q: (-Hugging Face +ours)\n%s", c.Text, diff)
	}
}

func hash(s string) string {
	sum := sha256.Sum256([]byte(s))
	return hex.EncodeToString(sum[:])
}

func joinIDs(ids []uint32) string {
	return strings.Trim(strings.ReplaceAll(fmt.Sprint(ids), " ", ","), "[]")
}

var sharedGPT2 = sync.OnceValues(GPT2)

func mustGPT2(t testing.TB) *Tokenizer {
	t.Helper()
	tokenizer, err := sharedGPT2()
	if err != nil {
		t.Fatal(err)
	}
	return tokenizer
}

// splitMix is SplitMix64, as in the script.
type splitMix uint64

func (s *splitMix) below(n int) int {
	*s += 0x9E3779B97F4A7C15
	z := uint64(*s)
	z = (z ^ z>>30) * 0xBF58476D1CE4E5B9
	z = (z ^ z>>27) * 0x94D049BB133111EB
	return int((z ^ z>>31) % uint64(n))
}

var common = []string{
	" ", " ", " ", "\n", "\t", "\r", "\u00a0", "\u2028", "\u0085", "\u3000", "\u180e", "\u200b", "\u200d", "'", "'", "'s", "'re", "'ll", " the", " de",
	" que", "ing", "ção", "e", "a", "S", "0", "1", "42", ".", ",", "!", "—", "’", "é", "ã", "İ", "\u0301", "٣", "漢", "字", "あ", "한", "😀", "🇧🇷", "\ufe0f", "_", "<|",
	EndOfText,
}

// text draws the string that random_text of the script draws.
func (s *splitMix) text() string {
	var b strings.Builder
	for range 1 + s.below(24) {
		switch kind := s.below(8); {
		case kind < 4:
			b.WriteString(common[s.below(len(common))])
		case kind < 6:
			b.WriteRune(rune(32 + s.below(95)))
		case kind == 6:
			b.WriteRune(rune(0xA0 + s.below(0x2F00)))
		default:
			b.WriteRune(rune(s.below(0x110000))) // surrogates become U+FFFD
		}
	}
	return b.String()
}

func TestEveryCodePointSplitsAsHuggingFaceDoes(t *testing.T) {
	var want struct{ Blocks []string }
	golden(t, "splits", &want)
	if len(want.Blocks) != 0x110 {
		t.Fatalf("the golden has %d blocks, want %d", len(want.Blocks), 0x110)
	}
	for block, sum := range want.Blocks {
		var text, lengths []byte
		for c := rune(block << 12); c < rune(block+1)<<12; c++ {
			if c < 0xD800 || c >= 0xE000 {
				for _, around := range []string{"a", "a1", "1!", "! ", " ", "\n", "'s"} {
					text = utf8.AppendRune(append(text, around...), c)
				}
			}
		}
		for i := 0; i < len(text); {
			end := wordEnd(text, i)
			if i > 0 {
				lengths = append(lengths, ',')
			}
			lengths = strconv.AppendInt(lengths, int64(end-i), 10)
			i = end
		}
		if got := hash(string(lengths))[:16]; got != sum {
			t.Errorf("code points U+%04X to U+%04X split otherwise", block<<12, (block+1)<<12-1)
		}
	}
}

func TestGPT2IDsAreHuggingFaces(t *testing.T) {
	var want struct {
		Cases  []goldenCase
		Seed   splitMix
		Random string
		Merges string `json:"merges_sha256"`
	}
	golden(t, "gpt2", &want)
	tokenizer := mustGPT2(t)
	if len(want.Cases) < 100 || len(want.Random) != 4*20000 {
		t.Fatalf("the golden has %d cases and %d random ones", len(want.Cases), len(want.Random)/4)
	}
	for _, c := range want.Cases {
		c.check(t, tokenizer)
		if got := tokenizer.Decode(c.IDs); got != c.Text {
			t.Errorf("%q decodes to %q", c.Text, got)
		}
	}
	differ := 0
	for i := 0; i < len(want.Random); i += 4 {
		text := want.Seed.text()
		ids := tokenizer.Encode(text)
		if hash(joinIDs(ids))[:4] != want.Random[i:i+4] {
			if differ++; differ <= 5 {
				t.Errorf("random string %d (%q) has other ids than %v", i/4, text, ids)
			}
		}
	}
	if differ > 5 {
		t.Errorf("%d random strings differ", differ)
	}

	lines := make([]string, len(tokenizer.merges))
	for i, m := range tokenizer.merges {
		lines[i] = tokenizer.spelling(m.left) + " " + tokenizer.spelling(m.right)
	}
	if hash(strings.Join(lines, "\n")) != want.Merges {
		t.Error("the merges are not those of OpenAI's vocab.bpe")
	}
}

func TestFilesOfHuggingFaceGiveTheSameIDs(t *testing.T) {
	var want struct {
		Files []struct {
			Name  string
			File  json.RawMessage
			Cases []goldenCase
		}
	}
	golden(t, "files", &want)
	if len(want.Files) < 9 {
		t.Fatalf("the golden has %d files", len(want.Files))
	}
	for _, f := range want.Files {
		t.Run(f.Name, func(t *testing.T) {
			tokenizer, err := parse(f.File, "")
			if err != nil {
				t.Fatal(err)
			}
			saved, err := parse(tokenizer.canonical(), "")
			if err != nil {
				t.Fatal(err)
			}
			if saved.Fingerprint() != tokenizer.Fingerprint() {
				t.Error("saved and opened again, the fingerprint is another")
			}
			for _, c := range f.Cases {
				c.check(t, tokenizer)
				c.check(t, tokenizer) // from the cache
				c.check(t, saved)
			}
		})
	}
}

func documentsOf(texts []string) iter.Seq2[[]byte, error] {
	return func(yield func([]byte, error) bool) {
		for _, text := range texts {
			if !yield([]byte(text), nil) {
				return
			}
		}
	}
}

func TestTrainingFindsHuggingFacesMerges(t *testing.T) {
	var want struct {
		Cases []struct {
			Name          string
			Documents     []string
			VocabSize     int `json:"vocab_size"`
			Vocab, Merges []string
		}
	}
	golden(t, "training", &want)
	if len(want.Cases) < 6 {
		t.Fatalf("the golden has %d corpora", len(want.Cases))
	}
	for _, c := range want.Cases {
		t.Run(c.Name, func(t *testing.T) {
			tokenizer, err := Train(context.Background(), documentsOf(c.Documents), c.VocabSize, nil)
			if err != nil {
				t.Fatal(err)
			}
			vocab, merges := []string{}, []string{}
			for id := range tokenizer.tokens {
				vocab = append(vocab, tokenizer.spelling(uint32(id)))
			}
			for _, m := range tokenizer.merges {
				merges = append(merges, tokenizer.spelling(m.left)+" "+tokenizer.spelling(m.right))
			}
			if diff := cmp.Diff(c.Merges, merges); diff != "" {
				t.Errorf("merges (-Hugging Face +ours)\n%s", diff)
			}
			if diff := cmp.Diff(c.Vocab, vocab); diff != "" {
				t.Errorf("vocabulary (-Hugging Face +ours)\n%s", diff)
			}
			if end, ok := tokenizer.EndToken(); !ok || end != 0 {
				t.Errorf("the end token is %d, %t", end, ok)
			}
		})
	}
}
