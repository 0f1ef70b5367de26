package trainer

// AdamW over the model's buffers: one pass over the gradients for their norm, one over everything for the update. Matrices and
// embeddings decay, biases and LayerNorm parameters do not.

import (
	"frugal/torch"
	"frugal/trainer/config"
	"frugal/trainer/gpt2"
)

type optimizer struct {
	model            *gpt2.Model
	maxNorm          float64 // 0: no clipping
	expAvg, expAvgSq *torch.Tensor
	groups           []*paramGroup
	views            map[string]*torch.Tensor // of the moments, by their names in a checkpoint
	norm             *torch.Tensor            // the last update's, before clipping: a float32 scalar on the device
}

// paramGroup is the parts of the buffers whose weights decay alike.
type paramGroup struct {
	torch.AdamW
	slices  []gpt2.Slice
	updates *torch.Tensor // a float32 scalar
}

func newOptimizer(c *config.TrainingConfig, m *gpt2.Model) *optimizer {
	zeros := func() (t *torch.Tensor) {
		torch.CountAs(torch.MemoryOptimizer, func() { t = torch.Zeros(m.Weights().Shape(), torch.Float32, m.Device).Detached() })
		return t
	}
	o := &optimizer{model: m, maxNorm: c.MaxGradNorm, expAvg: zeros(), expAvgSq: zeros(), views: make(map[string]*torch.Tensor),
		norm: torch.Zeros(nil, torch.Float32, m.Device).Detached()}
	for _, decay := range []bool{true, false} {
		g := &paramGroup{AdamW: torch.AdamW{Beta1: c.AdamBeta1, Beta2: c.AdamBeta2, Epsilon: c.AdamEpsilon}}
		g.updates = torch.Zeros(nil, torch.Float32, m.Device).Detached()
		if decay {
			g.WeightDecay = c.WeightDecay
		}
		for _, s := range m.Slices() {
			if s.Decay == decay {
				g.slices = append(g.slices, s)
			}
		}
		o.groups = append(o.groups, g)
	}
	for _, p := range m.Parameters() {
		o.views["exp_avg."+p.Name], o.views["exp_avg_sq."+p.Name] = p.View(o.expAvg), p.View(o.expAvgSq)
	}
	return o
}

// state are the tensors that a resume needs, by name. All parameters of a group have one count of updates.
func (o *optimizer) state() map[string]*torch.Tensor {
	state := map[string]*torch.Tensor{"grad_norm": o.norm}
	for name, view := range o.views {
		state[name] = view
	}
	for _, p := range o.model.Parameters() {
		state["updates."+p.Name] = o.groups[1].updates
		if p.Decay {
			state["updates."+p.Name] = o.groups[0].updates
		}
	}
	return state
}

// pendingUpdate is an update that has been prepared.
type pendingUpdate struct {
	rate     *torch.Tensor
	divisor  *torch.Tensor // of the gradients: loss scale and clipping; nil for 1
	norm     *torch.Tensor
	scaler   *lossScaler
	foundInf *torch.Tensor // 1 where the update is skipped; nil without loss scaling
}

// prepare begins unscale → clip by the global norm → AdamW → scaler update, from the model's gradients, and apply ends it. s is nil
// without loss scaling. observe, unless nil, sees the gradients as they are before clipping. Nothing is read back from the device.
func (o *optimizer) prepare(rate *torch.Tensor, s *lossScaler, observe func()) pendingUpdate {
	u := pendingUpdate{rate: rate, scaler: s}
	torch.NoGrad(func() {
		gradients := o.model.Gradients()
		if s != nil {
			u.divisor = s.scale
			if observe != nil { // it has to see them unscaled
				gradients.Mul_(s.inverse())
				u.divisor = nil
			}
		}
		if observe != nil {
			observe()
		}
		u.norm = gradients.Norm()
		if s != nil {
			u.foundInf = notFinite(u.norm)
			if u.divisor != nil {
				u.norm = u.norm.Mul(s.inverse())
			}
		}
		if o.maxNorm > 0 {
			clip := torch.ClipCoefficient(u.norm, o.maxNorm).Reciprocal()
			if u.divisor != nil {
				clip = clip.Mul(u.divisor)
			}
			u.divisor = clip
		}
		if s != nil { // a skipped update is none: its norm is not the last update's
			u.norm = torch.Where(u.foundInf, o.norm, u.norm)
		}
	})
	return u
}

// apply changes the weights and clears the gradients. It allocates nothing.
func (o *optimizer) apply(u pendingUpdate) {
	scope := torch.OpenScope()
	defer scope.Close()
	torch.NoGrad(func() {
		o.norm.Copy_(u.norm)
		for _, g := range o.groups {
			torch.FusedAdamW_(g.AdamW, g.of(o.model.Weights()), g.of(o.model.Gradients()), g.of(o.expAvg), g.of(o.expAvgSq), g.updates, u.rate, u.divisor, u.foundInf)
		}
		if u.scaler != nil {
			u.scaler.update(u.foundInf)
		}
	})
	o.model.Changed()
	o.model.ClearGradients()
}

// of are the group's parts of a buffer.
func (g *paramGroup) of(buffer *torch.Tensor) []*torch.Tensor {
	parts := make([]*torch.Tensor, len(g.slices))
	for i, s := range g.slices {
		parts[i] = buffer.Narrow(0, s.Offset, s.Length)
	}
	return parts
}

// notFinite is 1 where x, a scalar, is infinite or not a number, else 0: a float32 scalar.
func notFinite(x *torch.Tensor) *torch.Tensor {
	finite := x.Sub(x).GreaterEqual(0) // ∞ - ∞ is NaN
	return torch.Where(finite, torch.Zeros(nil, torch.Float32, x.Device()), torch.Full(nil, 1, torch.Float32, x.Device()))
}

func (o *optimizer) free() {
	for _, g := range o.groups {
		g.updates.Free()
	}
	for _, view := range o.views {
		view.Free()
	}
	o.expAvg.Free()
	o.expAvgSq.Free()
	o.norm.Free()
}
