package data

// Writing the token cache: beside its place, synced, then renamed there.

import (
	"bufio"
	"context"
	"crypto/sha256"
	"encoding/binary"
	"encoding/json"
	"errors"
	"io"
	"os"
	"time"

	"frugal/trainer/internal/vfs"
)

// temporary is the cache under construction. Beside it lie .index and .progress.
func (k *keeper) temporary() string { return k.name + ".tmp" }

// write builds the cache. Whoever looks, also after a crash, finds the old one, the new one, or none. The lock is held, so
// temporary files that are there already are what an interrupted run has left. An error of a source and a cancellation leave
// them, too, if a source is finished; where the cache's own disk fails they go.
func (k *keeper) write(ctx context.Context) (*header, error) {
	fsys, started := k.options.FS, time.Now()
	h, err := k.writeTemporary(ctx)
	if err == nil {
		if err = fsys.Rename(k.temporary(), k.name); err == nil {
			err = fsys.SyncDir(k.options.CacheDir)
		}
		err = inCache(err)
	}
	_, noneFinished := fsys.Stat(k.temporary() + progressSuffix)
	if err == nil || noneFinished != nil || errors.As(err, new(*cacheError)) {
		k.clear()
	}
	if err != nil {
		return nil, err
	}
	took, size := time.Since(started).Seconds(), float64(k.corpus.size())
	files := counted(int64(len(k.corpus.sources)-k.corpus.finished), "file")
	k.options.Log("tokenised %s, %.1f MB, in %.1f s (%.1f MB/s)", files, size/1e6, took, size/1e6/max(took, 1e-3))
	return h, nil
}

// cacheError is an error of the cache's own files; one of a source's names the source.
type cacheError struct{ err error }

func (e *cacheError) Error() string { return "data: token cache: " + e.err.Error() }
func (e *cacheError) Unwrap() error { return e.err }

func inCache(err error) error {
	if err != nil {
		err = &cacheError{err}
	}
	return err
}

func (k *keeper) writeTemporary(ctx context.Context) (*header, error) {
	stamps, err := k.corpus.stamps() // before reading: what changes from here on is noticed next time
	if err != nil {
		return nil, err
	}
	total := int64(0)
	for _, s := range stamps {
		total += s.Size
	}
	w, err := k.goOn(stamps)
	if err != nil {
		if !errors.Is(err, errAbsent) {
			k.options.Log("token cache %s: what an interrupted run has left is of no use: %v", k.name, err)
		}
		k.clear()
		if w, err = newCacheWriter(k.options, k.temporary()); err != nil {
			return nil, inCache(err)
		}
	}
	defer w.close()
	err = encodeAll(ctx, k.corpus, k.options, func(c *chunk, e *encoded) error {
		k.options.Progress("tokenising", c.source.start+c.end, total)
		if err := k.note(w, c.source, stamps); err != nil {
			return inCache(err)
		}
		return inCache(w.add(e))
	})
	if err != nil {
		return nil, err
	}
	w.header.identity = k.identity
	return w.header, inCache(w.finish(k.corpus.withContents(stamps)))
}

// cacheWriter writes ids as they come; the index is collected in a file of its own and put behind them, so that memory
// does not grow with the number of documents.
type cacheWriter struct {
	file, indexFile vfs.File
	out, index      *bufio.Writer
	digest          *blockDigest // of the payload so far
	indexDigest     *blockDigest // of the index so far
	header          *header
	entry           []byte
	written         int64 // bytes of the payload
	finished        int   // sources of which that is noted
	noted           int64 // bytes of those
}

// newCacheWriter begins new files.
func newCacheWriter(o Options, name string) (*cacheWriter, error) {
	w, err := openCacheWriter(o, name, os.O_RDWR|os.O_CREATE|os.O_TRUNC)
	if err == nil {
		w.out.Write(make([]byte, headerBytes)) // its place, in the buffer: it is written last
	}
	return w, err
}

func openCacheWriter(o Options, name string, flag int) (*cacheWriter, error) {
	file, err := o.FS.OpenFile(name, flag, 0o666)
	if err != nil {
		return nil, err
	}
	indexFile, err := o.FS.OpenFile(name+".index", flag, 0o666)
	if err != nil {
		file.Close()
		return nil, err
	}
	return &cacheWriter{
		file: file, out: bufio.NewWriterSize(file, 1<<20), digest: newBlockDigest(), header: &header{width: idWidth(o)},
		indexFile: indexFile, index: bufio.NewWriterSize(indexFile, 1<<16), indexDigest: newBlockDigest(),
	}, nil
}

// sync makes durable what was added.
func (w *cacheWriter) sync() error {
	for _, part := range []struct {
		buffer *bufio.Writer
		file   vfs.File
	}{{w.out, w.file}, {w.index, w.indexFile}} {
		if err := part.buffer.Flush(); err != nil {
			return err
		}
		if err := part.file.Sync(); err != nil {
			return err
		}
	}
	return nil
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
		w.entry = r.append(w.entry[:0])
		w.indexDigest.Write(w.entry)
		if _, err := w.index.Write(w.entry); err != nil {
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
