package gpt2

import (
	"fmt"
	"math"
	"testing"

	"frugal/torch"
)

var goldenCases = []string{"odd", "gelu", "onehead"}

// splits are the ways to cut a batch of n rows into micro-batches: whole, equal, unequal.
func splits(n int) [][]int {
	ones := make([]int, n)
	for i := range ones {
		ones[i] = 1
	}
	return [][]int{{n}, ones, {1, n - 1}}
}

func TestLogitsMatchHuggingFace(t *testing.T) {
	for _, name := range goldenCases {
		t.Run(name, func(t *testing.T) {
			onThread(t, func() {
				g := openGolden(t, name)
				m := g.model(t, torch.CPU)
				defer m.Free()
				ids, _ := g.tensors(torch.CPU)
				worst := 0.0
				// The first T positions alone give the logits that they give among all: no position sees a later one.
				for T := int64(1); T <= g.length; T++ {
					got := m.Logits(ids.Narrow(1, 0, T), torch.Float32).Float32s()
					for i, v := range got {
						row, rest := int64(i)/(T*int64(g.VocabSize)), int64(i)%(T*int64(g.VocabSize))
						if rest/int64(g.VocabSize) >= g.lengths[row] {
							continue // padding
						}
						want := g.logits[row*g.length*int64(g.VocabSize)+rest]
						worst = max(worst, math.Abs(float64(v)-float64(want)))
					}
				}
				if !(worst <= 1e-5) {
					t.Errorf("logits differ by %.3g, want at most 1e-5", worst)
				}
				t.Logf("%d logits, largest difference %.2g", len(g.logits), worst)
			})
		})
	}
}

func TestLossAndGradientsMatchHuggingFace(t *testing.T) {
	for _, name := range goldenCases {
		t.Run(name, func(t *testing.T) {
			onThread(t, func() {
				g := openGolden(t, name)
				m := g.model(t, torch.CPU)
				defer m.Free()
				for _, checkpointing := range []bool{false, true} {
					for _, m.HeadRows = range []int{0, 1, 5} {
						for _, split := range splits(len(g.lengths)) {
							got := window(m, Pass{Precision: torch.Float32, Checkpointing: checkpointing}, 1, g.split(split...)...)
							what := fmt.Sprintf("checkpointing %v, head rows %d, micro-batches %v", checkpointing, m.HeadRows, split)
							t.Logf("%s: largest difference %.2g", what, compare(t, what, got, g.result, 1e-5))
						}
					}
				}
			})
		})
	}
}

// Ours rounds where autocast rounds: on the processor that made the golden most gradients are equal to the bit, the others up to
// the order of a sum in fp32. Another processor's products may sum in another order, which turns a rounding to bf16 here and
// there: half of what bf16 itself is off is allowed.
func TestBF16GradientsMatchHuggingFace(t *testing.T) {
	for _, name := range goldenCases {
		t.Run(name, func(t *testing.T) {
			onThread(t, func() {
				g := openGolden(t, name)
				m := g.model(t, torch.CPU)
				defer m.Free()
				for _, checkpointing := range []bool{false, true} {
					got := window(m, Pass{Precision: torch.BFloat16, Checkpointing: checkpointing}, 1, g.batch)
					equal := 0
					for name, want := range g.bf16.gradients {
						off, allowed := distance(got.gradients[name], want), distance(want, g.gradients[name])/2
						if !(off <= allowed) {
							t.Errorf("checkpointing %v: gradient of %s is off by %.3g, want at most %.3g", checkpointing, name, off, allowed)
						}
						if off == 0 {
							equal++
						}
					}
					if off := math.Abs(got.loss-g.bf16.loss) / g.bf16.loss; !(off <= 1e-3) {
						t.Errorf("checkpointing %v: loss is %v, want %v", checkpointing, got.loss, g.bf16.loss)
					}
					t.Logf("checkpointing %v: loss %.7g (fp32 %.7g), %d of %d gradients equal to the bit",
						checkpointing, got.loss, g.loss, equal, len(g.bf16.gradients))
				}
			})
		})
	}
}

func TestEvaluationLossMatchesHuggingFace(t *testing.T) {
	for _, name := range goldenCases {
		t.Run(name, func(t *testing.T) {
			onThread(t, func() {
				g := openGolden(t, name)
				g.Dropout = 0.5 // evaluation has none
				m := g.model(t, torch.CPU)
				defer m.Free()
				m.HeadRows = 4
				ids, targets := g.tensors(torch.CPU)
				sum := torch.Zeros(nil, torch.Float64, torch.CPU)
				m.Loss(ids, targets, torch.Float32, sum)
				if got := sum.Item() / float64(g.targetCount()); math.Abs(got-g.loss) > 1e-5*g.loss {
					t.Errorf("loss is %v, want %v", got, g.loss)
				}
				if m.Parameters()[0].Tensor.Grad() != nil {
					t.Error("evaluation left a gradient")
				}
			})
		})
	}
}

// optimizer is AdamW in two groups, written out: the trainer's own is tested against the same golden.
type optimizer struct {
	torch.AdamW
	params, gradients, means, squares, steps [2][]*torch.Tensor // decayed, not decayed
	decay                                    [2]float64
}

func newOptimizer(m *Model, u updates) *optimizer {
	o := &optimizer{AdamW: torch.AdamW{Beta1: u.Beta1, Beta2: u.Beta2, Epsilon: u.Epsilon}, decay: [2]float64{u.WeightDecay, 0}}
	for _, p := range m.Parameters() {
		i := 0
		if !p.Decay {
			i = 1
		}
		o.params[i] = append(o.params[i], p.Tensor)
		o.means[i] = append(o.means[i], torch.Zeros(p.Tensor.Shape(), torch.Float32, m.Device))
		o.squares[i] = append(o.squares[i], torch.Zeros(p.Tensor.Shape(), torch.Float32, m.Device))
		o.steps[i] = append(o.steps[i], torch.Zeros(nil, torch.Float32, m.Device))
	}
	return o
}

// update clips, applies the gradients and removes them. It returns their norm before clipping.
func (o *optimizer) update(rate, maxNorm float64, device torch.Device) (norm float64) {
	s := torch.OpenScope()
	defer s.Close()
	var all []*torch.Tensor
	for i := range o.params {
		o.gradients[i] = o.gradients[i][:0]
		for _, p := range o.params[i] {
			o.gradients[i] = append(o.gradients[i], p.Grad())
		}
		all = append(all, o.gradients[i]...)
	}
	n := torch.GlobalNorm(all)
	torch.ForeachMul_(all, torch.ClipCoefficient(n, maxNorm))
	for i := range o.params {
		o.WeightDecay = o.decay[i]
		torch.FusedAdamW_(o.AdamW, o.params[i], o.gradients[i], o.means[i], o.squares[i], o.steps[i],
			torch.Full(nil, rate, torch.Float32, device), nil)
		for _, p := range o.params[i] {
			p.SetGrad(nil)
		}
	}
	return n.Item()
}

func TestFiftyUpdatesMatchPyTorch(t *testing.T) {
	u := openUpdates(t)
	for _, checkpointing := range []bool{false, true} {
		t.Run(fmt.Sprintf("checkpointing %v", checkpointing), func(t *testing.T) {
			onThread(t, func() {
				loss, norm := replay(t, u, Pass{Precision: torch.Float32, Checkpointing: checkpointing}, torch.CPU)
				if !(loss <= 1e-4) || !(norm <= 1e-3) {
					t.Errorf("losses differ by up to %.3g, want 1e-4; gradient norms by %.3g, want 1e-3", loss, norm)
				}
				t.Logf("losses differ by up to %.2g, gradient norms by %.2g", loss, norm)
			})
		})
	}
}

// replay makes the golden updates and returns the largest differences of the losses and of the gradient norms.
func replay(t testing.TB, u updates, p Pass, device torch.Device) (loss, norm float64) {
	m := openGolden(t, u.Case).model(t, device)
	defer m.Free()
	m.HeadRows = 16
	o := newOptimizer(m, u)
	p.Seed = func(int) uint64 { return 0 }
	for i, w := range u.Windows {
		s := torch.OpenScope()
		targets := int64(0)
		for _, rows := range w {
			targets += batchOf(rows).targetCount()
		}
		p.Weight = torch.Full(nil, 1/float64(targets), torch.Float32, device)
		p.LossSum = torch.Zeros(nil, torch.Float64, device)
		for _, rows := range w {
			ids, next := batchOf(rows).tensors(device)
			m.ForwardBackward(ids, next, p)
		}
		n := o.update(u.LearningRates[i], u.MaxGradNorm, device)
		loss = max(loss, math.Abs(p.LossSum.Item()/float64(targets)-u.Losses[i]))
		norm = max(norm, math.Abs(n-u.GradNorms[i]))
		s.Close()
	}
	return loss, norm
}
