package data

// Encoding: chunks become ids in several goroutines, and come out in the order in which they were read.

import (
	"context"
	"crypto/sha256"
	"encoding/binary"
	"errors"
	"fmt"
	"slices"
	"sync"
)

// encoded is a chunk's ids, in the cache's width, and its sections.
type encoded struct {
	ids      []byte
	sections []encodedSection
	skipped  int64
	largest  uint32
}

type encodedSection struct {
	tokens, bytes int64
	hash          uint64
	first         bool // of its document
}

// job is a chunk on its way through a worker.
type job struct {
	chunk *chunk
	out   *encoded
	err   error
	done  chan struct{}
}

// encodeAll hands the corpus's chunks to take with what they are encoded to, in order whatever the number of workers. The
// error is that of the earliest place in the corpus that has one.
func encodeAll(ctx context.Context, c *corpus, o Options, take func(*chunk, *encoded) error) error {
	ctx, cancel := context.WithCancel(ctx)
	var group sync.WaitGroup
	defer group.Wait()
	defer cancel()
	waiting := make(chan *job)            // for a worker
	ordered := make(chan *job, o.Workers) // for take
	var readError error                   // of the reader, read after ordered is closed
	group.Go(func() {
		defer close(ordered)
		defer close(waiting)
		readError = c.chunks(ctx, func(k *chunk) error { return submit(ctx, k, ordered, waiting) })
	})
	for range o.Workers {
		group.Go(func() {
			e := encoder{options: o, sizes: tokenSizes(o)}
			for j := range waiting {
				j.out, j.err = e.encode(j.chunk)
				close(j.done)
			}
		})
	}
	for j := range ordered {
		select {
		case <-j.done:
		case <-ctx.Done():
			return ctx.Err()
		}
		if j.err != nil {
			return j.err
		}
		if err := take(j.chunk, j.out); err != nil {
			return err
		}
	}
	return readError
}

// submit queues a chunk, in its place in the order and for the next free worker.
func submit(ctx context.Context, k *chunk, ordered, waiting chan<- *job) error {
	j := &job{chunk: k, done: make(chan struct{})}
	select {
	case ordered <- j:
	case <-ctx.Done():
		return ctx.Err()
	}
	select {
	case waiting <- j:
	case <-ctx.Done():
		return ctx.Err()
	}
	return nil
}

// encoder is what a worker keeps between chunks.
type encoder struct {
	options Options
	sizes   []int32
	scratch []uint32
	bytes   []byte
}

func (e *encoder) encode(k *chunk) (*encoded, error) {
	out := &encoded{sections: make([]encodedSection, 0, len(k.parts))}
	for _, p := range k.parts {
		if p.ids != nil {
			if err := e.addTokens(out, k, p); err != nil {
				return nil, err
			}
			continue
		}
		text, err := k.text(p)
		if err != nil {
			return nil, err
		}
		if blank(p, text) {
			out.skipped++
			continue
		}
		e.scratch = e.options.Encoder.AppendEncode(e.scratch[:0], text)
		if failing, ok := e.options.Encoder.(Fallible); ok && failing.Err() != nil {
			return nil, k.source.wrap(failing.Err())
		}
		sum := sha256.Sum256(text)
		s := encodedSection{bytes: int64(len(text)), hash: binary.BigEndian.Uint64(sum[:]), first: p.first}
		if bad := e.add(out, s, e.scratch); bad >= 0 {
			return nil, k.source.wrap(fmt.Errorf("the tokenizer gives token %d, vocab_size is %d", e.scratch[bad], e.options.VocabSize))
		}
	}
	return out, nil
}

// addTokens takes a part of a token file: its hash is that of its ids as little-endian uint32.
func (e *encoder) addTokens(out *encoded, k *chunk, p part) error {
	e.bytes = e.bytes[:0]
	s := encodedSection{first: p.first}
	for _, id := range p.ids {
		e.bytes = binary.LittleEndian.AppendUint32(e.bytes, id)
		if int64(id) < int64(len(e.sizes)) {
			s.bytes += int64(e.sizes[id])
		}
	}
	sum := sha256.Sum256(e.bytes)
	s.hash = binary.BigEndian.Uint64(sum[:])
	if bad := e.add(out, s, p.ids); bad >= 0 {
		at := p.at + int64(bad)*k.idWidth
		return k.source.wrap(fmt.Errorf("byte %d: token %d, vocab_size is %d", at, p.ids[bad], e.options.VocabSize))
	}
	return nil
}

// add appends a section, and returns the position of an id outside the vocabulary, -1 if there is none.
func (e *encoder) add(out *encoded, s encodedSection, ids []uint32) int {
	width, limit, largest := idWidth(e.options), int64(e.options.VocabSize), out.largest
	bytes := slices.Grow(out.ids, len(ids)*int(width))
	for i, id := range ids {
		if int64(id) >= limit {
			return i
		}
		largest = max(largest, id)
		bytes = appendID(bytes, id, width)
	}
	out.ids, out.largest = bytes, largest
	s.tokens = int64(len(ids))
	out.sections = append(out.sections, s)
	return -1
}

// stopped reports an error that only says that reading was ended.
func stopped(err error) bool {
	return errors.Is(err, errStop) || errors.Is(err, context.Canceled) || errors.Is(err, context.DeadlineExceeded)
}
