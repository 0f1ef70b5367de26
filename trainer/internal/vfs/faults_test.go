package vfs

import (
	"errors"
	"os"
	"path/filepath"
	"testing"
)

func TestAMappedFileThatIsCutShortIsAnError(t *testing.T) {
	path := filepath.Join(t.TempDir(), "file")
	if err := os.WriteFile(path, make([]byte, 1<<20), 0o666); err != nil {
		t.Fatal(err)
	}
	m, err := OS.Map(path)
	if err != nil {
		t.Fatal(err)
	}
	defer m.Close()
	read := func() (sum int, err error) {
		defer CatchFaults(&err, "what")()
		for _, b := range m.Bytes() {
			sum += int(b)
		}
		return sum, nil
	}
	if _, err := read(); err != nil {
		t.Fatal(err)
	}
	if err := os.Truncate(path, 0); err != nil {
		t.Fatal(err)
	}
	if _, err := read(); !errors.Is(err, ErrCutShort) {
		t.Errorf("%v", err)
	}
	defer func() {
		if v := recover(); v != "another" {
			t.Errorf("recovered %v", v)
		}
	}()
	defer CatchFaults(&err, "what")()
	panic("another")
}
