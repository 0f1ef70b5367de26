package data

// Stages: parts of the training corpus from which a curriculum draws rows by weight.

import (
	"crypto/sha256"
	"encoding/binary"
	"fmt"
	"math/bits"
	"strings"

	"frugal/trainer/internal/vfs"
)

// Stage names a part of the training corpus.
type Stage struct {
	Name string
	Data []string // globs, as Options.Train
}

// StageSplit counts what a stage holds of the training rows.
type StageSplit struct {
	Name string
	Split
}

// stage is a run of the training rows.
type stage struct {
	StageSplit
	stream *stream
	first  int // number of its first row
	rows   int
}

// Stages counts what each stage holds; nil where the dataset has none.
func (d *Dataset) Stages() []StageSplit {
	var list []StageSplit
	for _, s := range d.stages {
		list = append(list, s.StageSplit)
	}
	return list
}

// stageError says which stage an error of the corpus is about.
type stageError struct {
	number int
	name   string
	err    error
}

func (e *stageError) Error() string {
	return fmt.Sprintf("data: curriculum.stages[%d] (%s): %s", e.number, e.name, strings.TrimPrefix(e.err.Error(), "data: "))
}
func (e *stageError) Unwrap() error { return e.err }

// divideStages hands the passages of the training stream to Divide, and makes a stream of each stage.
func (d *Dataset) divideStages(train *stream) ([]*stream, []string, error) {
	o := d.options
	names, stageOf, err := o.Divide(&Passages{stream: train, decoder: o.decoder()})
	if err != nil {
		return nil, nil, err
	}
	if len(stageOf) != len(train.sections) {
		return nil, nil, fmt.Errorf("data: %d of %d passages have a stage", len(stageOf), len(train.sections))
	}
	of := make([]int, train.cache.header.sections) // 1 more than the stage; 0: evaluated
	h := sha256.New()
	for i, section := range train.sections {
		of[section] = stageOf[i] + 1
		h.Write(binary.LittleEndian.AppendUint32(nil, uint32(stageOf[i])))
	}
	d.division = h.Sum(nil)
	var streams []*stream
	for i := range names {
		streams = append(streams, newStream(train.cache, func(section int64, _ uint64) bool { return of[section] == i+1 }, o.EndToken))
	}
	return streams, names, nil
}

// Draw returns the window of a step, from 0 on, of a dataset of stages: it is always full. Each of its rows comes from a stage
// drawn by weights, one a stage, none negative; inside a stage rows come in a shuffled order, none again until all have come,
// then in another order. drawn counts the rows drawn from each stage in all steps before. The window is a function of the
// dataset, the seed and the arguments, and its rows and their order are the same for every division into batches.
func (d *Dataset) Draw(step int64, weights []float64, drawn []int64) (w *Window, err error) {
	defer vfs.CatchFaults(&err, d.cacheName())()
	sum, err := d.checkDraw(step, weights, drawn)
	if err != nil {
		return nil, err
	}
	o, perEpoch := d.options, int64(d.WindowsPerEpoch())
	w = &Window{Epoch: int(step / perEpoch), Index: int(step % perEpoch), Drawn: make([]int64, len(d.stages))}
	shuffles := make([]*order, len(d.stages))
	row := uint64(0)
	for range o.Accumulation {
		numbers := make([]int, o.BatchSize)
		for i := range numbers {
			stage := pick(weights, sum*chance(o.Seed, uint64(step), row))
			numbers[i] = d.nextRow(stage, drawn[stage]+w.Drawn[stage], &shuffles[stage])
			w.Drawn[stage]++
			row++
		}
		w.add(d.batch(d.train, numbers))
	}
	return w, nil
}

func (d *Dataset) checkDraw(step int64, weights []float64, drawn []int64) (sum float64, err error) {
	if len(d.stages) == 0 || len(weights) != len(d.stages) || len(drawn) != len(d.stages) || step < 0 {
		return 0, fmt.Errorf("data: step %d: %d weights and %d counts for %d stages", step, len(weights), len(drawn), len(d.stages))
	}
	for i, w := range weights {
		if !(w >= 0) || drawn[i] < 0 {
			return 0, fmt.Errorf("data: step %d: stage %s has weight %v and was drawn from %d times", step, d.stages[i].Name, w, drawn[i])
		}
		sum += w
	}
	if !(sum > 0) {
		return 0, fmt.Errorf("data: step %d: no stage has a weight", step)
	}
	return sum, nil
}

// nextRow is the number of the row that comes after count rows of a stage. shuffle keeps the order of a lap for the next call.
func (d *Dataset) nextRow(number int, count int64, shuffle **order) int {
	s := d.stages[number]
	lap, position := count/int64(s.rows), int(count%int64(s.rows))
	if *shuffle == nil || position == 0 {
		*shuffle = newOrder(mix(d.options.Seed^mix(uint64(number)+stageSalt)), int(lap), s.rows)
	}
	return s.first + (*shuffle).at(position)
}

// Salts keep the randomness of what is drawn apart from that of the rows' order.
const (
	stageSalt  = 0x7374616765736565
	chanceSalt = 0x6368616e63657365
)

// chance is uniform in [0, 1), a function of its arguments alone.
func chance(seed, step, row uint64) float64 {
	const places = 53 // of a float64
	return float64(mix(mix(mix(seed^chanceSalt)+step)+bits.Reverse64(row))>>(64-places)) / (1 << places)
}

// pick returns the stage in whose share of the weights' sum x lies.
func pick(weights []float64, x float64) (stage int) {
	sum := 0.0
	for i, w := range weights {
		if w == 0 {
			continue
		}
		stage = i // the last one that weighs something takes what rounding leaves over
		if sum += w; x < sum {
			break
		}
	}
	return stage
}
