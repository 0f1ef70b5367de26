package data

// Files that hold tokens already: nanoGPT's .bin, bare little-endian uint16, and llm.c's, the same or uint32 after a header
// of 256 int32. Documents are what stands between end tokens.

import (
	"bufio"
	"encoding/binary"
	"errors"
	"fmt"
	"io"

	"frugal/trainer/internal/vfs"
)

// The first int32 of llm.c's files. As bare uint16 tokens both would begin with an id above GPT-2's largest.
const (
	magicGPT2       = 20240520 // uint16
	magicLlama3     = 20240801 // uint32
	magicEvaluation = 20240522 // multiple-choice questions
	llmcHeaderBytes = 256 * 4
)

// tokenFormat is where a token file's ids begin and how wide they are.
type tokenFormat struct {
	start, width int64
}

// readTokenHeader tells the formats apart and checks that the file has the size that its header says.
func readTokenHeader(f io.ReaderAt, size int64) (tokenFormat, error) {
	var header [12]byte
	n, err := f.ReadAt(header[:], 0)
	if err != nil && !errors.Is(err, io.EOF) {
		return tokenFormat{}, err
	}
	magic, version, count := headerInt(header, 0), headerInt(header, 1), headerInt(header, 2)
	var format tokenFormat
	var wantVersion int64
	switch {
	case n >= 4 && magic == magicGPT2:
		format, wantVersion = tokenFormat{llmcHeaderBytes, 2}, 1
	case n >= 4 && magic == magicLlama3:
		format, wantVersion = tokenFormat{llmcHeaderBytes, 4}, 7
	case n >= 4 && magic == magicEvaluation:
		return tokenFormat{}, errors.New("an evaluation file of llm.c (multiple choice), not training tokens")
	case size%2 != 0:
		return tokenFormat{}, fmt.Errorf("%d bytes are no whole number of uint16 tokens", size)
	default:
		return tokenFormat{0, 2}, nil
	}
	if size < llmcHeaderBytes {
		return tokenFormat{}, fmt.Errorf("damaged: %d bytes, llm.c's header alone has %d", size, llmcHeaderBytes)
	}
	if version != wantVersion {
		return tokenFormat{}, fmt.Errorf("llm.c header: version %d, want %d", version, wantVersion)
	}
	if want := format.start + count*format.width; size != want {
		return tokenFormat{}, fmt.Errorf("damaged: the llm.c header says %d tokens (%d bytes), the file has %d bytes", count, want, size)
	}
	return format, nil
}

func headerInt(header [12]byte, i int) int64 {
	return int64(int32(binary.LittleEndian.Uint32(header[4*i:])))
}

// readTokens cuts a token file into documents and long documents into sections.
func (c *corpus) readTokens(s *source, f vfs.File, b *batcher) error {
	if c.textOnly {
		return errors.New("holds tokens, not text: a tokenizer cannot be trained on it")
	}
	format, err := readTokenHeader(f, s.size)
	if err != nil {
		return err
	}
	ids := bufio.NewReaderSize(io.NewSectionReader(f, format.start, s.size-format.start), 4*chunkBytes)
	b.idWidth = format.width
	at, first := format.start, true
	for {
		look := 2*sectionTokens + 1
		if first {
			look = wholeTokens
		}
		ahead, err := ids.Peek(look * int(format.width))
		if err != nil && !errors.Is(err, io.EOF) {
			return err
		}
		atEnd := errors.Is(err, io.EOF)
		document := decodeIDs(ahead, format.width, c.endToken)
		passed := int64(len(document)) * format.width
		ended := passed < int64(len(ahead)) || atEnd
		n := len(document)
		if !ended {
			n = sectionTokens
		}
		if n > 0 {
			if err := b.addTokens(document[:n], part{at: at, first: first, last: ended}, at); err != nil {
				return err
			}
		}
		skip := int64(n) * format.width
		if first = ended; ended && skip < int64(len(ahead)) {
			skip += format.width // the end token
		}
		if _, err := ids.Discard(int(skip)); err != nil {
			return err
		}
		if at += skip; at >= s.size {
			return nil
		}
	}
}

// decodeIDs returns the ids before the first end token.
func decodeIDs(b []byte, width int64, end uint32) []uint32 {
	ids := make([]uint32, 0, int64(len(b))/width)
	for ; int64(len(b)) >= width; b = b[width:] {
		id := uint32(binary.LittleEndian.Uint16(b))
		if width == 4 {
			id = binary.LittleEndian.Uint32(b)
		}
		if id == end {
			break
		}
		ids = append(ids, id)
	}
	return ids
}
