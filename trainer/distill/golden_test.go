package distill_test

import (
	"fmt"
	"math"
	"testing"

	"frugal/torch"
	"frugal/trainer/distill"
	"frugal/trainer/gpt2"
)

// tolerance: the golden is computed in float64, from the same fp32 weights. fp32 keeps 24 bits, 6e-8; a loss is a sum over 83 ids
// of terms that cancel, a gradient passes through two blocks.
const tolerance = 2e-6

// guideFor is a case's: the teacher itself, or what the golden says that it says.
func (g golden) guideFor(t *testing.T, i int, teacher *distill.Teacher) guideOf {
	if g.Cases[i].TopK == 0 {
		return func(ids *torch.Tensor, _ int64, l distill.Loss) gpt2.Guide { return teacher.Guide(ids, l) }
	}
	name := func(what string) string { return fmt.Sprintf("%d.%s", i, what) }
	all := distill.TopK{IDs: g.tensor(t, name("ids"), torch.Int32).To(torch.Int64, torch.CPU), LogProbs: g.tensor(t, name("log_probs"), torch.Float32),
		Rest: g.tensor(t, name("rest"), torch.Float32)}
	return func(ids *torch.Tensor, first int64, l distill.Loss) gpt2.Guide {
		n := ids.NumElements()
		return distill.TopK{IDs: all.IDs.Narrow(0, first, n), LogProbs: all.LogProbs.Narrow(0, first, n), Rest: all.Rest.Narrow(0, first, n)}.Guide(l)
	}
}

func TestLossesAndGradientsMatchPyTorch(t *testing.T) {
	g := openGolden(t)
	for i, c := range g.Cases {
		t.Run(fmt.Sprintf("temperature %v, alpha %v, top %d", c.Temperature, c.Alpha, c.TopK), func(t *testing.T) {
			onThread(t, func() {
				student := open(t, "student")
				defer student.Free()
				teacher := distill.NewTeacher(open(t, "teacher"), torch.Float32)
				defer teacher.Free()
				guide := g.guideFor(t, i, teacher)
				worst := 0.0
				for _, checkpointing := range []bool{false, true} {
					for _, student.HeadRows = range []int{0, 1, 7} {
						p := gpt2.Pass{Precision: torch.Float32, Checkpointing: checkpointing}
						got := window(student, p, distill.Loss{Temperature: c.Temperature, Alpha: c.Alpha}, 1, g.MicroBatches, guide)
						worst = max(worst, math.Abs(got.task-c.TaskLoss)/c.TaskLoss, math.Abs(got.distillation-c.DistillationLoss)/c.DistillationLoss)
						for name, gradient := range got.gradients {
							worst = max(worst, off(gradient, g.tensor(t, fmt.Sprintf("%d.%s", i, name), torch.Float32).Float32s()))
						}
					}
				}
				if !(worst <= tolerance) {
					t.Errorf("off by %.3g, want at most %.3g", worst, tolerance)
				}
				t.Logf("off by %.2g", worst)
			})
		})
	}
}

// What our own teacher says of its k largest is what PyTorch's says, in the same order.
func TestTopKMatchesPyTorch(t *testing.T) {
	g := openGolden(t)
	onThread(t, func() {
		teacher := distill.NewTeacher(open(t, "teacher"), torch.Float32)
		defer teacher.Free()
		for i, c := range g.Cases {
			if c.TopK == 0 {
				continue
			}
			var kept distill.Kept
			for _, rows := range g.MicroBatches {
				ids, _, _ := batch(rows)
				part := teacher.TopK(ids, c.TopK, c.Temperature)
				kept.IDs, kept.LogProbs, kept.Rest = append(kept.IDs, part.IDs...), append(kept.LogProbs, part.LogProbs...), append(kept.Rest, part.Rest...)
			}
			for at, id := range g.tensor(t, fmt.Sprintf("%d.ids", i), torch.Int32).Int64s() {
				if kept.IDs[at] != id {
					t.Fatalf("top %d: id %d at %d, want %d", c.TopK, kept.IDs[at], at, id)
				}
			}
			if d := off(kept.LogProbs, g.tensor(t, fmt.Sprintf("%d.log_probs", i), torch.Float32).Float32s()); !(d <= tolerance) {
				t.Errorf("top %d: log-probabilities are off by %.3g", c.TopK, d)
			}
			rest := g.tensor(t, fmt.Sprintf("%d.rest", i), torch.Float32).Float32s()
			if c.TopK == 83 {
				for _, r := range kept.Rest {
					if !math.IsInf(float64(r), -1) {
						t.Fatalf("nothing is left, and the log of the rest is %v", r)
					}
				}
			} else if d := off(kept.Rest, rest); !(d <= tolerance) {
				t.Errorf("top %d: rests are off by %.3g", c.TopK, d)
			}
		}
	})
}
