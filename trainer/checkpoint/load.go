// Reading: finding the newest checkpoint that is intact.

package checkpoint

import (
	"errors"
	"fmt"
	"io/fs"
	"maps"
	"path/filepath"
	"slices"
	"strings"

	"frugal/trainer/internal/vfs"
)

// ErrNoneIntact is returned by Newest where there are checkpoints and every one of them is damaged.
var ErrNoneIntact = errors.New("no checkpoint is intact")

// Checkpoint is a directory whose files were all read and found to be what its manifest says.
type Checkpoint struct {
	Dir      string
	Step     int64
	Manifest Manifest
	fsys     vfs.FS
}

// FS is where its files are.
func (c *Checkpoint) FS() vfs.FS { return c.fsys }

// Open maps a file of the checkpoint. The caller closes the mapping.
func (c *Checkpoint) Open(name string) (vfs.Mapping, error) {
	sum, ok := c.Manifest.Files[name]
	if !ok {
		return nil, fmt.Errorf("checkpoint %s: it has no %s", c.Dir, name)
	}
	m, err := c.fsys.Map(filepath.Join(c.Dir, name))
	if err != nil {
		return nil, fmt.Errorf("checkpoint %s: %s: %w", c.Dir, name, err)
	}
	if int64(len(m.Bytes())) != sum.Size {
		m.Close()
		return nil, fmt.Errorf("checkpoint %s: %s: changed since it was verified", c.Dir, name)
	}
	return m, nil
}

// Newest returns the checkpoint of the highest step that is intact, and for each one of a higher step that was passed over
// an error that names the checkpoint, the file and what is wrong with it. Without any checkpoint it returns nil and no error;
// with checkpoints of which none is intact, an error that is ErrNoneIntact.
func (s *Store) Newest() (*Checkpoint, []error, error) { return Newest(s.FS, s.Dir, s.Prefix) }

// Newest is Store.Newest without a Store: it only reads.
func Newest(fsys vfs.FS, dir, prefix string) (*Checkpoint, []error, error) {
	found, err := list(fsys, dir, prefix)
	if err != nil || len(found) == 0 {
		return nil, nil, err
	}
	var passedOver []error
	for _, candidate := range found {
		c, err := Load(fsys, filepath.Join(dir, candidate.name))
		if err == nil && c.Step != candidate.step {
			err = fmt.Errorf("checkpoint %s: %s: it is of step %d", c.Dir, manifestName, c.Step)
		}
		if err == nil {
			return c, passedOver, nil
		}
		passedOver = append(passedOver, err)
	}
	return nil, passedOver, fmt.Errorf("%s: %w: %d of %d named %s_step_N are damaged", dir, ErrNoneIntact, len(found), len(found), prefix)
}

// Load verifies the checkpoint in dir, whatever dir is called: all its files are read. Files that the manifest does not name
// are ignored.
func Load(fsys vfs.FS, dir string) (*Checkpoint, error) {
	m, err := readManifest(fsys, dir)
	if err == nil {
		err = verify(fsys, dir, m.Files)
	}
	if err != nil {
		return nil, fmt.Errorf("checkpoint %s: %w", dir, err)
	}
	return &Checkpoint{Dir: dir, Step: m.Step, Manifest: m, fsys: fsys}, nil
}

func readManifest(fsys vfs.FS, dir string) (Manifest, error) {
	info, err := fsys.Stat(dir)
	if errors.Is(err, fs.ErrNotExist) {
		return Manifest{}, fs.ErrNotExist // the caller names dir
	}
	if err != nil {
		return Manifest{}, err
	}
	if !info.IsDir() {
		return Manifest{}, errors.New("not a directory")
	}
	b, err := vfs.ReadFile(fsys, filepath.Join(dir, manifestName))
	if errors.Is(err, fs.ErrNotExist) {
		return Manifest{}, fmt.Errorf("%s: missing%s", manifestName, checkpointsIn(fsys, dir))
	}
	var m Manifest
	if err == nil {
		m, err = decode(b)
	}
	if err != nil {
		return Manifest{}, fmt.Errorf("%s: %w", manifestName, err)
	}
	return m, nil
}

// checkpointsIn helps whoever named output_dir where a checkpoint was asked for.
func checkpointsIn(fsys vfs.FS, dir string) string {
	entries, err := fsys.ReadDir(dir)
	if err != nil {
		return ""
	}
	var names []string
	for _, entry := range entries {
		if there, err := exists(fsys, filepath.Join(dir, entry.Name(), manifestName)); err == nil && there && !isLeftover(entry.Name()) {
			names = append(names, entry.Name())
		}
	}
	if len(names) == 0 {
		return ""
	}
	return fmt.Sprintf(" (the directory holds checkpoints: %s)", strings.Join(names, ", "))
}

// verify reads the files of a directory and compares them with their sums: first all sizes, which is quick.
func verify(fsys vfs.FS, dir string, files map[string]Sum) error {
	names := slices.Sorted(maps.Keys(files))
	for _, name := range names {
		info, err := fsys.Stat(filepath.Join(dir, name))
		switch {
		case errors.Is(err, fs.ErrNotExist):
			return fmt.Errorf("%s: missing", name)
		case err != nil:
			return fmt.Errorf("%s: %w", name, err)
		case !info.Mode().IsRegular():
			return fmt.Errorf("%s: not a file", name)
		case info.Size() != files[name].Size:
			return fmt.Errorf("%s: %d bytes, want %d", name, info.Size(), files[name].Size)
		}
	}
	for _, name := range names {
		sum, err := hashFile(fsys, filepath.Join(dir, name), files[name].Size)
		if err != nil {
			return fmt.Errorf("%s: %w", name, err)
		}
		if sum != files[name] {
			return fmt.Errorf("%s: damaged (its SHA-256 is not the manifest's)", name)
		}
	}
	return nil
}
