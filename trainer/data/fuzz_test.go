package data

import (
	"bytes"
	"crypto/sha256"
	"encoding/binary"
	"errors"
	"io/fs"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"testing/fstest"
	"unicode/utf8"

	"frugal/trainer/internal/vfs"
)

// fuzzDocuments reads one file of any contents: documents or an error of one line, never a panic.
func fuzzDocuments(t *testing.T, name string, contents []byte) {
	fsys := FromFS(fstest.MapFS{name: {Data: contents}})
	for d, err := range Documents(fsys, []string{name}, "text") {
		if err != nil {
			checkMessage(t, err, name)
		} else if len(d.Text) == 0 || !utf8.Valid(d.Text) {
			t.Errorf("document %q", d.Text)
		}
	}
}

func checkMessage(t *testing.T, err error, name string) {
	t.Helper()
	if text := err.Error(); !strings.HasPrefix(text, "data: "+name+": ") || strings.ContainsAny(text, "\n\r") {
		t.Errorf("message %q", text)
	}
}

func seedWith(f *testing.F, pattern string) {
	names, err := filepath.Glob(pattern)
	if err != nil || len(names) == 0 {
		f.Fatal(pattern, err)
	}
	for _, name := range names {
		b, err := os.ReadFile(name)
		if err != nil {
			f.Fatal(err)
		}
		f.Add(b)
	}
}

func FuzzText(f *testing.F) {
	seedWith(f, "testdata/bad/*.txt")
	f.Add([]byte("a<|endoftext|>b"))
	f.Fuzz(func(t *testing.T, b []byte) { fuzzDocuments(t, "a.txt", b) })
}

func FuzzLine(f *testing.F) {
	seedWith(f, "testdata/bad/*.jsonl")
	f.Fuzz(func(t *testing.T, b []byte) { fuzzDocuments(t, "a.jsonl", b) })
}

func FuzzParquet(f *testing.F) {
	seedWith(f, "testdata/*/*.parquet")
	f.Fuzz(func(t *testing.T, b []byte) { fuzzDocuments(t, "a.parquet", b) })
}

func FuzzTokenFile(f *testing.F) {
	seedWith(f, "testdata/*/*.bin")
	f.Fuzz(func(t *testing.T, b []byte) {
		disk := vfs.NewMem()
		if err := vfs.WriteFile(disk, "a.bin", b); err != nil {
			t.Fatal(err)
		}
		o := testOptions("", "a.bin")
		o.FS, o.CacheDir, o.VocabSize, o.EndToken, o.Packing = disk, "cache", 50257, 50256, false
		d, err := Open(t.Context(), o)
		if err != nil {
			checkMessage(t, err, "a.bin")
			return
		}
		for _, id := range streamIDs(d.train) {
			if id >= 50257 {
				t.Errorf("id %d", id)
			}
		}
		d.Close()
	})
}

// Whatever stands in a cache file, also with sums that match, it is refused or its rows can be read.
func FuzzCache(f *testing.F) {
	disk := vfs.NewMem()
	if err := vfs.WriteFile(disk, "a.txt", []byte(story(1, 3))); err != nil {
		f.Fatal(err)
	}
	o := testOptions("", "a.txt")
	o.FS, o.CacheDir = disk, "cache"
	mustOpen(f, o)
	_, whole := cacheFile(f, o)
	f.Add(whole, false)
	f.Add(whole, true)
	f.Add(whole[:headerBytes], true)
	f.Fuzz(func(t *testing.T, b []byte, repair bool) {
		if repair {
			b = withGoodSums(b)
		}
		disk := vfs.NewMem()
		if err := vfs.WriteFile(disk, "a.cache", b); err != nil {
			t.Fatal(err)
		}
		file, err := disk.Open("a.cache")
		if err != nil {
			t.Fatal(err)
		}
		defer file.Close()
		h, _, err := readHead(file)
		if err != nil {
			return
		}
		if _, err := digestFile(file, headerBytes, h.sources, 2); err != nil {
			t.Fatal(err)
		}
		c, err := mapCache(disk, "a.cache", h)
		if err != nil {
			return
		}
		s := newStream(c, func(int64, uint64) bool { return true }, endToken)
		streamIDs(newRows(s, Options{Packing: true, Positions: 7}, true))
		streamIDs(newRows(s, Options{Positions: 7}, true))
	})
}

// withGoodSums makes the header's and the sources' SHA-256 match, so that what they guard is reached.
func withGoodSums(b []byte) []byte {
	if len(b) < headerBytes {
		return b
	}
	b = bytes.Clone(b)
	h := &header{}
	for i, n := range h.numbers() {
		*n = int64(binary.LittleEndian.Uint64(b[16+8*i:]))
	}
	if h.sources >= headerBytes && h.sources <= int64(len(b)) {
		h.origin = sha256.Sum256(b[h.sources:])
	}
	return append(h.marshal(), b[headerBytes:]...)
}

func TestGuardTurnsPanicsIntoErrors(t *testing.T) {
	err := guard(func() error { panic("index out of range\n[5]") })
	if err == nil || oneLine(err).Error() != "damaged: index out of range [5]" {
		t.Error(err)
	}
}

func TestAnEmbeddedCorpusCannotBeWritten(t *testing.T) {
	fsys := FromFS(fstest.MapFS{"a.txt": {Data: []byte("a")}})
	file, err := fsys.Open("a.txt")
	if err != nil {
		t.Fatal(err)
	}
	_, write := file.Write(nil)
	_, create := fsys.Create("b")
	_, openFile := fsys.OpenFile("a.txt", os.O_RDWR, 0)
	_, lock := fsys.Lock("b")
	_, mapped := fsys.Map("a.txt")
	for i, err := range []error{write, create, openFile, lock, mapped, file.Truncate(0), fsys.Mkdir("b", 0), fsys.MkdirAll("b", 0),
		fsys.Rename("a.txt", "b"), fsys.Remove("a.txt"), fsys.RemoveAll("a.txt"), fsys.SyncDir(".")} {
		if !errors.Is(err, fs.ErrPermission) {
			t.Errorf("%d: %v", i, err)
		}
	}
	if err := errors.Join(file.Sync(), file.Close()); err != nil || file.Name() != "a.txt" {
		t.Error(err)
	}
}

func TestEveryFlippedByteOfAParquetFileIsReadOrRefused(t *testing.T) {
	for _, name := range []string{"snappy", "plain", "delta", "large"} {
		whole, err := os.ReadFile("testdata/golden/" + name + ".parquet")
		if err != nil {
			t.Fatal(err)
		}
		for at := range whole {
			for _, mask := range []byte{1, 0x80, 0xff} {
				fuzzDocuments(t, "a.parquet", flipped(whole, at, mask))
			}
		}
	}
}
