package data

// Going on with an interrupted build of the token cache: what its temporary files hold of whole sources is not tokenised
// again. A file beside them, the progress, says how far they are known to be good, and they are checked against it.

import (
	"bytes"
	"crypto/sha256"
	"encoding/hex"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"os"

	"frugal/trainer/internal/vfs"
)

// noteEvery is how much of the sources, in bytes, may be finished before the progress is noted: less is tokenised in a second,
// and many small files must not be many waits for the disk. It is as much again for every longList sources, all of which the
// progress lists.
var noteEvery int64 = 16 << 20

const longList = 8192

const progressSuffix = ".progress"

// progress is the header's numbers, and digests of what the two temporary files hold, of the finished sources.
type progress struct {
	Identity  string  `json:"identity"`
	Width     int64   `json:"width"`
	Sections  int64   `json:"sections"`
	Documents int64   `json:"documents"`
	Tokens    int64   `json:"tokens"`
	Bytes     int64   `json:"bytes"`
	Skipped   int64   `json:"skipped"`
	Largest   int64   `json:"largest"`
	IDs       string  `json:"ids_sha256"`
	Index     string  `json:"index_sha256"`
	Sources   []stamp `json:"sources"`
}

// note makes durable that the sources before s are finished, where enough of them are so since the last time.
func (k *keeper) note(w *cacheWriter, s *source, stamps []stamp) error {
	if s.number == w.finished || s.start-w.noted < noteEvery*int64(1+s.number/longList) {
		return nil
	}
	if err := w.sync(); err != nil {
		return err
	}
	if err := k.options.FS.SyncDir(k.options.CacheDir); err != nil {
		return err
	}
	h, ids, index := w.header, w.digest.sum(), w.indexDigest.sum()
	b, err := json.Marshal(progress{
		Identity: hex.EncodeToString(k.identity[:]), Width: h.width, Sections: h.sections, Documents: h.documents, Tokens: h.tokens,
		Bytes: h.bytes, Skipped: h.skipped, Largest: h.largest, IDs: hex.EncodeToString(ids[:]), Index: hex.EncodeToString(index[:]),
		Sources: k.corpus.withContents(stamps[:s.number]),
	})
	if err != nil {
		return err
	}
	w.finished, w.noted = s.number, s.start
	return vfs.WriteFileAtomic(k.options.FS, k.temporary()+progressSuffix, fmt.Appendf(nil, "%x\n%s\n", sha256.Sum256(b), b))
}

// readProgress returns a progress that is whole.
func readProgress(fsys vfs.FS, name string) (p progress, err error) {
	b, err := vfs.ReadFile(fsys, name)
	if err != nil {
		return p, err
	}
	sum, body, _ := bytes.Cut(bytes.TrimSuffix(b, []byte("\n")), []byte("\n"))
	if string(sum) != fmt.Sprintf("%x", sha256.Sum256(body)) {
		return p, errors.New("its progress file is damaged")
	}
	return p, json.Unmarshal(body, &p)
}

// goOn opens the temporary files of an interrupted build at the end of what they hold of finished sources. The error says why
// they are of no use: errAbsent where there are none.
func (k *keeper) goOn(now []stamp) (*cacheWriter, error) {
	p, err := readProgress(k.options.FS, k.temporary()+progressSuffix)
	if errors.Is(err, fs.ErrNotExist) {
		return nil, errAbsent
	}
	if err != nil {
		return nil, err
	}
	if err := k.stillHolds(p, now); err != nil {
		return nil, err
	}
	w, err := openCacheWriter(k.options, k.temporary(), os.O_RDWR)
	if err != nil {
		return nil, err
	}
	if err := w.cutTo(p); err != nil {
		w.close()
		return nil, err
	}
	k.skip(w, p.Sources)
	return w, nil
}

// stillHolds says in what the corpus or the options are not what they were.
func (k *keeper) stillHolds(p progress, now []stamp) error {
	switch {
	case p.Identity != hex.EncodeToString(k.identity[:]), p.Width != idWidth(k.options), p.Largest >= int64(k.options.VocabSize):
		return errors.New("it was for another tokenizer or vocabulary")
	case len(p.Sources) > len(now):
		return errors.New("there are fewer files")
	}
	why, err := k.corpus.changed(p.Sources, now[:len(p.Sources)], k.options.Workers)
	if err == nil && why != "" {
		err = errors.New(why)
	}
	return err
}

// cutTo takes the numbers over, and cuts the files to what they speak of, which must be there undamaged.
func (w *cacheWriter) cutTo(p progress) error {
	if err := cutTo(w.file, headerBytes, p.Tokens*p.Width, w.digest, p.IDs); err != nil {
		return err
	}
	if err := cutTo(w.indexFile, 0, p.Sections*recordBytes, w.indexDigest, p.Index); err != nil {
		return err
	}
	h := w.header
	h.sections, h.documents, h.tokens, h.bytes, h.skipped, h.largest = p.Sections, p.Documents, p.Tokens, p.Bytes, p.Skipped, p.Largest
	w.written = p.Tokens * p.Width
	return nil
}

// cutTo cuts a file behind length bytes from start on, and goes there; digest takes them and must come to want.
func cutTo(f vfs.File, start, length int64, digest *blockDigest, want string) error {
	if _, err := io.Copy(digest, io.NewSectionReader(f, start, length)); err != nil {
		return err
	}
	if sum := digest.sum(); hex.EncodeToString(sum[:]) != want {
		return fmt.Errorf("%s is damaged", f.Name())
	}
	if err := f.Truncate(start + length); err != nil {
		return err
	}
	_, err := f.Seek(start+length, io.SeekStart)
	return err
}

// skip has the reading begin behind the finished sources.
func (k *keeper) skip(w *cacheWriter, finished []stamp) {
	c := k.corpus
	c.finished = len(finished)
	for i, then := range finished {
		c.sources[i].size, c.sources[i].contents = then.Size, then.Contents
		w.noted += then.Size
	}
	w.finished = c.finished
	k.options.Log("token cache %s: an interrupted run has finished %d of %s: going on after them",
		k.name, c.finished, counted(int64(len(c.sources)), "file"))
}

// clear removes the temporary files.
func (k *keeper) clear() {
	for _, suffix := range []string{progressSuffix, ".index", ""} { // best effort: the next build makes them anew
		k.options.FS.Remove(k.temporary() + suffix)
	}
}
