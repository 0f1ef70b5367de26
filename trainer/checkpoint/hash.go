package checkpoint

import (
	"context"
	"crypto/sha256"
	"encoding/hex"
	"errors"
	"io"

	"frugal/trainer/internal/vfs"
)

// bufferSize is how much is written, hashed and read at a time, in bytes: little enough to stay in a core's cache between these.
const bufferSize = 256 << 10

// hasher computes a SHA-256 on a goroutine of its own, while the caller writes or reads the next piece.
type hasher struct {
	full, empty chan []byte
	sum         chan string
	size        int64
}

func newHasher() *hasher {
	const buffers = 3 // one being filled, one being hashed, one between them
	h := &hasher{full: make(chan []byte, buffers), empty: make(chan []byte, buffers), sum: make(chan string, 1)}
	for range buffers {
		h.empty <- nil
	}
	go func() {
		sum := sha256.New()
		for piece := range h.full {
			sum.Write(piece)
			h.empty <- piece[:0]
		}
		h.sum <- hex.EncodeToString(sum.Sum(nil))
	}()
	return h
}

// buffer is one to be filled and given to add: empty, of a capacity that small files need no more of.
func (h *hasher) buffer(capacity int) []byte {
	b := <-h.empty
	if b == nil {
		b = make([]byte, 0, capacity)
	}
	return b
}

// add hands over a piece that nobody changes any more.
func (h *hasher) add(piece []byte) {
	h.size += int64(len(piece))
	h.full <- piece
}

// finish is called once, whatever happened before.
func (h *hasher) finish() Sum {
	close(h.full)
	return Sum{SHA256: <-h.sum, Size: h.size}
}

// hashingWriter writes in pieces of bufferSize and hashes what it has written.
type hashingWriter struct {
	*hasher
	ctx   context.Context
	w     vfs.File
	piece []byte
	err   error // the first, of which every later call reminds
}

func newHashingWriter(ctx context.Context, w vfs.File) *hashingWriter {
	h := &hashingWriter{hasher: newHasher(), ctx: ctx, w: w}
	h.piece = h.buffer(0) // grows
	return h
}

func (h *hashingWriter) Write(b []byte) (written int, err error) {
	if h.err != nil {
		return 0, h.err
	}
	for written < len(b) {
		n := min(len(b)-written, bufferSize-len(h.piece))
		h.piece = append(h.piece, b[written:written+n]...)
		written += n
		if len(h.piece) == bufferSize {
			if err := h.flush(); err != nil {
				return written, err
			}
		}
	}
	return written, nil
}

// flush writes the piece. Its way to the disk begins at once, so that the disk works meanwhile and Sync has less to wait for.
func (h *hashingWriter) flush() error {
	if h.err != nil || len(h.piece) == 0 {
		return h.err
	}
	if h.err = h.ctx.Err(); h.err != nil {
		return h.err
	}
	if _, h.err = h.w.Write(h.piece); h.err != nil {
		return h.err
	}
	vfs.StartWriteback(h.w, h.size, int64(len(h.piece)))
	capacity := cap(h.piece)
	h.add(h.piece)
	h.piece = h.buffer(capacity)
	return nil
}

// hashFile hashes a file of about size bytes. It reads with read(2): where a disk fails, a mapping would end the process with SIGBUS
// instead of an error.
func hashFile(fsys vfs.FS, name string, size int64) (Sum, error) {
	f, err := fsys.Open(name)
	if err != nil {
		return Sum{}, err
	}
	defer f.Close()
	h := newHasher()
	piece := int(min(size+1, bufferSize)) // one more: a read finds the end
	for {
		b := h.buffer(piece)[:piece]
		n, err := io.ReadFull(f, b)
		h.add(b[:n])
		if err != nil {
			sum := h.finish()
			if errors.Is(err, io.EOF) || errors.Is(err, io.ErrUnexpectedEOF) {
				err = nil
			}
			return sum, err
		}
	}
}
