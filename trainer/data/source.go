package data

// The files of a corpus: what kind each is, how it is read, and how to notice that it changed.

import (
	"context"
	"crypto/sha256"
	"encoding/hex"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"path"
	"slices"
	"strings"

	"frugal/trainer/internal/vfs"
)

// stamp is what the token cache remembers of a source, in the JSON of the cache file.
type stamp struct {
	Path     string `json:"path"`
	Size     int64  `json:"size"`
	MTime    int64  `json:"mtime_ns"`
	Sample   string `json:"sample_sha256"`
	Contents string `json:"contents_sha256,omitempty"` // a blockDigest; left out where the sample is the whole
}

// A source's sample is the whole of a file of up to samples × sampleBytes, else that many pieces at even distances.
const (
	samples     = 16
	sampleBytes = 4096
)

// source is one file of a corpus.
type source struct {
	path     string
	number   int    // in the corpus, from 0
	start    int64  // in the bytes of the corpus, once it is read
	size     int64  // once it is read
	contents string // what a stamp says of them, once it is read
	read     func(*source, vfs.File, *batcher) error
}

// corpus is a list of sources and how to read them.
type corpus struct {
	fsys      vfs.FS
	sources   []*source
	patterns  []string
	textField string
	endToken  uint32
	split     func(text []byte, limit int) int
	textOnly  bool // refuse token files
	digests   bool // note each source's contents
	finished  int  // sources, the first, that are not to be read: what would be noted of them is known
}

// newCorpus finds the files that the patterns match.
func newCorpus(fsys vfs.FS, patterns []string, o Options) (*corpus, error) {
	files, err := expand(fsys, patterns)
	if err != nil {
		return nil, err
	}
	c := &corpus{fsys: fsys, patterns: patterns, textField: o.TextField, endToken: o.EndToken, split: safeSplit}
	if s, ok := o.Encoder.(SafeSplitter); ok {
		c.split = s.SafeSplit
	}
	for i, name := range files {
		read, err := c.readerOf(name)
		if err != nil {
			return nil, err
		}
		c.sources = append(c.sources, &source{path: name, number: i, read: read})
	}
	return c, nil
}

// readerOf goes by the file name's ending.
func (c *corpus) readerOf(name string) (func(*source, vfs.File, *batcher) error, error) {
	switch strings.ToLower(path.Ext(name)) {
	case ".txt":
		return c.readText, nil
	case ".jsonl":
		return c.readLines, nil
	case ".parquet":
		return c.readParquet, nil
	case ".bin":
		return c.readTokens, nil
	}
	return nil, fmt.Errorf("data: %s: unknown kind of file (want .txt, .jsonl, .parquet or .bin)", name)
}

// chunks reads the sources that are not finished in order and hands out their contents, some 256 KiB at a time. An empty chunk
// opens each source: those before it are whole. Memory does not grow with them.
func (c *corpus) chunks(ctx context.Context, emit func(*chunk) error) error {
	start := int64(0)
	for _, s := range c.sources {
		s.start = start
		if s.number >= c.finished {
			if err := c.readSource(ctx, s, emit); err != nil {
				return err
			}
		}
		start += s.size
	}
	return nil
}

func (c *corpus) readSource(ctx context.Context, s *source, emit func(*chunk) error) error {
	f, err := c.fsys.Open(s.path)
	if err != nil {
		return fmt.Errorf("data: %w", err)
	}
	defer f.Close()
	before, err := f.Stat()
	if err != nil {
		return fmt.Errorf("data: %w", err)
	}
	s.size = before.Size()
	b := &batcher{source: s, emit: func(k *chunk) error {
		if err := ctx.Err(); err != nil {
			return err
		}
		return emit(k)
	}}
	if err := b.emit(&chunk{source: s}); err != nil {
		return err
	}
	hashed := &hashedFile{File: f}
	if c.digests && !sampledWhole(s.size) {
		hashed.digest = newBlockDigest()
	}
	if err := s.read(s, hashed, b); err != nil {
		return s.wrap(err)
	}
	if err := b.flush(s.size); err != nil {
		return err
	}
	after, err := f.Stat()
	if err != nil {
		return fmt.Errorf("data: %w", err)
	}
	if after.Size() != before.Size() || !after.ModTime().Equal(before.ModTime()) {
		return fmt.Errorf("data: %s: was changed while it was read", s.path)
	}
	if s.contents, err = hashed.contents(s.size); err != nil {
		return s.wrap(err)
	}
	return nil
}

// hashedFile digests what is read from it front to back, where it has a digest.
type hashedFile struct {
	vfs.File
	digest *blockDigest
	passed int64
}

func (h *hashedFile) Read(b []byte) (int, error) {
	n, err := h.File.Read(b)
	if h.digest != nil {
		h.digest.Write(b[:n])
		h.passed += int64(n)
	}
	return n, err
}

// contents is the digest of the whole file. One that was not read front to back is read once more.
func (h *hashedFile) contents(size int64) (string, error) {
	if h.digest == nil {
		return "", nil
	}
	sum := h.digest.sum()
	if h.passed != size {
		var err error
		if sum, err = digestFile(h.File, 0, size, 1); err != nil {
			return "", err
		}
	}
	return hex.EncodeToString(sum[:]), nil
}

// size is what the sources that were read hold.
func (c *corpus) size() (total int64) {
	for _, s := range c.sources[c.finished:] {
		total += s.size
	}
	return total
}

// wrap names the source in an error that does not name it yet.
func (s *source) wrap(err error) error {
	var named *fs.PathError
	switch {
	case errors.As(err, &named):
		return fmt.Errorf("data: %w", err)
	case stopped(err):
		return err
	}
	return fmt.Errorf("data: %s: %w", s.path, err)
}

// stamps describes the sources as they are now.
func (c *corpus) stamps() ([]stamp, error) {
	var all []stamp
	for _, s := range c.sources {
		one, err := c.stamp(s)
		if err != nil {
			return nil, fmt.Errorf("data: %w", err)
		}
		all = append(all, one)
	}
	return all, nil
}

func (c *corpus) stamp(s *source) (stamp, error) {
	f, err := c.fsys.Open(s.path)
	if err != nil {
		return stamp{}, err
	}
	defer f.Close()
	info, err := f.Stat()
	if err != nil {
		return stamp{}, err
	}
	one := stamp{Path: s.path, Size: info.Size()}
	if t := info.ModTime(); !t.IsZero() { // embedded files have none
		one.MTime = t.UnixNano()
	}
	h := sha256.New()
	for i := range int64(samples) {
		from := i * sampleBytes
		if !sampledWhole(one.Size) {
			from = (one.Size - sampleBytes) / (samples - 1) * i
		}
		if _, err := io.Copy(h, io.NewSectionReader(f, from, sampleBytes)); err != nil {
			return stamp{}, err
		}
	}
	one.Sample = hex.EncodeToString(h.Sum(nil))
	return one, nil
}

// withContents completes stamps of the first sources once these were read.
func (c *corpus) withContents(stamps []stamp) []stamp {
	complete := slices.Clone(stamps)
	for i := range complete {
		complete[i].Contents = c.sources[i].contents
	}
	return complete
}

// sampledWhole says whether a file of this size is in its sample wholly.
func sampledWhole(size int64) bool { return size <= samples*sampleBytes }

// changed says how now, what stamps returned, differs from then; "" if it does not. A file may carry another time (it was
// copied or checked out again) if its contents are the same: a large one is read for that.
func (c *corpus) changed(then, now []stamp, workers int) (string, error) {
	old := map[string]stamp{}
	for _, s := range then {
		old[s.Path] = s
	}
	for _, s := range now {
		was, ok := old[s.Path]
		delete(old, s.Path)
		switch {
		case !ok:
			return s.Path + " is new", nil
		case s.Size != was.Size, s.Sample != was.Sample:
			return s.Path + " has changed", nil
		case s.MTime != was.MTime && !sampledWhole(s.Size):
			if same, err := c.hasContents(was, workers); err != nil {
				return "", err
			} else if !same {
				return s.Path + " has changed", nil
			}
		}
	}
	for _, s := range then {
		if _, gone := old[s.Path]; gone {
			return s.Path + " is no longer among the sources", nil
		}
	}
	return "", nil
}

// hasContents says whether a file of the stamp's path and size has the stamp's contents.
func (c *corpus) hasContents(was stamp, workers int) (bool, error) {
	f, err := c.fsys.Open(was.Path)
	if err != nil {
		return false, err
	}
	defer f.Close()
	sum, err := digestFile(f, 0, was.Size, workers)
	if err != nil {
		return false, fmt.Errorf("%s: %w", was.Path, err)
	}
	return hex.EncodeToString(sum[:]) == was.Contents, nil
}
