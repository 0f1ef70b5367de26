package data

import (
	"math"
	"slices"
	"testing"

	"github.com/google/go-cmp/cmp"
	"pgregory.net/rapid"
)

// someCorpus draws documents of one .jsonl file and what stream of ids they make.
func someCorpus(t *rapid.T) (documents []string, joined []int64) {
	documents = rapid.SliceOfN(rapid.StringMatching(`[a-z]{1,40}`), 1, 30).Draw(t, "documents")
	for _, text := range documents {
		for _, b := range []byte(text) {
			joined = append(joined, int64(b))
		}
		joined = append(joined, endToken)
	}
	return documents, joined
}

func openDocuments(t *rapid.T, documents []string, change func(*Options)) (*Dataset, error) {
	var lines string
	for _, text := range documents {
		lines += `{"text":"` + text + `"}` + "\n"
	}
	return openDrawn(t, map[string]string{"a.jsonl": lines}, change)
}

func TestPackedRowsAreBlocksOfTheJoinedDocuments(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		documents, joined := someCorpus(t)
		positions := rapid.IntRange(2, 50).Draw(t, "positions")
		d, err := openDocuments(t, documents, func(o *Options) { o.Positions, o.Eval = positions, o.Train })
		blocks := len(joined) / positions
		if blocks == 0 {
			if err == nil {
				t.Fatal("a corpus too small for one row was accepted")
			}
			return
		}
		if err != nil {
			t.Fatal(err)
		}
		defer d.Close()
		if got := streamIDs(d.train); !slices.Equal(got, joined[:blocks*positions]) {
			t.Fatal("training rows are not the joined documents without the last incomplete block")
		}
		kept := joined
		if len(joined)%positions == 1 { // it would have no target
			kept = joined[:blocks*positions]
		}
		if got := streamIDs(d.eval); !slices.Equal(got, kept) {
			t.Fatal("evaluation rows are not the joined documents")
		}
		if want := int64(len(joined)); d.Train().Tokens != want || d.Train().Bytes != want-int64(len(documents)) {
			t.Fatalf("%+v of %d tokens", d.Train(), want)
		}
	})
}

func TestUnpackedRowsAreDocuments(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		documents, _ := someCorpus(t)
		positions := rapid.IntRange(2, 50).Draw(t, "positions")
		d, err := openDocuments(t, documents, func(o *Options) { o.Positions, o.Packing, o.Accumulation = positions, false, 1 })
		if err != nil {
			t.Fatal(err)
		}
		defer d.Close()
		seen := make([]bool, len(documents))
		for i := range d.WindowsPerEpoch() {
			w, err := d.Window(0, i)
			if err != nil {
				t.Fatal(err)
			}
			checkBatch(t, d, &w.Batches[0])
			order := newOrder(d.options.Seed, 0, len(documents))
			for r := range w.Batches[0].Rows {
				n := order.at(i*d.options.BatchSize + r)
				seen[n] = true
				want := append([]int64{}, bytesOf(documents[n])...)
				want = append(want, endToken)
				want = want[:min(len(want), positions)]
				if diff := cmp.Diff(want, rowIDs(&w.Batches[0], r)); diff != "" {
					t.Fatal(diff)
				}
			}
		}
		if slices.Contains(seen, false) {
			t.Fatal("an epoch has not shown every document")
		}
	})
}

func bytesOf(text string) (ids []int64) {
	for _, b := range []byte(text) {
		ids = append(ids, int64(b))
	}
	return ids
}

// rowIDs returns a row of a batch without its padding.
func rowIDs(b *Batch, row int) []int64 {
	return b.InputIDs[row*b.Length:][:b.Lengths[row]]
}

// checkBatch checks what a batch says of itself: lengths, padding, targets and their bytes.
func checkBatch(t *rapid.T, d *Dataset, b *Batch) {
	targets, text, longest := int64(0), int64(0), 0
	for r, length := range b.Lengths {
		longest = max(longest, int(length))
		targets += int64(length) - 1
		for i, id := range b.InputIDs[r*b.Length : (r+1)*b.Length] {
			if i >= int(length) && id != endToken {
				t.Fatalf("padding of row %d holds %d", r, id)
			}
			if i > 0 && i < int(length) && id != endToken {
				text++
			}
		}
	}
	if len(b.Lengths) != b.Rows || len(b.InputIDs) != b.Rows*b.Length || longest != b.Length || longest > d.options.Positions {
		t.Fatalf("%d rows of %d, lengths %v, %d ids", b.Rows, b.Length, b.Lengths, len(b.InputIDs))
	}
	if b.Targets != targets || b.Bytes != text {
		t.Fatalf("%d targets of %d bytes, want %d of %d", b.Targets, b.Bytes, targets, text)
	}
}

func TestWindowsVisitEveryRowOnceWhateverTheOrderTheyAreAskedIn(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		documents, _ := someCorpus(t)
		d, err := openDocuments(t, documents, func(o *Options) {
			o.Packing = rapid.Bool().Draw(t, "packing")
			o.Positions = 4
			o.BatchSize = rapid.IntRange(1, 4).Draw(t, "batch size")
			o.Accumulation = rapid.IntRange(1, 4).Draw(t, "accumulation")
			o.Seed = rapid.Uint64().Draw(t, "seed")
		})
		if err != nil {
			return // too small
		}
		defer d.Close()
		o, rows := d.options, int(d.Train().Rows)
		if want := (rows + o.BatchSize*o.Accumulation - 1) / (o.BatchSize * o.Accumulation); d.WindowsPerEpoch() != want {
			t.Fatalf("%d windows, want %d", d.WindowsPerEpoch(), want)
		}
		epoch := rapid.IntRange(0, 1000).Draw(t, "epoch")
		sequential := make([]*Window, d.WindowsPerEpoch())
		seen := map[string]int{}
		left := rows
		for i := range sequential {
			w, err := d.Window(epoch, i)
			if err != nil {
				t.Fatal(err)
			}
			sequential[i] = w
			targets := int64(0)
			for b := range w.Batches {
				checkBatch(t, d, &w.Batches[b])
				targets += w.Batches[b].Targets
				if want := min(left, o.BatchSize); w.Batches[b].Rows != want {
					t.Fatalf("%d rows, want %d", w.Batches[b].Rows, want)
				}
				left -= w.Batches[b].Rows
				for r := range w.Batches[b].Rows {
					seen[cmp.Diff(nil, rowIDs(&w.Batches[b], r))]++
				}
			}
			if w.Targets != targets || len(w.Batches) > o.Accumulation {
				t.Fatalf("window of %d targets in %d batches", w.Targets, len(w.Batches))
			}
		}
		for i := range rows {
			from, length := d.train.at(i)
			row := make([]int64, length)
			d.train.read(row, from)
			seen[cmp.Diff(nil, row)]--
		}
		for row, n := range seen {
			if n != 0 {
				t.Fatalf("%+d times too often: %s", n, row)
			}
		}
		indices := make([]int, len(sequential))
		for i := range indices {
			indices[i] = i
		}
		for _, i := range rapid.Permutation(indices).Draw(t, "order") {
			w, err := d.Window(epoch, i)
			if err != nil || !cmp.Equal(w, sequential[i]) {
				t.Fatalf("window %d differs when asked for again: %v", i, err)
			}
		}
	})
}

func TestWindowsOutsideTheEpochAreErrors(t *testing.T) {
	d := mustOpen(t, testOptions(writeFiles(t, map[string]string{"a.txt": story(1, 5)}), "a.txt"))
	for _, at := range [][2]int{{0, -1}, {-1, 0}, {0, d.WindowsPerEpoch()}} {
		if _, err := d.Window(at[0], at[1]); err == nil {
			t.Errorf("window %v exists", at)
		}
	}
	if _, err := d.EvalBatch(EvalRange{0, 1}); err == nil || d.EvalBatches(64) != nil {
		t.Error("an evaluation without rows has a batch")
	}
}

func TestOrderIsAPermutation(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		n := rapid.IntRange(1, 3000).Draw(t, "n")
		o := newOrder(rapid.Uint64().Draw(t, "seed"), rapid.IntRange(0, 100).Draw(t, "epoch"), n)
		seen := make([]bool, n)
		for i := range n {
			at := o.at(i)
			if seen[at] {
				t.Fatalf("row %d comes twice", at)
			}
			seen[at] = true
		}
	})
}

// Every row is as likely at every position, and next to every other: chi-square over many epochs.
func TestOrderIsUniform(t *testing.T) {
	for _, n := range []int{2, 3, 7, 30} {
		const epochs = 6000
		at, after := make([]int, n*n), make([]int, n*n)
		for epoch := range epochs {
			o := newOrder(42, epoch, n)
			was := o.at(n - 1)
			for i := range n {
				row := o.at(i)
				at[i*n+row]++
				if i > 0 {
					after[was*n+row]++
				}
				was = row
			}
		}
		if x := chiSquare(at, epochs/float64(n)); x > 6 {
			t.Errorf("n = %d: positions are %.1f standard deviations from uniform", n, x)
		}
		pairs := slices.DeleteFunc(after, func(count int) bool { return count == 0 })
		if x := chiSquare(pairs, epochs/float64(n)); len(pairs) != n*(n-1) || x > 6 {
			t.Errorf("n = %d: %d neighbours, %.1f standard deviations from uniform", n, len(pairs), x)
		}
	}
}

// chiSquare returns how many standard deviations the statistic lies above its mean.
func chiSquare(counts []int, want float64) (x float64) {
	for _, c := range counts {
		x += (float64(c) - want) * (float64(c) - want) / want
	}
	n := float64(len(counts))
	return (x - n) / math.Sqrt(2*n)
}

func TestOrderDependsOnSeedAndEpoch(t *testing.T) {
	list := func(seed uint64, epoch int) (rows []int) {
		o := newOrder(seed, epoch, 50)
		for i := range 50 {
			rows = append(rows, o.at(i))
		}
		return rows
	}
	seen := map[int][]int{}
	for i, rows := range [][]int{list(1, 0), list(1, 1), list(2, 0), list(0, 1)} {
		for j, other := range seen {
			if slices.Equal(rows, other) {
				t.Errorf("orders %d and %d are the same", i, j)
			}
		}
		seen[i] = rows
	}
	// The order is part of what a resumed run relies on: it must not change between versions.
	if got, want := list(42, 3)[:10], []int{21, 31, 1, 18, 11, 46, 49, 27, 39, 35}; !slices.Equal(got, want) {
		t.Errorf("order of seed 42, epoch 3 begins %v, want %v", got, want)
	}
}

func TestCorpusTooSmallForARowSaysWhatToChange(t *testing.T) {
	o := testOptions(writeFiles(t, map[string]string{"a.txt": "curto"}), "a.txt")
	_, err := Open(t.Context(), o)
	want := "data: the training corpus has 6 tokens in 1 document, too few for one row of 16: give it more text, " +
		"lower max_position_embeddings, or set data.packing to false"
	if err == nil || err.Error() != want {
		t.Errorf("%v, want %s", err, want)
	}
	o.Packing = false
	if d := mustOpen(t, o); d.Train() != (Split{1, 1, 6, 5}) {
		t.Errorf("without packing: %+v", d.Train())
	}
}
