package cache

// A finished cache: mapped, checked, read row by row.

import (
	"crypto/sha256"
	"encoding/hex"
	"errors"
	"fmt"

	"frugal/trainer/internal/vfs"
)

// Cache is a finished file, mapped.
type Cache struct {
	*layout
	mapping vfs.Mapping
}

// DamagedError says that a file is there and is not a whole cache.
type DamagedError struct {
	Path string
	Err  error
}

func (e *DamagedError) Error() string { return e.Path + ": damaged: " + e.Err.Error() }
func (e *DamagedError) Unwrap() error { return e.Err }

// Open maps the file and checks every byte of it, telling progress (nil: nobody) how many it has checked. Where there is none
// the error is fs.ErrNotExist, where it is not whole a *DamagedError.
func Open(fsys vfs.FS, path string, progress func(done, total int64)) (*Cache, error) {
	mapping, err := fsys.Map(path)
	if err != nil {
		return nil, err
	}
	l, err := parse(mapping.Bytes(), progress)
	if err != nil {
		mapping.Close()
		return nil, &DamagedError{path, err}
	}
	return &Cache{l, mapping}, nil
}

// parse checks a whole file.
func parse(b []byte, progress func(done, total int64)) (*layout, error) {
	l, err := parseHead(b)
	if err != nil {
		return nil, err
	}
	damaged, first := 0, error(nil)
	for block := range l.blocks() {
		from, to := l.blockAt(block)
		if err := l.checkBlock(block, l.state(b, block), b[from:to]); err != nil {
			if damaged++; first == nil {
				first = fmt.Errorf("block %d: %w", block, err)
			}
		}
		if progress != nil {
			progress(to, l.size)
		}
	}
	if damaged > 1 {
		first = fmt.Errorf("%w, and of %d others of %d", first, damaged-1, l.blocks())
	}
	return l, first
}

// state is a block's entry in the file's bytes.
func (l *layout) state(file []byte, block int64) []byte {
	return file[l.states+stateBytes*block:][:stateBytes]
}

// Contents say what the cache holds.
func (c *Cache) Contents() Contents { return c.layout.Contents }

// NumRows is how many rows it has.
func (c *Cache) NumRows() int { return int(c.rows()) }

// Bytes is the file's size.
func (c *Cache) Bytes() int64 { return c.size }

// Positions is how many positions of a row are kept: its targets.
func (c *Cache) Positions(row int) int { return int(c.starts[row+1] - c.starts[row]) }

// Fingerprint is of all that it holds, by the checksums of its blocks: a cache that was made again in another precision has another.
func (c *Cache) Fingerprint() string {
	sum := sha256.Sum256(c.mapping.Bytes()[:c.data])
	return hex.EncodeToString(sum[:])
}

// Read fills in what is kept of a row, for its n = Positions(row) positions: ids and logProbs [n·k], rest [n].
func (c *Cache) Read(row int, ids []int64, logProbs, rest []float32) (err error) {
	defer vfs.CatchFaults(&err, "the teacher's cache")()
	if row < 0 || row >= c.NumRows() {
		return fmt.Errorf("teacher's cache: no row %d of %d", row, c.NumRows())
	}
	n, k, size := c.Positions(row), c.TopK, c.positionBytes()
	if len(ids) != n*k || len(logProbs) != n*k || len(rest) != n {
		return errors.New("teacher's cache: a row is read into slices of another size")
	}
	b := c.mapping.Bytes()[c.data+c.starts[row]*size:]
	for i := range n {
		rest[i] = c.readPosition(b[int64(i)*size:], ids[i*k:(i+1)*k], logProbs[i*k:(i+1)*k])
	}
	return nil
}

// Close unmaps the file.
func (c *Cache) Close() error { return c.mapping.Close() }
