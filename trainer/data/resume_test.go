package data

import (
	"bytes"
	"context"
	"errors"
	"strings"
	"sync/atomic"
	"testing"

	"frugal/trainer/internal/vfs"
)

// noteAlways has the progress noted after every source.
func noteAlways(t *testing.T) {
	was := noteEvery
	noteEvery = 1
	t.Cleanup(func() { noteEvery = was })
}

// countingEncoder counts the bytes that it encodes.
type countingEncoder struct {
	byteEncoder
	total *atomic.Int64
}

func (e countingEncoder) AppendEncode(dst []uint32, text []byte) []uint32 {
	e.total.Add(int64(len(text)))
	return e.byteEncoder.AppendEncode(dst, text)
}

// interrupt builds the cache of four files until the third is being tokenised, and returns the options to go on with, and the
// count of bytes encoded from then on.
func interrupt(t *testing.T, files map[string]string) (Options, *vfs.Mem, *atomic.Int64) {
	t.Helper()
	noteAlways(t)
	o, disk := memOptions(t, files)
	o.Workers, o.EndToken = 1, 0 // an end token that the smallest vocabulary has
	ctx, cancel := context.WithCancel(t.Context())
	o.Progress = func(_ string, done, _ int64) {
		if done > int64(len(files["a.txt"])+len(files["b.txt"])) {
			cancel()
		}
	}
	if _, err := Open(ctx, o); !errors.Is(err, context.Canceled) {
		t.Fatalf("error %v", err)
	}
	total := new(atomic.Int64)
	o.Progress, o.Encoder = nil, countingEncoder{total: total}
	return o, disk, total
}

func fourFiles() map[string]string {
	return map[string]string{"a.txt": longStory(), "b.txt": story(2, 3), "c.txt": strings.Repeat(longStory(), 9), "d.txt": story(4, 3)}
}

func TestAnInterruptedBuildKeepsTheFilesThatItFinished(t *testing.T) {
	files := fourFiles()
	o, _, encoded := interrupt(t, files)
	log := logged(&o)
	was := int64(0)
	o.Progress = func(_ string, done, total int64) {
		if first := int64(len(files["a.txt"]) + len(files["b.txt"])); done < first || done < was || total != first+int64(len(files["c.txt"])+len(files["d.txt"])) {
			t.Errorf("progress %d of %d after %d", done, total, was)
		}
		was = done
	}
	mustOpen(t, o)
	if want := int64(len(files["c.txt"]) + len(files["d.txt"])); encoded.Load() != want {
		t.Errorf("%d bytes were tokenised, want the %d of the unfinished files", encoded.Load(), want)
	}
	for _, want := range []string{"an interrupted run has finished 2 of 4 files", "tokenised 2 files"} {
		if !strings.Contains(log.String(), want) {
			t.Errorf("want %q in the log: %s", want, log)
		}
	}
	_, got := cacheFile(t, o) // and no temporary file beside it
	fresh, _ := memOptions(t, files)
	mustOpen(t, fresh)
	// The two disks' files have different times, so the sources differ.
	if _, want := cacheFile(t, fresh); !bytes.Equal(payload(t, got), payload(t, want)) {
		t.Error("it is not what a fresh build makes")
	}
	mustOpen(t, o)
	if encoded.Load() != int64(len(files["c.txt"])+len(files["d.txt"])) {
		t.Error("the third start tokenised again")
	}
}

func payload(t *testing.T, cache []byte) []byte {
	t.Helper()
	h, err := parseHeader(cache, int64(len(cache)))
	if err != nil {
		t.Fatal(err)
	}
	return cache[headerBytes:h.sources]
}

func TestWhatAnInterruptedBuildLeftIsUsedOnlyIfItHolds(t *testing.T) {
	const tooSmall = 150
	all := int64(0)
	for _, text := range fourFiles() {
		all += int64(len(text))
	}
	rewrite := func(suffix string, change func([]byte) []byte) func(t *testing.T, o *Options, disk *vfs.Mem) {
		return func(t *testing.T, o *Options, disk *vfs.Mem) {
			for _, name := range cacheFiles(t, disk, "cache") {
				if !strings.HasSuffix(name, suffix) {
					continue
				}
				b, err := vfs.ReadFile(disk, name)
				if err == nil {
					err = vfs.WriteFile(disk, name, change(b))
				}
				if err != nil {
					t.Fatal(err)
				}
			}
		}
	}
	put := func(name, text string) func(t *testing.T, o *Options, disk *vfs.Mem) {
		return func(t *testing.T, o *Options, disk *vfs.Mem) {
			if err := vfs.WriteFile(disk, name, []byte(text)); err != nil {
				t.Fatal(err)
			}
		}
	}
	flip := func(at int) func([]byte) []byte { return func(b []byte) []byte { return flipped(b, at, 4) } }
	for _, tt := range []struct {
		name, why string
		change    func(t *testing.T, o *Options, disk *vfs.Mem)
	}{
		{"a damaged id", ".tmp is damaged", rewrite(".tmp", flip(headerBytes+1000))},
		{"ids cut off", ".tmp is damaged", rewrite(".tmp", func(b []byte) []byte { return b[:2000] })},
		{"a damaged index", ".tmp.index is damaged", rewrite(".tmp.index", flip(40))},
		{"an empty index", ".tmp.index is damaged", rewrite(".tmp.index", func([]byte) []byte { return nil })},
		{"a damaged progress", "its progress file is damaged", rewrite(".tmp.progress", flip(200))},
		{"an empty progress", "its progress file is damaged", rewrite(".tmp.progress", func([]byte) []byte { return nil })},
		{"a finished file with other contents", "a.txt has changed", put("a.txt", "X"+longStory()[1:])},
		{"a file before the finished ones", "aa.txt is new", put("aa.txt", story(8, 3))},
		{"files that are gone", "there are fewer files", func(t *testing.T, o *Options, disk *vfs.Mem) {
			disk.Remove("b.txt")
			disk.Remove("c.txt")
			disk.Remove("d.txt")
		}},
		{"a smaller vocabulary", "it was for another tokenizer or vocabulary", func(t *testing.T, o *Options, disk *vfs.Mem) { o.VocabSize = tooSmall }},
	} {
		t.Run(tt.name, func(t *testing.T) {
			o, disk, encoded := interrupt(t, fourFiles())
			tt.change(t, &o, disk)
			log := logged(&o)
			d, err := Open(t.Context(), o)
			if !strings.Contains(log.String(), "is of no use: ") || !strings.Contains(log.String(), tt.why) {
				t.Errorf("want %q in the log: %s", tt.why, log)
			}
			if o.VocabSize == tooSmall {
				if err == nil || !strings.Contains(err.Error(), "vocab_size is 150") {
					t.Errorf("a token outside the vocabulary: error %v", err)
				}
				return
			}
			if err != nil {
				t.Fatal(err)
			}
			defer d.Close()
			if encoded.Load() < all && tt.why != "there are fewer files" {
				t.Errorf("only %d of %d bytes were tokenised", encoded.Load(), all)
			}
			o.CacheDir = "fresh"
			if d.Fingerprint() != mustOpen(t, o).Fingerprint() {
				t.Error("it is not what a fresh build makes")
			}
		})
	}
}

// A file added behind the finished ones, or a change in those that were not, does not touch what is finished.
func TestFilesBehindTheFinishedOnesMayChange(t *testing.T) {
	o, disk, encoded := interrupt(t, fourFiles())
	for name, text := range map[string]string{"c.txt": story(3, 3), "e.txt": story(5, 3)} {
		if err := vfs.WriteFile(disk, name, []byte(text)); err != nil {
			t.Fatal(err)
		}
	}
	got := mustOpen(t, o).Fingerprint()
	if want := int64(len(story(3, 3)) + len(story(4, 3)) + len(story(5, 3))); encoded.Load() != want {
		t.Errorf("%d bytes were tokenised, want %d", encoded.Load(), want)
	}
	o.CacheDir = "fresh"
	if mustOpen(t, o).Fingerprint() != got {
		t.Error("it is not what a fresh build makes")
	}
}

// What is wrong with a file, put right, costs no second go over the files before it.
func TestABadFileCostsOnlyItself(t *testing.T) {
	noteAlways(t)
	for bad, want := range map[string]string{"mau": "b.jsonl: line 1: not a JSON object", strings.Repeat("x", maxPart): "b.jsonl: line 1: longer than 64 MiB"} {
		o, disk := memOptions(t, map[string]string{"a.jsonl": `{"text":"bom"}`, "b.jsonl": bad})
		o.Train = []string{"*.jsonl"}
		encoded := new(atomic.Int64)
		o.Encoder, o.Packing = countingEncoder{total: encoded}, false
		if _, err := Open(t.Context(), o); err == nil || !strings.Contains(err.Error(), want) {
			t.Fatalf("error %v, want %s", err, want)
		}
		if err := vfs.WriteFile(disk, "b.jsonl", []byte(`{"text":"melhor"}`)); err != nil {
			t.Fatal(err)
		}
		mustOpen(t, o)
		if encoded.Load() != int64(len("bom")+len("melhor")) {
			t.Errorf("%s: %d bytes were tokenised", want, encoded.Load())
		}
	}
}
