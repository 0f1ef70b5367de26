// What holds for any text: nothing is lost, streams add up, many goroutines agree; and how training behaves.

package tokenizer

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"iter"
	"slices"
	"strings"
	"sync"
	"testing"
	"unicode/utf8"

	"pgregory.net/rapid"
)

func TestAnyBytesComeBack(t *testing.T) {
	tokenizers := map[string]*Tokenizer{"gpt2": mustGPT2(t), "byte": Bytes()}
	for name, tokenizer := range tokenizers {
		t.Run(name, func(t *testing.T) {
			pieces := rapid.OneOf(rapid.SliceOf(rapid.Byte()), rapid.Map(rapid.String(), func(s string) []byte { return []byte(s) }),
				rapid.SampledFrom([][]byte{[]byte(EndOfText), []byte(" the"), []byte("\xf0\x9f"), []byte("\xe2\x80"), []byte(" \n ")}))
			rapid.Check(t, func(t *rapid.T) {
				text := bytes.Join(rapid.SliceOf(pieces).Draw(t, "pieces"), nil)
				ids := tokenizer.AppendEncode(nil, text)
				if got := tokenizer.Decode(ids); got != string(text) {
					t.Fatalf("%q became %q", text, got)
				}
				stream, streamed := tokenizer.Stream(), ""
				for _, id := range ids {
					next := stream.Next(id)
					if utf8.Valid(text) && !utf8.ValidString(next) {
						t.Fatalf("%q: the stream cut a character: %q", text, next)
					}
					streamed += next
				}
				if streamed += stream.Flush(); streamed != string(text) {
					t.Fatalf("%q streamed as %q", text, streamed)
				}
			})
		})
	}
}

func TestSymbolsOfInvalidUTF8AreNeitherLettersNorSpaces(t *testing.T) {
	for text, want := range map[string][]string{
		"ab\xffcd":      {"ab", "\xff", "cd"},
		"a \xc3 b":      {"a", " \xc3", " b"},
		"1\xed\xa0\x80": {"1", "\xed\xa0\x80"}, // a surrogate
		"\xe3\x80":      {"\xe3\x80"},          // cut in U+3000
	} {
		var got []string
		for rest := []byte(text); len(rest) > 0; {
			n := wordEnd(rest, 0)
			got = append(got, string(rest[:n]))
			rest = rest[n:]
		}
		if !slices.Equal(got, want) {
			t.Errorf("%q splits into %q, want %q", text, got, want)
		}
	}
}

func TestTheCacheAndTheHeapChangeNoID(t *testing.T) {
	tokenizer := mustGPT2(t)
	rng := splitMix(1)
	for range 2000 {
		word := []byte(strings.ReplaceAll(rng.text(), EndOfText, "<"))
		word = word[:min(len(word), scanLimit)]
		scanned := make([]uint32, len(word))
		for i, b := range word {
			scanned[i] = tokenizer.byteIDs[b]
		}
		heaped := slices.Clone(scanned)
		scanned = scanned[:tokenizer.pairs.mergeScan(scanned)]
		heaped = heaped[:tokenizer.pairs.mergeHeap(heaped)]
		if !slices.Equal(scanned, heaped) {
			t.Fatalf("%q: %v by scanning, %v by the heap", word, scanned, heaped)
		}
		if len(word) > 0 {
			first := tokenizer.appendCached(nil, word)
			if again := tokenizer.appendCached(nil, word); !slices.Equal(first, scanned) || !slices.Equal(again, scanned) {
				t.Fatalf("%q: %v, %v from the cache, want %v", word, first, again, scanned)
			}
		}
	}
}

func TestGoroutinesShareATokenizer(t *testing.T) {
	tokenizer, err := GPT2() // its cache empty
	if err != nil {
		t.Fatal(err)
	}
	texts, want := make([]string, 300), make([][]uint32, 300)
	rng := splitMix(2)
	for i := range texts {
		texts[i] = rng.text() + rng.text()
		want[i] = mustGPT2(t).Encode(texts[i])
	}
	var wait sync.WaitGroup
	for worker := range 8 {
		wait.Go(func() {
			for i := range texts {
				i = (i + worker*37) % len(texts)
				if got := tokenizer.Encode(texts[i]); !slices.Equal(got, want[i]) {
					t.Errorf("%q: %v, want %v", texts[i], got, want[i])
				}
			}
		})
	}
	wait.Wait()
}

func TestALongWordTakesTimeInProportion(t *testing.T) {
	tokenizer := mustGPT2(t)
	text := strings.Repeat("abcdefgh", 100_000) // one word; squared, it would take minutes
	if got := tokenizer.Decode(tokenizer.Encode(text)); got != text {
		t.Error("it did not come back")
	}
}

func TestUnknownIDsDecodeToNothing(t *testing.T) {
	if got := Bytes().Decode([]uint32{'a', 257, 1 << 31, 'b'}); got != "ab" {
		t.Errorf("%q", got)
	}
}

func TestByteIDsAreTheBytes(t *testing.T) {
	got := Bytes().Encode("aé" + EndOfText + "\x00")
	if want := []uint32{'a', 0xC3, 0xA9, 256, 0}; !slices.Equal(got, want) {
		t.Errorf("%v, want %v", got, want)
	}
}

// manyDocuments has documents longer than a batch, in a buffer that is used again.
func manyDocuments(yield func([]byte, error) bool) {
	rng := splitMix(3)
	var document []byte
	for range 2 {
		document = document[:0]
		for len(document) < batchSize*3/2 {
			document = append(document, fmt.Sprintf("word%d, %c%c ", rng.below(500), 'a'+rng.below(26), 'a'+rng.below(26))...)
		}
		if !yield(document, nil) {
			return
		}
	}
}

func TestTrainingIsTheSameEveryTime(t *testing.T) {
	var calls []int
	first, err := Train(context.Background(), manyDocuments, 700, func(done, total int) {
		if total != 700-257 {
			t.Errorf("total %d", total)
		}
		calls = append(calls, done)
	})
	if err != nil {
		t.Fatal(err)
	}
	if !slices.IsSorted(calls) || len(calls) < 50 || calls[len(calls)-1] != 700-257 {
		t.Errorf("progress went %v", calls)
	}
	second, err := Train(context.Background(), manyDocuments, 700, nil)
	if err != nil {
		t.Fatal(err)
	}
	if first.Fingerprint() != second.Fingerprint() {
		t.Error("trained twice, two tokenizers")
	}
}

func TestCuttingDocumentsDoesNotChangeTheirWords(t *testing.T) {
	count := func(text []byte, size int) map[string]int64 {
		words := map[string]int64{}
		for len(text) > 0 {
			n := cut(text, size)
			(&batch{text: text[:n], ends: []int{n}}).count(words)
			text = text[n:]
		}
		return words
	}
	rng := splitMix(5)
	for range 300 {
		text := []byte(rng.text() + rng.text() + rng.text())
		whole, pieces := count(text, len(text)), count(text, 1+rng.below(20))
		if fmt.Sprint(whole) != fmt.Sprint(pieces) {
			t.Fatalf("%q: %v whole, %v in pieces", text, whole, pieces)
		}
	}
}

func TestTrainingStopsWithTheReason(t *testing.T) {
	cancelled, cancel := context.WithCancel(context.Background())
	cancel()
	late, cancelLate := context.WithCancel(context.Background())
	broken := errors.New("corpus/a.txt: line 3: damaged")
	tests := []struct {
		name      string
		ctx       context.Context
		documents iter.Seq2[[]byte, error]
		size      int
		progress  func(int, int)
		want      string
	}{
		{"cancelled before", cancelled, manyDocuments, 300, nil, context.Canceled.Error()},
		{"cancelled while merging", late, manyDocuments, 700, func(int, int) { cancelLate() }, context.Canceled.Error()},
		{"a document that cannot be read", context.Background(), func(yield func([]byte, error) bool) { yield(nil, broken) }, 300, nil, broken.Error()},
		{"no documents", context.Background(), documentsOf(nil), 300, nil, "there is no text"},
		{"empty documents", context.Background(), documentsOf([]string{"", ""}), 300, nil, "there is no text"},
		{"too small a vocabulary", context.Background(), manyDocuments, 256, nil, "want 257 to"},
		{"too large a vocabulary", context.Background(), manyDocuments, 1 << 30, nil, "want 257 to"},
	}
	for _, test := range tests {
		t.Run(test.name, func(t *testing.T) {
			if _, err := Train(test.ctx, test.documents, test.size, test.progress); err == nil || !strings.Contains(err.Error(), test.want) {
				t.Errorf("error %v, want %q", err, test.want)
			}
		})
	}
}

func BenchmarkEncode(b *testing.B) {
	tokenizer := mustGPT2(b)
	var text []byte
	rng := splitMix(6)
	for len(text) < 1<<20 {
		text = append(text, rng.text()...)
	}
	b.SetBytes(int64(len(text)))
	var ids []uint32
	for b.Loop() {
		ids = tokenizer.AppendEncode(ids[:0], text)
	}
}
