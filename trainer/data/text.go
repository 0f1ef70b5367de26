package data

// Plain text: a .txt file is one document, or several with <|endoftext|> between them. Long ones are read in sections.

import (
	"bytes"
	"errors"
	"fmt"
	"io"
	"unicode/utf8"

	"frugal/trainer/internal/vfs"
)

// separator divides a .txt file into documents.
var separator = []byte("<|endoftext|>")

// readText cuts a file into documents and long documents into sections.
func (c *corpus) readText(s *source, f vfs.File, b *batcher) error {
	w := &textWindow{r: f}
	if err := w.skipBOM(); err != nil {
		return err
	}
	p := part{at: 1, first: true}
	for {
		text, n, skip, err := c.nextSection(w, p.first)
		if err != nil {
			return err
		}
		p.last = n == len(text) && skip >= 0
		if err := b.addText(text[:n], p, w.offset+int64(n)); err != nil {
			return err
		}
		w.advance(n)
		p.first = false
		if p.last {
			if skip == 0 { // the end of the file, not a separator
				return nil
			}
			w.advance(skip)
			p = part{at: p.at + 1, first: true}
			if text, end, err := w.peek(1); err != nil || len(text) == 0 && end == 0 { // nothing after the last separator
				return err
			}
		}
	}
}

// nextSection returns text that the window begins with, the length of the section in it, and what follows text: -1 more
// of the document, 0 the end of the file, else the length of a separator.
func (c *corpus) nextSection(w *textWindow, first bool) (text []byte, n, skip int, err error) {
	look := sectionLook
	if first {
		look = wholeBytes
	}
	for ; look <= maxPart; look *= 2 {
		text, skip, err = w.peek(look)
		if err != nil {
			return nil, 0, 0, err
		}
		if first && skip >= 0 && len(text) <= wholeBytes {
			return text, len(text), skip, nil
		}
		if n = cutSection(text, skip >= 0, c.split); n > 0 || skip >= 0 {
			return text, n, skip, nil
		}
	}
	return nil, 0, 0, fmt.Errorf("byte %d: no place to divide the text in the %d MiB from here: is it text?", w.offset, maxPart>>20)
}

// textWindow reads UTF-8 ahead.
type textWindow struct {
	r       io.Reader
	space   []byte // what buffer lies in
	buffer  []byte // read and not yet passed
	checked int    // bytes at the start of buffer that are known to be UTF-8
	offset  int64  // of buffer in the file
	eof     bool
}

// peek returns up to n bytes of the current document without passing them, and what follows: -1 more of it, 0 the end of
// the file, else the length of a separator. The text stays valid until the next peek.
func (w *textWindow) peek(n int) (text []byte, skip int, err error) {
	if err := w.fill(n + len(separator)); err != nil {
		return nil, 0, err
	}
	ahead := w.buffer[:min(n+len(separator), len(w.buffer))]
	if i := bytes.Index(ahead, separator); i >= 0 {
		return ahead[:i], len(separator), nil
	}
	if w.eof && len(w.buffer) <= n {
		return ahead, 0, nil
	}
	return ahead[:runeStart(ahead, n)], -1, nil
}

func (w *textWindow) advance(n int) {
	w.buffer = w.buffer[n:]
	w.checked -= n
	w.offset += int64(n)
}

// fill reads until n bytes lie in the window or the file ends, and checks that they are UTF-8.
func (w *textWindow) fill(n int) error {
	if len(w.buffer) >= n || w.eof {
		return nil
	}
	if cap(w.space) < 2*n {
		w.space = make([]byte, max(2*n, 2*chunkBytes))
	}
	w.buffer = w.space[:copy(w.space, w.buffer)]
	for len(w.buffer) < cap(w.buffer) && !w.eof {
		k, err := w.r.Read(w.buffer[len(w.buffer):cap(w.buffer)])
		w.buffer = w.buffer[:len(w.buffer)+k]
		if errors.Is(err, io.EOF) {
			w.eof = true
		} else if err != nil {
			return err
		}
	}
	return w.check()
}

// check goes over the bytes not yet checked. Those of a last, incomplete rune wait for the next fill.
func (w *textWindow) check() error {
	rest := w.buffer[w.checked:]
	if !w.eof {
		rest = rest[:completeRunes(rest)]
	}
	if i := invalidUTF8(rest); i >= 0 {
		at := w.offset + int64(w.checked+i)
		return fmt.Errorf("byte %d: not UTF-8%s", at, notUTF8Hint(w.buffer, at))
	}
	w.checked += len(rest)
	return nil
}

func (w *textWindow) skipBOM() error {
	if err := w.fill(len(byteOrderMark)); err != nil {
		return err
	}
	if bytes.HasPrefix(w.buffer, byteOrderMark) {
		w.advance(len(byteOrderMark))
	}
	return nil
}

var byteOrderMark = []byte("\ufeff")

// completeRunes returns the length of b without an incomplete rune at its end.
func completeRunes(b []byte) int {
	for n := 1; n <= min(utf8.UTFMax-1, len(b)); n++ {
		if tail := b[len(b)-n:]; utf8.RuneStart(tail[0]) {
			if !utf8.FullRune(tail) {
				return len(b) - n
			}
			break
		}
	}
	return len(b)
}

// invalidUTF8 returns the position of the first byte that is not UTF-8, -1 if there is none.
func invalidUTF8(b []byte) int {
	if utf8.Valid(b) {
		return -1
	}
	for i := 0; i < len(b); {
		r, n := utf8.DecodeRune(b[i:])
		if r == utf8.RuneError && n == 1 {
			return i
		}
		i += n
	}
	return -1
}

// notUTF8Hint says what a file may be that is not UTF-8 from its start on.
func notUTF8Hint(start []byte, at int64) string {
	if at > 8 {
		return ""
	}
	for _, known := range []struct{ magic, hint string }{
		{"\x1f\x8b", "gzip: unpack it first"},
		{"\x28\xb5\x2f\xfd", "zstd: unpack it first"},
		{"\xff\xfe", "UTF-16: save it as UTF-8"},
		{"\xfe\xff", "UTF-16: save it as UTF-8"},
		{"PK\x03\x04", "a zip archive: unpack it first"},
		{"%PDF", "a PDF: extract its text first"},
	} {
		if bytes.HasPrefix(start, []byte(known.magic)) {
			return " (it looks like " + known.hint + ")"
		}
	}
	return ""
}
