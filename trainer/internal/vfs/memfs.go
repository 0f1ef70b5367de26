// The operations of the memory disk: what FS asks for, on the tree.

package vfs

import (
	"io"
	"io/fs"
	"os"
	"path"
	"slices"
	"strings"
	"syscall"
	"time"
)

// Open opens a file or directory for reading.
func (m *Mem) Open(name string) (File, error) { return m.OpenFile(name, os.O_RDONLY, 0) }

// Create opens a file for writing, truncated or new.
func (m *Mem) Create(name string) (File, error) {
	return m.OpenFile(name, os.O_RDWR|os.O_CREATE|os.O_TRUNC, 0o666)
}

// OpenFile is os.OpenFile.
func (m *Mem) OpenFile(name string, flag int, perm fs.FileMode) (File, error) {
	m.mu.Lock()
	defer m.mu.Unlock()
	node, err := m.openNode(name, flag, perm)
	if err != nil {
		return nil, &fs.PathError{Op: "open", Path: name, Err: err}
	}
	return &memFile{disk: m, node: node, name: name, flag: flag}, nil
}

func (m *Mem) openNode(name string, flag int, perm fs.FileMode) (*inode, error) {
	writes := flag&(os.O_WRONLY|os.O_RDWR) != 0
	node, err := m.lookup(name)
	switch {
	case err == syscall.ENOENT && flag&os.O_CREATE != 0:
		dir, last, err := m.parent(name)
		if err != nil {
			return nil, err
		}
		if strings.HasSuffix(name, "/") {
			return nil, syscall.EISDIR
		}
		node = &inode{mode: perm.Perm(), changed: time.Now()}
		m.do(change{kind: link, dir: dir, name: last, node: node})
	case err != nil:
		return nil, err
	case flag&(os.O_CREATE|os.O_EXCL) == os.O_CREATE|os.O_EXCL:
		return nil, syscall.EEXIST
	case node.isDir() && (writes || flag&os.O_CREATE != 0):
		return nil, syscall.EISDIR
	case flag&os.O_TRUNC != 0 && writes:
		node.truncate(0)
	}
	return node, nil
}

// Mkdir makes one directory.
func (m *Mem) Mkdir(name string, perm fs.FileMode) error {
	m.mu.Lock()
	defer m.mu.Unlock()
	if err := m.mkdir(name, perm); err != nil {
		return &fs.PathError{Op: "mkdir", Path: name, Err: err}
	}
	return nil
}

func (m *Mem) mkdir(name string, perm fs.FileMode) error {
	if _, err := m.lookup(name); err == nil {
		return syscall.EEXIST
	}
	dir, last, err := m.parent(name)
	if err != nil {
		return err
	}
	m.do(change{kind: link, dir: dir, name: last, node: newDir(perm.Perm())})
	return nil
}

// MkdirAll makes a directory and the ones above it.
func (m *Mem) MkdirAll(name string, perm fs.FileMode) error { return mkdirAll(m, name, perm) }

// RemoveAll removes a file, or a directory and everything in it.
func (m *Mem) RemoveAll(name string) error { return removeAll(m, name) }

// Rename moves a file or directory and replaces a file at newname.
func (m *Mem) Rename(oldname, newname string) error {
	m.mu.Lock()
	defer m.mu.Unlock()
	if err := m.rename(oldname, newname); err != nil {
		return &os.LinkError{Op: "rename", Old: oldname, New: newname, Err: err}
	}
	return nil
}

func (m *Mem) rename(oldname, newname string) error {
	from, fromName, err := m.parent(oldname)
	if err != nil {
		return err
	}
	to, toName, err := m.parent(newname)
	if err != nil {
		return err
	}
	node, ok := from.entries[fromName]
	if !ok {
		return syscall.ENOENT
	}
	target := to.entries[toName]
	oldElements, newElements := split(oldname), split(newname)
	switch {
	case target != nil && target.isDir():
		return syscall.EEXIST // as os.Rename answers, also for a directory's own name
	case target == node:
		return nil
	case node.isDir() && len(newElements) > len(oldElements) && slices.Equal(newElements[:len(oldElements)], oldElements):
		return syscall.EINVAL // into itself
	case node.isDir() && target != nil:
		return syscall.ENOTDIR
	}
	m.do(change{kind: move, dir: from, name: fromName, node: node, to: to, toName: toName})
	return nil
}

// Remove removes a file or an empty directory. Open files keep their contents.
func (m *Mem) Remove(name string) error {
	m.mu.Lock()
	defer m.mu.Unlock()
	if err := m.remove(name); err != nil {
		return &fs.PathError{Op: "remove", Path: name, Err: err}
	}
	return nil
}

func (m *Mem) remove(name string) error {
	dir, last, err := m.parent(name)
	if err != nil {
		return err
	}
	node, ok := dir.entries[last]
	if !ok {
		return syscall.ENOENT
	}
	if len(node.entries) > 0 {
		return syscall.ENOTEMPTY
	}
	m.do(change{kind: unlink, dir: dir, name: last, node: node})
	return nil
}

// ReadDir lists a directory, sorted by name.
func (m *Mem) ReadDir(name string) ([]fs.DirEntry, error) {
	m.mu.Lock()
	defer m.mu.Unlock()
	node, err := m.lookup(name)
	if err == nil && !node.isDir() {
		err = syscall.ENOTDIR
	}
	if err != nil {
		return nil, &fs.PathError{Op: "open", Path: name, Err: err}
	}
	entries := make([]fs.DirEntry, 0, len(node.entries))
	for entry, child := range node.entries {
		entries = append(entries, fs.FileInfoToDirEntry(child.info(entry)))
	}
	slices.SortFunc(entries, func(a, b fs.DirEntry) int { return strings.Compare(a.Name(), b.Name()) })
	return entries, nil
}

// Stat describes a file or directory.
func (m *Mem) Stat(name string) (fs.FileInfo, error) {
	m.mu.Lock()
	defer m.mu.Unlock()
	node, err := m.lookup(name)
	if err != nil {
		return nil, &fs.PathError{Op: "stat", Path: name, Err: err}
	}
	return node.info(path.Base(name)), nil
}

// Lock takes an exclusive lock on the file, creating it; ErrLocked while another holds it.
func (m *Mem) Lock(name string) (io.Closer, error) {
	m.mu.Lock()
	defer m.mu.Unlock()
	node, err := m.openNode(name, os.O_RDWR|os.O_CREATE, 0o666)
	if err != nil {
		return nil, &fs.PathError{Op: "open", Path: name, Err: err}
	}
	if m.locked[node] {
		return nil, &fs.PathError{Op: "lock", Path: name, Err: ErrLocked}
	}
	m.locked[node] = true
	return &memLock{disk: m, node: node}, nil
}

type memLock struct {
	disk *Mem
	node *inode
}

func (l *memLock) Close() error {
	l.disk.mu.Lock()
	defer l.disk.mu.Unlock()
	if l.node == nil {
		return fs.ErrClosed
	}
	delete(l.disk.locked, l.node)
	l.node = nil
	return nil
}

// Map returns the file's contents as they are now; later writes do not show.
func (m *Mem) Map(name string) (Mapping, error) {
	m.mu.Lock()
	defer m.mu.Unlock()
	node, err := m.lookup(name)
	if err == nil && node.isDir() {
		err = syscall.ENODEV
	}
	if err != nil {
		return nil, &fs.PathError{Op: "mmap", Path: name, Err: err}
	}
	node.shared = true
	return memMapping(slices.Clip(node.data)), nil
}

type memMapping []byte

func (m memMapping) Bytes() []byte { return m }
func (m memMapping) Close() error  { return nil }
