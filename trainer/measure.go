package trainer

// curriculum.difficulty auto: the texts of the stages, or the passages of the corpus, measured.

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"runtime"
	"slices"
	"strconv"
	"sync"
	"sync/atomic"

	"frugal/trainer/curriculum"
	"frugal/trainer/data"
	"frugal/trainer/monitor"
)

// measureUnits are what the measures are in.
var measureUnits = map[string]string{"compression": "bits/byte", "sentence_length": "words/sentence", "model": "bits/byte"}

// A stage is measured by passages spread evenly over it: this much text, at least so many passages, if it has them. Of a
// passage its beginning is measured. A model is slower by far.
const (
	leastPassages    = 64
	sampleBytes      = 256 << 10
	modelSampleBytes = 64 << 10
	passageBytes     = curriculum.PassageBytes
	modelBytes       = 1 << 10
)

// measuring is a measure at work.
type measuring struct {
	score   func(passage int, text []byte) (curriculum.Score, error)
	bytes   int // of a passage that it takes
	free    func()
	workers int // passages that may be scored at once
}

// measureStages measures each stage by a sample of its texts.
func (r *run) measureStages(ctx context.Context) ([]float64, error) {
	var stages []*data.Passages
	var samples []sample
	for i := range r.data.Stages() {
		stages = append(stages, r.data.Passages(i))
		samples = append(samples, newSample(stages[i], r.sampleSize()))
	}
	of := r.measuredOf(stages...)
	kept, err := r.keptMeasured(of)
	if err != nil {
		return nil, err
	}
	if kept == nil {
		values, err := r.measureSamples(ctx, samples)
		if err != nil {
			return nil, err
		}
		kept = &measured{Of: of, Values: values}
	}
	r.measured = kept
	return kept.Values, nil
}

func (r *run) measureSamples(ctx context.Context, samples []sample) ([]float64, error) {
	m, err := r.newMeasuring(samples)
	if err != nil {
		return nil, err
	}
	defer m.free()
	values := make([]float64, len(samples))
	for i, s := range samples {
		scores, err := r.scores(ctx, m, s)
		if err != nil {
			return nil, err
		}
		var sum curriculum.Score
		for _, score := range scores {
			sum = sum.Add(score)
		}
		values[i] = sum.Value()
		r.infof("curriculum: measured stage %s by %s: %.3f %s in %s of its %s passages, spread evenly, up to %s of each", r.data.Stages()[i].Name,
			r.config.Curriculum.Measure, values[i], measureUnits[r.config.Curriculum.Measure], monitor.FormatCount(int64(len(s.passages))),
			monitor.FormatCount(int64(s.from.Len())), monitor.FormatBytes(int64(m.bytes)))
	}
	return values, nil
}

func (r *run) sampleSize() int64 {
	if r.config.Curriculum.Measure == "model" {
		return modelSampleBytes
	}
	return sampleBytes
}

// divide makes buckets of a corpus, those of the checkpoint where it has them.
func (r *run) divide(ctx context.Context, p *data.Passages) (names []string, bucketOf []int, err error) {
	if n := r.config.Curriculum.Buckets; n > p.Len() {
		return nil, nil, r.bucketsProblem(fmt.Sprintf("the training corpus has %d passages, and a bucket holds one at least; want fewer buckets", p.Len()))
	}
	of := r.measuredOf(p)
	if r.measured, err = r.keptMeasured(of); err != nil {
		return nil, nil, err
	}
	if r.measured == nil {
		values, bucketOf, err := r.measureBuckets(ctx, p)
		if err != nil {
			return nil, nil, err
		}
		r.measured = &measured{of, values, packBuckets(bucketOf)}
	}
	for i := range r.measured.Values {
		names = append(names, fmt.Sprintf("bucket_%d", i+1))
	}
	return names, unpackBuckets(r.measured.Bucket), nil
}

func (r *run) bucketsProblem(message string) error {
	return r.problem("curriculum.buckets", strconv.Itoa(r.config.Curriculum.Buckets), message)
}

// tooManyBuckets names the key where a bucket is too small for a row; other errors are as they were.
func (r *run) tooManyBuckets(err error) error {
	var small *data.DivisionError
	if !errors.As(err, &small) {
		return err
	}
	return r.bucketsProblem(fmt.Sprintf("%s would have %s tokens, too few for a row (max_position_embeddings %d); want fewer buckets",
		small.Stage, monitor.FormatCount(small.Split.Tokens), r.config.MaxPositionEmbeddings))
}

// measureBuckets puts a corpus's passages in the order of what is measured and cuts them into runs of about as many tokens. The
// values are the buckets' means.
func (r *run) measureBuckets(ctx context.Context, p *data.Passages) (values []float64, bucketOf []int, err error) {
	all := sample{from: p}
	total := int64(0)
	for i := range p.Len() {
		all.passages = append(all.passages, i)
		total += p.Tokens(i)
	}
	m, err := r.newMeasuring([]sample{newSample(p, r.sampleSize())})
	if err != nil {
		return nil, nil, err
	}
	defer m.free()
	scores, err := r.scores(ctx, m, all)
	if err != nil {
		return nil, nil, err
	}
	n := int64(r.config.Curriculum.Buckets)
	sums := make([]curriculum.Score, n)
	bucketOf = make([]int, p.Len())
	order := slices.Clone(all.passages)
	slices.SortStableFunc(order, func(a, b int) int { return cmp.Compare(scores[a].Value(), scores[b].Value()) })
	before := int64(0)
	for _, i := range order {
		bucket := min(n-1, (2*before+p.Tokens(i))*n/(2*max(1, total))) // by where its middle lies
		bucketOf[i] = int(bucket)
		sums[bucket] = sums[bucket].Add(scores[i])
		before += p.Tokens(i)
	}
	for _, sum := range sums {
		values = append(values, sum.Value())
	}
	r.infof("curriculum: divided %s passages into %d buckets by %s, up to %s of each measured", monitor.FormatCount(int64(p.Len())), n,
		r.config.Curriculum.Measure, monitor.FormatBytes(int64(m.bytes)))
	return values, bucketOf, nil
}

// scores measures passages, in several goroutines where the measure allows it; their number does not change the result.
func (r *run) scores(ctx context.Context, m *measuring, s sample) ([]curriculum.Score, error) {
	scores := make([]curriculum.Score, len(s.passages))
	errs := make([]error, m.workers)
	var done atomic.Int64
	work := func(worker int) {
		for i := worker; i < len(s.passages) && errs[worker] == nil; i += m.workers {
			if errs[worker] = ctx.Err(); errs[worker] != nil {
				return
			}
			var text []byte
			if text, errs[worker] = s.text(s.passages[i], m.bytes); errs[worker] == nil {
				scores[i], errs[worker] = m.score(s.passages[i], text)
			}
			if n := done.Add(1); worker == 0 {
				r.progressBar.Report("measuring", n, int64(len(s.passages)))
			}
		}
	}
	if m.workers == 1 {
		work(0) // on this thread, which a model needs
	} else {
		var group sync.WaitGroup
		for worker := range m.workers {
			group.Go(func() { work(worker) })
		}
		group.Wait()
	}
	for _, err := range errs {
		if err != nil {
			return nil, err
		}
	}
	return scores, nil
}

// newMeasuring makes ready what curriculum.measure asks for. samples are of the texts that are to be compared.
func (r *run) newMeasuring(samples []sample) (*measuring, error) {
	nothing := func() {}
	switch r.config.Curriculum.Measure {
	case "sentence_length":
		score := func(_ int, text []byte) (curriculum.Score, error) { return curriculum.SentenceLength(text), nil }
		return &measuring{score, passageBytes, nothing, runtime.NumCPU()}, nil
	case "model":
		return r.newModelMeasure()
	}
	var pools [2]sync.Pool // of compressors, for the passages of even and of odd number
	for parity := range pools {
		dictionary, err := dictionaryOf(samples, 1-parity)
		if err != nil {
			return nil, err
		}
		pools[parity].New = func() any { return curriculum.NewCompressor(dictionary) }
	}
	score := func(passage int, text []byte) (curriculum.Score, error) {
		pool := &pools[passage%2]
		c := pool.Get().(*curriculum.Compressor)
		defer pool.Put(c)
		return c.Score(text), nil
	}
	return &measuring{score, passageBytes, nothing, runtime.NumCPU()}, nil
}
