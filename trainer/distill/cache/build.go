package cache

// Making a cache: block by block in a file beside it, which a build that was killed goes on with.

import (
	"errors"
	"fmt"
	"io"
	"io/fs"
	"os"
	"path/filepath"
	"time"

	"frugal/trainer/internal/vfs"
)

const building = ".building"

// Lock waits until no other process makes the cache at path, whose directory it makes. waiting is called once where it must;
// the wait ends with what stopped returns.
func Lock(stopped func() error, fsys vfs.FS, path string, waiting func()) (io.Closer, error) {
	if err := fsys.MkdirAll(filepath.Dir(path), 0o777); err != nil {
		return nil, err
	}
	for told := false; ; told = true {
		lock, err := fsys.Lock(path + ".lock")
		if !errors.Is(err, vfs.ErrLocked) {
			return lock, err
		}
		if !told {
			waiting()
		}
		if err := stopped(); err != nil {
			return nil, err
		}
		time.Sleep(100 * time.Millisecond)
	}
}

// Builder writes a cache. Whoever makes one holds the Lock.
type Builder struct {
	*layout
	fsys vfs.FS
	path string
	file vfs.File
	has  []bool // by block
}

// NewBuilder begins the cache at path for rows of these numbers of positions, or goes on with what is there of it: a file that a
// build left behind, or a finished one that has been damaged since. Blocks that are whole are kept.
func NewBuilder(fsys vfs.FS, path string, c Contents, positions []int) (*Builder, error) {
	b := &Builder{layout: newLayout(c, positions), fsys: fsys, path: path}
	b.has = make([]bool, b.blocks())
	for _, name := range []string{path + building, path} {
		found, err := b.look(name)
		if err != nil {
			return nil, err
		}
		if !found {
			continue
		}
		if name == path {
			if err := fsys.Rename(path, path+building); err != nil {
				return nil, err
			}
		}
		b.file, err = fsys.OpenFile(path+building, os.O_RDWR, 0)
		return b, err
	}
	return b, b.begin()
}

// look finds the blocks that are whole in a file that is to become the same cache.
func (b *Builder) look(name string) (found bool, err error) {
	mapping, err := b.fsys.Map(name)
	if errors.Is(err, fs.ErrNotExist) {
		return false, nil
	}
	if err != nil {
		return false, err
	}
	defer mapping.Close()
	file := mapping.Bytes()
	l, err := parseHead(file)
	if err != nil || string(l.head()) != string(b.head()) {
		return false, nil
	}
	for block := range l.blocks() {
		from, to := l.blockAt(block)
		b.has[block] = l.checkBlock(block, l.state(file, block), file[from:to]) == nil
	}
	return true, nil
}

// begin makes a file in which no block is written yet.
func (b *Builder) begin() (err error) {
	if b.file, err = b.fsys.Create(b.path + building); err != nil {
		return err
	}
	if _, err = b.file.Write(b.head()); err == nil {
		err = b.file.Truncate(b.size)
	}
	if err != nil {
		b.file.Close()
	}
	return err
}

// Blocks is how many blocks there are; Has says which need no writing.
func (b *Builder) Blocks() int        { return int(b.blocks()) }
func (b *Builder) Has(block int) bool { return b.has[block] }

// Rows are the rows of a block: first to end-1.
func (b *Builder) Rows(block int) (first, end int) {
	from, to := b.blockRows(int64(block))
	return int(from), int(to)
}

// Write keeps a block: for each position of its rows, one after another, k ids, the largest first, their log-probabilities, and
// the log of the rest.
func (b *Builder) Write(block int, ids []int64, logProbs, rest []float32) error {
	at := int64(block)
	from, to := b.blockAt(at)
	k, n := b.TopK, len(rest)
	if int64(n)*b.positionBytes() != to-from || len(ids) != n*k || len(logProbs) != n*k {
		return fmt.Errorf("teacher's cache: block %d of %d positions has %d", block, (to-from)/b.positionBytes(), n)
	}
	data := make([]byte, 0, to-from)
	for i := range n {
		data = b.appendPosition(data, ids[i*k:(i+1)*k], logProbs[i*k:(i+1)*k], rest[i])
	}
	entry := state(at, data)
	if err := b.checkBlock(at, entry, data); err != nil {
		return fmt.Errorf("teacher's cache: block %d: %w", block, err)
	}
	if err := b.writeAt(from, data); err != nil {
		return err
	}
	if err := b.writeAt(b.states+stateBytes*at, entry); err != nil {
		return err
	}
	b.has[block] = true
	return nil
}

func (b *Builder) writeAt(at int64, data []byte) error {
	if _, err := b.file.Seek(at, io.SeekStart); err != nil {
		return err
	}
	_, err := b.file.Write(data)
	return err
}

// Finish puts the cache in its place, once every block is written.
func (b *Builder) Finish() error {
	for block, has := range b.has {
		if !has {
			return fmt.Errorf("teacher's cache: block %d has not been written", block)
		}
	}
	if err := b.file.Sync(); err != nil {
		return err
	}
	if err := b.fsys.Rename(b.path+building, b.path); err != nil {
		return err
	}
	return b.fsys.SyncDir(filepath.Dir(b.path))
}

// Close ends the building; what is not finished stays for the next time.
func (b *Builder) Close() error { return b.file.Close() }
