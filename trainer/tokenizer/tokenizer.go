// Package tokenizer turns text into token ids and back: a byte-level BPE with GPT-2's way of splitting text into words, or a
// file's own. It holds GPT-2's vocabulary, opens the tokenizer.json of other models, trains a new vocabulary on a corpus, and
// writes files that Hugging Face transformers opens with the same ids.
//
// Every byte of a text is in exactly one token, so Decode(Encode(text)) is text again, whatever its bytes, unless a file asks
// for a normalization, a space before the text, or something to be taken away. Hugging Face sees valid UTF-8 only and is
// followed there to the id; a byte that is part of no valid rune counts as a symbol of its own that is neither letter, number
// nor white space.
package tokenizer

import (
	"fmt"
	"strings"
	"sync"
)

// EndOfText is the token that ends a document, in GPT-2's vocabulary and in those made here.
const EndOfText = "<|endoftext|>"

// Tokenizer encodes and decodes. It does not change once made, and any number of goroutines may use it at once.
type Tokenizer struct {
	settings
	tokens  []string        // by id, the bytes it stands for; "" where no token has the id
	literal map[uint32]bool // ids whose tokens stand in tokenizer.json as they are, not byte by byte
	merges  []merge         // by rank
	added   []addedToken    // by id

	byteIDs   [256]uint32
	pairs     *pairTable
	whole     map[string]uint32 // a whole word's id, with ignoreMerges only
	matchers  [2]*matcher       // of added tokens: those that are not normalized, the others; nil for none
	cache     *wordCache
	end       uint32
	hasEnd    bool
	canonical func() []byte
}

// settings are the parts of a tokenizer.json, besides the vocabulary, that decide which ids a text gets.
type settings struct {
	normalizers  []string // applied in turn to the text between the added tokens that are not normalized
	steps        []step   // by which text between two added tokens becomes words
	preTokenizer string   // how the steps stand in tokenizer.json; "" for a ByteLevel alone
	ignoreMerges bool     // a word that is a token is that token, whatever the merges say
}

// merge joins two neighbouring tokens into one.
type merge struct{ left, right, result uint32 }

// newTokenizer checks that the parts fit together and builds the tables. end is the text of the end token, "" for none.
func newTokenizer(s settings, tokens []string, literal map[uint32]bool, merges []merge, added []addedToken, end string) (*Tokenizer, error) {
	t := &Tokenizer{settings: s, tokens: tokens, literal: literal, merges: merges, added: added, cache: newWordCache()}
	if err := t.indexBytes(); err != nil {
		return nil, err
	}
	t.pairs = newPairTable(len(merges))
	for rank, m := range merges {
		if !t.pairs.add(m, uint32(rank)) {
			return nil, fmt.Errorf("merge %d (%s + %s) stands there twice", rank, quote(tokens[m.left]), quote(tokens[m.right]))
		}
	}
	if s.ignoreMerges {
		t.whole = make(map[string]uint32, len(tokens))
		for id, token := range tokens {
			if !literal[uint32(id)] && !isOutside(added, uint32(id)) {
				t.whole[token] = uint32(id)
			}
		}
	}
	for i := range added {
		added[i].sought = added[i].content
		if added[i].normalized {
			added[i].sought = string(t.normalize([]byte(added[i].content)))
		}
	}
	t.matchers = newMatchers(added)
	t.end, t.hasEnd = t.find(end)
	t.canonical = sync.OnceValue(t.marshal)
	return t, nil
}

// indexBytes finds each byte's token. Without one of them some text could not be encoded.
func (t *Tokenizer) indexBytes() error {
	var seen [256]bool
	for id, token := range t.tokens {
		if len(token) == 1 && !t.literal[uint32(id)] && !isOutside(t.added, uint32(id)) {
			t.byteIDs[token[0]] = uint32(id)
			seen[token[0]] = true
		}
	}
	for b, ok := range seen {
		if !ok {
			return fmt.Errorf("the vocabulary has no token %s for the byte 0x%02x: text with it could not be encoded; "+
				"train with initial_alphabet=ByteLevel.alphabet()", quote(string(byteChars[b])), b)
		}
	}
	return nil
}

// find looks up a token by its text: an added token first.
func (t *Tokenizer) find(text string) (uint32, bool) {
	for _, a := range t.added {
		if a.content == text {
			return a.id, true
		}
	}
	if text != "" {
		for id, token := range t.tokens {
			if token == text {
				return uint32(id), true
			}
		}
	}
	return 0, false
}

// VocabSize is the highest id + 1, special tokens included.
func (t *Tokenizer) VocabSize() int { return len(t.tokens) }

// EndToken is the id of the token that ends a document: the eos_token of the tokenizer_config.json beside a loaded file,
// else <|endoftext|>, else </s>. ok is false where there is none.
func (t *Tokenizer) EndToken() (id uint32, ok bool) { return t.end, t.hasEnd }

// Bytes is the tokenizer without a vocabulary: a byte is its own id, and <|endoftext|> is 256.
func Bytes() *Tokenizer {
	tokens := make([]string, 257)
	for b := range 256 {
		tokens[b] = string([]byte{byte(b)})
	}
	tokens[256] = EndOfText
	t, err := newTokenizer(byteLevelAlone(false, false), tokens, nil, nil, []addedToken{endOfText(256)}, EndOfText)
	if err != nil {
		panic(err) // all 256 bytes are there
	}
	return t
}

// endOfText is <|endoftext|> as the trainers of Hugging Face add it.
func endOfText(id uint32) addedToken {
	return addedToken{id: id, content: EndOfText, special: true}
}

// quote shows a token in an error message: quoted, on one line, not too long.
func quote(s string) string {
	if len(s) > 60 {
		s = strings.ToValidUTF8(s[:60], "") + "…"
	}
	return fmt.Sprintf("%q", s)
}
