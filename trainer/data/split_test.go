package data

import (
	"fmt"
	"math"
	"strings"
	"testing"
	"testing/fstest"

	"pgregory.net/rapid"
)

// sides says for each text of a corpus on which side of the split it fell.
func sides(t *rapid.T, texts map[string][]string, fraction float64) map[string]string {
	files := map[string]string{}
	for name, lines := range texts {
		for _, line := range lines {
			files[name] += `{"text":"` + line + `"}` + "\n"
		}
	}
	d, err := openDrawn(t, files, func(o *Options) { o.EvalFraction, o.Packing, o.Positions = fraction, false, 64 })
	if err != nil {
		t.Fatal(err)
	}
	defer d.Close()
	found := map[string]string{}
	for side, r := range map[string]rows{"train": d.train, "eval": d.eval} {
		for i := range r.len() {
			from, length := r.at(i)
			ids := make([]int64, length)
			r.read(ids, from)
			var text strings.Builder
			for _, id := range ids[:length-1] {
				text.WriteByte(byte(id))
			}
			if was := found[text.String()]; was != "" && was != side {
				t.Fatalf("%q is on both sides", text.String())
			}
			found[text.String()] = side
		}
	}
	return found
}

func TestAddedFilesMoveNoDocument(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		line := rapid.StringMatching(`[a-z]{3,20}`)
		texts := map[string][]string{"m.jsonl": rapid.SliceOfN(line, 40, 60).Draw(t, "lines")}
		before := sides(t, texts, 0.3)
		texts["m.jsonl"] = rapid.Permutation(texts["m.jsonl"]).Draw(t, "order")
		texts["a.jsonl"] = rapid.SliceOfN(line, 1, 20).Draw(t, "lines before")
		texts["z.jsonl"] = rapid.SliceOfN(line, 1, 20).Draw(t, "lines after")
		after := sides(t, texts, 0.3)
		for text, side := range before {
			if after[text] != side {
				t.Fatalf("%q went from %s to %s", text, side, after[text])
			}
		}
	})
}

func TestSplitHasTheFractionAskedFor(t *testing.T) {
	var lines strings.Builder
	for i := range 20000 {
		fmt.Fprintf(&lines, "{\"text\":\"documento %d\"}\n", i)
	}
	dir := writeFiles(t, map[string]string{"a.jsonl": lines.String()})
	for _, fraction := range []float64{0.001, 0.05, 0.5, 0.99} {
		o := testOptions(dir, "a.jsonl")
		o.EvalFraction = fraction
		d := mustOpen(t, o)
		train, eval := d.Train().Documents, d.Eval().Documents
		if deviation := math.Sqrt(20000 * fraction * (1 - fraction)); train+eval != 20000 || math.Abs(float64(eval)-20000*fraction) > 4*deviation {
			t.Errorf("fraction %v: %d of %d documents", fraction, eval, train+eval)
		}
	}
}

// One input.txt, as nanoGPT users have it, is divided by sections; nothing is lost and nothing is in both.
func TestOneLongTextIsDivided(t *testing.T) {
	text := story(1, 3000)
	o := testOptions(writeFiles(t, map[string]string{"input.txt": text}), "input.txt")
	o.EvalFraction, o.Positions = 0.1, 64
	d := mustOpen(t, o)
	train, eval := d.Train(), d.Eval()
	if total := train.Bytes + eval.Bytes; total != int64(len(text)) {
		t.Errorf("%d bytes of %d", total, len(text))
	}
	if train.Documents != 1 || eval.Documents != 1 || train.Tokens != train.Bytes+1 || eval.Tokens != eval.Bytes+1 {
		t.Errorf("want one document with one end token on either side: %+v, %+v", train, eval)
	}
	if share := float64(eval.Bytes) / float64(len(text)); share < 0.04 || share > 0.2 {
		t.Errorf("%.3f of the text is evaluated, want about 0.1", share)
	}
}

func TestSmallCorporaKeepBothSidesWhereTheyCan(t *testing.T) {
	tests := []struct {
		name        string
		fraction    float64
		documents   []string
		train, eval int64
		warns       bool
	}{
		{"one short document is trained on, with a warning", 0.05, []string{"só um"}, 1, 0, true},
		{"so it is where it would fall to evaluation", 0.99, []string{"só um"}, 1, 0, true},
		{"the same document twice is one", 0.5, []string{"igual", "igual"}, 2, 0, true},
		{"of two, one is evaluated", 1e-9, []string{"um", "dois"}, 1, 1, false},
		{"of two, one is trained on", 1 - 1e-9, []string{"um", "dois"}, 1, 1, false},
		{"no fraction, no evaluation, no warning", 0, []string{"um", "dois"}, 2, 0, false},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			files := map[string]string{}
			for i, text := range tt.documents {
				files[fmt.Sprintf("%d.txt", i)] = text
			}
			o := testOptions(writeFiles(t, files), "*.txt")
			o.EvalFraction, o.Positions = tt.fraction, 2
			var log strings.Builder
			o.Log = func(format string, a ...any) { fmt.Fprintf(&log, format+"\n", a...) }
			d := mustOpen(t, o)
			if d.Train().Documents != tt.train || d.Eval().Documents != tt.eval || (len(d.EvalBatches(64)) > 0) != (tt.eval > 0) {
				t.Errorf("train %+v, eval %+v", d.Train(), d.Eval())
			}
			if strings.Contains(log.String(), "warning: nothing is evaluated") != tt.warns {
				t.Errorf("log: %s", log.String())
			}
		})
	}
}

func TestEvaluationFilesTakeThePlaceOfTheFraction(t *testing.T) {
	dir := writeFiles(t, map[string]string{"a.txt": story(1, 9), "b.txt": story(2, 3)})
	o := testOptions(dir, "a.txt")
	o.EvalFraction = 0.5
	o.Eval = []string{dir + "/?.txt"}
	var log strings.Builder
	o.Log = func(format string, a ...any) { fmt.Fprintf(&log, format+"\n", a...) }
	d := mustOpen(t, o)
	if d.Train().Bytes != int64(len(story(1, 9))) || d.Eval().Bytes != int64(len(story(1, 9)+story(2, 3))) {
		t.Errorf("train %+v, eval %+v", d.Train(), d.Eval())
	}
	if want := "warning: " + dir + "/a.txt is both in data.train and in data.eval"; !strings.Contains(log.String(), want) {
		t.Errorf("the log does not say %q: %s", want, log.String())
	}
}

func TestEvaluationShowsEveryRowInOrder(t *testing.T) {
	o := testOptions(writeFiles(t, map[string]string{"a.txt": story(1, 9)}), "a.txt")
	o.Eval = o.Train
	d := mustOpen(t, o)
	var got []int64
	bytes := int64(0)
	for _, rows := range d.EvalBatches(3*16 + 15) { // three rows
		b, err := d.EvalBatch(rows)
		if err != nil {
			t.Fatal(err)
		}
		if b.Rows > 3 {
			t.Errorf("%d rows in a batch of 3", b.Rows)
		}
		for r := range b.Rows {
			got = append(got, rowIDs(b, r)...)
		}
		bytes += b.Bytes
	}
	want := append(bytesOf(story(1, 9)), endToken)
	if len(want)%16 == 1 {
		t.Fatal("choose a story whose last row has a target")
	}
	if fmt.Sprint(got) != fmt.Sprint(want) {
		t.Error("the batches are not the text")
	}
	if rows := d.Eval().Rows; bytes != int64(len(want))-rows-1 { // a row's first id and the end token are no text of a target
		t.Errorf("%d bytes of %d ids in %d rows", bytes, len(want), rows)
	}
}

// Rows of a document each: every row once, none of a batch longer than its first, no batch with more places than asked for, and
// hardly any padding.
func TestEvaluationOfDocumentsIsByLength(t *testing.T) {
	files := map[string]string{}
	for i := range 20 {
		files[fmt.Sprintf("%02d.txt", i)] = strings.Repeat("palavra", 3)[:1+i*7%19]
	}
	o := testOptions(writeFiles(t, files), "*.txt")
	o.Eval, o.Packing = o.Train, false
	d := mustOpen(t, o)
	for _, places := range []int{1, 40, 1000} {
		seen, padding := map[int]bool{}, 0
		for _, rows := range d.EvalBatches(places) {
			b, err := d.EvalBatch(rows)
			if err != nil {
				t.Fatal(err)
			}
			if size := b.Rows * b.Length; b.Rows > 1 && size > places || int(b.Lengths[0]) != b.Length {
				t.Errorf("%d × %d in batches of %d, lengths %v", b.Rows, b.Length, places, b.Lengths)
			}
			for i, number := range b.Numbers {
				if seen[number] {
					t.Errorf("row %d twice", number)
				}
				seen[number] = true
				padding += b.Length - int(b.Lengths[i])
			}
		}
		if len(seen) != int(d.Eval().Rows) || places == 40 && padding > 20 {
			t.Errorf("batches of %d: %d of %d rows, %d places of padding", places, len(seen), d.Eval().Rows, padding)
		}
	}
}

func TestWindowsKeepTheirRowsInOtherBatches(t *testing.T) {
	d := mustOpen(t, testOptions(writeFiles(t, map[string]string{"a.txt": story(1, 9)}), "a.txt"))
	numbers := func() (list []int) {
		w, err := d.Window(0, 0)
		if err != nil {
			t.Fatal(err)
		}
		for _, b := range w.Batches {
			list = append(list, b.Numbers...)
		}
		return list
	}
	want := numbers()
	if err := d.SetBatch(1, 4); err != nil {
		t.Fatal(err)
	}
	if got := numbers(); fmt.Sprint(got) != fmt.Sprint(want) || len(got) != 4 {
		t.Errorf("rows %v, before %v", got, want)
	}
	if d.SetBatch(3, 1) == nil {
		t.Error("a window of 3 rows in place of 4")
	}
}

func TestEmbeddedCorpusIsReadWhereNoFilesAreNamed(t *testing.T) {
	o := testOptions(t.TempDir())
	o.Embedded = fstest.MapFS{"pt/1.txt": {Data: []byte(story(1, 5))}, "pt/2.txt": {Data: []byte(story(2, 5))}, "README.md": {Data: []byte("x")}}
	d := mustOpen(t, o)
	if got := d.Train(); got.Documents != 2 || got.Bytes != int64(len(story(1, 5)+story(2, 5))) {
		t.Errorf("%+v", got)
	}
	want := d.Fingerprint()
	var log strings.Builder
	o.Log = func(format string, a ...any) { fmt.Fprintf(&log, format+"\n", a...) }
	if again := mustOpen(t, o); again.Fingerprint() != want || strings.Contains(log.String(), "tokenised") {
		t.Errorf("the second start tokenised again: %s", log.String())
	}
}
