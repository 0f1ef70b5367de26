// A disk with little space left.

package vfs

import (
	"io/fs"
	"os"
	"sync"
	"syscall"
)

// DiskFull returns a file system that takes budget more bytes. The write that does not fit writes what fits and fails with
// ENOSPC, as a disk does; nothing can then be created either. Removing a file gives its bytes back. Overwriting counts like
// appending.
func DiskFull(below FS, budget int64) FS {
	return &fullFS{FS: below, left: budget}
}

type fullFS struct {
	FS
	mu   sync.Mutex
	left int64
}

// take grants at most n bytes.
func (f *fullFS) take(n int) int {
	f.mu.Lock()
	defer f.mu.Unlock()
	granted := min(int64(n), f.left)
	f.left -= granted
	return int(granted)
}

func (f *fullFS) give(n int64) {
	f.mu.Lock()
	defer f.mu.Unlock()
	f.left += n
}

// create says whether the disk has room for another name.
func (f *fullFS) create(op, name string) error {
	f.mu.Lock()
	defer f.mu.Unlock()
	if f.left > 0 {
		return nil
	}
	if _, err := f.FS.Stat(name); err == nil {
		return nil
	}
	return &fs.PathError{Op: op, Path: name, Err: syscall.ENOSPC}
}

func (f *fullFS) Create(name string) (File, error) {
	return f.OpenFile(name, os.O_RDWR|os.O_CREATE|os.O_TRUNC, 0o666)
}

func (f *fullFS) OpenFile(name string, flag int, perm fs.FileMode) (File, error) {
	if flag&os.O_CREATE != 0 {
		if err := f.create("open", name); err != nil {
			return nil, err
		}
	}
	file, err := f.FS.OpenFile(name, flag, perm)
	if err != nil {
		return nil, err
	}
	return &fullFile{File: file, fs: f}, nil
}

func (f *fullFS) Mkdir(name string, perm fs.FileMode) error {
	if err := f.create("mkdir", name); err != nil {
		return err
	}
	return f.FS.Mkdir(name, perm)
}

func (f *fullFS) MkdirAll(name string, perm fs.FileMode) error { return mkdirAll(f, name, perm) }
func (f *fullFS) RemoveAll(name string) error                  { return removeAll(f, name) }

func (f *fullFS) Remove(name string) error {
	info, statErr := f.FS.Stat(name)
	if err := f.FS.Remove(name); err != nil {
		return err
	}
	if statErr == nil && !info.IsDir() {
		f.give(info.Size())
	}
	return nil
}

type fullFile struct {
	File
	fs *fullFS
}

func (f *fullFile) Write(b []byte) (int, error) {
	granted := f.fs.take(len(b))
	if granted == len(b) {
		return f.File.Write(b)
	}
	if granted > 0 {
		if n, err := f.File.Write(b[:granted]); err != nil {
			return n, err
		}
	}
	return granted, &fs.PathError{Op: "write", Path: f.Name(), Err: syscall.ENOSPC}
}
