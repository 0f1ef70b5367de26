// metrics.jsonl: every Record as a line, for programs.

package monitor

import (
	"bufio"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"os"
	"path/filepath"

	"frugal/trainer/internal/vfs"
)

type jsonl struct {
	out  *appender
	line []byte
}

// OpenJSONL opens the metrics file at path, making its directory. With resumeStep ≥ 0 it goes on where the checkpoint of
// that step left off: lines past it are cut, and so is a last line that a kill left half-written. With resumeStep < 0 the
// run is a fresh one: a metrics file that is already there is kept as path.1 (or .2, …), and a new one begins.
func OpenJSONL(fsys vfs.FS, path string, resumeStep int64) (Sink, error) {
	if err := fsys.MkdirAll(filepath.Dir(path), 0o777); err != nil {
		return nil, fmt.Errorf("metrics: %w", err)
	}
	switch info, err := fsys.Stat(path); {
	case err == nil && !info.Mode().IsRegular(): // a device would be read without end
		return nil, fmt.Errorf("metrics: %s is not a regular file", path)
	case err != nil && !errors.Is(err, fs.ErrNotExist):
		return nil, fmt.Errorf("metrics: %w", err)
	}
	if resumeStep < 0 {
		if err := moveAside(fsys, path); err != nil {
			return nil, fmt.Errorf("metrics: %w", err)
		}
	}
	file, err := fsys.OpenFile(path, os.O_RDWR|os.O_CREATE|os.O_APPEND, 0o666)
	if err != nil {
		return nil, fmt.Errorf("metrics: %w", err)
	}
	out, err := cutAfter(fsys, file, path, resumeStep)
	if err != nil {
		file.Close()
		return nil, fmt.Errorf("metrics: %w", err)
	}
	return &jsonl{out: out}, nil
}

// cutAfter drops the lines past step from the file and makes it and its name durable.
func cutAfter(fsys vfs.FS, file vfs.File, path string, step int64) (*appender, error) {
	size, err := linesThrough(file, step)
	if err != nil {
		return nil, err
	}
	if err := file.Truncate(size); err != nil {
		return nil, err
	}
	if err := file.Sync(); err != nil {
		return nil, err
	}
	if err := fsys.SyncDir(filepath.Dir(path)); err != nil {
		return nil, err
	}
	return newAppender(file)
}

// linesThrough returns the length of the part of a metrics file to keep: up to the last whole line of a step ≤ step that
// comes before any line of a later step.
func linesThrough(r io.Reader, step int64) (size int64, err error) {
	var at int64
	for lines := bufio.NewReader(r); ; {
		line, err := lines.ReadBytes('\n')
		if errors.Is(err, io.EOF) {
			return size, nil // what is left in line lacks its newline: half a line
		}
		if err != nil {
			return 0, err
		}
		at += int64(len(line))
		var head struct{ Step *int64 }
		if json.Unmarshal(line, &head) != nil || head.Step == nil {
			continue // damaged; kept only if a whole line of this part follows
		}
		if *head.Step > step {
			return size, nil
		}
		size = at
	}
}

// Recorded says whether a metrics file has an event of a step.
func Recorded(fsys vfs.FS, path, event string, step int64) (found bool, err error) {
	file, err := fsys.Open(path)
	if errors.Is(err, fs.ErrNotExist) {
		return false, nil
	}
	if err != nil {
		return false, fmt.Errorf("metrics: %w", err)
	}
	defer file.Close()
	for lines := bufio.NewReader(file); ; {
		line, err := lines.ReadBytes('\n')
		var head struct {
			Event string
			Step  *int64
		}
		if json.Unmarshal(line, &head) == nil && head.Step != nil && head.Event == event && *head.Step == step {
			return true, nil
		}
		if errors.Is(err, io.EOF) {
			return false, nil
		}
		if err != nil {
			return false, fmt.Errorf("metrics: %w", err)
		}
	}
}

// moveAside renames what is at path to the first free of path.1, path.2, …
func moveAside(fsys vfs.FS, path string) error {
	info, err := fsys.Stat(path)
	if errors.Is(err, fs.ErrNotExist) || err == nil && info.Size() == 0 {
		return nil
	}
	for n := 1; err == nil; n++ {
		aside := fmt.Sprintf("%s.%d", path, n)
		if _, err = fsys.Stat(aside); errors.Is(err, fs.ErrNotExist) {
			return fsys.Rename(path, aside)
		}
	}
	return err
}

func (j *jsonl) Write(r Record) error {
	line, err := appendLine(j.line[:0], r)
	if err != nil {
		return fmt.Errorf("metrics: %s: event %s: %w", j.out.file.Name(), r.Event, err)
	}
	j.line = line
	return j.wrap(j.out.append(line))
}

func (j *jsonl) Sync() error  { return j.wrap(j.out.sync()) }
func (j *jsonl) Close() error { return j.wrap(j.out.close()) }

func (j *jsonl) wrap(err error) error {
	if err != nil {
		return fmt.Errorf("metrics: %w", err)
	}
	return nil
}
