// Injected faults: a file system that counts its operations and fails the ones it is told to.

package vfs

import (
	"io"
	"io/fs"
	"iter"
	"os"
	"sync"
)

// Op is one operation on a file system or an open file.
type Op struct {
	Index int // operations before it
	Kind  OpKind
	Path  string // a rename's old name
	Bytes int    // of a read or write
}

// OpKind names an operation as os does in its errors.
type OpKind string

// The operations. A seek is none: it does not reach the disk.
const (
	OpOpen     OpKind = "open" // for reading
	OpCreate   OpKind = "create"
	OpRead     OpKind = "read"
	OpWrite    OpKind = "write"
	OpSync     OpKind = "sync"
	OpTruncate OpKind = "truncate"
	OpClose    OpKind = "close"
	OpStat     OpKind = "stat"
	OpMkdir    OpKind = "mkdir"
	OpRename   OpKind = "rename"
	OpRemove   OpKind = "remove"
	OpReadDir  OpKind = "readdir"
	OpSyncDir  OpKind = "syncdir"
	OpLock     OpKind = "lock"
	OpMap      OpKind = "mmap"
)

// Fault returns a file system that hands each operation to decide before it happens. Where decide returns an error, the
// operation fails with it, wrapped as os would, and nothing happens on the disk below; a failing close still closes.
// MkdirAll and RemoveAll are taken apart into their steps. decide is never called by two goroutines at once.
func Fault(below FS, decide func(Op) error) FS {
	return &faultFS{below: below, decide: decide}
}

type faultFS struct {
	below  FS
	mu     sync.Mutex
	count  int
	decide func(Op) error
}

func (f *faultFS) try(kind OpKind, path string, bytes int) error {
	f.mu.Lock()
	defer f.mu.Unlock()
	op := Op{Index: f.count, Kind: kind, Path: path, Bytes: bytes}
	f.count++
	if err := f.decide(op); err != nil {
		return &fs.PathError{Op: string(kind), Path: path, Err: err}
	}
	return nil
}

func (f *faultFS) Open(name string) (File, error) { return f.OpenFile(name, os.O_RDONLY, 0) }

func (f *faultFS) Create(name string) (File, error) {
	return f.OpenFile(name, os.O_RDWR|os.O_CREATE|os.O_TRUNC, 0o666)
}

func (f *faultFS) OpenFile(name string, flag int, perm fs.FileMode) (File, error) {
	kind := OpOpen
	if flag&os.O_CREATE != 0 {
		kind = OpCreate
	}
	if err := f.try(kind, name, 0); err != nil {
		return nil, err
	}
	file, err := f.below.OpenFile(name, flag, perm)
	if err != nil {
		return nil, err
	}
	return &faultFile{File: file, fs: f}, nil
}

func (f *faultFS) Mkdir(name string, perm fs.FileMode) error {
	if err := f.try(OpMkdir, name, 0); err != nil {
		return err
	}
	return f.below.Mkdir(name, perm)
}

func (f *faultFS) MkdirAll(name string, perm fs.FileMode) error { return mkdirAll(f, name, perm) }
func (f *faultFS) RemoveAll(name string) error                  { return removeAll(f, name) }

func (f *faultFS) Rename(oldname, newname string) error {
	if err := f.try(OpRename, oldname, 0); err != nil {
		return &os.LinkError{Op: "rename", Old: oldname, New: newname, Err: err.(*fs.PathError).Err}
	}
	return f.below.Rename(oldname, newname)
}

func (f *faultFS) Remove(name string) error {
	if err := f.try(OpRemove, name, 0); err != nil {
		return err
	}
	return f.below.Remove(name)
}

func (f *faultFS) ReadDir(name string) ([]fs.DirEntry, error) {
	if err := f.try(OpReadDir, name, 0); err != nil {
		return nil, err
	}
	return f.below.ReadDir(name)
}

func (f *faultFS) Stat(name string) (fs.FileInfo, error) {
	if err := f.try(OpStat, name, 0); err != nil {
		return nil, err
	}
	return f.below.Stat(name)
}

func (f *faultFS) SyncDir(name string) error {
	if err := f.try(OpSyncDir, name, 0); err != nil {
		return err
	}
	return f.below.SyncDir(name)
}

func (f *faultFS) Lock(name string) (io.Closer, error) {
	if err := f.try(OpLock, name, 0); err != nil {
		return nil, err
	}
	return f.below.Lock(name)
}

func (f *faultFS) Map(name string) (Mapping, error) {
	if err := f.try(OpMap, name, 0); err != nil {
		return nil, err
	}
	return f.below.Map(name)
}

type faultFile struct {
	File // Seek and Name pass
	fs   *faultFS
}

func (f *faultFile) Read(b []byte) (int, error) {
	if err := f.fs.try(OpRead, f.Name(), len(b)); err != nil {
		return 0, err
	}
	return f.File.Read(b)
}

func (f *faultFile) ReadAt(b []byte, offset int64) (int, error) {
	if err := f.fs.try(OpRead, f.Name(), len(b)); err != nil {
		return 0, err
	}
	return f.File.ReadAt(b, offset)
}

func (f *faultFile) Write(b []byte) (int, error) {
	if err := f.fs.try(OpWrite, f.Name(), len(b)); err != nil {
		return 0, err
	}
	return f.File.Write(b)
}

func (f *faultFile) Sync() error {
	if err := f.fs.try(OpSync, f.Name(), 0); err != nil {
		return err
	}
	return f.File.Sync()
}

func (f *faultFile) Truncate(size int64) error {
	if err := f.fs.try(OpTruncate, f.Name(), 0); err != nil {
		return err
	}
	return f.File.Truncate(size)
}

func (f *faultFile) Stat() (fs.FileInfo, error) {
	if err := f.fs.try(OpStat, f.Name(), 0); err != nil {
		return nil, err
	}
	return f.File.Stat()
}

func (f *faultFile) Close() error {
	injected := f.fs.try(OpClose, f.Name(), 0)
	if err := f.File.Close(); err != nil {
		return err
	}
	return injected
}

// Injector decides which operations fail, and remembers whether any did.
type Injector struct {
	decide func(Op) error
	fired  *Op
}

// Decide is for Fault.
func (i *Injector) Decide(op Op) error {
	err := i.decide(op)
	if err != nil && i.fired == nil {
		i.fired = &op
	}
	return err
}

// Fired returns the first operation that was made to fail, nil if none was.
func (i *Injector) Fired() *Op { return i.fired }

// FailAt fails operation index alone: a passing fault.
func FailAt(index int, err error) *Injector {
	return &Injector{decide: func(op Op) error {
		if op.Index == index {
			return err
		}
		return nil
	}}
}

// FailFrom fails operation index and everything after it: the machine is gone. With Mem.Crash it makes a power failure.
func FailFrom(index int, err error) *Injector {
	return &Injector{decide: func(op Op) error {
		if op.Index >= index {
			return err
		}
		return nil
	}}
}

// EveryFault yields an injector (from FailAt or FailFrom) for operation 0, 1, 2 … and ends after the first that had nothing
// to fail: every fault point of what the loop's body does, without a list of them.
func EveryFault(inject func(index int, err error) *Injector, err error) iter.Seq2[int, *Injector] {
	return func(yield func(int, *Injector) bool) {
		for index := 0; ; index++ {
			injector := inject(index, err)
			if !yield(index, injector) || injector.Fired() == nil {
				return
			}
		}
	}
}
