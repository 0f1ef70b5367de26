package curriculum

// How difficult a text is, by two measures that need no model: how badly it compresses, and how long its sentences are.

import (
	"compress/flate"
	"io"
)

// Score is a difficulty that can be summed over texts: bits over bytes, or words over sentences.
type Score struct{ Total, Amount float64 }

// Add sums two scores.
func (s Score) Add(other Score) Score {
	return Score{s.Total + other.Total, s.Amount + other.Amount}
}

// Value is the difficulty; 0 of nothing.
func (s Score) Value() float64 {
	if s.Amount == 0 {
		return 0
	}
	return s.Total / s.Amount
}

// A compressor looks back 32 KiB: over its dictionary and the text.
const (
	contextBytes   = 4 << 10               // the dictionary's last part, which is compressed before each text
	PassageBytes   = 4 << 10               // of a text are compressed
	DictionarySize = 32<<10 - PassageBytes // bytes of a dictionary that are of use
)

// Compressor scores texts by the bits a byte that DEFLATE (RFC 1951) makes of them once it has seen a dictionary of such texts.
// It is not for several goroutines at once.
type Compressor struct {
	writer  *flate.Writer
	out     counter
	context []byte
	alone   int // bytes that the context takes
}

// NewCompressor takes a dictionary of up to DictionarySize bytes, sampled from all the texts that are to be compared, and not
// from those that are measured with it.
func NewCompressor(dictionary []byte) *Compressor {
	dictionary = dictionary[max(0, len(dictionary)-DictionarySize):]
	seen := max(0, len(dictionary)-contextBytes)
	c := &Compressor{context: dictionary[seen:]}
	c.writer, _ = flate.NewWriterDict(&c.out, flate.BestCompression, dictionary[:seen]) // fails for a wrong level only
	c.alone = c.size(nil)
	return c
}

// Score is the bits and bytes of a text's first PassageBytes: what it adds to the size of a context compressed before it, in
// the same block, so that a short text does not pay for a code table of its own.
func (c *Compressor) Score(text []byte) Score {
	text = text[:min(len(text), PassageBytes)]
	return Score{8 * float64(c.size(text)-c.alone), float64(len(text))}
}

// size is how many bytes the context and a text behind it take.
func (c *Compressor) size(text []byte) int {
	c.out = 0
	c.writer.Reset(&c.out) // with the dictionary
	c.writer.Write(c.context)
	c.writer.Write(text)
	c.writer.Close()
	return int(c.out)
}

// counter counts what is written to it.
type counter int

var _ io.Writer = (*counter)(nil)

func (c *counter) Write(b []byte) (int, error) {
	*c += counter(len(b))
	return len(b), nil
}
