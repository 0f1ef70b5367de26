package gpt2

import (
	"fmt"
	"math"
	"os"
	"strings"
	"testing"

	"golang.org/x/sys/cpu"

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
						m.Attention, m.Library = torch.AttentionKernel(m.HeadRows%2), torch.Library(m.HeadRows%2)
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

// Ours rounds where autocast rounds, but for the gradients of biases, which stay in fp32: they may be off from fp32's by a tenth
// more than autocast's, and mostly are off by less. With attention by the same kernel most others are equal to the bit on the
// processor that made the golden, the rest up to the order of a sum in fp32. Another processor's products may sum in another order,
// which turns a rounding to bf16 here and there: half of what bf16 itself is off is allowed. Composed attention rounds its scores to
// bf16 too: it may be off by twice what the kernel is.
func TestBF16GradientsMatchHuggingFace(t *testing.T) {
	for _, name := range goldenCases {
		for kernel, attention := range map[string]torch.AttentionKernel{"flash": torch.Flash, "composed": torch.Composed} {
			t.Run(name+", "+kernel, func(t *testing.T) {
				onThread(t, func() {
					g := openGolden(t, name)
					m := g.model(t, torch.CPU)
					defer m.Free()
					m.Attention = attention
					for _, checkpointing := range []bool{false, true} {
						got := window(m, Pass{Precision: torch.BFloat16, Checkpointing: checkpointing}, 1, g.batch)
						equal := 0
						for name, want := range g.bf16.gradients {
							off, allowed := distance(got.gradients[name], want), distance(want, g.gradients[name])/2
							switch {
							case !roundsLikeTheGolden() && attention == torch.Flash:
								off, allowed = distance(got.gradients[name], g.gradients[name]), 2.6*allowed
							case attention == torch.Composed:
								off, allowed = distance(got.gradients[name], g.gradients[name]), 4*allowed
							case strings.HasSuffix(name, ".bias"):
								off, allowed = distance(got.gradients[name], g.gradients[name]), 2.2*allowed
							case off == 0:
								equal++
							}
							if !(off <= allowed*(1+1e-5)) {
								t.Errorf("checkpointing %v: gradient of %s is off by %.3g, want at most %.3g", checkpointing, name, off, allowed)
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
}

// roundsLikeTheGolden says whether this processor's kernels are those that the golden was made by, with AVX-512. With others
// PyTorch itself is up to 2.2 times the first bound from its golden, and up to 1.25 times as far from fp32 as that is (AVX2 and
// no vectors at all, by ATEN_CPU_CAPABILITY, ONEDNN_MAX_CPU_ISA and MKL_ENABLE_INSTRUCTIONS): there the distance from fp32 counts.
func roundsLikeTheGolden() bool {
	return cpu.X86.HasAVX512F && cpu.X86.HasAVX512BW && os.Getenv("ATEN_CPU_CAPABILITY") == ""
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
				if m.Gradients() != nil {
					t.Error("evaluation left a gradient")
				}
			})
		})
	}
}

// optimizer is AdamW in two groups, written out: the trainer's own is tested against the same golden.
type optimizer struct {
	torch.AdamW
	m            *Model
	mean, square *torch.Tensor
	steps        [2]*torch.Tensor // decayed, not decayed
	decay        [2]float64
}

func newOptimizer(m *Model, u updates) *optimizer {
	zeros := func(shape []int64) *torch.Tensor { return torch.Zeros(shape, torch.Float32, m.Device) }
	return &optimizer{AdamW: torch.AdamW{Beta1: u.Beta1, Beta2: u.Beta2, Epsilon: u.Epsilon}, m: m, decay: [2]float64{u.WeightDecay, 0},
		mean: zeros(m.Weights().Shape()), square: zeros(m.Weights().Shape()), steps: [2]*torch.Tensor{zeros(nil), zeros(nil)}}
}

// update clips, applies the gradients and clears them. It returns their norm before clipping.
func (o *optimizer) update(rate, maxNorm float64, device torch.Device) (norm float64) {
	s := torch.OpenScope()
	defer s.Close()
	n := o.m.Gradients().Norm()
	divisor := torch.ClipCoefficient(n, maxNorm).Reciprocal()
	for i, decay := range []bool{true, false} {
		of := func(buffer *torch.Tensor) (parts []*torch.Tensor) {
			for _, s := range o.m.Units()[0] {
				if s.Decay == decay {
					parts = append(parts, buffer.Narrow(0, s.Offset, s.Length))
				}
			}
			return parts
		}
		o.WeightDecay = o.decay[i]
		torch.CountUpdate_(o.steps[i], nil)
		torch.FusedAdamW_(o.AdamW, of(o.m.Weights()), of(o.m.Gradients()), of(o.mean), of(o.square), o.steps[i], torch.Full(nil, rate, torch.Float32, device), divisor, nil)
	}
	o.m.Changed()
	o.m.ClearGradients()
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
