package trainer

// curriculum.difficulty auto: the texts of the stages, or the passages of the corpus, measured.

import (
	"cmp"
	"context"
	"fmt"
	"runtime"
	"slices"
	"sync"
	"sync/atomic"
	"unicode/utf8"

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

// sample is some passages of a stage.
type sample struct {
	from     *data.Passages
	passages []int
}

// newSample takes passages that hold some size bytes together, at even distances.
func newSample(p *data.Passages, size int64) sample {
	s := sample{from: p}
	tokens := int64(0)
	for i := range p.Len() {
		tokens += min(p.Tokens(i), passageBytes)
	}
	const bytesPerToken = 2 // to be on the side of more passages
	s.passages = spread(int(max(leastPassages, size*int64(p.Len())/max(1, bytesPerToken*tokens))), p.Len())
	return s
}

// spread is n of the numbers below all, at even distances, even and odd ones in turn; all of them where they are not twice as many.
func spread(n, all int) (numbers []int) {
	if all < 2*n {
		n = all
	}
	for i := range n {
		number := i * all / n
		if number%2 != i%2 {
			number++
		}
		numbers = append(numbers, number)
	}
	return numbers
}

// text is the beginning of a passage: at most so many bytes, cut between characters.
func (s sample) text(passage, limit int) ([]byte, error) {
	text, err := s.from.Text(passage, limit) // a token has a byte at least, or hardly ever none
	if len(text) <= limit {
		return text, err
	}
	for limit > 0 && !utf8.RuneStart(text[limit]) {
		limit--
	}
	return text[:limit], err
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

// dictionaryOf joins beginnings of passages whose numbers are even, or odd, so that no passage is compressed with itself before
// it: as much of each sample, taken in turns, so that neither a large stage nor the last is nearest to the dictionary.
func dictionaryOf(samples []sample, parity int) (dictionary []byte, err error) {
	share := curriculum.DictionarySize / len(samples)
	snippets := make([][][]byte, len(samples))
	most := 0
	for i, s := range samples {
		passages := slices.DeleteFunc(slices.Clone(s.passages), func(n int) bool { return n%2 != parity })
		for _, n := range evenly(passages, share/leastSnippet) {
			text, err := s.text(n, max(leastSnippet, share/min(len(passages), share/leastSnippet)))
			if err != nil {
				return nil, err
			}
			snippets[i] = append(snippets[i], text)
		}
		most = max(most, len(snippets[i]))
	}
	for turn := range most {
		for _, list := range snippets {
			if turn < len(list) {
				dictionary = append(dictionary, list[turn]...)
			}
		}
	}
	return dictionary, nil
}

// leastSnippet is what a dictionary takes of a passage, in bytes, where there are many: fewer have no sentence in them.
const leastSnippet = 256

// evenly keeps at most n of a list, at even distances.
func evenly(list []int, n int) []int {
	if len(list) <= n {
		return list
	}
	kept := make([]int, n)
	for i := range kept {
		kept[i] = list[i*len(list)/n]
	}
	return kept
}
