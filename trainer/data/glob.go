package data

// Globs over a vfs.FS: path.Match for each part of a path, and ** for any number of directories.

import (
	"errors"
	"fmt"
	"io/fs"
	"path"
	"slices"
	"strings"

	"frugal/trainer/internal/vfs"
)

// expand returns the files that the patterns match, sorted, each once. A pattern that matches no file is an error, so that
// a mistyped name is not a smaller corpus.
func expand(fsys vfs.FS, patterns []string) ([]string, error) {
	var files []string
	for _, pattern := range patterns {
		g := globber{fsys: fsys}
		if info, err := fsys.Stat(pattern); err == nil && info.Mode().IsRegular() { // also one whose name has [ or * in it
			files = append(files, path.Clean(pattern))
			continue
		}
		if err := g.check(pattern); err != nil {
			return nil, err
		}
		start, rest := "", path.Clean(pattern)
		if strings.HasPrefix(rest, "/") {
			start, rest = "/", rest[1:]
		}
		if err := g.walk(start, strings.Split(rest, "/")); err != nil {
			return nil, fmt.Errorf("data: %w", err)
		}
		if len(g.files) == 0 {
			return nil, nothingMatches(fsys, pattern)
		}
		files = append(files, g.files...)
	}
	slices.Sort(files)
	return slices.Compact(files), nil
}

func nothingMatches(fsys vfs.FS, pattern string) error {
	if strings.ContainsAny(pattern, `*?[\`) {
		return fmt.Errorf("data: %s: no file matches", pattern)
	}
	info, err := fsys.Stat(pattern)
	switch {
	case err == nil && info.IsDir():
		return fmt.Errorf("data: %s: is a directory (its files are %s)", pattern, path.Join(pattern, "*"))
	case err == nil:
		return fmt.Errorf("data: %s: is not a regular file", pattern)
	case errors.Is(err, fs.ErrNotExist):
		return fmt.Errorf("data: %s: no such file", pattern)
	}
	return fmt.Errorf("data: %w", err)
}

type globber struct {
	fsys  vfs.FS
	files []string
}

func (g *globber) check(pattern string) error {
	if pattern == "" {
		return errors.New("data: an empty file name")
	}
	if _, err := path.Match(pattern, ""); err != nil {
		return fmt.Errorf("data: %s: malformed pattern", pattern)
	}
	return nil
}

// walk collects the files below dir that the parts match.
func (g *globber) walk(dir string, parts []string) error {
	part, rest := parts[0], parts[1:]
	if part != "**" && !strings.ContainsAny(part, `*?[\`) {
		return g.visit(path.Join(dir, part), rest)
	}
	if part == "**" {
		if len(rest) == 0 {
			rest = []string{"*"}
		}
		if err := g.walk(dir, rest); err != nil { // ** as no directory at all
			return err
		}
	}
	entries, err := g.readDir(dir)
	if err != nil {
		return err
	}
	for _, e := range entries {
		name := path.Join(dir, e.Name())
		if part == "**" {
			if e.IsDir() && !strings.HasPrefix(e.Name(), ".") {
				err = g.walk(name, parts)
			}
		} else if ok, _ := path.Match(part, e.Name()); ok {
			err = g.visit(name, rest)
		}
		if err != nil {
			return err
		}
	}
	return nil
}

// visit goes on with the remaining parts below name, or collects name where none remain.
func (g *globber) visit(name string, rest []string) error {
	info, err := g.fsys.Stat(name)
	switch {
	case errors.Is(err, fs.ErrNotExist):
		return nil
	case err != nil:
		return err
	case len(rest) > 0 && info.IsDir():
		return g.walk(name, rest)
	case len(rest) == 0 && info.Mode().IsRegular():
		g.files = append(g.files, name)
	}
	return nil
}

func (g *globber) readDir(dir string) ([]fs.DirEntry, error) {
	if dir == "" {
		dir = "."
	}
	entries, err := g.fsys.ReadDir(dir)
	if errors.Is(err, fs.ErrNotExist) {
		return nil, nil
	}
	return entries, err
}
