package gpt2

import (
	"math"
	"testing"

	"frugal/torch"
)

func TestInitDrawsGPT2sDistributions(t *testing.T) {
	onThread(t, func() {
		c := Config{VocabSize: 501, HiddenSize: 64, NumLayers: 8, NumHeads: 4, IntermediateSize: 200, MaxPositionEmbeddings: 50, LayerNormEpsilon: 1e-5}
		m := New(c, torch.CPU)
		defer m.Free()
		m.Init(1)
		elements := int64(0)
		for _, p := range m.Parameters() {
			elements += p.Tensor.NumElements()
			mean, std := moments(p.Tensor.Float32s())
			wantMean, wantStd := 0.0, 0.0
			switch {
			case p.Decay && isResidualProjection(p.Name):
				wantStd = 0.02 / 4 // √(2·8)
			case p.Decay:
				wantStd = 0.02
			case isLayerNormWeight(p.Name):
				wantMean = 1
			}
			n := float64(p.Tensor.NumElements())
			if math.Abs(mean-wantMean) > 5*wantStd/math.Sqrt(n) || math.Abs(std-wantStd) > 5*wantStd/math.Sqrt(2*n) {
				t.Errorf("%s: mean %v, standard deviation %v, want %v, %v", p.Name, mean, std, wantMean, wantStd)
			}
		}
		if elements != c.NumParameters() {
			t.Errorf("%d elements, NumParameters says %d", elements, c.NumParameters())
		}
	})
}

func moments(v []float32) (mean, std float64) {
	for _, x := range v {
		mean += float64(x) / float64(len(v))
	}
	for _, x := range v {
		std += (float64(x) - mean) * (float64(x) - mean) / float64(len(v))
	}
	return mean, math.Sqrt(std)
}

func TestInitIsAFunctionOfTheSeed(t *testing.T) {
	onThread(t, func() {
		var models []*Model
		for _, seed := range []uint64{7, 7, 8} {
			torch.ManualSeed(torch.CPU, seed+100)
			m := New(tiny, torch.CPU)
			defer m.Free()
			m.Init(seed)
			models = append(models, m)
		}
		wte := func(i int) *torch.Tensor { return models[i].Parameters()[0].Tensor.Detach() }
		if !wte(0).Equal(wte(1)) || wte(0).Equal(wte(2)) {
			t.Error("the same seed must give the same weights, and another others")
		}
	})
}

func TestGPT2HasItsNumberOfParameters(t *testing.T) {
	c := Config{VocabSize: 50257, HiddenSize: 768, NumLayers: 12, NumHeads: 12, IntermediateSize: 3072, MaxPositionEmbeddings: 1024}
	if got := c.NumParameters(); got != 124_439_808 {
		t.Errorf("%d parameters, want 124439808", got)
	}
}
