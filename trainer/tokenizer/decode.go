// Ids to text, all at once or one by one.

package tokenizer

import "unicode/utf8"

// Decode returns the text of ids, special tokens included. Ids that no token has are left out, as Hugging Face does. The
// result is not valid UTF-8 where the tokens' bytes are not.
func (t *Tokenizer) Decode(ids []uint32) string {
	return string(t.AppendDecode(nil, ids))
}

// AppendDecode appends what Decode returns to dst.
func (t *Tokenizer) AppendDecode(dst []byte, ids []uint32) []byte {
	for _, id := range ids {
		dst = append(dst, t.token(id)...)
	}
	return dst
}

func (t *Tokenizer) token(id uint32) string {
	if int64(id) >= int64(len(t.tokens)) {
		return ""
	}
	return t.tokens[id]
}

// StreamDecoder decodes ids as they come, for showing text while it is generated: a character whose bytes are spread over
// several tokens appears with the last of them.
type StreamDecoder struct {
	t       *Tokenizer
	pending []byte
}

// Stream begins a text.
func (t *Tokenizer) Stream() *StreamDecoder { return &StreamDecoder{t: t} }

// Next returns the text that id completes; it may be "". Joined, what Next and Flush return is what Decode does.
func (d *StreamDecoder) Next(id uint32) string {
	d.pending = append(d.pending, d.t.token(id)...)
	whole := len(d.pending)
	for back := 1; back < utf8.UTFMax && back <= whole; back++ {
		if tail := d.pending[whole-back:]; utf8.RuneStart(tail[0]) {
			if !utf8.FullRune(tail) {
				whole -= back
			}
			break
		}
	}
	text := string(d.pending[:whole])
	d.pending = append(d.pending[:0], d.pending[whole:]...)
	return text
}

// Flush ends the text: it returns the bytes of a character that was never completed.
func (d *StreamDecoder) Flush() string {
	text := string(d.pending)
	d.pending = d.pending[:0]
	return text
}
