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
	"strings"

	"frugal/trainer/internal/vfs"
)

// stamp is what the token cache remembers of a source, in the JSON of the cache file.
type stamp struct {
	Path   string `json:"path"`
	Size   int64  `json:"size"`
	MTime  int64  `json:"mtime_ns"`
	Sample string `json:"sample_sha256"`
}

// A source's sample is the whole of a file of up to samples × sampleBytes, else that many pieces at even distances.
const (
	samples     = 16
	sampleBytes = 4096
)

// source is one file of a corpus.
type source struct {
	path string
	size int64
	read func(*source, vfs.File, *batcher) error
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
	for _, name := range files {
		read, err := c.readerOf(name)
		if err != nil {
			return nil, err
		}
		c.sources = append(c.sources, &source{path: name, read: read})
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

// chunks reads the sources in order and hands out their contents, some 256 KiB at a time. Memory does not grow with them.
func (c *corpus) chunks(ctx context.Context, emit func(*chunk) error) error {
	for _, s := range c.sources {
		if err := c.readSource(ctx, s, emit); err != nil {
			return err
		}
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
	if err := s.read(s, f, b); err != nil {
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
	return nil
}

// size is what the sources hold, once they were read.
func (c *corpus) size() (total int64) {
	for _, s := range c.sources {
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
		if !one.sampledWhole() {
			from = (one.Size - sampleBytes) / (samples - 1) * i
		}
		if _, err := io.Copy(h, io.NewSectionReader(f, from, sampleBytes)); err != nil {
			return stamp{}, err
		}
	}
	one.Sample = hex.EncodeToString(h.Sum(nil))
	return one, nil
}

func (s stamp) sampledWhole() bool { return s.Size <= samples*sampleBytes }

// changed says how now differs from what the cache was built of; "" if it does not. A file whose whole contents are in the
// sample may carry another time: it was copied or checked out again.
func changed(then, now []stamp) string {
	old := map[string]stamp{}
	for _, s := range then {
		old[s.Path] = s
	}
	for _, s := range now {
		was, ok := old[s.Path]
		delete(old, s.Path)
		switch {
		case !ok:
			return s.Path + " is new"
		case s.Size != was.Size, s.Sample != was.Sample:
			return s.Path + " has changed"
		case s.MTime != was.MTime && !s.sampledWhole():
			return s.Path + " was modified since"
		}
	}
	for _, s := range then {
		if _, gone := old[s.Path]; gone {
			return s.Path + " is no longer among the sources"
		}
	}
	return ""
}
