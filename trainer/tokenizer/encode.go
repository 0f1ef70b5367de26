// Text to ids.

package tokenizer

// Encode returns the ids of text. Added tokens, such as <|endoftext|>, are recognised in it as Hugging Face does.
func (t *Tokenizer) Encode(text string) []uint32 {
	return t.AppendEncode(nil, []byte(text))
}

// AppendEncode appends the ids of text to dst, as Encode gives them.
func (t *Tokenizer) AppendEncode(dst []uint32, text []byte) []uint32 {
	t.eachPiece(0, text, func(piece []byte, token *addedToken) {
		if token != nil {
			dst = append(dst, token.id)
		} else {
			dst = t.appendPiece(dst, piece)
		}
	})
	return dst
}

// Err says that the pattern of a file's own gave up on a text, which then was not split by it and may have other ids than
// Hugging Face's: one match took seconds, or too deep a search. It is the first of such errors, nil if there was none. The
// well-known patterns take time in proportion to the text and never do.
func (t *Tokenizer) Err() error {
	for i := range t.steps {
		if p := t.steps[i].pattern; p != nil {
			if err := p.failed.Load(); err != nil {
				return *err
			}
		}
	}
	return nil
}

// normalize takes text through the normalizers; the result may be text itself.
func (t *Tokenizer) normalize(text []byte) []byte {
	for _, name := range t.normalizers {
		text = normalize(forms[name], text)
	}
	return text
}

// appendPiece encodes text in which no added token is looked for.
func (t *Tokenizer) appendPiece(dst []uint32, text []byte) []uint32 {
	s := &t.steps[0]
	if len(t.steps) > 1 || s.addPrefixSpace {
		return t.appendSteps(dst, text, t.steps)
	}
	if t.oneByOne() {
		for _, b := range text {
			dst = append(dst, t.byteIDs[b])
		}
		return dst
	}
	if !s.gpt2 {
		return t.appendWord(dst, text)
	}
	for i := 0; i < len(text); {
		end := wordEnd(text, i)
		dst = t.appendCached(dst, text[i:end])
		i = end
	}
	return dst
}

// oneByOne says that nothing joins bytes.
func (t *Tokenizer) oneByOne() bool { return len(t.merges) == 0 && !t.ignoreMerges }

// appendCached is appendWord with the cache before it.
func (t *Tokenizer) appendCached(dst []uint32, word []byte) []uint32 {
	if len(word) > cacheWordBytes {
		return t.appendWord(dst, word)
	}
	slot := t.cache.slot(word)
	if e := slot.Load(); e.is(word) {
		if e.count == 1 {
			return append(dst, e.ids[0])
		}
		return append(dst, e.ids[:e.count]...)
	}
	start := len(dst)
	dst = t.appendWord(dst, word)
	put(slot, word, dst[start:])
	return dst
}
