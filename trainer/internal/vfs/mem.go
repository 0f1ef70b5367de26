// The memory disk: a tree of inodes that behaves as POSIX says, and a journal of what is not yet durable.

package vfs

import (
	"io/fs"
	"path"
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
