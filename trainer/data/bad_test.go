package data

// Files that must be refused, each with one line: testdata/bad/errors.txt names them.

import (
	"context"
	"os"
	"path/filepath"
	"strings"
	"testing"
)

func TestBadInputFilesAreRefusedWithOneLine(t *testing.T) {
	table, err := os.ReadFile("testdata/bad/errors.txt")
	if err != nil {
		t.Fatal(err)
	}
	want := map[string]string{}
	for line := range strings.Lines(string(table)) {
		name, message, ok := strings.Cut(strings.TrimSuffix(line, "\n"), ": ")
		if !ok || want[name] != "" {
			t.Fatalf("errors.txt: %q", line)
		}
		want[name] = message
	}
	entries, err := os.ReadDir("testdata/bad")
	if err != nil {
		t.Fatal(err)
	}
	for _, e := range entries {
		if e.Name() == "errors.txt" {
			continue
		}
		t.Run(e.Name(), func(t *testing.T) {
			o := testOptions("testdata/bad", e.Name())
			o.CacheDir = t.TempDir()
			_, err := Open(context.Background(), o)
			if err == nil {
				t.Fatal("accepted")
			}
			got := strings.ReplaceAll(err.Error(), "data: testdata/bad/"+e.Name()+": ", "")
			if got != want[e.Name()] {
				t.Errorf("message %q, want %q", got, want[e.Name()])
			}
			if strings.Contains(err.Error(), "\n") || !strings.HasPrefix(err.Error(), "data: ") || !strings.Contains(err.Error(), filepath.Join("testdata/bad", e.Name())) {
				t.Errorf("want one line that names the file: %q", err)
			}
			if left := cacheFiles(t, o.FS, o.CacheDir); strings.Contains(strings.Join(left, " "), ".tmp") {
				t.Errorf("left behind: %v", left)
			}
		})
	}
	if len(want) != len(entries)-1 {
		t.Errorf("errors.txt has %d files, the directory %d", len(want), len(entries)-1)
	}
}
