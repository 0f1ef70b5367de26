package tokenizer

import (
	"slices"
	"testing"

	"pgregory.net/rapid"
)

// TestACutWhereSafeSplitSaysChangesNoId cuts random texts of words, white space and end tokens at every place it offers.
func TestACutWhereSafeSplitSaysChangesNoId(t *testing.T) {
	gpt2, err := GPT2()
	if err != nil {
		t.Fatal(err)
	}
	pieces := []string{"a", "o mar", " ", "  ", "\n", "\n\n", "\t", "'s", "'", "12", "é", "ção", "\u00a0", "\u2028", "!", "?!", EndOfText, "<|end", "of", "text|>", "日本", "🙂"}
	for name, tok := range map[string]*Tokenizer{"gpt2": gpt2, "byte": Bytes()} {
		t.Run(name, func(t *testing.T) {
			cuts := 0
			rapid.Check(t, func(t *rapid.T) {
				var text []byte
				for _, p := range rapid.SliceOfN(rapid.SampledFrom(pieces), 1, 30).Draw(t, "pieces") {
					text = append(text, p...)
				}
				want := tok.AppendEncode(nil, text)
				for limit := len(text); limit > 0; limit-- {
					n := tok.SafeSplit(text, limit)
					if n > limit {
						t.Fatalf("cut at %d, beyond %d", n, limit)
					}
					if n == 0 {
						break
					}
					cuts++
					got := tok.AppendEncode(tok.AppendEncode(nil, text[:n]), text[n:])
					if !slices.Equal(got, want) {
						t.Fatalf("%q cut at %d: ids %v, whole %v", text, n, got, want)
					}
					limit = n
				}
			})
			if cuts == 0 {
				t.Error("no cut was offered")
			}
		})
	}
}

func TestTokenBytesAddUpToTheText(t *testing.T) {
	gpt2, err := GPT2()
	if err != nil {
		t.Fatal(err)
	}
	const text = "A maré subiu, e ninguém na praia notou. 日本 🙂\n\n  Fim."
	for name, tok := range map[string]*Tokenizer{"gpt2": gpt2, "byte": Bytes()} {
		sum := 0
		for _, id := range tok.Encode(text) {
			sum += tok.TokenBytes(id)
		}
		if sum != len(text) {
			t.Errorf("%s: %d bytes, want %d", name, sum, len(text))
		}
		if n := tok.TokenBytes(1 << 31); n != 0 {
			t.Errorf("%s: an id without a token has %d bytes", name, n)
		}
	}
}
