// What a crash leaves of a memory disk.

package vfs

import (
	"bytes"
	"io/fs"
	"math/rand/v2"
	"slices"
	"syscall"
)

// CrashMode says how much of what was not synced survives a crash. What was synced always survives.
type CrashMode int

const (
	// KeepAll is the end of the process, not of the machine (SIGKILL): the system still writes everything.
	KeepAll CrashMode = iota
	// LoseUnsynced loses every byte not covered by Sync and every name not covered by SyncDir.
	LoseUnsynced
	// KeepSome keeps each change of a directory and each file's new contents by the toss of a coin.
	KeepSome
	// Torn keeps the changes of directories up to some moment, and of unsynced contents a mixture: sectors old, new or
	// zero, at a length in between. It is what a file renamed before its Sync looks like. A sector whose synced bytes were
	// not overwritten is old or new: an append does not harm what stands before it.
	Torn
)

// CrashModes lists them, for tests that try each.
var CrashModes = []CrashMode{KeepAll, LoseUnsynced, KeepSome, Torn}

func (c CrashMode) String() string {
	return [...]string{"keep all", "lose unsynced", "keep some", "torn"}[c]
}

// sector is the size that a disk writes whole.
const sector = 512

// SyncDir makes a directory's entries durable.
func (m *Mem) SyncDir(name string) error {
	m.mu.Lock()
	defer m.mu.Unlock()
	node, err := m.lookup(name)
	if err == nil && !node.isDir() {
		err = syscall.ENOTDIR
	}
	if err != nil {
		return &fs.PathError{Op: "sync", Path: name, Err: err}
	}
	m.syncDir(node)
	return nil
}

// syncDir makes durable, in order, the pending changes of dir and of every directory that a rename ties to it: a rename is
// atomic, so one half cannot become durable alone.
func (m *Mem) syncDir(dir *inode) {
	tied := map[*inode]bool{dir: true}
	for grown := true; grown; {
		grown = false
		for _, c := range m.pending {
			if c.kind == move && tied[c.dir] != tied[c.to] {
				tied[c.dir], tied[c.to], grown = true, true, true
			}
		}
	}
	m.pending = slices.DeleteFunc(m.pending, func(c change) bool {
		if tied[c.dir] {
			c.apply(func(d *inode) map[string]*inode { return d.durable })
		}
		return tied[c.dir]
	})
}

// Crash returns the disk as it is found after a crash at this moment: no file is open, no lock held, everything on it
// durable. seed decides the tosses of KeepSome and Torn. m itself stays as it is, so one moment can crash in many ways.
func (m *Mem) Crash(mode CrashMode, seed uint64) *Mem {
	m.mu.Lock()
	defer m.mu.Unlock()
	c := crash{mode: mode, rng: rand.New(rand.NewPCG(seed, 0)), entries: map[*inode]map[string]*inode{}}
	return &Mem{root: c.copy(m.root, c.replay(m.pending)), locked: map[*inode]bool{}}
}

type crash struct {
	mode    CrashMode
	rng     *rand.Rand
	entries map[*inode]map[string]*inode // of the directories touched by a surviving change
}

// replay applies the surviving changes to the durable entries, as a journal does, and returns a view of the result.
func (c *crash) replay(pending []change) func(*inode) map[string]*inode {
	view := func(d *inode) map[string]*inode {
		if c.entries[d] == nil {
			c.entries[d] = make(map[string]*inode, len(d.durable))
			for name, node := range d.durable {
				c.entries[d][name] = node
			}
		}
		return c.entries[d]
	}
	survivors := len(pending)
	if c.mode == Torn {
		survivors = c.rng.IntN(len(pending) + 1)
	}
	for _, change := range pending[:survivors] {
		lost := c.mode == LoseUnsynced || c.mode == KeepSome && c.rng.IntN(2) == 0
		// What was to be moved or removed is not there where an earlier change was lost: then this one is lost, too.
		if lost || change.kind != link && view(change.dir)[change.name] != change.node {
			continue
		}
		change.apply(view)
	}
	return view
}

// copy rebuilds the tree below node.
func (c *crash) copy(node *inode, view func(*inode) map[string]*inode) *inode {
	if !node.isDir() {
		data := slices.Clip(c.contents(node))
		return &inode{mode: node.mode, changed: node.changed, data: data, synced: data, shared: true}
	}
	dir := newDir(node.mode.Perm())
	dir.changed = node.changed
	names := make([]string, 0, len(view(node)))
	for name := range view(node) {
		names = append(names, name)
	}
	slices.Sort(names) // the tosses must fall in the same order every time
	for _, name := range names {
		child := c.copy(view(node)[name], view)
		dir.entries[name], dir.durable[name] = child, child
	}
	return dir
}

// contents decides what is left of a file; the result may share the file's array.
func (c *crash) contents(node *inode) []byte {
	node.shared = true
	switch {
	case c.mode == KeepAll:
		return node.data
	case c.mode == KeepSome && c.rng.IntN(2) == 0:
		return node.data
	case c.mode == Torn && !slices.Equal(node.data, node.synced):
		return c.torn(node.synced, node.data)
	}
	return node.synced
}

func (c *crash) torn(before, after []byte) []byte {
	shortest, longest := min(len(before), len(after)), max(len(before), len(after))
	mixed := make([]byte, shortest+c.rng.IntN(longest-shortest+1))
	for at := 0; at < len(mixed); at += sector {
		piece := mixed[at:min(at+sector, len(mixed))]
		outcomes := 3
		if both := min(at+len(piece), shortest); at < both && bytes.Equal(before[at:both], after[at:both]) {
			outcomes = 2
		}
		switch c.rng.IntN(outcomes) {
		case 0:
			copy(piece, before[min(at, len(before)):])
		case 1:
			copy(piece, after[min(at, len(after)):])
		}
	}
	return mixed
}
