package main

// Files appear whole or not at all.

import (
	"bufio"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"os"
	"path/filepath"
)

// writeFile writes beside path, syncs and renames: whoever has the old file open keeps it, and a full disk leaves it.
func writeFile(path string, write func(io.Writer) error) error {
	if info, err := os.Stat(path); err == nil && !info.Mode().IsRegular() {
		return &outputError{fmt.Errorf("%s: is there and is not a file", path)}
	}
	temporary := filepath.Join(filepath.Dir(path), fmt.Sprintf(".%s.tmp-%d", filepath.Base(path), os.Getpid()))
	err := writeSynced(temporary, write)
	if err == nil {
		err = os.Rename(temporary, path)
	}
	if err != nil {
		os.Remove(temporary)
		return &outputError{fmt.Errorf("%s: %w", path, err)}
	}
	return nil
}

func writeSynced(path string, write func(io.Writer) error) error {
	file, err := os.Create(path)
	if failed := (*fs.PathError)(nil); errors.As(err, &failed) {
		return failed.Err // the caller names the file; path is a temporary one
	}
	if err != nil {
		return err
	}
	defer file.Close()
	buffered := bufio.NewWriter(file)
	if err := write(buffered); err != nil {
		return err
	}
	if err := buffered.Flush(); err != nil {
		return err
	}
	if err := file.Sync(); err != nil {
		return err
	}
	return file.Close()
}

// printTo writes to the standard output, which may be a full disk as well.
func printTo(stdout io.Writer, text string) error {
	if _, err := io.WriteString(stdout, text); err != nil {
		return &outputError{err}
	}
	return nil
}
