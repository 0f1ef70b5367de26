// Writing: into a directory beside the target, synced, read back, renamed.

package checkpoint

import (
	"bytes"
	"context"
	"fmt"
	"io"
	"os"
	"path/filepath"

	"frugal/trainer/internal/vfs"
)

// Save writes a checkpoint and returns its directory, Dir/Prefix_step_N. Where one of that step exists it stays if it is
// identical and intact, else the new one takes its place. Afterwards the oldest beyond Keep are removed. When Save fails, the
// checkpoints that were there before are as they were, and the error wraps the cause (errors.Is with syscall.ENOSPC …).
// Cancelling ctx stops it between two pieces of a file, not once the new directory has been verified.
func (s *Store) Save(ctx context.Context, step int64, info Info, files []File) (dir string, err error) {
	name := s.stepName(step)
	dir = s.path(name)
	if step < 0 {
		return "", fmt.Errorf("checkpoint %s: negative step", dir)
	}
	if err := s.save(ctx, name, step, info, files); err != nil {
		return "", fmt.Errorf("checkpoint %s: %w", dir, err)
	}
	s.Prune(step)
	return dir, nil
}

func (s *Store) save(ctx context.Context, name string, step int64, info Info, files []File) (err error) {
	saving := s.path(savingPrefix + name)
	defer func() {
		if err != nil {
			s.FS.RemoveAll(saving) // best effort: gives space back; Open removes what stays
		}
	}()
	sums, err := s.writeFiles(ctx, saving, files)
	if err != nil {
		return err
	}
	manifest, err := newManifest(step, info, sums)
	if err != nil {
		return err
	}
	encoded := manifest.encode()
	if _, err := s.writeFile(ctx, saving, File{manifestName, func(w io.Writer) error { _, err := w.Write(encoded); return err }}); err != nil {
		return err
	}
	if err := s.FS.SyncDir(saving); err != nil {
		return err
	}
	if _, err := Load(s.FS, saving); err != nil {
		return fmt.Errorf("reading it back: %w", err)
	}
	if s.isIdentical(name, encoded) {
		s.Log("%s is already there, identical", s.path(name))
		if err := s.FS.RemoveAll(saving); err != nil {
			s.Log("%s stays until the next start: %v", saving, err)
		}
		return nil
	}
	return s.commit(saving, name)
}

// isIdentical says whether the checkpoint of that name has this manifest and is intact.
func (s *Store) isIdentical(name string, manifest []byte) bool {
	there, err := vfs.ReadFile(s.FS, filepath.Join(s.path(name), manifestName))
	if err != nil || !bytes.Equal(there, manifest) {
		return false
	}
	_, err = Load(s.FS, s.path(name))
	return err == nil
}

// WriteDir writes Dir/name with the given files and nothing else in it, with the care of Save but no manifest. What was
// there stays until the new directory is complete.
func (s *Store) WriteDir(name string, files []File) error {
	if err := s.writeDir(name, files); err != nil {
		return fmt.Errorf("%s: %w", s.path(name), err)
	}
	return nil
}

func (s *Store) writeDir(name string, files []File) (err error) {
	if err := checkName(name); err != nil {
		return err
	}
	saving := s.path(savingPrefix + name)
	defer func() {
		if err != nil {
			s.FS.RemoveAll(saving) // best effort, as in save
		}
	}()
	sums, err := s.writeFiles(context.Background(), saving, files)
	if err != nil {
		return err
	}
	if err := s.FS.SyncDir(saving); err != nil {
		return err
	}
	if err := verify(s.FS, saving, sums); err != nil {
		return fmt.Errorf("reading it back: %w", err)
	}
	return s.commit(saving, name)
}

// commit gives a complete directory its name. Either everything succeeds or everything is as before.
func (s *Store) commit(saving, name string) error {
	final, aside := s.path(name), s.path(replacedPrefix+name)
	replaces, err := exists(s.FS, final)
	if err != nil {
		return err
	}
	bringBack := func() {
		if replaces {
			s.FS.Rename(aside, final) // if this fails, Open does it
		}
	}
	if replaces {
		if err := s.FS.RemoveAll(aside); err != nil {
			return err
		}
		if err := s.FS.Rename(final, aside); err != nil {
			return err
		}
	}
	if err := s.FS.Rename(saving, final); err != nil {
		bringBack()
		return err
	}
	if err := s.FS.SyncDir(s.Dir); err != nil {
		s.FS.Rename(final, saving) // it may not be durable: it must not be taken for the newest
		bringBack()
		return err
	}
	if err := s.FS.RemoveAll(aside); err != nil {
		s.Log("%s stays until the next start: %v", aside, err)
	}
	return nil
}

// writeFiles makes a directory with these files in it, each synced, and returns their sums by name.
func (s *Store) writeFiles(ctx context.Context, dir string, files []File) (map[string]Sum, error) {
	if err := s.FS.RemoveAll(dir); err != nil { // of a save that failed and could not clean up
		return nil, err
	}
	if err := s.FS.Mkdir(dir, 0o777); err != nil {
		return nil, err
	}
	sums := make(map[string]Sum, len(files))
	for _, f := range files {
		if err := checkFileName(f.Name); err != nil {
			return nil, err
		}
		if _, twice := sums[f.Name]; twice {
			return nil, fmt.Errorf("%s is there twice", f.Name)
		}
		sum, err := s.writeFile(ctx, dir, f)
		if err != nil {
			return nil, fmt.Errorf("%s: %w", f.Name, err)
		}
		sums[f.Name] = sum
	}
	return sums, nil
}

func (s *Store) writeFile(ctx context.Context, dir string, f File) (sum Sum, err error) {
	out, err := s.FS.OpenFile(filepath.Join(dir, f.Name), os.O_WRONLY|os.O_CREATE|os.O_EXCL, 0o666)
	if err != nil {
		return Sum{}, err
	}
	defer func() {
		if closeErr := out.Close(); err == nil {
			err = closeErr
		}
	}()
	hashed := newHashingWriter(ctx, out)
	defer func() { sum = hashed.finish() }() // also where f.Write panics
	if err := f.Write(hashed); err != nil {
		return sum, err
	}
	if err := hashed.flush(); err != nil {
		return sum, err
	}
	return sum, out.Sync()
}
