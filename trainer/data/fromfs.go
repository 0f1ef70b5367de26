package data

// An embedded corpus as a read-only vfs.FS.

import (
	"bytes"
	"io"
	"io/fs"
	"path"

	"frugal/trainer/internal/vfs"
)

// FromFS makes a small file tree, such as an embedded corpus, readable as a vfs.FS. Files are held in memory while open;
// everything that would write fails with fs.ErrPermission.
func FromFS(fsys fs.FS) vfs.FS { return readOnly{fsys} }

// embeddedFiles lists the documents of a file tree that may hold other files beside them.
func embeddedFiles(fsys fs.FS) ([]string, error) {
	var names []string
	err := fs.WalkDir(fsys, ".", func(name string, e fs.DirEntry, err error) error {
		if ext := path.Ext(name); err == nil && (ext == ".txt" || ext == ".jsonl" || ext == ".parquet") {
			names = append(names, name)
		}
		return err
	})
	return names, err
}

type readOnly struct{ fsys fs.FS }

func (r readOnly) Open(name string) (vfs.File, error) {
	info, err := fs.Stat(r.fsys, name)
	if err != nil {
		return nil, err
	}
	b, err := fs.ReadFile(r.fsys, name)
	if err != nil {
		return nil, err
	}
	return &memoryFile{Reader: bytes.NewReader(b), name: name, info: info}, nil
}

func (r readOnly) ReadDir(name string) ([]fs.DirEntry, error) { return fs.ReadDir(r.fsys, name) }
func (r readOnly) Stat(name string) (fs.FileInfo, error)      { return fs.Stat(r.fsys, name) }

func (r readOnly) OpenFile(name string, _ int, _ fs.FileMode) (vfs.File, error) {
	return nil, refused("open", name)
}
func (r readOnly) Create(name string) (vfs.File, error)      { return nil, refused("create", name) }
func (r readOnly) Mkdir(name string, _ fs.FileMode) error    { return refused("mkdir", name) }
func (r readOnly) MkdirAll(name string, _ fs.FileMode) error { return refused("mkdir", name) }
func (r readOnly) Rename(name, _ string) error               { return refused("rename", name) }
func (r readOnly) Remove(name string) error                  { return refused("remove", name) }
func (r readOnly) RemoveAll(name string) error               { return refused("remove", name) }
func (r readOnly) SyncDir(name string) error                 { return refused("sync", name) }
func (r readOnly) Lock(name string) (io.Closer, error)       { return nil, refused("lock", name) }
func (r readOnly) Map(name string) (vfs.Mapping, error)      { return nil, refused("mmap", name) }

func refused(op, name string) error { return &fs.PathError{Op: op, Path: name, Err: fs.ErrPermission} }

type memoryFile struct {
	*bytes.Reader
	name string
	info fs.FileInfo
}

func (f *memoryFile) Write([]byte) (int, error)  { return 0, refused("write", f.name) }
func (f *memoryFile) Truncate(int64) error       { return refused("truncate", f.name) }
func (f *memoryFile) Sync() error                { return nil }
func (f *memoryFile) Close() error               { return nil }
func (f *memoryFile) Stat() (fs.FileInfo, error) { return f.info, nil }
func (f *memoryFile) Name() string               { return f.name }
