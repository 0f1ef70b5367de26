package trainer

// The cache of a teacher's probabilities: found, or made with the teacher in memory alone; and a batch's part of it.

import (
	"errors"
	"fmt"
	"io/fs"
	"math"
	"path/filepath"

	"frugal/torch"
	"frugal/trainer/data"
	"frugal/trainer/distill"
	"frugal/trainer/distill/cache"
	"frugal/trainer/gpt2"
	"frugal/trainer/monitor"
)

// cacheContents are what a cache must hold to serve this run.
func (r *run) cacheContents() (c cache.Contents, err error) {
	c = cache.Contents{VocabSize: r.config.VocabSize, TopK: min(r.config.Distillation.CacheTopK, r.config.VocabSize),
		Temperature: r.config.Distillation.Temperature, Precision: nameOf(precisions, r.precision), Parameters: r.distillation.parameters}
	digests := map[*cache.Digest]string{&c.Rows: r.data.RowsFingerprint(), &c.Tokenizer: r.tokenizer.Fingerprint()}
	if r.distillation.found != nil {
		digests[&c.Teacher] = r.distillation.fingerprint
	}
	for digest, fingerprint := range digests {
		if *digest, err = cache.ParseDigest(fingerprint); err != nil {
			return c, err
		}
	}
	return c, nil
}

// lookForTeacherCache opens the cache that serves the run. Where there is none the teacher has to fill it, which takes memory.
func (r *run) lookForTeacherCache() error {
	d := r.distillation
	if d == nil || r.config.Distillation.Cache == "" {
		return nil
	}
	want, err := r.cacheContents()
	if err != nil {
		return err
	}
	found, why := r.findTeacherCache(r.teacherCachePath(want), want)
	if why == nil {
		r.useTeacherCache(found)
		return nil
	}
	if d.found == nil {
		return r.noTeacherCache(want, why)
	}
	var damaged *cache.DamagedError
	var foreign *foreignCacheError
	switch {
	case errors.As(why, &damaged), errors.As(why, &foreign):
		r.logger.Warnf("distillation.cache: %v; it is made again", why)
	case !errors.Is(why, fs.ErrNotExist):
		return r.problem("distillation.cache", r.config.Distillation.Cache, "want a directory whose files can be read: "+why.Error())
	}
	d.unfilled = true
	return nil
}

func (r *run) teacherCachePath(c cache.Contents) string {
	return filepath.Join(r.config.Distillation.Cache, c.Name())
}

// buildTeacherCache makes the cache; a dry run only says what it would be.
func (r *run) buildTeacherCache(stopped func() error) error {
	want, err := r.cacheContents()
	if err != nil {
		return err
	}
	positions, err := r.rowPositions(stopped)
	if err != nil {
		return err
	}
	if r.scratch != "" {
		r.distillation.planned = want.Size(positions)
		return nil
	}
	made, err := r.makeTeacherCache(r.teacherCachePath(want), want, positions, stopped)
	if err == nil {
		r.useTeacherCache(made)
	}
	return err
}

// noTeacherCache: neither a cache nor a teacher to make it with.
func (r *run) noTeacherCache(want cache.Contents, why error) error {
	message := fmt.Sprintf("%v, and there is no teacher (distillation.teacher) to make it again", why)
	if errors.Is(why, fs.ErrNotExist) {
		message = fmt.Sprintf("it has no %s, which is for these rows, this tokenizer, temperature and cache_top_k, and there is no teacher "+
			"(distillation.teacher) to make it", want.Name())
	}
	return r.problem("distillation.cache", r.config.Distillation.Cache, message)
}

// findTeacherCache opens a cache that serves this run. The error says why none does.
func (r *run) findTeacherCache(path string, want cache.Contents) (*cache.Cache, error) {
	c, err := cache.Open(r.fs, path, func(done, total int64) { r.progressBar.Report("checking the teacher's cache", done, total) })
	if err != nil {
		return nil, err
	}
	have := c.Contents()
	want.Precision, want.Parameters = have.Precision, have.Parameters
	if r.distillation.found == nil { // the cache says who the teacher was
		want.Teacher = have.Teacher
	}
	if have != want || c.NumRows() != r.data.TrainRows() {
		c.Close()
		return nil, &foreignCacheError{path}
	}
	return c, nil
}

// foreignCacheError says that a whole cache is there which does not serve this run.
type foreignCacheError struct{ path string }

func (e *foreignCacheError) Error() string { return e.path + " is of another teacher" }

func (r *run) useTeacherCache(c *cache.Cache) {
	d := r.distillation
	d.cache, d.unfilled = c, false
	r.onClose(func() { c.Close() })
	if d.found == nil {
		d.fingerprint, d.parameters = c.Contents().Teacher.String(), c.Contents().Parameters
	}
}

// rowPositions counts the targets of every training row.
func (r *run) rowPositions(stopped func() error) ([]int, error) {
	const rowsAtOnce = 256
	positions := make([]int, 0, r.data.TrainRows())
	for first := 0; first < r.data.TrainRows(); first += rowsAtOnce {
		if err := stopped(); err != nil {
			return nil, err
		}
		b, err := r.data.TrainBatch(first, min(first+rowsAtOnce, r.data.TrainRows()))
		if err != nil {
			return nil, err
		}
		for _, length := range b.Lengths {
			positions = append(positions, max(0, int(length)-1))
		}
	}
	return positions, nil
}

// makeTeacherCache asks the teacher about every row. What is whole of an earlier attempt stays.
func (r *run) makeTeacherCache(path string, want cache.Contents, positions []int, stopped func() error) (*cache.Cache, error) {
	beginning := func(err error) error { return &OutputError{fmt.Errorf("distillation.cache: %w", err)} }
	writing := func(err error) error {
		return &OutputError{fmt.Errorf("distillation.cache: %w; what is finished of it stays, and the same command goes on from there", err)}
	}
	lock, err := cache.Lock(stopped, r.fs, path, func() { r.infof("distillation.cache: another process is making %s: waiting", path) })
	if s := stopped(); s != nil {
		return nil, s
	}
	if err != nil {
		return nil, beginning(err)
	}
	defer lock.Close()
	if c, err := r.findTeacherCache(path, want); err == nil { // the other process has made it
		return c, nil
	}
	b, err := cache.NewBuilder(r.fs, path, want, positions)
	if err != nil {
		return nil, beginning(err)
	}
	defer b.Close()
	r.infof("distillation.cache: asking the teacher about %s rows; %s will have %s", monitor.FormatCount(int64(len(positions))), path,
		monitor.FormatBytes(want.Size(positions)))
	if err := r.fillTeacherCache(b, want, writing, stopped); err != nil {
		return nil, err
	}
	if err := b.Finish(); err != nil {
		return nil, writing(err)
	}
	return r.findTeacherCache(path, want)
}

// fillTeacherCache loads the teacher and frees it again.
func (r *run) fillTeacherCache(b *cache.Builder, want cache.Contents, writing func(error) error, stopped func() error) error {
	teacher, err := r.loadTeacher()
	if err != nil {
		return err
	}
	defer torch.EmptyCache(r.device)
	defer teacher.Free()
	rows := int(r.shapeOf(int64(r.config.BatchSize), r.savedProgress().MicroBatchRows).fillingRows(r.budget))
	lost, asked := 0.0, 0
	for block := range b.Blocks() {
		first, end := b.Rows(block)
		if !b.Has(block) {
			kept, err := r.askTeacher(teacher, want, first, end, rows, stopped)
			if err != nil {
				return err
			}
			if err := b.Write(block, kept.IDs, kept.LogProbs, kept.Rest); err != nil {
				return writing(err)
			}
			for _, rest := range kept.Rest {
				lost += math.Exp(float64(rest))
			}
			asked += len(kept.Rest)
		}
		r.progressBar.Report("asking the teacher", int64(end), int64(r.data.TrainRows()))
	}
	if asked > 0 {
		r.sayKept(want.TopK, 1-lost/float64(asked))
	}
	return nil
}

// sayKept tells what a cache is worth: how much of the teacher's probability its ids have by themselves.
func (r *run) sayKept(k int, share float64) {
	advice := ""
	if share < 0.5 {
		advice = "; a lower distillation.temperature or a larger cache_top_k keeps more"
	}
	r.infof("distillation.cache: the %d largest hold %.1f%% of the teacher's softened probability%s", k, 100*share, advice)
}

// askTeacher is what is kept of rows first to end-1, asked about some at once: their positions with a target, one after another.
func (r *run) askTeacher(teacher *distill.Teacher, want cache.Contents, first, end, rows int, stopped func() error) (kept distill.Kept, err error) {
	defer protect("asking the teacher", &err)
	for at := first; at < end; at += rows {
		if err := stopped(); err != nil {
			return kept, err
		}
		b, err := r.data.TrainBatch(at, min(at+rows, end))
		if err != nil {
			return kept, err
		}
		all := r.askAboutBatch(teacher, b, want)
		for row, length := range b.Lengths {
			from := row * b.Length
			to := from + max(0, int(length)-1)
			kept.IDs = append(kept.IDs, all.IDs[from*want.TopK:to*want.TopK]...)
			kept.LogProbs = append(kept.LogProbs, all.LogProbs[from*want.TopK:to*want.TopK]...)
			kept.Rest = append(kept.Rest, all.Rest[from:to]...)
		}
	}
	return kept, nil
}

func (r *run) askAboutBatch(teacher *distill.Teacher, b *data.Batch, want cache.Contents) distill.Kept {
	scope := torch.OpenScope()
	defer scope.Close()
	ids, _ := tensors(b, r.device, r.device)
	return teacher.TopK(ids, want.TopK, want.Temperature)
}

// guide is the teacher's part of a batch's loss, which adds to sum. Its tensors belong to the open scope.
func (r *run) guide(b *data.Batch, ids, sum *torch.Tensor) (gpt2.Guide, error) {
	d := r.distillation
	loss := d.loss
	loss.Sum = sum
	if d.teacher != nil {
		return d.teacher.Guide(ids, loss), nil
	}
	k := min(r.config.Distillation.CacheTopK, r.config.VocabSize)
	n := b.Rows * b.Length
	kept := distill.Kept{IDs: make([]int64, n*k), LogProbs: make([]float32, n*k), Rest: make([]float32, n)}
	if !d.timing {
		for row, number := range b.Numbers {
			from := row * b.Length
			to := from + d.cache.Positions(number)
			if err := d.cache.Read(number, kept.IDs[from*k:to*k], kept.LogProbs[from*k:to*k], kept.Rest[from:to]); err != nil {
				return nil, err
			}
		}
	}
	return kept.Tensors(r.device).Guide(loss), nil
}
