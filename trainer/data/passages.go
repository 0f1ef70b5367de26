package data

// The texts that a part of the training corpus consists of, for those who measure it.

import (
	"crypto/sha256"
	"encoding/binary"
	"errors"
	"fmt"
)

// Decoder is an Encoder that can go back: it gives the text of ids.
type Decoder interface {
	// AppendDecode appends the text that ids stand for to dst, byte for byte.
	AppendDecode(dst []byte, ids []uint32) []byte
}

func (o Options) decoder() Decoder {
	decoder, _ := o.Encoder.(Decoder)
	return decoder
}

// Passages are what a part of the training corpus consists of: documents, and sections of long ones.
type Passages struct {
	stream  *stream
	decoder Decoder
}

// Passages are those of a stage that are trained on.
func (d *Dataset) Passages(stage int) *Passages {
	return &Passages{stream: d.stages[stage].stream, decoder: d.options.decoder()}
}

// Len counts the passages.
func (p *Passages) Len() int { return len(p.stream.sections) }

// Tokens counts the ids of passage i, without an end token.
func (p *Passages) Tokens(i int) int64 {
	first, end := p.span(i)
	return end - first
}

// span is where the ids of passage i lie in the cache.
func (p *Passages) span(i int) (first, end int64) {
	section := int64(p.stream.sections[i])
	return p.stream.cache.record(section - 1).tokenEnd, p.stream.cache.record(section).tokenEnd
}

// Text is the text of the first limit ids of passage i, or of them all. The Encoder must be a Decoder.
func (p *Passages) Text(i, limit int) ([]byte, error) {
	if p.decoder == nil {
		return nil, errors.New("data: the tokenizer cannot give back the text of its ids")
	}
	first, end := p.span(i)
	wide := make([]int64, min(end-first, int64(limit)))
	p.stream.cache.copy(wide, first)
	ids := make([]uint32, len(wide))
	for i, id := range wide {
		ids[i] = uint32(id)
	}
	return p.decoder.AppendDecode(nil, ids), nil
}

// Identity is the hex SHA-256 of the ids of which passage these are, and of the tokenizer.
func (p *Passages) Identity() string {
	h := sha256.New()
	fmt.Fprintf(h, "%x %x\n", p.stream.cache.header.payload, p.stream.cache.header.identity)
	for _, section := range p.stream.sections {
		h.Write(binary.LittleEndian.AppendUint32(nil, section))
	}
	return fmt.Sprintf("%x", h.Sum(nil))
}
