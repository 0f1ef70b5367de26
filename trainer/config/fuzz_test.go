package config

import (
	"fmt"
	"os"
	"path/filepath"
	"slices"
	"testing"

	"github.com/google/go-cmp/cmp"
)

// Load never panics, its errors are single lines, and what it accepts prints and loads again.
func FuzzLoad(f *testing.F) {
	extensions := []string{".yaml", ".json", ".toml"}
	seeds, err := filepath.Glob("testdata/bad/*")
	if err != nil {
		f.Fatal(err)
	}
	for _, seed := range append(seeds, "testdata/original.json", "../../configs/demo-pt.yaml") {
		content, err := os.ReadFile(seed)
		if err != nil {
			f.Fatal(err)
		}
		if i := slices.Index(extensions, filepath.Ext(seed)); i >= 0 {
			f.Add(uint8(i), content)
		}
	}
	f.Fuzz(func(t *testing.T, format uint8, content []byte) {
		c, _, err := load(LoadOptions{Path: "x" + extensions[int(format)%len(extensions)]}, content)
		if err != nil {
			messages(t, err)
			return
		}
		printed, err := c.YAML()
		if err != nil {
			t.Fatal(err)
		}
		again, _, err := load(LoadOptions{Path: "printed.yaml"}, printed)
		if err != nil {
			t.Fatalf("%v\n%s", err, printed)
		}
		if diff := cmp.Diff(c, again, values); diff != "" {
			t.Fatal(diff)
		}
	})
}

// -set takes any text without a panic.
func FuzzSet(f *testing.F) {
	for _, k := range keys {
		f.Add(k.name + "=" + fmt.Sprint(k.def))
	}
	f.Add("data.train=[*a]")
	f.Add("seed=!!binary x")
	f.Fuzz(func(t *testing.T, set string) {
		if c, _, err := Load(LoadOptions{Set: []string{set}}); err != nil {
			messages(t, err)
		} else if c == nil {
			t.Fatal("neither a configuration nor an error")
		}
	})
}
