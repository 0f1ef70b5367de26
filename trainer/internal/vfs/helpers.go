// What os offers beside single operations, for any FS.

package vfs

import (
	"errors"
	"io"
	"io/fs"
	"path/filepath"
	"syscall"
)

// ReadFile returns a file's contents.
func ReadFile(fsys FS, name string) ([]byte, error) {
	f, err := fsys.Open(name)
	if err != nil {
		return nil, err
	}
	defer f.Close()
	return io.ReadAll(f)
}

// WriteFile makes or replaces a file in place and syncs its contents. It is not atomic: a crash leaves part of it.
func WriteFile(fsys FS, name string, data []byte) error {
	f, err := fsys.Create(name)
	if err != nil {
		return err
	}
	if _, err := f.Write(data); err != nil {
		f.Close()
		return err
	}
	if err := f.Sync(); err != nil {
		f.Close()
		return err
	}
	return f.Close()
}

// WriteFileAtomic makes or replaces a file so that whoever looks, also after a crash, finds the old contents or the new,
// whole: written beside it as name.tmp, synced, renamed, the directory synced.
func WriteFileAtomic(fsys FS, name string, data []byte) error {
	temporary := name + ".tmp"
	if err := WriteFile(fsys, temporary, data); err != nil {
		fsys.Remove(temporary) // best effort: the error that matters is the first
		return err
	}
	if err := fsys.Rename(temporary, name); err != nil {
		fsys.Remove(temporary)
		return err
	}
	return fsys.SyncDir(filepath.Dir(name))
}

// mkdirAll is os.MkdirAll made of an FS's Stat and Mkdir.
func mkdirAll(fsys FS, name string, perm fs.FileMode) error {
	info, err := fsys.Stat(name)
	if err == nil {
		if info.IsDir() {
			return nil
		}
		return &fs.PathError{Op: "mkdir", Path: name, Err: syscall.ENOTDIR}
	}
	if !errors.Is(err, fs.ErrNotExist) {
		return err
	}
	if parent := filepath.Dir(name); parent != name {
		if err := mkdirAll(fsys, parent, perm); err != nil {
			return err
		}
	}
	if err := fsys.Mkdir(name, perm); err != nil && !errors.Is(err, fs.ErrExist) {
		return err
	}
	return nil
}

// removeAll is os.RemoveAll made of an FS's ReadDir and Remove.
func removeAll(fsys FS, name string) error {
	err := fsys.Remove(name)
	if err == nil || errors.Is(err, fs.ErrNotExist) {
		return nil
	}
	if !errors.Is(err, syscall.ENOTEMPTY) && !errors.Is(err, syscall.EEXIST) {
		return err
	}
	entries, err := fsys.ReadDir(name)
	if err != nil {
		return err
	}
	for _, entry := range entries {
		if err := removeAll(fsys, filepath.Join(name, entry.Name())); err != nil {
			return err
		}
	}
	return fsys.Remove(name)
}
