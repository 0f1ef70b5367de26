// Open files of the memory disk.

package vfs

import (
	"errors"
	"io"
	"io/fs"
	"os"
	"path"
	"slices"
	"syscall"
	"time"
)

// memFile is one open file: an inode and a position. It outlives the file's names.
type memFile struct {
	disk   *Mem
	node   *inode
	name   string
	flag   int
	offset int64
	closed bool
}

// begin locks the disk and says whether an operation is allowed; the caller unlocks by calling the returned function.
func (f *memFile) begin(op string, reads, writes bool) (end func(), err error) {
	f.disk.mu.Lock()
	access := f.flag & (os.O_RDONLY | os.O_WRONLY | os.O_RDWR)
	switch {
	case f.closed:
		err = fs.ErrClosed
	case reads && access == os.O_WRONLY, writes && access == os.O_RDONLY:
		err = syscall.EBADF
	case reads && f.node.isDir():
		err = syscall.EISDIR
	}
	if err != nil {
		f.disk.mu.Unlock()
		return nil, f.fail(op, err)
	}
	return f.disk.mu.Unlock, nil
}

func (f *memFile) fail(op string, err error) error {
	return &fs.PathError{Op: op, Path: f.name, Err: err}
}

func (f *memFile) Name() string { return f.name }

func (f *memFile) Read(b []byte) (int, error) {
	end, err := f.begin("read", true, false)
	if err != nil {
		return 0, err
	}
	defer end()
	if len(b) == 0 {
		return 0, nil
	}
	if f.offset >= int64(len(f.node.data)) {
		return 0, io.EOF
	}
	n := copy(b, f.node.data[f.offset:])
	f.offset += int64(n)
	return n, nil
}

func (f *memFile) ReadAt(b []byte, offset int64) (int, error) {
	end, err := f.begin("read", true, false)
	if err != nil {
		return 0, err
	}
	defer end()
	if offset < 0 {
		return 0, f.fail("readat", errors.New("negative offset"))
	}
	if offset >= int64(len(f.node.data)) {
		return 0, io.EOF
	}
	n := copy(b, f.node.data[offset:])
	if n < len(b) {
		return n, io.EOF
	}
	return n, nil
}

func (f *memFile) Write(b []byte) (int, error) {
	end, err := f.begin("write", false, true)
	if err != nil {
		return 0, err
	}
	defer end()
	if f.flag&os.O_APPEND != 0 {
		f.offset = int64(len(f.node.data))
	}
	f.node.writeAt(b, f.offset)
	f.offset += int64(len(b))
	return len(b), nil
}

func (f *memFile) Seek(offset int64, whence int) (int64, error) {
	end, err := f.begin("seek", false, false)
	if err != nil {
		return 0, err
	}
	defer end()
	switch whence {
	case io.SeekStart:
	case io.SeekCurrent:
		offset += f.offset
	case io.SeekEnd:
		offset += int64(len(f.node.data))
	default:
		return 0, f.fail("seek", syscall.EINVAL)
	}
	if offset < 0 {
		return 0, f.fail("seek", syscall.EINVAL)
	}
	f.offset = offset
	return offset, nil
}

func (f *memFile) Truncate(size int64) error {
	end, err := f.begin("truncate", false, false)
	if err != nil {
		return err
	}
	defer end()
	// ftruncate(2) answers EINVAL, not EBADF, for a file that is open only for reading.
	if size < 0 || f.flag&(os.O_WRONLY|os.O_RDWR) == 0 {
		return f.fail("truncate", syscall.EINVAL)
	}
	f.node.truncate(size)
	return nil
}

func (f *memFile) Sync() error {
	end, err := f.begin("sync", false, false)
	if err != nil {
		return err
	}
	defer end()
	if f.node.isDir() {
		f.disk.syncDir(f.node)
		return nil
	}
	f.node.synced, f.node.shared = slices.Clip(f.node.data), true
	return nil
}

func (f *memFile) Stat() (fs.FileInfo, error) {
	end, err := f.begin("stat", false, false)
	if err != nil {
		return nil, err
	}
	defer end()
	return f.node.info(path.Base(f.name)), nil
}

func (f *memFile) Close() error {
	end, err := f.begin("close", false, false)
	if err != nil {
		return err
	}
	defer end()
	f.closed = true
	return nil
}

// writeAt overwrites and appends; a gap before offset reads as zeros.
func (n *inode) writeAt(b []byte, offset int64) {
	n.changed = time.Now()
	if gap := offset - int64(len(n.data)); gap > 0 {
		n.data = append(n.data, make([]byte, gap)...)
	}
	if offset < int64(len(n.data)) && n.shared {
		n.data, n.shared = slices.Clone(n.data), false
	}
	over := copy(n.data[offset:], b)
	n.data = append(n.data, b[over:]...)
}

func (n *inode) truncate(size int64) {
	n.changed = time.Now()
	if grow := size - int64(len(n.data)); grow > 0 {
		n.data = append(n.data, make([]byte, grow)...)
		return
	}
	n.data = n.data[:size:size] // clipped: a later append must not write into what synced still sees
}

// info is a snapshot: it does not follow later writes.
func (n *inode) info(name string) fs.FileInfo {
	return memInfo{name: name, size: int64(len(n.data)), mode: n.mode, changed: n.changed}
}

type memInfo struct {
	name    string
	size    int64
	mode    fs.FileMode
	changed time.Time
}

func (i memInfo) Name() string       { return i.name }
func (i memInfo) Size() int64        { return i.size }
func (i memInfo) Mode() fs.FileMode  { return i.mode }
func (i memInfo) ModTime() time.Time { return i.changed }
func (i memInfo) IsDir() bool        { return i.mode.IsDir() }
func (i memInfo) Sys() any           { return nil }
