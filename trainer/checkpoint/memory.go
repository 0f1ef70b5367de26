package checkpoint

import (
	"fmt"
	"path/filepath"

	"frugal/trainer/internal/vfs"
)

// InMemory is a checkpoint that another process has verified, of which only some files are at hand: the others cannot be opened.
func InMemory(dir string, m Manifest, files map[string][]byte) (*Checkpoint, error) {
	fsys := vfs.NewMem()
	if err := fsys.MkdirAll(dir, 0o777); err != nil {
		return nil, err
	}
	for name, content := range files {
		if err := vfs.WriteFileAtomic(fsys, filepath.Join(dir, name), content); err != nil {
			return nil, fmt.Errorf("checkpoint %s: %s: %w", dir, name, err)
		}
	}
	return &Checkpoint{Dir: dir, Step: m.Step, Manifest: m, fsys: fsys}, nil
}
