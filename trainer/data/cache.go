package data

// The token cache: found whole and up to date it is mapped; else it is built, by one process while others wait.

import (
	"bytes"
	"context"
	"crypto/sha256"
	"encoding/binary"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"path"
	"time"

	"frugal/trainer/internal/vfs"
)

// cache is a mapped token cache.
type cache struct {
	header  *header
	mapping vfs.Mapping
	ids     []byte
	index   []byte
}

func (c *cache) close() error { return c.mapping.Close() }

// record returns the index record of section i; that of section -1 is the start of the first.
func (c *cache) record(i int64) record {
	if i < 0 {
		return record{document: -1}
	}
	return parseRecord(c.index[i*recordBytes:])
}

// copy widens the ids from position from on into dst.
func (c *cache) copy(dst []int64, from int64) {
	if c.header.width == 2 {
		b := c.ids[2*from:]
		for i := range dst {
			dst[i] = int64(binary.LittleEndian.Uint16(b[2*i:]))
		}
		return
	}
	b := c.ids[4*from:]
	for i := range dst {
		dst[i] = int64(binary.LittleEndian.Uint32(b[4*i:]))
	}
}

// check walks the index, so that a later read cannot leave the file.
func (c *cache) check() error {
	was := c.record(-1)
	for i := range c.header.sections {
		is := c.record(i)
		if is.tokenEnd < was.tokenEnd || is.byteEnd < was.byteEnd || is.document < was.document || is.document > was.document+1 {
			return fmt.Errorf("its index is wrong at section %d", i)
		}
		was = is
	}
	if was.tokenEnd != c.header.tokens || was.byteEnd != c.header.bytes || was.document+1 != c.header.documents {
		return errors.New("its index does not agree with its header")
	}
	return nil
}

// keeper finds or builds the cache of one corpus.
type keeper struct {
	options  Options
	corpus   *corpus
	name     string
	identity [32]byte
}

// openCache returns the corpus's cache, and has Close close it.
func (d *Dataset) openCache(ctx context.Context, c *corpus) (*cache, error) {
	o := d.options
	c.digests = true
	k := &keeper{options: o, corpus: c, identity: identity(o)}
	// Under one name: the same patterns and tokenizer. A changed file replaces its corpus's cache instead of adding one.
	sum := sha256.Sum256(fmt.Appendf(nil, "%x %q", k.identity, c.patterns))
	k.name = path.Join(o.CacheDir, fmt.Sprintf("tokens-%x.cache", sum[:8]))
	found, err := k.find()
	if err != nil {
		if found, err = k.build(ctx, err); err != nil {
			return nil, err
		}
	}
	d.caches = append(d.caches, found)
	h := found.header
	o.Log("token cache %s: %s, %s, %s of text; %s passed over",
		k.name, counted(h.documents, "document"), counted(h.tokens, "token"), counted(h.bytes, "byte"), counted(h.skipped, "empty document"))
	if h.sections == 0 {
		return nil, noText(c, h.skipped)
	}
	return found, nil
}

func noText(c *corpus, skipped int64) error {
	if len(c.sources) == 1 {
		return fmt.Errorf("data: %s: holds no text (empty documents: %d)", c.sources[0].path, skipped)
	}
	return fmt.Errorf("data: %s and %s hold no text (empty documents: %d)", c.sources[0].path, counted(int64(len(c.sources)-1), "more file"), skipped)
}

// identity covers what decides the ids of a text, apart from the text.
func identity(o Options) [32]byte {
	return sha256.Sum256(fmt.Appendf(nil, "tokenizer %s, end token %d, text field %q", o.Encoder.Fingerprint(), o.EndToken, o.TextField))
}

// errAbsent says that there is no cache yet: nothing to explain.
var errAbsent = errors.New("there is none yet")

// find maps the cache if it is whole and up to date. An error says why it is not to be used.
func (k *keeper) find() (*cache, error) {
	fsys := k.options.FS
	f, err := fsys.Open(k.name)
	if errors.Is(err, fs.ErrNotExist) {
		return nil, errAbsent
	}
	if err != nil {
		return nil, err
	}
	defer f.Close()
	h, then, err := readHead(f)
	if err != nil {
		return nil, err
	}
	if h.identity != k.identity {
		return nil, errors.New("it was made with another tokenizer, end token or text field")
	}
	if h.largest >= int64(k.options.VocabSize) {
		return nil, fmt.Errorf("it holds token %d, vocab_size is %d", h.largest, k.options.VocabSize)
	}
	now, err := k.corpus.stamps()
	if err != nil {
		return nil, err
	}
	why, err := k.corpus.changed(then, now, k.options.Workers)
	if err != nil {
		return nil, err
	}
	if why != "" {
		return nil, errors.New(why)
	}
	sum, err := digestFile(f, headerBytes, h.sources, k.options.Workers)
	if err != nil {
		return nil, err
	}
	if sum != h.payload {
		return nil, errors.New("damaged: the SHA-256 of its payload does not match")
	}
	return mapCache(fsys, k.name, h)
}

// readHead returns a cache's header and sources.
func readHead(f vfs.File) (*header, []stamp, error) {
	info, err := f.Stat()
	if err != nil {
		return nil, nil, err
	}
	b := make([]byte, min(headerBytes, info.Size()))
	if _, err := io.ReadFull(io.NewSectionReader(f, 0, info.Size()), b); err != nil {
		return nil, nil, err
	}
	h, err := parseHeader(b, info.Size())
	if err != nil {
		return nil, nil, fmt.Errorf("damaged: %w", err)
	}
	sources := make([]byte, h.size-h.sources)
	if _, err := io.ReadFull(io.NewSectionReader(f, h.sources, h.size-h.sources), sources); err != nil {
		return nil, nil, err
	}
	if sha256.Sum256(sources) != h.origin {
		return nil, nil, errors.New("damaged: the SHA-256 of its sources does not match")
	}
	var then []stamp
	if err := json.Unmarshal(sources, &then); err != nil {
		return nil, nil, fmt.Errorf("damaged: its sources: %w", err)
	}
	return h, then, nil
}

// mapCache maps a cache whose payload is known to be whole.
func mapCache(fsys vfs.FS, name string, h *header) (*cache, error) {
	mapping, err := fsys.Map(name)
	if err != nil {
		return nil, err
	}
	b := mapping.Bytes()
	c := &cache{header: h, mapping: mapping}
	if int64(len(b)) != h.size || !bytes.Equal(b[:headerBytes], h.marshal()) {
		err = errors.New("it was replaced while it was read")
	} else {
		c.ids, c.index = b[headerBytes:h.index], b[h.index:h.sources]
		err = c.check()
	}
	if err != nil {
		mapping.Close()
		return nil, err
	}
	return c, nil
}

// build makes the cache anew, or waits for the process that is making it. why says what is wrong with the one there is.
func (k *keeper) build(ctx context.Context, why error) (*cache, error) {
	if err := k.options.FS.MkdirAll(k.options.CacheDir, 0o777); err != nil {
		return nil, fmt.Errorf("data: token cache: %w", err)
	}
	lock, err := k.lock(ctx)
	if err != nil {
		return nil, err
	}
	defer lock.Close()
	if found, err := k.find(); err == nil { // another process has built it meanwhile
		return found, nil
	}
	if !errors.Is(why, errAbsent) {
		k.options.Log("token cache %s: %v; it is made again", k.name, why)
	}
	h, err := k.write(ctx)
	if err != nil {
		return nil, err
	}
	c, err := mapCache(k.options.FS, k.name, h)
	if err != nil {
		return nil, fmt.Errorf("data: token cache %s: %w", k.name, err)
	}
	return c, nil
}

// lock waits until no other process builds this cache.
func (k *keeper) lock(ctx context.Context) (io.Closer, error) {
	for told := false; ; told = true {
		lock, err := k.options.FS.Lock(k.name + ".lock")
		if err == nil {
			return lock, nil
		}
		if !errors.Is(err, vfs.ErrLocked) {
			return nil, fmt.Errorf("data: token cache: %w", err)
		}
		if !told {
			k.options.Log("token cache %s: another process is making it: waiting", k.name)
		}
		select {
		case <-ctx.Done():
			return nil, ctx.Err()
		case <-time.After(100 * time.Millisecond):
		}
	}
}
