// One run at a time in an output directory.

package checkpoint

import (
	"errors"
	"fmt"
	"io"
	"os"
	"path/filepath"
	"strconv"
	"strings"

	"frugal/trainer/internal/vfs"
)

// lockName is the locked file. It stays when the run ends: removing it would let two runs lock two files of that name.
const lockName = ".lock"

// Lock makes the output directory if it is absent and takes it for this process, until Close or the process's end. Where
// another run has it, the error is vfs.ErrLocked and names that run's process.
func Lock(fsys vfs.FS, outputDir string) (io.Closer, error) {
	if err := makeDir(fsys, outputDir); err != nil {
		return nil, err
	}
	name := filepath.Join(outputDir, lockName)
	lock, err := fsys.Lock(name)
	if errors.Is(err, vfs.ErrLocked) {
		return nil, &inUse{dir: outputDir, holder: holder(fsys, name)}
	}
	if err != nil {
		return nil, err
	}
	// The number only serves the message above, so a full disk must not stop the run here.
	_ = writePID(fsys, name)
	return lock, nil
}

// inUse is vfs.ErrLocked in words.
type inUse struct{ dir, holder string }

func (e *inUse) Error() string { return fmt.Sprintf("%s: in use by another run%s", e.dir, e.holder) }
func (e *inUse) Unwrap() error { return vfs.ErrLocked }

// writePID writes in place: a new file would not be the one that is locked.
func writePID(fsys vfs.FS, name string) error {
	f, err := fsys.OpenFile(name, os.O_WRONLY|os.O_TRUNC, 0)
	if err != nil {
		return err
	}
	defer f.Close()
	_, err = fmt.Fprintln(f, os.Getpid())
	return err
}

// holder returns " (pid N)", or nothing where the file does not say.
func holder(fsys vfs.FS, name string) string {
	b, err := vfs.ReadFile(fsys, name)
	if err != nil {
		return ""
	}
	pid, err := strconv.Atoi(strings.TrimSpace(string(b)))
	if err != nil {
		return ""
	}
	return fmt.Sprintf(" (pid %d)", pid)
}
