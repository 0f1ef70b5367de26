package trainer

// Gradient accumulation, shown: go test ./trainer -run Accumulation -v

import (
	"testing"

	"frugal/torch"
	"frugal/trainer/data"
)

// TestAccumulationEqualsTheBigBatch compares, parameter by parameter, the gradient of one big batch with the gradient
// accumulated over micro-batches, of equal and of unequal numbers of targets.
func TestAccumulationEqualsTheBigBatch(t *testing.T) {
	for _, c := range []struct {
		name    string
		lengths []int32 // ids of each row
		split   []int   // rows of each micro-batch
	}{
		{"equal micro-batches", []int32{32, 32, 32, 32, 32, 32, 32, 32}, []int{2, 2, 2, 2}},
		{"unequal micro-batches", []int32{32, 3, 17, 32, 2, 9, 30, 5}, []int{1, 4, 2, 1}},
	} {
		t.Run(c.name, func(t *testing.T) {
			inRun(t, smallRun(t, t.TempDir()), func(r *run) {
				whole := []int{len(c.lengths)}
				reference := windowGradients(r, c.lengths, whole)
				accumulated := windowGradients(r, c.lengths, c.split)
				t.Logf("%-36s %14s %14s %12s", "parameter", "reference", "accumulated", "difference")
				for i, p := range r.model.Parameters() {
					a, b := reference[i], accumulated[i]
					difference := norm(b.Sub(a)) / norm(a)
					t.Logf("%-36s %14.6e %14.6e %12.1e", p.Name, norm(a), norm(b), difference)
					// Sums of the same fp32 numbers in another order: some units in the last place (6e-8).
					if !(difference < 2e-6) {
						t.Errorf("%s: relative difference %g", p.Name, difference)
					}
				}
			})
		})
	}
}

// windowGradients are the gradients of the rows as one window in micro-batches of the given sizes, before clipping. The rate
// is 0: the weights stay as they are.
func windowGradients(r *run, lengths []int32, split []int) (grads []*torch.Tensor) {
	var kept []*torch.Tensor
	r.beforeUpdate = func(r *run) {
		for _, p := range r.model.Parameters() {
			kept = append(kept, p.Gradient().Clone().Detached())
		}
	}
	w := &data.Window{}
	first := 0
	for _, rows := range split {
		b := rowsBatch(lengths[first:first+rows], int64(first))
		w.Batches = append(w.Batches, b)
		w.Targets += b.Targets
		first += rows
	}
	r.schedule.Rate = 0
	if err := r.step(w); err != nil {
		panic(err)
	}
	for _, g := range kept { // the step's scope is closed: the test's owns them now
		grads = append(grads, g.Clone())
		g.Free()
	}
	return grads
}

// rowsBatch makes rows of the given lengths; a row's ids depend on its number, seed+i, alone.
func rowsBatch(lengths []int32, seed int64) data.Batch {
	b := data.Batch{Rows: len(lengths), Lengths: lengths}
	for _, n := range lengths {
		b.Length = max(b.Length, int(n))
		b.Targets += int64(n) - 1
	}
	b.InputIDs = make([]int64, b.Rows*b.Length)
	for i, n := range lengths {
		for j := range int(n) {
			b.InputIDs[i*b.Length+j] = (((seed+int64(i))*31 + int64(j)*(7+seed+int64(i))) % 256)
		}
	}
	return b
}

func norm(t *torch.Tensor) float64 { return t.Norm().Item() }
