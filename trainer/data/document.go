package data

// Documents one after another, as a tokenizer's training wants them.

import (
	"context"
	"errors"
	"fmt"
	"iter"
	"unicode"
	"unicode/utf8"

	"frugal/trainer/internal/vfs"
)

// Document is a document's text, or a section of a long one.
type Document struct {
	File string // it comes from
	At   int64  // its line (.jsonl), row (.parquet) or place (.txt) in the file, from 1
	Text []byte // valid UTF-8, not empty; valid until the next Document
	More bool   // the document goes on in the next Document: Text ends where a token ends
}

// Documents yields the documents of the files that the globs match, in the order of the sorted file names. Documents of
// white space alone are passed over. The first error ends it; files of tokens are one. Memory does not grow with the files.
func Documents(fsys vfs.FS, globs []string, textField string) iter.Seq2[Document, error] {
	return func(yield func(Document, error) bool) {
		c, err := newCorpus(fsys, globs, Options{TextField: textField})
		if err != nil {
			yield(Document{}, err)
			return
		}
		c.textOnly = true
		err = c.chunks(context.Background(), func(k *chunk) error {
			for _, p := range k.parts {
				text, err := k.text(p)
				if err != nil {
					return err
				}
				if blank(p, text) {
					continue
				}
				if !yield(Document{File: k.source.path, At: p.at, Text: text, More: !p.last}, nil) {
					return errStop
				}
			}
			return nil
		})
		if err != nil && !errors.Is(err, errStop) {
			yield(Document{}, err)
		}
	}
}

// text returns a part's text, out of its line of JSON where it lies in one.
func (k *chunk) text(p part) ([]byte, error) {
	if k.decode == nil {
		return p.bytes, nil
	}
	text, err := k.decode(p.bytes)
	if err != nil {
		return nil, k.source.wrap(fmt.Errorf("line %d: %w", p.at, err))
	}
	return text, nil
}

// blank reports a whole document of nothing but white space.
func blank(p part, text []byte) bool {
	if !p.first || !p.last {
		return false
	}
	for len(text) > 0 {
		r, n := utf8.DecodeRune(text)
		if !unicode.IsSpace(r) {
			return false
		}
		text = text[n:]
	}
	return true
}
