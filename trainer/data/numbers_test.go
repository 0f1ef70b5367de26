package data

import (
	"testing"

	"github.com/google/go-cmp/cmp"
)

// TestARowKeepsItsNumber: whatever window a row comes in, TrainBatch finds the same ids under its number.
func TestARowKeepsItsNumber(t *testing.T) {
	for _, packing := range []bool{true, false} {
		o, _ := memOptions(t, map[string]string{"a.txt": story(1, 9), "b.txt": story(2, 3), "c.txt": story(3, 5)})
		o.Packing, o.Positions = packing, 100
		d := mustOpen(t, o)
		seen := map[int]bool{}
		for i := range d.WindowsPerEpoch() {
			w, err := d.Window(1, i)
			if err != nil {
				t.Fatal(err)
			}
			for _, b := range w.Batches {
				for row, number := range b.Numbers {
					one, err := d.TrainBatch(number, number+1)
					if err != nil {
						t.Fatal(err)
					}
					ids := b.InputIDs[row*b.Length:][:b.Lengths[row]]
					if diff := cmp.Diff(one.InputIDs, ids); diff != "" {
						t.Fatalf("packing %t, row %d: %s", packing, number, diff)
					}
					seen[number] = true
				}
			}
		}
		if len(seen) != d.TrainRows() {
			t.Errorf("packing %t: an epoch visits %d of %d rows", packing, len(seen), d.TrainRows())
		}
		if _, err := d.TrainBatch(0, d.TrainRows()+1); err == nil {
			t.Error("rows past the end were returned")
		}
	}
}
