package trainer

// The tokenizer of a run: where it comes from, and how one is trained.

import (
	"context"
	"crypto/sha256"
	"encoding/hex"
	"fmt"
	"iter"
	"path/filepath"
	"strconv"

	"frugal/corpus"
	"frugal/trainer/data"
	"frugal/trainer/internal/vfs"
	"frugal/trainer/monitor"
	"frugal/trainer/tokenizer"
)

// buildTokenizer: a path wins, then the tokenizer of init_from, then the type.
func (r *run) buildTokenizer(ctx context.Context) (err error) {
	c := r.config.Tokenizer
	path, how := c.Path, "tokenizer.path"
	if path == "" && r.source != "" {
		if r.tokenizer, path, err = tokenizer.LoadDir(r.sourceFS, r.source); err != nil {
			return err
		}
		how = "it lies beside init_from's weights"
	}
	switch {
	case r.tokenizer != nil:
	case path != "":
		r.tokenizer, err = tokenizer.Load(r.fs, path)
	case c.Type == "byte":
		r.tokenizer, how = tokenizer.Bytes(), "tokenizer.type is byte"
	case c.Type == "bpe":
		r.tokenizer, how, err = r.trainTokenizer(ctx)
	default:
		if how = "tokenizer.type is gpt2"; r.source != "" {
			how += ", and no tokenizer lies beside init_from's weights"
		}
		r.tokenizer, err = tokenizer.GPT2()
	}
	if err != nil {
		return err
	}
	if c.Path == "" && path != "" && r.config.IsSet("tokenizer.type") {
		r.logger.Warnf("tokenizer.type %s is not used: %s lies beside init_from's weights", c.Type, path)
	}
	r.infof("tokenizer: %s tokens (%s)", monitor.FormatCount(int64(r.tokenizer.VocabSize())), how)
	size := r.tokenizer.VocabSize()
	if given := r.config.VocabSize; given != 0 && given < size {
		message := fmt.Sprintf("the tokenizer has %d tokens; want at least as many", size)
		if r.config.InitFrom == "" {
			message += ", or 0"
		}
		return r.problem("vocab_size", strconv.Itoa(given), message)
	}
	if r.config.VocabSize == 0 {
		r.config.VocabSize = size
	}
	if _, ok := r.tokenizer.EndToken(); !ok {
		key := "tokenizer.path"
		if c.Path == "" {
			key = "init_from"
		}
		return r.problem(key, path, "the tokenizer names no end token (eos_token or <|endoftext|>)")
	}
	return nil
}

// trainTokenizer trains a BPE on the corpus, or finds it in the cache, where it lies under the SHA-256 of the corpus.
func (r *run) trainTokenizer(ctx context.Context) (*tokenizer.Tokenizer, string, error) {
	h := sha256.New()
	fmt.Fprintf(h, "bpe %d\n", r.config.Tokenizer.VocabSize)
	for text, err := range r.documents() {
		if err != nil {
			return nil, "", err
		}
		fmt.Fprintf(h, "%d\n", len(text))
		h.Write(text)
		if ctx.Err() != nil {
			return nil, "", ctx.Err()
		}
	}
	dir := filepath.Join(r.cacheDir(), "tokenizer-"+hex.EncodeToString(h.Sum(nil))[:32])
	path := filepath.Join(dir, "tokenizer.json")
	if t, err := tokenizer.Load(r.fs, path); err == nil {
		return t, "trained on this corpus before: " + path, nil
	}
	t, err := tokenizer.Train(ctx, r.documents(), r.config.Tokenizer.VocabSize, func(done, total int) {
		r.progressBar.Report("training the tokenizer", int64(done), int64(total))
	})
	if err != nil {
		return nil, "", err
	}
	if r.Place != nil && r.Place.LocalRank > 0 { // another process of this machine keeps it
		return t, "trained on this corpus", nil
	}
	if err := r.keepTokenizer(t, dir); err != nil {
		r.logger.Warnf("tokenizer: not kept for the next run: %v", err)
	}
	return t, "trained on this corpus", nil
}

func (r *run) keepTokenizer(t *tokenizer.Tokenizer, dir string) error {
	files, err := t.Files(r.config.MaxPositionEmbeddings)
	if err != nil {
		return err
	}
	if err := r.fs.MkdirAll(dir, 0o777); err != nil {
		return err
	}
	for name, text := range files {
		if err := vfs.WriteFileAtomic(r.fs, filepath.Join(dir, name), text); err != nil {
			return err
		}
	}
	return nil
}

// documents are the training texts: a curriculum's stages, or data.train, or the embedded ones.
func (r *run) documents() iter.Seq2[[]byte, error] {
	fsys, globs := r.fs, r.config.Data.Train
	if c := r.config.Curriculum; c.Enabled && len(c.Stages) > 0 {
		globs = nil
		for _, s := range c.Stages {
			globs = append(globs, s.Data...)
		}
	}
	if len(globs) == 0 {
		fsys, globs = data.FromFS(corpus.PT), []string{"*.txt"}
	}
	return func(yield func([]byte, error) bool) {
		for d, err := range data.Documents(fsys, globs, r.config.Data.TextField) {
			if !yield(d.Text, err) {
				return
			}
		}
	}
}
