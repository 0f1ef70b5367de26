package trainer

// AdamW in two groups over fused kernels: matrices and embeddings decay, biases and LayerNorm parameters do not.

import (
	"frugal/torch"
	"frugal/trainer/config"
	"frugal/trainer/gpt2"
)

type optimizer struct {
	groups  []*paramGroup
	maxNorm float64 // 0: no clipping
	params  []*torch.Tensor
	norm    *torch.Tensor // the last update's, before clipping: a float32 scalar on the device
}

type paramGroup struct {
	torch.AdamW
	names                              []string
	params, expAvgs, expAvgSqs, counts []*torch.Tensor // counts are float32 scalars, one a parameter, all alike
}

func newOptimizer(c *config.TrainingConfig, m *gpt2.Model) *optimizer {
	settings := torch.AdamW{Beta1: c.AdamBeta1, Beta2: c.AdamBeta2, Epsilon: c.AdamEpsilon}
	decay, plain := &paramGroup{AdamW: settings}, &paramGroup{AdamW: settings}
	decay.WeightDecay = c.WeightDecay
	o := &optimizer{groups: []*paramGroup{decay, plain}, maxNorm: c.MaxGradNorm}
	for _, p := range m.Parameters() {
		g := plain
		if p.Decay {
			g = decay
		}
		g.add(p, m.Device)
		o.params = append(o.params, p.Tensor)
	}
	o.norm = torch.Zeros(nil, torch.Float32, m.Device).Detached()
	return o
}

func (g *paramGroup) add(p gpt2.Parameter, device torch.Device) {
	zeros := func(shape []int64) *torch.Tensor { return torch.Zeros(shape, torch.Float32, device).Detached() }
	g.names = append(g.names, p.Name)
	g.params = append(g.params, p.Tensor)
	g.expAvgs = append(g.expAvgs, zeros(p.Tensor.Shape()))
	g.expAvgSqs = append(g.expAvgSqs, zeros(p.Tensor.Shape()))
	g.counts = append(g.counts, zeros(nil))
}

// update is unscale → clip by the global norm → AdamW → scaler update, from the parameters' gradients, which it clears. s is
// nil without loss scaling; with it foundInf is 1 where the update was skipped. observe, unless nil, sees the gradients as they
// are before clipping. Nothing is read back from the device.
func (o *optimizer) update(rate *torch.Tensor, s *lossScaler, observe func(gradients []*torch.Tensor)) (foundInf *torch.Tensor) {
	scope := torch.OpenScope()
	defer scope.Close()
	torch.NoGrad(func() {
		grads := gradients(o.params)
		if s != nil {
			foundInf = s.unscale(grads)
			scope.Keep(foundInf)
		}
		if observe != nil {
			observe(grads)
		}
		norm := torch.GlobalNorm(grads)
		if o.maxNorm > 0 {
			torch.ForeachMul_(grads, torch.ClipCoefficient(norm, o.maxNorm))
		}
		if s != nil { // a skipped update is none: its norm is not the last update's
			norm = torch.Where(foundInf, o.norm, norm)
		}
		o.norm.Copy_(norm)
		for _, g := range o.groups {
			torch.FusedAdamW_(g.AdamW, g.params, gradients(g.params), g.expAvgs, g.expAvgSqs, g.counts, rate, foundInf)
		}
		if s != nil {
			s.update(foundInf)
		}
	})
	for _, p := range o.params {
		p.SetGrad(nil)
	}
	return foundInf
}

func gradients(params []*torch.Tensor) []*torch.Tensor {
	grads := make([]*torch.Tensor, len(params))
	for i, p := range params {
		grads[i] = p.Grad()
	}
	return grads
}

func (o *optimizer) free() {
	for _, g := range o.groups {
		for _, list := range [][]*torch.Tensor{g.expAvgs, g.expAvgSqs, g.counts} {
			for _, t := range list {
				t.Free()
			}
		}
	}
	o.norm.Free()
}
