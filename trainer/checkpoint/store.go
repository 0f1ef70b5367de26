// Package checkpoint keeps the directories that a run can be resumed from: each is written whole or not at all, verified
// against its manifest, and removed only when a newer one is safe. It knows named files, not what is in them.
//
// A directory comes into being under a name that begins with ".saving-", gets its name by a rename once everything in it is
// synced and has been read back, and leaves by a rename to ".removing-". What an interrupted run left under such names is
// put right by the next Open. See docs/format.md.
package checkpoint

import (
	"cmp"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"path/filepath"
	"slices"
	"strconv"
	"strings"

	"frugal/trainer/internal/vfs"
)

// Names of directories that are not, or no longer, what the rest of their name says.
const (
	savingPrefix     = ".saving-"   // being written
	replacedPrefix   = ".replaced-" // moved aside for a new one of the same name
	removingPrefix   = ".removing-" // being removed
	supersededSuffix = ".superseded"
)

// File is a file to be written: Write streams its contents.
type File struct {
	Name  string // plain: no directory in it
	Write func(w io.Writer) error
}

// Options say where checkpoints lie and how many are kept.
type Options struct {
	FS     vfs.FS
	Dir    string                        // output_dir; made if absent
	Prefix string                        // model_name: checkpoints are Dir/Prefix_step_N
	Keep   int                           // how many to keep, at least 1; 0 keeps all
	Log    func(format string, a ...any) // what was cleaned up, kept, removed; may be nil
}

// Store writes and finds the checkpoints of one run. It is not for concurrent use; the caller holds the directory's Lock.
type Store struct {
	Options
}

// Open prepares the directory: it makes it if absent, brings back what an interrupted run had moved aside and not yet
// replaced, and removes what one left half-written or half-removed.
func Open(o Options) (*Store, error) {
	if err := checkName(o.Prefix); err != nil {
		return nil, fmt.Errorf("checkpoints in %s: model name %w", o.Dir, err)
	}
	if o.Keep < 0 {
		return nil, fmt.Errorf("checkpoints in %s: cannot keep %d", o.Dir, o.Keep)
	}
	if o.Log == nil {
		o.Log = func(string, ...any) {}
	}
	s := &Store{Options: o}
	if err := makeDir(o.FS, o.Dir); err != nil {
		return nil, err
	}
	if err := s.recover(); err != nil {
		return nil, fmt.Errorf("checkpoints in %s: after an interrupted run: %w", o.Dir, err)
	}
	return s, nil
}

// recover deals with the names that an interrupted run left.
func (s *Store) recover() error {
	entries, err := s.FS.ReadDir(s.Dir)
	if err != nil {
		return err
	}
	changed := false
	for _, entry := range entries {
		name := entry.Name()
		if original, ok := strings.CutPrefix(name, replacedPrefix); ok {
			if there, err := exists(s.FS, s.path(original)); err != nil {
				return err
			} else if !there {
				if err := s.FS.Rename(s.path(name), s.path(original)); err != nil {
					return err
				}
				s.Log("an interrupted run was replacing %s: the old one is back", s.path(original))
				changed = true
				continue
			}
		}
		if isLeftover(name) {
			if err := s.FS.RemoveAll(s.path(name)); err != nil {
				return err
			}
			s.Log("removed %s, left by an interrupted run", s.path(name))
			changed = true
		}
	}
	if !changed {
		return nil
	}
	return s.FS.SyncDir(s.Dir)
}

func isLeftover(name string) bool {
	return strings.HasPrefix(name, savingPrefix) || strings.HasPrefix(name, replacedPrefix) || strings.HasPrefix(name, removingPrefix)
}

// Supersede renames the checkpoints of steps above after, so that a run that goes on from an earlier one (or, with after -1,
// starts anew) is not resumed from them later: Prefix_step_N becomes Prefix_step_N.superseded, which nothing reads or
// removes.
func (s *Store) Supersede(after int64) error {
	found, err := list(s.FS, s.Dir, s.Prefix)
	if err != nil {
		return err
	}
	changed := false
	for _, c := range found {
		if c.step <= after {
			break
		}
		free, err := s.freeName(c.name + supersededSuffix)
		if err != nil {
			return err
		}
		if err := s.FS.Rename(s.path(c.name), s.path(free)); err != nil {
			return fmt.Errorf("checkpoint %s: setting it aside: %w", s.path(c.name), err)
		}
		s.Log("%s is not of this run's history: renamed to %s", s.path(c.name), free)
		changed = true
	}
	if !changed {
		return nil
	}
	return s.FS.SyncDir(s.Dir)
}

// freeName appends a number where name is taken.
func (s *Store) freeName(name string) (string, error) {
	for i := 1; ; i++ {
		free := name
		if i > 1 {
			free += "-" + strconv.Itoa(i)
		}
		if there, err := exists(s.FS, s.path(free)); err != nil || !there {
			return free, err
		}
	}
}

// Prune removes the oldest checkpoints beyond Keep, never the one of step safe, which the run stands on. Save does so for what
// it saved; a run that was killed between the two leaves one checkpoint more, which is removed by calling Prune with the step
// that it is resumed from. A failure is logged and no more: the newer checkpoints are there, and the next Save or Open tries
// again.
func (s *Store) Prune(safe int64) {
	if s.Keep == 0 {
		return
	}
	found, err := list(s.FS, s.Dir, s.Prefix)
	if err != nil {
		s.Log("old checkpoints stay: %v", err)
		return
	}
	// Files and symbolic links of such a name are somebody else's.
	found = slices.DeleteFunc(found, func(c candidate) bool { return !c.isDir })
	room := s.Keep
	others := slices.DeleteFunc(slices.Clone(found), func(c candidate) bool { return c.step == safe })
	if len(others) < len(found) {
		room--
	}
	var doomed []string
	for _, c := range others[min(len(others), room):] {
		if err := s.retire(c.name); err != nil {
			s.Log("old checkpoint %s stays: %v", s.path(c.name), err)
			continue
		}
		doomed = append(doomed, c.name)
	}
	if len(doomed) == 0 {
		return
	}
	// Without this a crash could leave the old name on a directory that has lost some of its files.
	if err := s.FS.SyncDir(s.Dir); err != nil {
		s.Log("old checkpoints stay as %s*: %v", s.path(removingPrefix), err)
		return
	}
	for _, name := range doomed {
		if err := s.FS.RemoveAll(s.path(removingPrefix + name)); err != nil {
			s.Log("part of old checkpoint %s stays: %v", s.path(removingPrefix+name), err)
			continue
		}
		s.Log("removed old checkpoint %s", s.path(name))
	}
}

func (s *Store) retire(name string) error {
	if err := s.FS.RemoveAll(s.path(removingPrefix + name)); err != nil {
		return err
	}
	return s.FS.Rename(s.path(name), s.path(removingPrefix+name))
}

func (s *Store) path(name string) string { return filepath.Join(s.Dir, name) }

func (s *Store) stepName(step int64) string { return fmt.Sprintf("%s_step_%d", s.Prefix, step) }

// candidate is a name that says it is a checkpoint.
type candidate struct {
	name  string
	step  int64
	isDir bool // and not a link to one
}

// list returns what is named Prefix_step_N in dir, the highest step first; nothing where there is no dir.
func list(fsys vfs.FS, dir, prefix string) ([]candidate, error) {
	entries, err := fsys.ReadDir(dir)
	if err != nil && !errors.Is(err, fs.ErrNotExist) {
		return nil, fmt.Errorf("checkpoints in %s: %w", dir, err)
	}
	var found []candidate
	for _, entry := range entries {
		if step, ok := parseStep(entry.Name(), prefix); ok {
			found = append(found, candidate{entry.Name(), step, entry.IsDir()})
		}
	}
	slices.SortFunc(found, func(a, b candidate) int { return cmp.Compare(b.step, a.step) })
	return found, nil
}

// parseStep accepts only the spelling that Save gives: model_step_007 and model_step_+7 are other people's names.
func parseStep(name, prefix string) (int64, bool) {
	digits, ok := strings.CutPrefix(name, prefix+"_step_")
	if !ok {
		return 0, false
	}
	step, err := strconv.ParseInt(digits, 10, 64)
	return step, err == nil && step >= 0 && strconv.FormatInt(step, 10) == digits
}

// checkName refuses what is not the name of one file or directory, or could be taken for one of Open's leftovers.
func checkName(name string) error {
	if name == "" || strings.HasPrefix(name, ".") || strings.ContainsAny(name, "/\\\x00") {
		return fmt.Errorf("%q is not a plain name", name)
	}
	return nil
}

func exists(fsys vfs.FS, name string) (bool, error) {
	_, err := fsys.Stat(name)
	if errors.Is(err, fs.ErrNotExist) {
		return false, nil
	}
	return err == nil, err
}

// makeDir makes a directory and those above it, and makes their names durable.
func makeDir(fsys vfs.FS, dir string) error {
	there, err := exists(fsys, dir)
	if err != nil {
		return err
	}
	if there {
		return fsys.MkdirAll(dir, 0o777) // no change; fails where a file is in the way
	}
	parent := filepath.Dir(dir)
	if err := makeDir(fsys, parent); err != nil {
		return err
	}
	if err := fsys.Mkdir(dir, 0o777); err != nil && !errors.Is(err, fs.ErrExist) {
		return err
	}
	return fsys.SyncDir(parent)
}
