package main

// Configurations and files that cannot be right, through the whole program: the exit code, the one line a problem, and a disk
// that stays as it was.

import (
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"
)

// Each file of trainer/config/testdata/bad has beside it, as .want, the whole message.
func TestBadConfigurationsEndWithTheirProblems(t *testing.T) {
	source := filepath.Join("..", "..", "trainer", "config", "testdata", "bad")
	entries := must(os.ReadDir(source))(t)
	count := 0
	for _, entry := range entries {
		name := entry.Name()
		if strings.HasSuffix(name, ".want") {
			continue
		}
		count++
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			dir := t.TempDir()
			copyFile(t, filepath.Join(source, name), filepath.Join(dir, name))
			var want strings.Builder
			for line := range strings.Lines(string(must(os.ReadFile(filepath.Join(source, name+".want")))(t))) {
				want.WriteString("train: " + line)
			}
			code, stderr := train(t, dir, "-config", name)
			if code != 2 {
				t.Errorf("exit code %d, want 2", code)
			}
			if diff := cmp.Diff(want.String(), stderr); diff != "" {
				t.Error(diff)
			}
			if left := must(list(dir))(t); !slices.Equal(left, []string{name}) {
				t.Errorf("on the disk afterwards: %q", left)
			}
		})
	}
	if count < 40 {
		t.Errorf("%d bad configurations, want at least 40", count)
	}
}

// trainer/data/testdata/bad/errors.txt has the message about each file beside it.
func TestBadInputFilesEndWithOneLine(t *testing.T) {
	source := filepath.Join("..", "..", "trainer", "data", "testdata", "bad")
	count := 0
	for line := range strings.Lines(string(must(os.ReadFile(filepath.Join(source, "errors.txt")))(t))) {
		name, message, _ := strings.Cut(strings.TrimSuffix(line, "\n"), ": ")
		count++
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			dir := workplace(t)
			copyFile(t, filepath.Join(source, name), filepath.Join(dir, name))
			before := must(sum(filepath.Join(dir, name)))(t)
			code, stderr := train(t, dir, "-config", "tiny.yaml", "-set", "data.train=["+name+"]", "-set", "data.cache_dir=cache")
			if code != 1 {
				t.Errorf("exit code %d, want 1", code)
			}
			if diff := cmp.Diff([]string{"train: data: " + name + ": " + message}, problems(stderr)); diff != "" {
				t.Error(diff)
			}
			if must(sum(filepath.Join(dir, name)))(t) != before {
				t.Error("the file was changed")
			}
			checkNothingHalfDone(t, dir)
		})
	}
	if count < 30 {
		t.Errorf("%d bad input files, want at least 30", count)
	}
}

// checkNothingHalfDone fails where a run that could not begin left more than its log, its lock and a token cache that is whole.
func checkNothingHalfDone(t *testing.T, dir string) {
	t.Helper()
	for _, path := range must(list(filepath.Join(dir, "output")))(t) {
		if path != ".lock" && path != "train.log" {
			t.Errorf("output/%s was left", path)
		}
	}
	paths := must(list(dir))(t)
	for _, path := range paths {
		if strings.Contains(path, ".tmp") {
			t.Errorf("%s was left", path)
		}
	}
}
