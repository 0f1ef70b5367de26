// Patterns of a file's own: the same words as Hugging Face tokenizers, whatever the pattern, and an end to every search.

package tokenizer

import (
	"encoding/json"
	"fmt"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
	"pgregory.net/rapid"
)

// more is MORE of scripts/golden_tokenizer.py.
var more = []string{
	"'S", "'LL", "'rE", "'ſ", "'K", "'M ", "1", "12", "1234", "1234567", "00", "½", "²", "Ⅷ", "\r\n", "\n\n", "\r", "  ", "   ", "\t\t", "ǅ", "ABC", "Ab", "aB", "Σ", "ß", "ſ",
	"日本", "かな", "カナ", "〇", "가", "\u1100", "\u1161", "\u11a8", "e\u0301", "\u0323", "\u0344", "\u0345", "\u0334", "\u0958", "\u2126", "ﬁ", "①", "㈱", "ｶﾞ", "\u1e9b\u0323",
	"\u1df6", "\u0898", "\u32ff", "/", "//", "\\", "!", "(", ")", ".", "。", "+", "$", "_x", "<b>", strings.Repeat("\u0300", 35) + strings.Repeat("\u0316", 35),
}

// mixed draws the string that mixed_text of the script draws.
func (s *splitMix) mixed() string {
	var b strings.Builder
	for range 1 + s.below(4) {
		for range s.below(6) {
			b.WriteString(more[s.below(len(more))])
		}
		b.WriteString(s.text())
	}
	return b.String()
}

// checkHashes draws texts after the fixed ones, a hash of four digits each, and compares.
func checkHashes(t *testing.T, hashes string, fixed []string, seed splitMix, result func(text string) string) {
	t.Helper()
	differ := 0
	for i := 0; i < len(hashes); i += 4 {
		var text string
		if n := i / 4; n < len(fixed) {
			text = fixed[n]
		} else {
			text = seed.mixed()
		}
		if got := result(text); hash(got)[:4] != hashes[i:i+4] {
			if differ++; differ <= 3 {
				t.Errorf("%+q: we have %s", text, got)
			}
		}
	}
	if differ > 3 {
		t.Errorf("%d texts differ", differ)
	}
}

type patternFile struct {
	Name   string
	File   json.RawMessage
	Hashes string
}

func patternFiles(t testing.TB) (files []patternFile, texts []string, seed splitMix) {
	t.Helper()
	var want struct {
		Texts []string
		Seed  splitMix
		Files []patternFile
	}
	golden(t, "patterns", &want)
	if len(want.Files) < 17 {
		t.Fatalf("the golden has %d files", len(want.Files))
	}
	return want.Files, want.Texts, want.Seed
}

func TestFilesWithPatternsGiveHuggingFacesIDs(t *testing.T) {
	files, texts, seed := patternFiles(t)
	for _, f := range files {
		t.Run(f.Name, func(t *testing.T) {
			t.Parallel()
			tokenizer, err := parse(f.File, "")
			if err != nil {
				t.Fatal(err)
			}
			if len(f.Hashes) < 4*1200 {
				t.Fatalf("the golden has %d texts", len(f.Hashes)/4)
			}
			checkHashes(t, f.Hashes, texts, seed, func(text string) string { return joinIDs(tokenizer.Encode(text)) })
			saved, err := parse(tokenizer.canonical(), "")
			if err != nil {
				t.Fatal(err)
			}
			if saved.Fingerprint() != tokenizer.Fingerprint() {
				t.Error("saved and opened again, the fingerprint is another")
			}
			checkHashes(t, f.Hashes[:4*len(texts)], texts, seed, func(text string) string { return joinIDs(saved.Encode(text)) })
			if err := tokenizer.Err(); err != nil {
				t.Error(err)
			}
		})
	}
}

func TestExpressionsMatchAsOnigurumaDoes(t *testing.T) {
	var want struct {
		Fixed []string
		Seed  splitMix
		Cases []struct {
			Step   component
			Hashes string
		}
	}
	golden(t, "expressions", &want)
	if len(want.Cases) < 150 {
		t.Fatalf("the golden has %d cases", len(want.Cases))
	}
	for _, c := range want.Cases {
		t.Run(fmt.Sprintf("%s %s %t", *c.Step.Pattern.Regex, c.Step.Behavior, c.Step.Invert), func(t *testing.T) {
			t.Parallel()
			s, _, err := c.Step.step(false)
			if err != nil {
				t.Fatal(err)
			}
			checkHashes(t, c.Hashes, want.Fixed, want.Seed, func(text string) string {
				var spans []string
				for _, p := range s.parts([]byte(text)) {
					start := len([]rune(text[:p.start]))
					spans = append(spans, fmt.Sprintf("%d-%d", start, start+len([]rune(text[p.start:p.end]))))
				}
				return strings.Join(spans, ",")
			})
		})
	}
}

func TestACutWhereSafeSplitSaysChangesNoIdOfAPattern(t *testing.T) {
	files, _, _ := patternFiles(t)
	offers := map[string]bool{}
	for _, f := range files {
		tokenizer, err := parse(f.File, "")
		if err != nil {
			t.Fatal(err)
		}
		pieces := slices.Concat(common, more, []string{" the", " a", "b c", "\nd", ".\n", "x \n y", "12 ab", "'s s"})
		rapid.Check(t, func(r *rapid.T) {
			text := []byte(strings.Join(rapid.SliceOfN(rapid.SampledFrom(pieces), 1, 30).Draw(r, "pieces"), ""))
			want := tokenizer.AppendEncode(nil, text)
			for limit := len(text); limit > 0; limit-- {
				n := tokenizer.SafeSplit(text, limit)
				if n == 0 {
					break
				}
				offers[f.Name] = true
				if got := tokenizer.AppendEncode(tokenizer.AppendEncode(nil, text[:n]), text[n:]); n > limit || !slices.Equal(got, want) {
					r.Fatalf("%s: %q cut at %d of %d: ids %v, whole %v", f.Name, text, n, limit, got, want)
				}
				limit = n
			}
		})
	}
	for _, name := range []string{"Llama 3", "Qwen 2", "o200k", "cl100k, what matches kept", "DeepSeek", "GPT-2, written out", "StarCoder", "Falcon", "GPT-NeoX", "compatible"} {
		if !offers[name] {
			t.Errorf("%s: no cut was offered", name)
		}
	}
	for _, name := range []string{"BLOOM", "Kimi", "a space before each word", "texts cut out", "between what is looked at"} {
		if offers[name] {
			t.Errorf("%s: a cut was offered, though nothing is known of the pattern", name)
		}
	}
}

func TestAPatternThatTakesForeverIsGivenUp(t *testing.T) {
	s, _, err := component{Type: "Split", Pattern: &filePattern{Regex: new(`(?:\p{L}|\p{L}\p{L})+\p{N}`)}, Behavior: removed, Invert: true}.step(false)
	if err != nil {
		t.Fatal(err)
	}
	s.pattern.re.MatchTimeout = 100 * time.Millisecond
	settings := settings{steps: []step{s, byteLevel(false, false)}}
	tokenizer, err := newTokenizer(settings, Bytes().tokens, nil, nil, []addedToken{endOfText(256)}, EndOfText)
	if err != nil {
		t.Fatal(err)
	}
	if got := tokenizer.Decode(tokenizer.Encode("abc1.")); got != "abc1" || tokenizer.Err() != nil {
		t.Errorf("a text that matches at once: %q, %v", got, tokenizer.Err())
	}
	text := strings.Repeat("a", 60) + ".1"
	if got := tokenizer.Decode(tokenizer.Encode(text)); got != text {
		t.Errorf("%q became %q", text, got)
	}
	if err := tokenizer.Err(); err == nil || !strings.Contains(err.Error(), `pattern "(?:\\p{L}|\\p{L}\\p{L})+\\p{N}" gave up on a text of 62 characters`) || strings.Contains(err.Error(), "\n") {
		t.Errorf("the error is %v", err)
	}
}

func TestLongTextsTakeKnownPatternsTimeInProportion(t *testing.T) {
	files, _, _ := patternFiles(t)
	for _, f := range []patternFile{files[0], files[2], files[5]} {
		tokenizer, err := parse(f.File, "")
		if err != nil {
			t.Fatal(err)
		}
		for _, unit := range []string{"A", "a", "漢", " ", "\n ", "1", "!", "'", "\u0301", "a\u0301"} {
			text := strings.Repeat(unit, 30_000/len(unit))
			if tokenizer.AppendEncode(nil, []byte(text)); tokenizer.Err() != nil { // squared, it would take seconds
				t.Errorf("%s: %q repeated: %v", f.Name, unit, tokenizer.Err())
			}
		}
	}
}

func TestBytesOfNoCharacterStayInPatterns(t *testing.T) {
	files, _, _ := patternFiles(t)
	for _, f := range files[:9] {
		tokenizer, err := parse(f.File, "")
		if err != nil {
			t.Fatal(err)
		}
		for _, text := range []string{"ab\xffcd", "a \xc3 b", "1\xed\xa0\x80\n", "\xe3\x80", "e\u0301\xff\u0301 \xf0\x9f"} {
			want := text
			if len(tokenizer.normalizers) > 0 {
				want = strings.ReplaceAll(text, "e\u0301", "é")
			}
			if got := tokenizer.Decode(tokenizer.Encode(text)); got != want {
				t.Errorf("%s: %q became %q", f.Name, text, got)
			}
		}
	}
}

func TestPatternsAreSavedAsHuggingFaceWritesThem(t *testing.T) {
	files, _, _ := patternFiles(t)
	read := func(data []byte) (f struct {
		Normalizer   any
		PreTokenizer any `json:"pre_tokenizer"`
	}) {
		text := strings.ReplaceAll(string(data), `"trim_offsets":false`, `"trim_offsets":true`) // no id depends on it
		if err := json.Unmarshal([]byte(text), &f); err != nil {
			t.Fatal(err)
		}
		return f
	}
	for _, f := range files {
		tokenizer, err := parse(f.File, "")
		if err != nil {
			t.Fatal(err)
		}
		if diff := cmp.Diff(read(f.File), read(tokenizer.canonical())); diff != "" {
			t.Errorf("%s: (-Hugging Face +ours)\n%s", f.Name, diff)
		}
	}
}

func FuzzPatternsLoseNothing(f *testing.F) {
	for _, pattern := range []string{gpt2Pattern, `(?i:'s)|[^\r\p{L}&&[^a-c]]?+\w{1,3}+|\s+(?!\S)|^.\x41$`, `(?<=a|b+)\b(?>c)\p{^Han}`, `(?-im)[a-\x{10ffff}]*?`, `{1,2}`} {
		f.Add(pattern, "It's 1234 漢字\r\n\xff \u2028x", false)
	}
	f.Fuzz(func(t *testing.T, source, text string, spelled bool) {
		p, err := compilePattern(source)
		if err != nil {
			if strings.Contains(err.Error(), "\n") {
				t.Errorf("an error of several lines: %q", err)
			}
			return
		}
		p.re.MatchTimeout = 20 * time.Millisecond
		s := step{pattern: p, behavior: isolated, spelled: spelled}
		var joined []byte
		for _, part := range s.parts([]byte(text)) {
			joined = append(joined, text[part.start:part.end]...)
		}
		if string(joined) != text {
			t.Errorf("%q splits %q into parts that are %q together", source, text, joined)
		}
	})
}

func BenchmarkEncodeByPattern(b *testing.B) {
	files, texts, _ := patternFiles(b)
	text := []byte(strings.Join(texts[:8], "\n")) // prose
	for _, f := range files {
		b.Run(f.Name, func(b *testing.B) {
			tokenizer, err := parse(f.File, "")
			if err != nil {
				b.Fatal(err)
			}
			b.SetBytes(int64(len(text)))
			var ids []uint32
			for b.Loop() {
				ids = tokenizer.AppendEncode(ids[:0], text)
			}
		})
	}
}
