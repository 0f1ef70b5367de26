package data

// The token cache's file format, version 1: header, ids, index, sources. docs/format.md gives it to the byte.

import (
	"crypto/sha256"
	"encoding/binary"
	"errors"
	"fmt"
	"hash"
	"io"
	"slices"
	"sync"
)

const (
	cacheMagic   = "frgltokn"
	cacheVersion = 1
	headerBytes  = 256
	recordBytes  = 32
	blockBytes   = 1 << 20 // of a blockDigest
)

// header is the first 256 bytes of a token cache; integers are little-endian.
type header struct {
	width     int64 // bytes of an id: 2 or 4
	sections  int64
	documents int64
	tokens    int64 // without end tokens
	bytes     int64 // of text
	skipped   int64 // documents of white space alone
	largest   int64 // id
	index     int64 // position of the index
	sources   int64 // position of the sources
	size      int64 // of the file
	identity  [32]byte
	payload   [32]byte // of ids and index
	origin    [32]byte // of the sources: kept apart, since times change where contents do not
}

func (h *header) numbers() []*int64 {
	return []*int64{&h.width, &h.sections, &h.documents, &h.tokens, &h.bytes, &h.skipped, &h.largest, &h.index, &h.sources, &h.size}
}

// marshal lays the header out: magic, version, a reserved word, ten numbers, three digests, zeros, and the SHA-256 of it all.
func (h *header) marshal() []byte {
	b := make([]byte, 0, headerBytes)
	b = append(b, cacheMagic...)
	b = binary.LittleEndian.AppendUint32(b, cacheVersion)
	b = binary.LittleEndian.AppendUint32(b, 0)
	for _, n := range h.numbers() {
		b = binary.LittleEndian.AppendUint64(b, uint64(*n))
	}
	b = append(b, h.identity[:]...)
	b = append(b, h.payload[:]...)
	b = append(b, h.origin[:]...)
	b = append(b, make([]byte, headerBytes-sha256.Size-len(b))...)
	sum := sha256.Sum256(b)
	return append(b, sum[:]...)
}

// parseHeader checks a header by itself and against the size of its file.
func parseHeader(b []byte, fileSize int64) (*header, error) {
	if len(b) < headerBytes {
		return nil, fmt.Errorf("%d bytes, the header alone has %d", len(b), headerBytes)
	}
	b = b[:headerBytes]
	if string(b[:8]) != cacheMagic {
		return nil, errors.New("it is not a token cache")
	}
	if v := binary.LittleEndian.Uint32(b[8:]); v != cacheVersion {
		return nil, fmt.Errorf("it has version %d, this program writes %d", v, cacheVersion)
	}
	if sha256.Sum256(b[:headerBytes-sha256.Size]) != [32]byte(b[headerBytes-sha256.Size:]) {
		return nil, errors.New("the header's SHA-256 does not match")
	}
	h := &header{}
	for i, n := range h.numbers() {
		*n = int64(binary.LittleEndian.Uint64(b[16+8*i:]))
	}
	h.identity = [32]byte(b[96:])
	h.payload = [32]byte(b[128:])
	h.origin = [32]byte(b[160:])
	if h.size != fileSize {
		return nil, fmt.Errorf("it has %d bytes, its header says %d", fileSize, h.size)
	}
	return h, h.check()
}

// check finds whether the parts lie in the file one after another, so that nothing later reads past an end.
func (h *header) check() error {
	const limit = 1 << 48 // no overflow below
	for _, n := range h.numbers() {
		if *n < 0 || *n > limit {
			return errors.New("its header holds an impossible number")
		}
	}
	switch {
	case h.width != 2 && h.width != 4,
		h.index != alignUp(headerBytes+h.tokens*h.width),
		h.sources != h.index+h.sections*recordBytes,
		h.sources > h.size,
		h.documents > h.sections:
		return errors.New("its header's numbers do not agree")
	}
	return nil
}

// alignUp rounds up to the index's alignment.
func alignUp(n int64) int64 { return (n + 7) &^ 7 }

// record is a section in the index: where its ids and its text end, counted from the first section's start, which document
// it is of, and the first 8 bytes of its text's SHA-256, which divide sections between training and evaluation.
type record struct {
	tokenEnd, byteEnd, document int64
	hash                        uint64
}

func (r record) append(b []byte) []byte {
	for _, n := range []uint64{uint64(r.tokenEnd), uint64(r.byteEnd), uint64(r.document), r.hash} {
		b = binary.LittleEndian.AppendUint64(b, n)
	}
	return b
}

func parseRecord(b []byte) record {
	return record{
		tokenEnd: int64(binary.LittleEndian.Uint64(b)),
		byteEnd:  int64(binary.LittleEndian.Uint64(b[8:])),
		document: int64(binary.LittleEndian.Uint64(b[16:])),
		hash:     binary.LittleEndian.Uint64(b[24:]),
	}
}

// blockDigest computes the SHA-256 of the SHA-256 digests of 1 MiB blocks, which several goroutines can check at once: a
// payload's, and a large source's.
type blockDigest struct {
	digests []byte
	block   hash.Hash
	filled  int
}

func newBlockDigest() *blockDigest { return &blockDigest{block: sha256.New()} }

func (d *blockDigest) Write(b []byte) (int, error) {
	written := len(b)
	for len(b) > 0 {
		n := min(len(b), blockBytes-d.filled)
		d.block.Write(b[:n])
		b = b[n:]
		if d.filled += n; d.filled == blockBytes {
			d.close()
		}
	}
	return written, nil
}

func (d *blockDigest) close() {
	d.digests = d.block.Sum(d.digests)
	d.block.Reset()
	d.filled = 0
}

// sum is the digest of what was written so far; more may follow.
func (d *blockDigest) sum() [32]byte {
	digests := d.digests
	if d.filled > 0 {
		digests = d.block.Sum(slices.Clip(digests))
	}
	return sha256.Sum256(digests)
}

// digestFile is blockDigest over a file's bytes from start to end, by several goroutines.
func digestFile(f io.ReaderAt, start, end int64, workers int) ([32]byte, error) {
	blocks := (end - start + blockBytes - 1) / blockBytes
	digests := make([]byte, blocks*sha256.Size)
	errs := make([]error, workers)
	var group sync.WaitGroup
	for w := range workers {
		group.Go(func() {
			buffer := make([]byte, blockBytes)
			for i := int64(w); i < blocks && errs[w] == nil; i += int64(workers) {
				from := start + i*blockBytes
				block := buffer[:min(blockBytes, end-from)]
				if n, err := f.ReadAt(block, from); n < len(block) {
					errs[w] = err
				}
				sum := sha256.Sum256(block)
				copy(digests[i*sha256.Size:], sum[:])
			}
		})
	}
	group.Wait()
	return sha256.Sum256(digests), errors.Join(errs...)
}
