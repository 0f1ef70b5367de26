package gpt2

// The first weights.

import (
	"math"

	"frugal/torch"
)

// Init draws the weights from seed: N(0, 0.02), the projections into the residual stream N(0, 0.02/√(2·layers)), biases 0 and
// LayerNorm weights 1 (GPT-2's scheme). The numbers are drawn on the CPU, so that every device starts alike.
func (m *Model) Init(seed uint64) {
	m.Changed()
	torch.ManualSeed(torch.CPU, seed)
	torch.NoGrad(func() {
		for _, p := range m.params {
			switch {
			case isResidualProjection(p.Name):
				m.draw(p.Tensor, 0.02/math.Sqrt(2*float64(m.NumLayers)))
			case p.Decay:
				m.draw(p.Tensor, 0.02)
			case isLayerNormWeight(p.Name):
				p.Tensor.Fill_(1)
			default:
				p.Tensor.Fill_(0)
			}
		}
	})
}

func (m *Model) draw(t *torch.Tensor, std float64) {
	if m.Device.Type == torch.CPUType {
		t.Normal_(0, std)
		return
	}
	s := torch.OpenScope()
	defer s.Close()
	t.Copy_(torch.Empty(t.Shape(), torch.Float32, torch.CPU).Normal_(0, std))
}
