// Package cache is the file that keeps what a teacher says of every training row: at each position that has a target its k
// largest log-probabilities and the mass of the rest, so that a student learns from a teacher that is not in memory.
// docs/format.md gives the file to the byte.
package cache

import (
	"crypto/sha256"
	"encoding/binary"
	"encoding/hex"
	"errors"
	"fmt"
	"hash/crc32"
	"math"
	"slices"
	"strings"
)

const (
	magic       = "frgldist"
	version     = 1
	headerBytes = 256
	digestAt    = headerBytes - sha256.Size
	stateBytes  = 8       // of a block's entry
	blockBytes  = 4 << 20 // that a block has, about
)

// Digest is a SHA-256.
type Digest [sha256.Size]byte

// ParseDigest reads a fingerprint in hexadecimal.
func ParseDigest(text string) (d Digest, err error) {
	b, err := hex.DecodeString(text)
	if err != nil || len(b) != len(d) {
		return d, fmt.Errorf("%q is not a SHA-256", text)
	}
	return Digest(b), nil
}

func (d Digest) String() string { return hex.EncodeToString(d[:]) }

// Contents say what a cache holds. It fits a run where all but Precision and Parameters, which are told to people, agree.
type Contents struct {
	VocabSize   int     // V
	TopK        int     // k, at most V
	Temperature float64 // that the logits were divided by
	Precision   string  // of the teacher's arithmetic: fp32, bf16, fp16
	Parameters  int64   // of the teacher
	Teacher     Digest  // fingerprints
	Rows        Digest
	Tokenizer   Digest
}

// Name is the file's name, by everything but the teacher: where the teacher is gone its cache is still found.
func (c Contents) Name() string {
	h := sha256.Sum256(fmt.Appendf(nil, "%d %d %x %x %x", c.VocabSize, c.TopK, math.Float64bits(c.Temperature), c.Rows, c.Tokenizer))
	return fmt.Sprintf("teacher-top%d-%x.cache", c.TopK, h[:8])
}

// Size is the file's bytes for rows of these numbers of positions.
func (c Contents) Size(positions []int) int64 { return newLayout(c, positions).size }

// idBytes is the size of an id.
func (c Contents) idBytes() int64 {
	if c.VocabSize <= 1<<16 {
		return 2
	}
	return 4
}

// positionBytes is the size of a position: k ids, k codes, the rest.
func (c Contents) positionBytes() int64 { return int64(c.TopK)*(c.idBytes()+2) + 4 }

// layout is where everything lies.
type layout struct {
	Contents
	starts       []int64 // [rows+1]: each row's first position, and the end
	rowsPerBlock int64
	states       int64 // place of the blocks' states
	data         int64 // place of the first block
	size         int64
}

func newLayout(c Contents, positions []int) *layout {
	l := &layout{Contents: c, starts: make([]int64, len(positions)+1)}
	longest := 1
	for i, n := range positions {
		l.starts[i+1] = l.starts[i] + int64(n)
		longest = max(longest, n)
	}
	l.rowsPerBlock = max(1, blockBytes/(c.positionBytes()*int64(longest)))
	l.place()
	return l
}

func (l *layout) rows() int64   { return int64(len(l.starts) - 1) }
func (l *layout) blocks() int64 { return (l.rows() + l.rowsPerBlock - 1) / l.rowsPerBlock }

func (l *layout) place() {
	l.states = headerBytes + 8*int64(len(l.starts))
	l.data = l.states + stateBytes*l.blocks()
	l.size = l.data + l.starts[l.rows()]*l.positionBytes()
}

// blockRows are the rows of a block, blockAt its bytes' place.
func (l *layout) blockRows(block int64) (first, end int64) {
	return block * l.rowsPerBlock, min((block+1)*l.rowsPerBlock, l.rows())
}

func (l *layout) blockAt(block int64) (from, to int64) {
	first, end := l.blockRows(block)
	return l.data + l.starts[first]*l.positionBytes(), l.data + l.starts[end]*l.positionBytes()
}

// head is the header and the row table.
func (l *layout) head() []byte {
	b := make([]byte, 0, l.states)
	b = append(b, magic...)
	b = binary.LittleEndian.AppendUint32(b, version)
	b = binary.LittleEndian.AppendUint32(b, uint32(l.idBytes()))
	for _, n := range []uint64{uint64(l.VocabSize), uint64(l.TopK), math.Float64bits(l.Temperature), uint64(l.Parameters),
		uint64(l.rows()), uint64(l.rowsPerBlock)} {
		b = binary.LittleEndian.AppendUint64(b, n)
	}
	b = append(b, l.Precision...)
	b = append(b, make([]byte, 72-len(b))...)
	for _, d := range []Digest{l.Teacher, l.Rows, l.Tokenizer} {
		b = append(b, d[:]...)
	}
	b = append(b, make([]byte, headerBytes-len(b))...)
	for _, start := range l.starts {
		b = binary.LittleEndian.AppendUint64(b, uint64(start))
	}
	sum := headDigest(b)
	copy(b[digestAt:], sum[:])
	return b
}

// headDigest is of the header without its digest, and of the row table.
func headDigest(head []byte) (d Digest) {
	h := sha256.New()
	h.Write(head[:digestAt])
	h.Write(head[headerBytes:])
	return Digest(h.Sum(nil))
}

// parseHead reads header and row table and checks them against the size of the file.
func parseHead(b []byte) (*layout, error) {
	word := func(at int) uint64 { return binary.LittleEndian.Uint64(b[at:]) }
	switch {
	case len(b) < headerBytes:
		return nil, fmt.Errorf("%d bytes, the header alone has %d", len(b), headerBytes)
	case string(b[:8]) != magic:
		return nil, errors.New("it is not a teacher's cache")
	}
	if v := binary.LittleEndian.Uint32(b[8:]); v != version {
		return nil, fmt.Errorf("it has version %d, this program writes %d", v, version)
	}
	const most = 1 << 40 // no overflow below
	vocabulary, topK, parameters, rows, perBlock := word(16), word(24), word(40), word(48), word(56)
	if rows > uint64(len(b)-headerBytes)/8 || rows < 1 || perBlock < 1 || perBlock > most || vocabulary > 1<<31 || topK < 1 || topK > vocabulary ||
		parameters > math.MaxInt64 {
		return nil, errors.New("its header holds an impossible number")
	}
	head := headerBytes + 8*(int(rows)+1)
	if len(b) < head || headDigest(b[:head]) != Digest(b[digestAt:headerBytes]) {
		return nil, errors.New("the header's SHA-256 does not match")
	}
	l := &layout{rowsPerBlock: int64(perBlock), starts: make([]int64, rows+1), Contents: Contents{
		VocabSize: int(vocabulary), TopK: int(topK), Temperature: math.Float64frombits(word(32)), Parameters: int64(parameters),
		Precision: strings.TrimRight(string(b[64:72]), "\x00"),
		Teacher:   Digest(b[72:]), Rows: Digest(b[104:]), Tokenizer: Digest(b[136:]),
	}}
	for i := range l.starts {
		start := word(headerBytes + 8*i)
		if start > most || i == 0 && start != 0 || i > 0 && int64(start) < l.starts[i-1] {
			return nil, errors.New("its rows do not follow one another")
		}
		l.starts[i] = int64(start)
	}
	if l.starts[rows] > most/l.positionBytes() {
		return nil, errors.New("its header holds an impossible number")
	}
	l.place()
	if binary.LittleEndian.Uint32(b[12:]) != uint32(l.idBytes()) || int64(len(b)) != l.size {
		return nil, fmt.Errorf("it has %d bytes, its header says %d", len(b), l.size)
	}
	return l, nil
}

var castagnoli = crc32.MakeTable(crc32.Castagnoli)

// blockSum is of a block's number and bytes, so that no block passes for another.
func blockSum(block int64, b []byte) uint32 {
	return crc32.Update(crc32.Checksum(binary.LittleEndian.AppendUint64(nil, uint64(block)), castagnoli), castagnoli, b)
}

// state is a block's entry: 1 where it has been written, and its sum.
func state(block int64, b []byte) []byte {
	return binary.LittleEndian.AppendUint32(binary.LittleEndian.AppendUint32(nil, 1), blockSum(block, b))
}

// A log-probability is kept as a whole number of steps below 0: at most half a step off, 1/4096, wherever it lies, where a
// float16 is off by up to 1/256 below -8. What is below -32 is kept as that.
const stepsPerNat = 2048

func encodeLog(logProb float32) uint16 {
	steps := math.Round(float64(-logProb) * stepsPerNat)
	return uint16(max(0, min(steps, math.MaxUint16)))
}

func decodeLog(code uint16) float32 { return -float32(code) / stepsPerNat }

// appendPosition adds what one position has.
func (l *layout) appendPosition(b []byte, ids []int64, logProbs []float32, rest float32) []byte {
	for _, id := range ids {
		if l.idBytes() == 2 {
			b = binary.LittleEndian.AppendUint16(b, uint16(id))
		} else {
			b = binary.LittleEndian.AppendUint32(b, uint32(id))
		}
	}
	for _, logProb := range logProbs {
		b = binary.LittleEndian.AppendUint16(b, encodeLog(logProb))
	}
	return binary.LittleEndian.AppendUint32(b, math.Float32bits(rest))
}

// readPosition is its reverse.
func (l *layout) readPosition(b []byte, ids []int64, logProbs []float32) (rest float32) {
	if l.idBytes() == 2 {
		for i := range ids {
			ids[i] = int64(binary.LittleEndian.Uint16(b[2*i:]))
		}
	} else {
		for i := range ids {
			ids[i] = int64(binary.LittleEndian.Uint32(b[4*i:]))
		}
	}
	b = b[l.idBytes()*int64(len(ids)):]
	for i := range logProbs {
		logProbs[i] = decodeLog(binary.LittleEndian.Uint16(b[2*i:]))
	}
	return math.Float32frombits(binary.LittleEndian.Uint32(b[2*len(logProbs):]))
}

// checkBlock says what is wrong with a block: its sum, an id outside the vocabulary, which no device would forgive, or a rest
// that is no log of a mass.
func (l *layout) checkBlock(block int64, entry, b []byte) error {
	switch {
	case binary.LittleEndian.Uint32(entry) != 1:
		return errors.New("it has not been written")
	case binary.LittleEndian.Uint32(entry[4:]) != blockSum(block, b):
		return errors.New("its checksum does not match")
	}
	ids, logProbs := make([]int64, l.TopK), make([]float32, l.TopK)
	for size := l.positionBytes(); len(b) > 0; b = b[size:] {
		rest := l.readPosition(b, ids, logProbs)
		if slices.Max(ids) >= int64(l.VocabSize) || !(rest < 1) {
			return errors.New("it holds what no teacher says")
		}
	}
	return nil
}
