package data

import (
	"testing"

	"github.com/google/go-cmp/cmp"

	"frugal/trainer/internal/vfs"
)

func TestGlobs(t *testing.T) {
	disk := vfs.NewMem()
	for _, name := range []string{"a.txt", "b.txt", "c.jsonl", "sub/a.txt", "sub/deep/d.txt", "sub/.hidden/e.txt", "other/[x].txt"} {
		dir := name[:max(0, len(name)-6)]
		if err := disk.MkdirAll("/"+dir, 0o777); err != nil {
			t.Fatal(err)
		}
	}
	for _, name := range []string{"a.txt", "b.txt", "c.jsonl", "sub/a.txt", "sub/deep/d.txt", "sub/.hidden/e.txt", "other/[x].txt"} {
		if err := vfs.WriteFile(disk, name, []byte("x")); err != nil {
			t.Fatal(name, err)
		}
	}
	tests := []struct {
		patterns, want []string
	}{
		{[]string{"a.txt"}, []string{"a.txt"}},
		{[]string{"./a.txt", "a.txt", "*.txt"}, []string{"a.txt", "b.txt"}},
		{[]string{"*"}, []string{"a.txt", "b.txt", "c.jsonl"}},
		{[]string{"[^a].txt"}, []string{"b.txt"}},
		{[]string{"*/*.txt"}, []string{"other/[x].txt", "sub/a.txt"}},
		{[]string{`other/\[x\].txt`}, []string{"other/[x].txt"}},
		{[]string{"other/[x].txt"}, []string{"other/[x].txt"}},
		{[]string{"**/a.txt"}, []string{"a.txt", "sub/a.txt"}},
		{[]string{"sub/**"}, []string{"sub/a.txt", "sub/deep/d.txt"}},
		{[]string{"**/*.txt"}, []string{"a.txt", "b.txt", "other/[x].txt", "sub/a.txt", "sub/deep/d.txt"}},
		{[]string{"**/deep/**/*.txt"}, []string{"sub/deep/d.txt"}},
		{[]string{"/sub/*/d.txt"}, []string{"/sub/deep/d.txt"}},
		{[]string{"sub/.hidden/*"}, []string{"sub/.hidden/e.txt"}},
	}
	for _, tt := range tests {
		got, err := expand(disk, tt.patterns)
		if err != nil {
			t.Error(tt.patterns, err)
		}
		if diff := cmp.Diff(tt.want, got); diff != "" {
			t.Errorf("%q: %s", tt.patterns, diff)
		}
	}
	for _, pattern := range []string{"", "[", "x", "x/*", "a.txt/*", "sub", "sub/*.jsonl", "**/x"} {
		if got, err := expand(disk, []string{"a.txt", pattern}); err == nil {
			t.Errorf("%q matches %v", pattern, got)
		}
	}
}
