package data

// Writing the token cache: beside its place, synced, then renamed there.

import (
	"bufio"
	"context"
	"crypto/sha256"
	"encoding/binary"
	"encoding/json"
	"fmt"
	"io"
	"time"

	"frugal/trainer/internal/vfs"
)

// write builds the cache. Whoever looks, also after a crash, finds the old one, the new one, or none. The lock is held, so a
// temporary file that is there already is what a process that died has left.
func (k *keeper) write(ctx context.Context) (*header, error) {
	fsys, temporary, started := k.options.FS, k.name+".tmp", time.Now()
	h, err := k.writeTemporary(ctx, temporary)
	fsys.Remove(temporary + ".index")
	if err == nil {
		if err = fsys.Rename(temporary, k.name); err == nil {
			err = fsys.SyncDir(k.options.CacheDir)
		}
		err = cacheError(err)
	}
	if err != nil {
		fsys.Remove(temporary)
		return nil, err
	}
	took, size := time.Since(started).Seconds(), float64(k.corpus.size())
	k.options.Log("tokenised %s, %.1f MB, in %.1f s (%.1f MB/s)", counted(int64(len(k.corpus.sources)), "file"), size/1e6, took, size/1e6/max(took, 1e-3))
	return h, nil
}

// cacheError names the cache in errors of its own files; those of the sources name the source.
func cacheError(err error) error {
	if err != nil {
		err = fmt.Errorf("data: token cache: %w", err)
	}
	return err
}

func (k *keeper) writeTemporary(ctx context.Context, name string) (*header, error) {
	stamps, err := k.corpus.stamps() // before reading: what changes from here on is noticed next time
	if err != nil {
		return nil, err
	}
	total := int64(0)
	for _, s := range stamps {
		total += s.Size
	}
	w, err := newCacheWriter(k.options, name)
	if err != nil {
		return nil, cacheError(err)
	}
	defer w.close()
	err = encodeAll(ctx, k.corpus, k.options, func(c *chunk, e *encoded) error {
		k.options.Progress("tokenising", c.source.start+c.end, total)
		return cacheError(w.add(e))
	})
	if err != nil {
		return nil, err
	}
	for i, s := range k.corpus.sources {
		stamps[i].Contents = s.contents
	}
	w.header.identity = k.identity
	return w.header, cacheError(w.finish(stamps))
}

// cacheWriter writes ids as they come; the index is collected in a file of its own and put behind them, so that memory
// does not grow with the number of documents.
type cacheWriter struct {
	file, indexFile vfs.File
	out, index      *bufio.Writer
	digest          *blockDigest
	header          *header
	record          []byte
	written         int64
}

func newCacheWriter(o Options, name string) (*cacheWriter, error) {
	file, err := o.FS.Create(name)
	if err != nil {
		return nil, err
	}
	indexFile, err := o.FS.Create(name + ".index")
	if err != nil {
		file.Close()
		return nil, err
	}
	w := &cacheWriter{file: file, indexFile: indexFile, digest: newBlockDigest(), header: &header{width: idWidth(o)}}
	w.out, w.index = bufio.NewWriterSize(file, 1<<20), bufio.NewWriterSize(indexFile, 1<<16)
	_, err = w.out.Write(make([]byte, headerBytes)) // its place; it is written last
	return w, err
}

// idWidth is the number of bytes of an id.
func idWidth(o Options) int64 {
	if o.VocabSize <= 1<<16 {
		return 2
	}
	return 4
}

// payload writes ids and index.
func (w *cacheWriter) payload(b []byte) error {
	w.digest.Write(b)
	w.written += int64(len(b))
	_, err := w.out.Write(b)
	return err
}

// add writes a chunk's ids and index records.
func (w *cacheWriter) add(e *encoded) error {
	h := w.header
	h.skipped += e.skipped
	h.largest = max(h.largest, int64(e.largest))
	for _, s := range e.sections {
		if s.first {
			h.documents++
		}
		h.sections++
		h.tokens += s.tokens
		h.bytes += s.bytes
		r := record{tokenEnd: h.tokens, byteEnd: h.bytes, document: h.documents - 1, hash: s.hash}
		w.record = r.append(w.record[:0])
		if _, err := w.index.Write(w.record); err != nil {
			return err
		}
	}
	return w.payload(e.ids)
}

// finish puts index, sources and header in their places and makes the file durable.
func (w *cacheWriter) finish(stamps []stamp) error {
	h := w.header
	h.index = alignUp(headerBytes + w.written)
	if err := w.payload(make([]byte, h.index-headerBytes-w.written)); err != nil {
		return err
	}
	if err := w.appendIndex(); err != nil {
		return err
	}
	h.sources, h.payload = headerBytes+w.written, w.digest.sum()
	sources, err := json.Marshal(stamps)
	if err != nil {
		return err
	}
	if _, err := w.out.Write(sources); err != nil {
		return err
	}
	h.size, h.origin = h.sources+int64(len(sources)), sha256.Sum256(sources)
	if err := w.out.Flush(); err != nil {
		return err
	}
	if _, err := w.file.Seek(0, io.SeekStart); err != nil {
		return err
	}
	if _, err := w.file.Write(h.marshal()); err != nil {
		return err
	}
	if err := w.file.Sync(); err != nil {
		return err
	}
	return w.file.Close()
}

func (w *cacheWriter) appendIndex() error {
	if err := w.index.Flush(); err != nil {
		return err
	}
	if _, err := w.indexFile.Seek(0, io.SeekStart); err != nil {
		return err
	}
	buffer := make([]byte, 1<<16)
	for {
		n, err := w.indexFile.Read(buffer)
		if werr := w.payload(buffer[:n]); werr != nil {
			return werr
		}
		if err == io.EOF {
			return nil
		}
		if err != nil {
			return err
		}
	}
}

// close gives the files back; after finish a second close of the first does nothing.
func (w *cacheWriter) close() {
	w.file.Close()
	w.indexFile.Close()
}

// appendID appends an id in the cache's width.
func appendID(dst []byte, id uint32, width int64) []byte {
	if width == 2 {
		return binary.LittleEndian.AppendUint16(dst, uint16(id))
	}
	return binary.LittleEndian.AppendUint32(dst, id)
}
