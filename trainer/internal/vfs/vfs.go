// Package vfs makes the file system a parameter: the operating system's, one with injected faults, or a memory disk that
// knows what was synced and can crash. Packages that write files take an FS and never call os directly.
package vfs

import (
	"errors"
	"io"
	"io/fs"
)

// ErrLocked is returned by FS.Lock when another process (or another FS.Lock in this one) holds the lock.
var ErrLocked = errors.New("locked by another process")

// File is an open file. Sync makes its contents durable; closing does not.
type File interface {
	io.Reader
	io.ReaderAt
	io.Writer
	io.Seeker
	io.Closer
	Sync() error
	Truncate(size int64) error
	Stat() (fs.FileInfo, error)
	Name() string
}

// Mapping is a file's whole contents, read-only, valid until Close.
type Mapping interface {
	Bytes() []byte
	Close() error
}

// FS is a file system. Errors are *fs.PathError or *os.LinkError (they name the operation and the path) and answer to
// errors.Is for fs.ErrNotExist, fs.ErrExist, fs.ErrPermission, syscall.ENOSPC and the like.
type FS interface {
	// Open opens a file for reading.
	Open(name string) (File, error)
	// OpenFile is os.OpenFile: flag is os.O_RDWR|os.O_CREATE and so on.
	OpenFile(name string, flag int, perm fs.FileMode) (File, error)
	// Create opens a file for writing, truncated or new, mode 0o666 before the umask.
	Create(name string) (File, error)
	// Mkdir makes one directory; it fails with fs.ErrExist where something of that name is.
	Mkdir(name string, perm fs.FileMode) error
	MkdirAll(name string, perm fs.FileMode) error
	// Rename is atomic and replaces a file at newname; where a directory is at newname it fails with fs.ErrExist.
	Rename(oldname, newname string) error
	Remove(name string) error
	RemoveAll(name string) error
	// ReadDir lists a directory, sorted by name.
	ReadDir(name string) ([]fs.DirEntry, error)
	Stat(name string) (fs.FileInfo, error)
	// SyncDir makes a directory's entries (creations, renames, removals) durable; not the contents of its files.
	SyncDir(name string) error
	// Lock takes an exclusive lock (flock) on the file, creating it; the lock ends with Close or with the process.
	Lock(name string) (io.Closer, error)
	// Map maps a file into memory.
	Map(name string) (Mapping, error)
}
