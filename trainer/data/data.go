// Package data turns text into training batches: documents (.txt, .jsonl, .parquet, or token files of nanoGPT and llm.c) →
// a token cache on disk → rows of ids → windows of batches, in an order that is a function of (seed, epoch, position) alone.
package data

import (
	"context"
	"crypto/sha256"
	"errors"
	"fmt"
	"io"
	"io/fs"

	"frugal/trainer/internal/vfs"
)

// Encoder turns text into token ids. It is called from several goroutines at once.
type Encoder interface {
	// AppendEncode appends the ids of text (valid UTF-8) to dst.
	AppendEncode(dst []uint32, text []byte) []uint32
	// Fingerprint changes whenever the ids of some text would.
	Fingerprint() string
}

// Fallible is an Encoder that may fail on a text, and says so afterwards: the first error since it was made.
type Fallible interface {
	Err() error
}

// SafeSplitter is an Encoder that knows where a text may be cut without changing its ids.
type SafeSplitter interface {
	// SafeSplit returns the largest n ≤ limit at which text may be cut: the ids of text[:n] followed by those of text[n:]
	// are the ids of text, whatever follows text. n is at the start of a rune; 0 says that there is no such place.
	SafeSplit(text []byte, limit int) int
}

// TokenSizer is an Encoder that knows the length of a token's text, which bits per byte needs.
type TokenSizer interface {
	// TokenBytes returns the length in bytes of the text that id stands for.
	TokenBytes(id uint32) int
}

// Options say where the documents are and how rows and batches are made of them.
type Options struct {
	FS           vfs.FS                               // holds the documents and the token cache
	Train, Eval  []string                             // globs; ** stands for any number of directories
	Stages       []Stage                              // of a curriculum: they take the place of Train
	Embedded     fs.FS                                // its documents are the training corpus where Train is empty
	EvalFraction float64                              // of the documents, kept for evaluation where Eval is empty; 0: none
	TextField    string                               // the key of .jsonl objects, the column of .parquet files
	Packing      bool                                 // join documents and cut blocks, instead of one document a row
	CacheDir     string                               // directory of the token cache, made if absent
	Encoder      Encoder                              // a Fallible, a SafeSplitter, a TokenSizer and a Decoder as well, where it can
	EndToken     uint32                               // follows every document; divides token files into documents
	VocabSize    int                                  // every id must be below it
	Positions    int                                  // T, the longest row
	BatchSize    int                                  // rows in a batch
	Accumulation int                                  // batches in a window
	Seed         uint64                               // of the order of rows
	Workers      int                                  // goroutines that encode; below 1: one
	Log          func(format string, a ...any)        // a line at a time; nil: none
	Progress     func(what string, done, total int64) // bytes of the sources; called by one goroutine at a time; nil: none

	// Divide makes stages of a training corpus that has none: it returns their names, and for each passage the number of
	// the stage it belongs to. nil: the corpus is not divided.
	Divide func(*Passages) (names []string, stageOf []int, err error)
}

// Split counts what one of the two halves of a corpus holds.
type Split struct {
	Documents int64 // a document that is divided between training and evaluation, or between stages, counts in each
	Rows      int64
	Tokens    int64 // end tokens included
	Bytes     int64 // of text; 0 for token files whose tokens' sizes are not known
}

// Dataset is a corpus, tokenised and divided into rows. Its methods may be called from several goroutines at once.
type Dataset struct {
	options     Options
	caches      []*cache
	train, eval rows    // eval is nil where nothing is evaluated
	evalOrder   []int32 // the evaluation rows, the longest first; nil: as they are
	stages      []stage // of the training rows, one after another; none: there is no curriculum
	division    []byte  // a digest of what Divide has returned
	trainSplit  Split
	evalSplit   Split
	sizes       []int32 // bytes of text by token id; nil where they are not known
	fingerprint string
}

// Open tokenises the corpus, or finds it tokenised in the cache, and divides it into rows. Errors name the file and the
// line, row or byte; errors.Is finds syscall.ENOSPC when the cache's disk is full, and ctx.Err() after a cancellation.
func Open(ctx context.Context, o Options) (*Dataset, error) {
	if err := o.check(); err != nil {
		return nil, err
	}
	d := &Dataset{options: o, sizes: tokenSizes(o)}
	if err := d.open(ctx); err != nil {
		d.Close()
		return nil, err
	}
	return d, nil
}

func (o *Options) check() error {
	if o.Log == nil {
		o.Log = func(string, ...any) {}
	}
	if o.Progress == nil {
		o.Progress = func(string, int64, int64) {}
	}
	o.Workers = max(o.Workers, 1)
	switch {
	case o.FS == nil || o.Encoder == nil || o.CacheDir == "":
		return errors.New("data: a file system, an encoder and a cache directory are needed")
	case len(o.Train) == 0 && o.Embedded == nil && len(o.Stages) == 0:
		return errors.New("data: no training files are named (data.train)")
	case !(o.EvalFraction >= 0 && o.EvalFraction < 1):
		return fmt.Errorf("data: eval_fraction %v is not in [0, 1)", o.EvalFraction)
	case o.Positions < 2:
		return fmt.Errorf("data: rows of %d tokens hold no target (max_position_embeddings must be 2 or more)", o.Positions)
	case o.BatchSize < 1 || o.Accumulation < 1:
		return fmt.Errorf("data: batch_size %d × gradient_accumulation_steps %d is no window", o.BatchSize, o.Accumulation)
	case o.VocabSize < 1 || int64(o.EndToken) >= int64(o.VocabSize):
		return fmt.Errorf("data: the end token %d is outside the vocabulary (vocab_size %d)", o.EndToken, o.VocabSize)
	}
	return nil
}

// makeRows divides the streams into rows, and refuses a corpus or a stage that is too small for one.
func (d *Dataset) makeRows(train []*stream, names []string, eval []*stream) error {
	o := d.options
	var sets []rows
	first := 0
	for i, s := range train {
		set := newRows(s, o, false)
		split := s.split(set)
		if set.len() == 0 {
			return tooFewRows(names[i], i, split, o)
		}
		if names[i] != "" {
			d.stages = append(d.stages, stage{StageSplit{names[i], split}, s, first, set.len()})
		}
		sets = append(sets, set)
		first += set.len()
		d.trainSplit.add(split)
	}
	d.train = joinRows(sets, train)
	if len(eval) > 0 {
		var sets []rows
		for _, s := range eval {
			set := newRows(s, o, true)
			d.evalSplit.add(s.split(set))
			sets = append(sets, set)
		}
		d.eval = joinRows(sets, eval)
		if !o.Packing {
			d.evalOrder = longestFirst(d.eval)
		}
	}
	d.fingerprint = d.makeFingerprint()
	return nil
}

func (s *Split) add(other Split) {
	s.Documents += other.Documents
	s.Rows += other.Rows
	s.Tokens += other.Tokens
	s.Bytes += other.Bytes
}

// tooFewRows says which part of the training corpus has no row.
func tooFewRows(stage string, number int, s Split, o Options) error {
	switch {
	case len(o.Stages) > 0:
		return &stageError{number, stage, tooSmall("the stage", s, o)}
	case stage != "":
		return &DivisionError{stage, s, tooSmall("the stage "+stage+" that the training corpus is divided into", s, o)}
	}
	return tooSmall("the training corpus", s, o)
}

// DivisionError says that a stage that Divide made is too small for a row.
type DivisionError struct {
	Stage string
	Split Split // of the stage
	err   error
}

func (e *DivisionError) Error() string { return e.err.Error() }

func tooSmall(what string, s Split, o Options) error {
	if !o.Packing {
		return fmt.Errorf("data: %s has %s and %s, none a row of 2 or more: give it more text",
			what, counted(s.Documents, "document"), counted(s.Tokens, "token"))
	}
	return fmt.Errorf("data: %s has %s in %s, too few for one row of %d: "+
		"give it more text, lower max_position_embeddings, or set data.packing to false",
		what, counted(s.Tokens, "token"), counted(s.Documents, "document"), o.Positions)
}

// counted is a number and what it counts: 1 file, 2 files.
func counted(n int64, what string) string {
	if n != 1 {
		what += "s"
	}
	return fmt.Sprintf("%d %s", n, what)
}

// makeFingerprint covers what decides which ids stand where in which window: contents, division, rows and order. A window's
// division into batches is not in it, so that batch × accumulation may change where their product does not.
func (d *Dataset) makeFingerprint() string {
	o, h := d.options, sha256.New()
	for _, c := range d.caches {
		fmt.Fprintf(h, "%x\n", c.header.payload)
	}
	d.writeStages(h)
	fmt.Fprintf(h, "end %d fraction %v packing %t positions %d window %d seed %d\n",
		o.EndToken, o.EvalFraction, o.Packing, o.Positions, o.BatchSize*o.Accumulation, o.Seed)
	return fmt.Sprintf("%x", h.Sum(nil))
}

// RowsFingerprint is the hex SHA-256 of everything that decides which ids the training row of a number holds: what is kept
// by a row's number fits a dataset of the same fingerprint, whatever its order and its batches.
func (d *Dataset) RowsFingerprint() string {
	o, h := d.options, sha256.New()
	for _, c := range d.caches {
		fmt.Fprintf(h, "%x\n", c.header.payload)
	}
	d.writeStages(h)
	fmt.Fprintf(h, "rows of end %d fraction %v packing %t positions %d\n", o.EndToken, o.EvalFraction, o.Packing, o.Positions)
	return fmt.Sprintf("%x", h.Sum(nil))
}

// writeStages adds the stages to a fingerprint. Their names decide nothing.
func (d *Dataset) writeStages(h io.Writer) {
	if len(d.stages) > 0 {
		fmt.Fprintf(h, "%d stages, division %x\n", len(d.stages), d.division)
	}
}

// Train counts what is trained on.
func (d *Dataset) Train() Split { return d.trainSplit }

// Eval counts what is evaluated; all zero where nothing is.
func (d *Dataset) Eval() Split { return d.evalSplit }

// Fingerprint is the hex SHA-256 of everything that decides which ids stand where in which window: a run may be resumed
// exactly with a dataset of the same fingerprint.
func (d *Dataset) Fingerprint() string { return d.fingerprint }

// Close gives back the mapped caches. Windows and batches handed out stay valid.
func (d *Dataset) Close() error {
	var errs []error
	for _, c := range d.caches {
		errs = append(errs, c.close())
	}
	d.caches = nil
	return errors.Join(errs...)
}

// tokenSizes tabulates the bytes of text by token id. The end token stands for no text.
func tokenSizes(o Options) []int32 {
	sizer, ok := o.Encoder.(TokenSizer)
	if !ok {
		return nil
	}
	sizes := make([]int32, o.VocabSize)
	for id := range sizes {
		sizes[id] = int32(sizer.TokenBytes(uint32(id)))
	}
	sizes[o.EndToken] = 0
	return sizes
}
