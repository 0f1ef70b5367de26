package gpt2

import (
	"fmt"
	"math"
	"slices"
	"testing"

	"frugal/torch"
)

// Recomputation repeats the forward pass to the last bit, dropout included: checkpointing changes memory and time only.
func TestCheckpointingGivesTheSameBits(t *testing.T) {
	for _, dtype := range []torch.DType{torch.Float32, torch.BFloat16} {
		for _, dropout := range []float64{0, 0.2} {
			t.Run(fmt.Sprintf("%s, dropout %v", dtype, dropout), func(t *testing.T) {
				onThread(t, func() {
					torch.SetNumThreads(2)
					g := openGolden(t, "odd")
					g.Dropout = dropout
					m := g.model(t, torch.CPU)
					defer m.Free()
					m.HeadRows = 32
					parts := g.split(2, 3)
					kept := window(m, Pass{Precision: dtype}, 1, parts...)
					again := window(m, Pass{Precision: dtype, Checkpointing: true}, 1, parts...)
					if kept.loss != again.loss {
						t.Errorf("losses %v and %v", kept.loss, again.loss)
					}
					for name, want := range kept.gradients {
						if !slices.Equal(again.gradients[name], want) {
							t.Errorf("gradients of %s differ by %.2g", name, relative(again.gradients[name], want))
						}
					}
				})
			})
		}
	}
}

// Dropout depends on the seed alone, and each stage and micro-batch draws its own.
func TestDropoutIsAFunctionOfTheSeed(t *testing.T) {
	onThread(t, func() {
		g := openGolden(t, "odd")
		g.Dropout = 0.2
		m := g.model(t, torch.CPU)
		defer m.Free()
		loss := func(seed func(stage int) uint64) float64 {
			s := torch.OpenScope()
			defer s.Close()
			ids, targets := g.tensors(torch.CPU)
			p := Pass{Precision: torch.Float32, Seed: seed, Weight: torch.Full(nil, 1, torch.Float32, torch.CPU), LossSum: torch.Zeros(nil, torch.Float64, torch.CPU)}
			torch.ManualSeed(torch.CPU, 99) // what the generator did before must not matter
			m.ForwardBackward(ids, targets, p)
			return p.LossSum.Item()
		}
		base := func(stage int) uint64 { return uint64(stage) }
		want := loss(base)
		if got := loss(base); got != want {
			t.Errorf("the same seeds give losses %v and %v", want, got)
		}
		for changed := range len(m.blocks) + 1 {
			other := func(stage int) uint64 {
				if stage == changed {
					return 1000
				}
				return base(stage)
			}
			if loss(other) == want {
				t.Errorf("the seed of stage %d changes nothing", changed)
			}
		}
	})
}

// Half precisions follow fp32. The measure of a gradient is the norm of the difference over the norm: bf16 keeps 8 bits, so
// single elements stray further than that.
func TestHalfPrecisionsFollowFP32(t *testing.T) {
	for _, c := range []struct {
		dtype       torch.DType
		scale       float64 // of the loss
		loss, grads float64 // tolerances
	}{
		{torch.BFloat16, 1, 2e-3, 2e-2},
		{torch.Float16, 1024, 3e-4, 3e-3},
	} {
		for _, name := range goldenCases {
			t.Run(fmt.Sprintf("%s/%s", c.dtype, name), func(t *testing.T) {
				onThread(t, func() {
					g := openGolden(t, name)
					m := g.model(t, torch.CPU)
					defer m.Free()
					m.HeadRows = 16
					got := window(m, Pass{Precision: c.dtype, Checkpointing: true}, c.scale, g.batch)
					loss, grads := math.Abs(got.loss-g.loss)/g.loss, 0.0
					for name, want := range g.gradients {
						d := relativeNorm(got.gradients[name], want)
						if grads = max(grads, d); !(d <= c.grads) {
							t.Errorf("gradient of %s differs by %.2g, want at most %v", name, d, c.grads)
						}
					}
					if !(loss <= c.loss) {
						t.Errorf("loss %v differs from %v by %.2g, want at most %v", got.loss, g.loss, loss, c.loss)
					}
					if got.loss == g.loss {
						t.Error("the loss is fp32's own: was there no autocast?")
					}
					t.Logf("loss differs by %.2g, gradients by up to %.2g", loss, grads)
				})
			})
		}
	}
}

func relativeNorm(got, want []float32) float64 {
	difference, norm := 0.0, 0.0
	for i := range want {
		d := float64(got[i]) - float64(want[i])
		difference, norm = difference+d*d, norm+float64(want[i])*float64(want[i])
	}
	return math.Sqrt(difference / norm)
}

func TestAnInfiniteLossScaleReachesTheGradients(t *testing.T) {
	onThread(t, func() {
		g := openGolden(t, "onehead")
		m := g.model(t, torch.CPU)
		defer m.Free()
		got := window(m, Pass{Precision: torch.Float16}, 1e9, g.batch)
		if math.IsInf(got.loss, 0) || math.Abs(got.loss-g.loss) > 1e-2 {
			t.Errorf("loss is %v, want some %v whatever the scale", got.loss, g.loss)
		}
		overflowed := false
		for _, gradient := range got.gradients {
			overflowed = overflowed || slices.ContainsFunc(gradient, func(v float32) bool { return math.IsInf(float64(v), 0) || math.IsNaN(float64(v)) })
		}
		if !overflowed {
			t.Error("a scale beyond fp16 leaves every gradient finite")
		}
	})
}

func TestALaterTokenDoesNotChangeEarlierLogits(t *testing.T) {
	onThread(t, func() {
		g := openGolden(t, "gelu")
		m := g.model(t, torch.CPU)
		defer m.Free()
		ids := slices.Clone(g.row(0))
		logits := func() []float32 {
			s := torch.OpenScope()
			defer s.Close()
			return m.Logits(torch.FromInt64s(ids, []int64{1, int64(len(ids))}, torch.CPU), torch.Float32).Float32s()
		}
		before := logits()
		for at := range ids {
			old := ids[at]
			ids[at] = (old + 1) % int64(m.VocabSize)
			after := logits()
			ids[at] = old
			if boundary := at * m.VocabSize; !slices.Equal(before[:boundary], after[:boundary]) {
				t.Errorf("changing token %d changes logits before it", at)
			} else if slices.Equal(before[boundary:boundary+m.VocabSize], after[boundary:boundary+m.VocabSize]) {
				t.Errorf("changing token %d does not change its own logits", at)
			}
		}
	})
}

// A window without any target adds nothing, and neither do rows of one id.
func TestRowsWithoutTargetsAddNothing(t *testing.T) {
	onThread(t, func() {
		g := openGolden(t, "odd")
		m := g.model(t, torch.CPU)
		defer m.Free()
		want := window(m, Pass{Precision: torch.Float32}, 1, batchOf([][]int64{g.row(0), g.row(3)}))
		more := window(m, Pass{Precision: torch.Float32}, 1, batchOf([][]int64{g.row(0), {5}, g.row(3), {7}}), batchOf([][]int64{{9}}))
		compare(t, "with rows of one id", more, want, 1e-6)
	})
}

func TestAFailureInTheMiddleLeavesNoTensor(t *testing.T) {
	onThread(t, func() {
		m := New(tiny, torch.CPU)
		defer m.Free()
		m.Init(1)
		m.prepare(torch.BFloat16)
		m.makeGradients()
		before := torch.LiveTensors()
		func() {
			defer func() {
				if e, ok := recover().(*torch.Error); !ok || e.Kind != torch.ShapeError {
					t.Errorf("panic is %v, want a shape error", e)
				}
			}()
			s := torch.OpenScope()
			defer s.Close()
			ids := torch.FromInt64s([]int64{1, 17}, []int64{1, 2}, torch.CPU) // 17 is not in the vocabulary
			m.ForwardBackward(ids, ids, Pass{Precision: torch.BFloat16})
		}()
		if n := torch.LiveTensors() - before; n != 0 {
			t.Errorf("%d tensors survive", n)
		}
	})
}
