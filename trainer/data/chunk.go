package data

// Chunks: the unit of work between the goroutine that reads and those that encode.

import "errors"

// chunkBytes is how much a chunk holds before it is handed on; a longer part makes a longer chunk.
const chunkBytes = 256 << 10

// maxPart is the longest line, and the longest run of text without a place to cut, that is read.
const maxPart = 64 << 20

// errStop ends reading early, without an error of its own.
var errStop = errors.New("stop")

// part is a document or a section of one.
type part struct {
	bytes []byte   // text, or a line of JSON that holds it
	ids   []uint32 // of a token file
	at    int64    // line, row or piece of the source, from 1; a token file's byte
	first bool     // of its document
	last  bool
}

// chunk is a run of parts of one source.
type chunk struct {
	source  *source
	decode  func(line []byte) ([]byte, error) // text of a line of JSON; nil where bytes are text already
	idWidth int64                             // bytes of an id in a token file
	parts   []part
	end     int64 // position in the source after it, for the progress
}

// batcher collects parts into chunks. What it is given is copied.
type batcher struct {
	source  *source
	decode  func([]byte) ([]byte, error)
	idWidth int64
	emit    func(*chunk) error
	parts   []part
	arena   []byte
	ids     []uint32
	end     int64
}

// addText takes a part whose last byte lies before position end of the source.
func (b *batcher) addText(text []byte, p part, end int64) error {
	if len(b.arena)+len(text) > cap(b.arena) {
		if err := b.flush(b.end); err != nil {
			return err
		}
		b.arena = make([]byte, 0, max(chunkBytes, len(text)))
	}
	from := len(b.arena)
	b.arena = append(b.arena, text...)
	p.bytes = b.arena[from:len(b.arena):len(b.arena)]
	return b.add(p, end)
}

// addTokens is addText for ids.
func (b *batcher) addTokens(ids []uint32, p part, end int64) error {
	if len(b.ids)+len(ids) > cap(b.ids) {
		if err := b.flush(b.end); err != nil {
			return err
		}
		b.ids = make([]uint32, 0, max(chunkBytes/4, len(ids)))
	}
	from := len(b.ids)
	b.ids = append(b.ids, ids...)
	p.ids = b.ids[from:len(b.ids):len(b.ids)]
	return b.add(p, end)
}

func (b *batcher) add(p part, end int64) error {
	b.parts = append(b.parts, p)
	b.end = end
	if len(b.parts) >= chunkBytes/16 { // many tiny documents
		return b.flush(end)
	}
	return nil
}

// flush hands on what was collected, up to position end of the source.
func (b *batcher) flush(end int64) error {
	c := &chunk{source: b.source, decode: b.decode, idWidth: b.idWidth, parts: b.parts, end: end}
	b.parts, b.arena, b.ids = nil, nil, nil
	if len(c.parts) == 0 {
		return nil
	}
	return b.emit(c)
}
