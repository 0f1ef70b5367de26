package data

import (
	"errors"
	"fmt"
	"math"
	"reflect"
	"slices"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"
	"pgregory.net/rapid"
)

// stagedOptions are of three stages of different sizes on a memory disk.
func stagedOptions(t testing.TB, packing bool) Options {
	files := map[string]string{}
	for stage, documents := range []int{9, 4, 15} {
		for i := range documents {
			files[fmt.Sprintf("%c%02d.txt", 'a'+stage, i)] = story(100*stage+i, 3+i%4)
		}
	}
	o, _ := memOptions(t, files)
	o.Train, o.Packing, o.Positions = nil, packing, 90
	o.Stages = []Stage{{"easy", []string{"a*.txt"}}, {"middle", []string{"b*.txt"}}, {"hard", []string{"c*.txt"}}}
	return o
}

// draw goes through steps from first on, with the same weights at each, and advances the counts.
func draw(t interface{ Fatal(...any) }, d *Dataset, first, steps int64, weights []float64, drawn []int64) (windows []*Window) {
	for step := range steps {
		w, err := d.Draw(first+step, weights, drawn)
		if err != nil {
			t.Fatal(err)
		}
		for i, n := range w.Drawn {
			drawn[i] += n
		}
		windows = append(windows, w)
	}
	return windows
}

// numbers lists the rows of windows in the order in which they come.
func numbers(windows []*Window) (list []int) {
	for _, w := range windows {
		for _, b := range w.Batches {
			list = append(list, b.Numbers...)
		}
	}
	return list
}

// bothPackings runs a test with joined documents and with a document a row.
func bothPackings(t *testing.T, test func(t *testing.T, packing bool)) {
	for _, packing := range []bool{true, false} {
		t.Run(fmt.Sprintf("packing %t", packing), func(t *testing.T) { test(t, packing) })
	}
}

// TestALapShowsEveryRowOfAStageOnce: nothing comes again until all have come, and the next lap has another order.
func TestALapShowsEveryRowOfAStageOnce(t *testing.T) {
	bothPackings(t, func(t *testing.T, packing bool) {
		d := mustOpen(t, stagedOptions(t, packing))
		first := 0
		for i, s := range d.Stages() {
			weights := make([]float64, 3)
			weights[i] = 0.25
			rows := int(s.Rows)
			all := numbers(draw(t, d, 0, int64(rows), weights, make([]int64, 3))) // as many windows as rows: several laps
			var laps [][]int
			for ; len(all) >= rows; all = all[rows:] {
				lap := slices.Sorted(slices.Values(all[:rows]))
				if diff := cmp.Diff(numbered(first, first+rows), lap); diff != "" {
					t.Fatalf("stage %s, lap %d: %s", s.Name, len(laps), diff)
				}
				laps = append(laps, all[:rows])
			}
			if len(laps) < 2 || slices.Equal(laps[0], laps[1]) {
				t.Errorf("stage %s: %d laps of %d rows, in the same order", s.Name, len(laps), rows)
			}
			first += rows
		}
		if first != d.TrainRows() {
			t.Errorf("the stages have %d of %d rows", first, d.TrainRows())
		}
	})
}

// Counts against weights over many windows: chi-squared, the seed fixed. Two neighbouring rows are as independent.
func TestRowsAreDrawnByWeight(t *testing.T) {
	o := stagedOptions(t, true)
	o.BatchSize, o.Accumulation = 8, 4
	d := mustOpen(t, o)
	for _, weights := range [][]float64{{1. / 3, 1. / 3, 1. / 3}, {.7, .05, .25}, {0, .5, .5}, {2, 0, 6}} {
		const steps = 400
		drawn := make([]int64, 3)
		windows := draw(t, d, 17, steps, weights, drawn)
		sum, rows := weights[0]+weights[1]+weights[2], float64(steps*32)
		var counts, wants []float64
		for i, w := range weights {
			counts, wants = append(counts, float64(drawn[i])), append(wants, rows*w/sum)
		}
		pairs := make([]float64, 9)
		was, firstOf := 0, []int{d.stages[0].first, d.stages[1].first, d.stages[2].first, d.TrainRows()}
		for i, number := range numbers(windows) {
			stage := slices.IndexFunc(firstOf[1:], func(end int) bool { return number < end })
			if i > 0 {
				pairs[3*was+stage]++
			}
			was = stage
		}
		for i := range pairs {
			counts, wants = append(counts, pairs[i]), append(wants, rows*weights[i/3]*weights[i%3]/sum/sum)
		}
		x := 0.0
		for i := range counts {
			if wants[i] == 0 {
				if counts[i] != 0 {
					t.Fatalf("weights %v: %v rows of a stage that weighs nothing", weights, counts[i])
				}
				continue
			}
			x += (counts[i] - wants[i]) * (counts[i] - wants[i]) / wants[i]
		}
		if x > 35 { // of ten degrees of freedom at most: one in ten thousand
			t.Errorf("weights %v: chi-squared %.1f: drawn %v", weights, x, drawn)
		}
	}
}

// The same rows in the same order for every division of a window, and every one of its arguments counts.
func TestDrawnRowsDoNotDependOnTheDivisionIntoBatches(t *testing.T) {
	bothPackings(t, func(t *testing.T, packing bool) {
		weights := []float64{.5, .2, .3}
		list := func(change func(*Options)) []int {
			o := stagedOptions(t, packing)
			o.BatchSize, o.Accumulation = 2, 6
			change(&o)
			d := mustOpen(t, o)
			return numbers(draw(t, d, 0, 40, weights, make([]int64, 3)))
		}
		want := list(func(*Options) {})
		for _, batch := range []int{1, 3, 4, 12} {
			if !slices.Equal(want, list(func(o *Options) { o.BatchSize, o.Accumulation = batch, 12/batch })) {
				t.Errorf("batches of %d have other rows", batch)
			}
		}
		if slices.Equal(want, list(func(o *Options) { o.Seed = 7 })) {
			t.Error("another seed draws the same rows")
		}
	})
}

// A run that is stopped anywhere, also inside a lap, goes on with the counts alone.
func TestDrawingGoesOnFromItsCounts(t *testing.T) {
	d := mustOpen(t, stagedOptions(t, false))
	rapid.Check(t, func(t *rapid.T) {
		weights := rapid.SliceOfN(rapid.SampledFrom([]float64{0, 0.1, 0.5, 3}), 3, 3).Draw(t, "weights")
		weights[rapid.IntRange(0, 2).Draw(t, "not 0")] = 1
		stop := rapid.Int64Range(0, 12).Draw(t, "stop")
		drawn := make([]int64, 3)
		want := draw(t, d, 0, 12, weights, drawn)
		resumed := make([]int64, 3)
		got := append(draw(t, d, 0, stop, weights, resumed), draw(t, d, stop, 12-stop, weights, resumed)...)
		if !reflect.DeepEqual(want, got) {
			t.Fatal("the windows differ after the stop")
		}
		rows := int64(0)
		for i := range drawn {
			rows += drawn[i]
			if drawn[i] != resumed[i] || weights[i] == 0 && drawn[i] > 0 {
				t.Fatalf("counts %v and %v of weights %v", drawn, resumed, weights)
			}
		}
		if rows != 12*4 {
			t.Fatalf("%d rows in 12 windows of 4", rows)
		}
		for _, w := range got {
			for i := range w.Batches {
				checkBatch(t, d, &w.Batches[i])
				for row, number := range w.Batches[i].Numbers {
					one, err := d.TrainBatch(number, number+1)
					if err != nil || !slices.Equal(one.InputIDs, rowIDs(&w.Batches[i], row)) {
						t.Fatalf("row %d is another under its number: %v", number, err)
					}
				}
			}
		}
	})
}

func TestADrawnWindowSaysWhereItStands(t *testing.T) {
	d := mustOpen(t, stagedOptions(t, true))
	perEpoch := d.WindowsPerEpoch()
	if want := (d.TrainRows() + 3) / 4; perEpoch != want || d.TrainRows()%4 == 0 {
		t.Fatalf("%d windows of %d rows, want %d", perEpoch, d.TrainRows(), want)
	}
	w, err := d.Draw(int64(perEpoch+2), []float64{1, 1, 1}, []int64{5, 0, 7})
	if err != nil || w.Epoch != 1 || w.Index != 2 || len(w.Batches) != 2 || w.Batches[1].Rows != 2 {
		t.Errorf("%+v, %v", w, err)
	}
}

// A stage is divided between training and evaluation as it would be alone, and the evaluation is the stages' one after another.
func TestStagesAreDividedAsTheyWouldBeAlone(t *testing.T) {
	bothPackings(t, func(t *testing.T, packing bool) {
		o := stagedOptions(t, packing)
		o.EvalFraction = 0.3
		d := mustOpen(t, o)
		var train, eval []int64
		var sum Split
		for i, s := range o.Stages {
			alone := o
			alone.Stages, alone.Train = nil, s.Data
			one := mustOpen(t, alone)
			train, eval = append(train, streamIDs(one.train)...), append(eval, streamIDs(one.eval)...)
			if d.Stages()[i] != (StageSplit{s.Name, one.Train()}) {
				t.Errorf("stage %s: %+v, alone %+v", s.Name, d.Stages()[i], one.Train())
			}
			sum.add(one.Train())
		}
		if !slices.Equal(streamIDs(d.train), train) || !slices.Equal(streamIDs(d.eval), eval) || sum != d.Train() || len(eval) == 0 {
			t.Error("the stages' rows are not those of each alone, one after another")
		}
		o.Eval = []string{"b*.txt"}
		if given := mustOpen(t, o); given.Eval().Documents != 4 || given.Train().Documents != 28 {
			t.Errorf("with files to evaluate on: %+v", given.Eval())
		}
	})
}

func TestStagesFingerprintTheirOrderNotTheirNames(t *testing.T) {
	of := func(change func(*Options)) (fingerprints [2]string) {
		o := stagedOptions(t, true)
		change(&o)
		d := mustOpen(t, o)
		return [2]string{d.Fingerprint(), d.RowsFingerprint()}
	}
	same := of(func(*Options) {})
	if of(func(o *Options) { o.Stages[0].Name = "other" }) != same {
		t.Error("a name changes a fingerprint")
	}
	seen := [][2]string{same}
	for name, change := range map[string]func(*Options){
		"order":      func(o *Options) { slices.Reverse(o.Stages) },
		"one less":   func(o *Options) { o.Stages = o.Stages[:2] },
		"evaluation": func(o *Options) { o.Stages, o.Eval = o.Stages[:2], o.Stages[2].Data },
		"no stages":  func(o *Options) { o.Train, o.Stages = []string{"*.txt"}, nil },
		"one stage":  func(o *Options) { o.Stages = []Stage{{"all", []string{"*.txt"}}} },
		"divided": func(o *Options) {
			o.Train, o.Stages = []string{"*.txt"}, nil
			o.Divide = func(p *Passages) ([]string, []int, error) { return []string{"all"}, make([]int, p.Len()), nil }
		},
	} {
		got := of(change)
		for _, other := range seen {
			if got[0] == other[0] || got[1] == other[1] {
				t.Errorf("%s: has the fingerprint of something else", name)
			}
		}
		seen = append(seen, got)
	}
}

// decodingEncoder is a byteEncoder that can go back.
type decodingEncoder struct{ byteEncoder }

func (decodingEncoder) AppendDecode(dst []byte, ids []uint32) []byte {
	for _, id := range ids {
		dst = append(dst, byte(id))
	}
	return dst
}

// A corpus is divided by what its passages say, and evaluated as it would be undivided.
func TestDivideMakesStagesOfPassages(t *testing.T) {
	long := strings.Repeat(story(1, 3), 400) // one document of many passages, among short ones
	o, _ := memOptions(t, map[string]string{"a.txt": story(2, 4), "long.txt": long, "z.txt": story(3, 5)})
	o.Encoder, o.EvalFraction = decodingEncoder{}, 0.2
	plain := mustOpen(t, o)
	var text strings.Builder
	lengths := int64(0)
	o.Divide = func(p *Passages) (names []string, stageOf []int, err error) {
		for i := range p.Len() {
			passage, err := p.Text(i, math.MaxInt)
			if err != nil {
				return nil, nil, err
			}
			begin, _ := p.Text(i, 5)
			if string(begin) != string(passage[:5]) || int64(len(passage)) != p.Tokens(i) {
				t.Errorf("passage %d of %d tokens begins %q: %q", i, p.Tokens(i), begin, passage)
			}
			text.Write(passage)
			lengths += p.Tokens(i)
			stageOf = append(stageOf, i%2)
		}
		return []string{"even", "odd"}, stageOf, nil
	}
	d := mustOpen(t, o)
	if text.Len() != int(plain.Train().Bytes) || lengths != plain.Train().Tokens-plain.Train().Documents {
		t.Errorf("%d bytes of passages in a training corpus of %d", text.Len(), plain.Train().Bytes)
	}
	if !slices.Equal(streamIDs(d.eval), streamIDs(plain.eval)) {
		t.Error("the evaluation is another")
	}
	stages := d.Stages()
	if len(stages) != 2 || stages[0].Bytes+stages[1].Bytes != plain.Train().Bytes || d.Train().Bytes != plain.Train().Bytes {
		t.Fatalf("%+v of %+v", stages, plain.Train())
	}
	for i := range stages {
		p := d.Passages(i)
		var bytes int64
		for j := range p.Len() {
			bytes += p.Tokens(j)
		}
		if bytes != stages[i].Bytes {
			t.Errorf("the passages of stage %d have %d bytes, want %d", i, bytes, stages[i].Bytes)
		}
	}
	failed := errors.New("no measure")
	o.Divide = func(*Passages) ([]string, []int, error) { return nil, nil, failed }
	if _, err := Open(t.Context(), o); !errors.Is(err, failed) {
		t.Errorf("error %v", err)
	}
	o.Encoder = byteEncoder{}
	o.Divide = func(p *Passages) ([]string, []int, error) { _, err := p.Text(0, 1); return nil, nil, err }
	if _, err := Open(t.Context(), o); err == nil || !strings.Contains(err.Error(), "cannot give back the text") {
		t.Errorf("error %v of an encoder that cannot decode", err)
	}
}

func TestBadStagesAreNamed(t *testing.T) {
	for want, change := range map[string]func(*Options){
		"data: curriculum.stages[1] (middle): x/*.txt: no file matches": func(o *Options) { o.Stages[1].Data = []string{"x/*.txt"} },
		"data: curriculum.stages[2] (hard): gone.txt: no such file":     func(o *Options) { o.Stages[2].Data = []string{"c*.txt", "gone.txt"} },
		"data: curriculum.stages[0] (easy): the stage has 3 tokens in 1 document, too few for one row of 90: " +
			"give it more text, lower max_position_embeddings, or set data.packing to false": func(o *Options) { o.Stages[0].Data = []string{"tiny.txt"} },
		"data: the stage nothing that the training corpus is divided into has 0 tokens in 0 documents, too few for one row of 90: " +
			"give it more text, lower max_position_embeddings, or set data.packing to false": func(o *Options) {
			o.Train, o.Stages = []string{"*.txt"}, nil
			o.Divide = func(p *Passages) ([]string, []int, error) {
				return []string{"all", "nothing"}, make([]int, p.Len()), nil
			}
		},
		"data: curriculum.stages[1] (middle): blank.txt: holds no text (empty documents: 1)": func(o *Options) { o.Stages[1].Data = []string{"blank.txt"} },
	} {
		o := stagedOptions(t, true)
		for name, text := range map[string]string{"tiny.txt": "ai", "blank.txt": " \n"} {
			f, err := o.FS.Create(name)
			if err != nil {
				t.Fatal(err)
			}
			f.Write([]byte(text))
			f.Close()
		}
		change(&o)
		_, err := Open(t.Context(), o)
		if small := (*DivisionError)(nil); errors.As(err, &small) != (o.Divide != nil) || small != nil && small.Stage != "nothing" {
			t.Errorf("error %#v", err)
		}
		if err == nil || err.Error() != want {
			t.Errorf("got %v, want %s", err, want)
		}
	}
	d := mustOpen(t, stagedOptions(t, true))
	ones := []float64{1, 1, 1}
	for name, err := range map[string]error{
		"weights": drawError(d, 0, []float64{1, 1}, make([]int64, 3)), "counts": drawError(d, 0, ones, make([]int64, 2)),
		"a step": drawError(d, -1, ones, make([]int64, 3)), "a weight": drawError(d, 0, []float64{1, math.NaN(), 1}, make([]int64, 3)),
		"no weight": drawError(d, 0, make([]float64, 3), make([]int64, 3)), "a count": drawError(d, 0, ones, []int64{0, -1, 0}),
	} {
		if err == nil {
			t.Errorf("a wrong %s was drawn by", name)
		}
	}
}

func drawError(d *Dataset, step int64, weights []float64, drawn []int64) error {
	_, err := d.Draw(step, weights, drawn)
	return err
}

func TestAFileOfTwoStagesIsWarnedOf(t *testing.T) {
	o := stagedOptions(t, true)
	o.Stages[1].Data = append(o.Stages[1].Data, "a03.txt")
	o.Stages[2].Data = append(o.Stages[2].Data, "b01.txt")
	o.Stages[0].Data = append(o.Stages[0].Data, "b0[12].txt")
	o.Eval = []string{"c0[12].txt"}
	var log strings.Builder
	o.Log = func(format string, a ...any) { fmt.Fprintf(&log, format+"\n", a...) }
	mustOpen(t, o)
	for _, want := range []string{"warning: a03.txt is both in stage easy and in stage middle: rows of it are drawn for both\n",
		"warning: b01.txt is in 3 stages, easy and middle among them: rows of it are drawn for each\n",
		"warning: c01.txt is both in stage hard and in data.eval: the evaluation sees what was trained on\n"} {
		if strings.Count(log.String(), want) != 1 {
			t.Errorf("the log does not say %q once:\n%s", want, log.String())
		}
	}
	if n := strings.Count(log.String(), "b01.txt"); n != 1 {
		t.Errorf("b01.txt is warned of %d times:\n%s", n, log.String())
	}
}

// What is drawn is what resumed runs rely on: it must not change between versions.
func TestDrawnRowsStayWhatTheyWere(t *testing.T) {
	o := stagedOptions(t, false)
	o.Seed = 42
	d := mustOpen(t, o)
	got := numbers(draw(t, d, 3, 3, []float64{.2, .3, .5}, []int64{8, 3, 1}))
	if want := []int{12, 27, 12, 13, 0, 7, 16, 14, 9, 10, 23, 22}; !slices.Equal(got, want) {
		t.Errorf("rows %v, want %v", got, want)
	}
}
