package data

// Small encoders and corpora for the tests.

import (
	"context"
	"fmt"
	"hash/fnv"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/dlclark/regexp2/v2"
	"pgregory.net/rapid"

	"frugal/trainer/internal/vfs"
)

const endToken = 256

// byteEncoder has an id for each byte, and can be cut anywhere.
type byteEncoder struct{}

func (byteEncoder) AppendEncode(dst []uint32, text []byte) []uint32 {
	for _, b := range text {
		dst = append(dst, uint32(b))
	}
	return dst
}
func (byteEncoder) Fingerprint() string                  { return "bytes" }
func (byteEncoder) TokenBytes(uint32) int                { return 1 }
func (byteEncoder) SafeSplit(text []byte, limit int) int { return limit }

// patternEncoder makes an id of every match of a tokenizer's pattern, as a BPE with a very large vocabulary would.
type patternEncoder struct{ pattern *regexp2.Regexp }

func (patternEncoder) Fingerprint() string { return "pattern" }

func (e patternEncoder) AppendEncode(dst []uint32, text []byte) []uint32 {
	match, err := e.pattern.FindStringMatch(string(text))
	for ; match != nil && err == nil; match, err = e.pattern.FindNextMatch(match) {
		h := fnv.New32a()
		h.Write([]byte(match.String()))
		dst = append(dst, h.Sum32()>>1)
	}
	if err != nil {
		panic(err)
	}
	return dst
}

// The patterns that byte-level BPE tokenizers split by.
var patterns = map[string]patternEncoder{
	"gpt2": {regexp2.MustCompile(`'s|'t|'re|'ve|'m|'ll|'d| ?\p{L}+| ?\p{N}+| ?[^\s\p{L}\p{N}]+|\s+(?!\S)|\s+`)},
	"cl100k": {regexp2.MustCompile(`'(?i:[sdmt]|ll|ve|re)|[^\r\n\p{L}\p{N}]?\p{L}+|\p{N}{1,3}| ?[^\s\p{L}\p{N}]+[\r\n]*|` +
		`\s*[\r\n]+|\s+(?!\S)|\s+`)},
	"o200k": {regexp2.MustCompile(`[^\r\n\p{L}\p{N}]?[\p{Lu}\p{Lt}\p{Lm}\p{Lo}\p{M}]*[\p{Ll}\p{Lm}\p{Lo}\p{M}]+(?i:'s|'t|'re|'ve|'m|'ll|'d)?|` +
		`[^\r\n\p{L}\p{N}]?[\p{Lu}\p{Lt}\p{Lm}\p{Lo}\p{M}]+[\p{Ll}\p{Lm}\p{Lo}\p{M}]*(?i:'s|'t|'re|'ve|'m|'ll|'d)?|` +
		`\p{N}{1,3}| ?[^\s\p{L}\p{N}]+[\r\n/]*|\s*[\r\n]+|\s+(?!\S)|\s+`)},
}

// testOptions reads a directory's files with the byteEncoder.
func testOptions(dir string, globs ...string) Options {
	for i, g := range globs {
		globs[i] = filepath.Join(dir, g)
	}
	return Options{
		FS: vfs.OS, Train: globs, TextField: "text", Packing: true, CacheDir: filepath.Join(dir, "cache"),
		Encoder: byteEncoder{}, EndToken: endToken, VocabSize: 257, Positions: 16, BatchSize: 2, Accumulation: 2, Seed: 1, Workers: 2,
	}
}

func mustOpen(t testing.TB, o Options) *Dataset {
	t.Helper()
	d, err := Open(context.Background(), o)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		if err := d.Close(); err != nil {
			t.Error(err)
		}
	})
	return d
}

// writeFiles writes files by name below a new directory.
func writeFiles(t testing.TB, files map[string]string) string {
	t.Helper()
	dir := t.TempDir()
	addFiles(t, dir, files)
	return dir
}

func addFiles(t testing.TB, dir string, files map[string]string) {
	t.Helper()
	for name, text := range files {
		name = filepath.Join(dir, name)
		if err := os.MkdirAll(filepath.Dir(name), 0o777); err != nil {
			t.Fatal(err)
		}
		if err := os.WriteFile(name, []byte(text), 0o666); err != nil {
			t.Fatal(err)
		}
	}
}

// memOptions is testOptions on a memory disk that holds the files given.
func memOptions(t testing.TB, files map[string]string) (Options, *vfs.Mem) {
	t.Helper()
	disk := vfs.NewMem()
	for name, text := range files {
		if err := vfs.WriteFile(disk, name, []byte(text)); err != nil {
			t.Fatal(err)
		}
	}
	if err := disk.SyncDir("/"); err != nil {
		t.Fatal(err)
	}
	o := testOptions("", "*.txt", "*.jsonl")
	o.FS, o.CacheDir = disk, "cache"
	if _, ok := files["a.jsonl"]; !ok {
		o.Train = []string{"*.txt"}
	}
	return o, disk
}

// story is a text of paragraphs, different for every n.
func story(n, paragraphs int) string {
	var b strings.Builder
	for i := range paragraphs {
		fmt.Fprintf(&b, "Parágrafo %d da história %d. O vento levou a folha, e a menina riu-se.\nUma linha mais.\n\n", i, n)
	}
	return b.String()
}

// cacheFiles lists what lies in a cache directory, lock files apart.
func cacheFiles(t testing.TB, fsys vfs.FS, dir string) (names []string) {
	t.Helper()
	entries, err := fsys.ReadDir(dir)
	if err != nil && !os.IsNotExist(err) {
		t.Fatal(err)
	}
	for _, e := range entries {
		if !strings.HasSuffix(e.Name(), ".lock") {
			names = append(names, filepath.Join(dir, e.Name()))
		}
	}
	return names
}

// streamIDs joins the rows in the order of their stream.
func streamIDs(r rows) (ids []int64) {
	for i := range r.len() {
		from, length := r.at(i)
		row := make([]int64, length)
		r.read(row, from)
		ids = append(ids, row...)
	}
	return ids
}

// openDrawn opens files on a memory disk, inside a property.
func openDrawn(t *rapid.T, files map[string]string, change func(*Options)) (*Dataset, error) {
	disk := vfs.NewMem()
	for name, text := range files {
		if err := vfs.WriteFile(disk, name, []byte(text)); err != nil {
			t.Fatal(err)
		}
	}
	o := testOptions("")
	o.FS, o.Train, o.CacheDir = disk, []string{"**"}, ".cache"
	change(&o)
	return Open(context.Background(), o)
}
