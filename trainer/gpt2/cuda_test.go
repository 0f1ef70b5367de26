package gpt2

import (
	"fmt"
	"math"
	"testing"

	"frugal/torch"
)

// onCUDA runs f as onThread does where there is a card, and else skips the test with the reason.
func onCUDA(t *testing.T, f func(card torch.Device)) {
	t.Helper()
	if ok, reason := torch.CUDAAvailable(); !ok {
		t.Skip("cuda: " + reason)
	}
	onThread(t, func() { f(torch.CUDA(0)) })
}

// A card adds in another order than PyTorch's CPU does: 1e-4 in fp32.
func TestLossAndGradientsMatchHuggingFaceCUDA(t *testing.T) {
	for _, name := range goldenCases {
		for dtype, tolerance := range map[torch.DType]float64{torch.Float32: 1e-4, torch.Float16: 3e-3, torch.BFloat16: 2e-2} {
			t.Run(fmt.Sprintf("%s/%s", name, dtype), func(t *testing.T) {
				onCUDA(t, func(card torch.Device) {
					g := openGolden(t, name)
					m := g.model(t, card)
					defer m.Free()
					m.HeadRows = 16
					got := window(m, Pass{Precision: dtype, Checkpointing: true}, 1024, g.split(1, len(g.lengths)-1)...)
					for name, want := range g.gradients {
						if d := relativeNorm(got.gradients[name], want); !(d <= tolerance) {
							t.Errorf("gradient of %s differs by %.2g, want at most %v", name, d, tolerance)
						}
					}
					if d := math.Abs(got.loss-g.loss) / g.loss; !(d <= tolerance) {
						t.Errorf("loss %v differs from %v by %.2g", got.loss, g.loss, d)
					}
				})
			})
		}
	}
}

func TestFiftyUpdatesMatchPyTorchCUDA(t *testing.T) {
	u := openUpdates(t)
	onCUDA(t, func(card torch.Device) {
		if loss, norm := replay(t, u, Pass{Precision: torch.Float32}, card); !(loss <= 1e-3) || !(norm <= 1e-2) {
			t.Errorf("losses differ by up to %.3g, gradient norms by %.3g", loss, norm)
		}
	})
}

func TestDropoutRepeatsUnderCheckpointingCUDA(t *testing.T) {
	onCUDA(t, func(card torch.Device) {
		g := openGolden(t, "odd")
		g.Dropout = 0.2
		m := g.model(t, card)
		defer m.Free()
		kept := window(m, Pass{Precision: torch.Float16}, 1024, g.batch)
		again := window(m, Pass{Precision: torch.Float16, Checkpointing: true}, 1024, g.batch)
		compare(t, "checkpointing", again, kept, 1e-3)
	})
}

// A card's weights in the host's memory change nothing but the order in which a card adds the rows of an embedding's gradient.
func TestOffloadChangesNothingCUDA(t *testing.T) {
	onCUDA(t, func(card torch.Device) {
		c := Config{VocabSize: 61, HiddenSize: 32, NumLayers: 5, NumHeads: 2, IntermediateSize: 64, MaxPositionEmbeddings: 12, LayerNormEpsilon: 1e-5}
		for _, precision := range []torch.DType{torch.Float32, torch.Float16} {
			p := Pass{Precision: precision, Checkpointing: true}
			want, _ := updated(t, c, card, NoOffload, p)
			for _, o := range []Offload{OffloadOptimizer, OffloadFull} {
				if got, _ := updated(t, c, card, o, p); !(relative(got, want) < 1e-5) {
					t.Errorf("%s, offload %s: off by %.2g", precision, offloadNames[o], relative(got, want))
				}
			}
		}
	})
}
