// The memory disk: a tree of inodes that behaves as POSIX says, and a journal of what is not yet durable.

package vfs

import (
	"io"
	"io/fs"
	"os"
	"path"
	"slices"
	"strings"
	"sync"
	"syscall"
	"time"
)

// Mem is a file system in memory that knows what was synced, so that Crash can say what a machine finds after the power
// failed: contents are durable after File.Sync, names after SyncDir of their directory, and a rename counts for both of its
// directories at once. Names are slash-separated; relative ones start at the root. There are no symbolic or hard links, and
// permissions are kept but not checked. Safe for concurrent use.
type Mem struct {
	mu      sync.Mutex
	root    *inode
	pending []change // of directories, oldest first, not yet durable
	locked  map[*inode]bool
}

// inode is a file or a directory, whatever its name.
type inode struct {
	mode    fs.FileMode
	changed time.Time

	data   []byte // of a file
	synced []byte // data as of the last Sync
	shared bool   // data's array is also seen by synced, a Mapping or another Mem: copy before overwriting

	entries map[string]*inode // of a directory
	durable map[string]*inode // entries as of the last SyncDir
}

// change is one step in a directory: node appears under name, disappears, or moves from there to toName in to.
type change struct {
	kind   changeKind
	dir    *inode
	name   string
	node   *inode
	to     *inode
	toName string
}

type changeKind int

const (
	link changeKind = iota
	unlink
	move
)

// NewMem returns an empty disk: a root directory.
func NewMem() *Mem {
	return &Mem{root: newDir(0o777), locked: map[*inode]bool{}}
}

func newDir(perm fs.FileMode) *inode {
	return &inode{mode: fs.ModeDir | perm, changed: time.Now(), entries: map[string]*inode{}, durable: map[string]*inode{}}
}

func (n *inode) isDir() bool { return n.mode.IsDir() }

// split returns the cleaned elements of a name; none for the root.
func split(name string) []string {
	cleaned := strings.TrimPrefix(path.Clean("/"+name), "/")
	if cleaned == "" {
		return nil
	}
	return strings.Split(cleaned, "/")
}

// find walks to the inode of the given elements: ENOENT where one is missing, ENOTDIR where a file stands in the way.
func (m *Mem) find(elements []string) (*inode, error) {
	node := m.root
	for _, element := range elements {
		if !node.isDir() {
			return nil, syscall.ENOTDIR
		}
		next, ok := node.entries[element]
		if !ok {
			return nil, syscall.ENOENT
		}
		node = next
	}
	return node, nil
}

func (m *Mem) lookup(name string) (*inode, error) {
	if name == "" {
		return nil, syscall.ENOENT
	}
	return m.find(split(name))
}

// parent returns the directory that holds (or would hold) name, and the last element.
func (m *Mem) parent(name string) (*inode, string, error) {
	elements := split(name)
	if name == "" {
		return nil, "", syscall.ENOENT
	}
	if len(elements) == 0 {
		return nil, "", syscall.EBUSY // the root itself
	}
	dir, err := m.find(elements[:len(elements)-1])
	if err != nil {
		return nil, "", err
	}
	if !dir.isDir() {
		return nil, "", syscall.ENOTDIR
	}
	return dir, elements[len(elements)-1], nil
}

// do makes a change now; SyncDir makes it durable later.
func (m *Mem) do(c change) {
	c.apply(func(d *inode) map[string]*inode { return d.entries })
	c.dir.changed = time.Now()
	m.pending = append(m.pending, c)
}

// apply makes a change in the directories as seen through entries.
func (c change) apply(entries func(*inode) map[string]*inode) {
	switch c.kind {
	case link:
		entries(c.dir)[c.name] = c.node
	case unlink:
		delete(entries(c.dir), c.name)
	case move:
		delete(entries(c.dir), c.name)
		entries(c.to)[c.toName] = c.node
	}
}

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
