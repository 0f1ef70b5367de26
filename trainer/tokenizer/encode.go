// Text to ids.

package tokenizer

// Encode returns the ids of text. Added tokens, such as <|endoftext|>, are recognised in it as Hugging Face does.
func (t *Tokenizer) Encode(text string) []uint32 {
	return t.AppendEncode(nil, []byte(text))
}

// AppendEncode appends the ids of text to dst, as Encode gives them.
func (t *Tokenizer) AppendEncode(dst []uint32, text []byte) []uint32 {
	t.eachPiece(t.matchers, text, func(piece []byte, token *addedToken) {
		if token != nil {
			dst = append(dst, token.id)
		} else {
			dst = t.appendPiece(dst, piece)
		}
	})
	return dst
}

// appendPiece encodes text in which no added token is looked for.
func (t *Tokenizer) appendPiece(dst []uint32, text []byte) []uint32 {
	if t.addPrefixSpace && text[0] != ' ' {
		text = append([]byte{' '}, text...)
	}
	if len(t.merges) == 0 && !t.ignoreMerges {
		for _, b := range text {
			dst = append(dst, t.byteIDs[b])
		}
		return dst
	}
	if !t.useRegex {
		return t.appendWord(dst, text)
	}
	for i := 0; i < len(text); {
		end := wordEnd(text, i)
		dst = t.appendCached(dst, text[i:end])
		i = end
	}
	return dst
}

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
