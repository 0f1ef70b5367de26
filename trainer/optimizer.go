package trainer

// AdamW over the model's buffers: one pass over the gradients for their norm, one over everything for the update. Matrices and
// embeddings decay, biases and LayerNorm parameters do not.

import (
	"slices"

	"frugal/torch"
	"frugal/trainer/config"
	"frugal/trainer/gpt2"
)

type optimizer struct {
	model            *gpt2.Model
	maxNorm          float64 // 0: no clipping
	expAvg, expAvgSq *torch.Tensor
	groups           []*paramGroup
	units            [][]unit                 // by unit of the model's Update and by group; nil before the first update
	views            map[string]*torch.Tensor // of the moments, by their names in a checkpoint; none where they are shared out
	norm             *torch.Tensor            // the last update's, before clipping: a float32 scalar at the model's home
	shard            *shard                   // of the moments that are here; nil: all
}

// paramGroup is the weights that decay alike.
type paramGroup struct {
	torch.AdamW
	updates *torch.Tensor // a float32 scalar
}

// unit is a group's parts of a unit of an Update: views of the buffers.
type unit struct{ weights, gradients, expAvg, expAvgSq []*torch.Tensor }

// newOptimizer makes one of all moments, or where s is not nil of a process's share.
func newOptimizer(c *config.TrainingConfig, m *gpt2.Model, s *shard) (o *optimizer) {
	length := m.BufferLength()
	if s != nil {
		length = s.mine().Length
	}
	zeros := func() (t *torch.Tensor) {
		torch.CountAs(torch.MemoryOptimizer, func() { t = m.PartBuffer(length, torch.Float32) })
		return t
	}
	o = &optimizer{model: m, maxNorm: c.MaxGradNorm, shard: s, views: make(map[string]*torch.Tensor)}
	complete := false
	defer freeUnless(&complete, o.free)
	o.expAvg = zeros()
	o.expAvgSq = zeros()
	o.norm = torch.Zeros(nil, torch.Float32, m.Home()).Detached()
	for _, decay := range []bool{true, false} {
		g := &paramGroup{AdamW: torch.AdamW{Beta1: c.AdamBeta1, Beta2: c.AdamBeta2, Epsilon: c.AdamEpsilon}}
		g.updates = torch.Zeros(nil, torch.Float32, m.Home()).Detached()
		if decay {
			g.WeightDecay = c.WeightDecay
		}
		o.groups = append(o.groups, g)
	}
	for _, p := range m.Parameters() {
		if s == nil {
			o.views["exp_avg."+p.Name], o.views["exp_avg_sq."+p.Name] = p.View(o.expAvg), p.View(o.expAvgSq)
		}
	}
	complete = true
	return o
}

// small are the tensors beside the moments.
func (o *optimizer) small() []*torch.Tensor {
	return []*torch.Tensor{o.norm, o.groups[0].updates, o.groups[1].updates}
}

// freeUnless, deferred, frees what there is of something whose making a panic has broken off.
func freeUnless(complete *bool, free func()) {
	if !*complete {
		free()
	}
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
// All of it happens at the model's home.
func (o *optimizer) prepare(rate *torch.Tensor, s *lossScaler, observe func()) pendingUpdate {
	u := pendingUpdate{rate: rate, scaler: s}
	torch.NoGrad(func() {
		gradients := o.model.Gradients()
		o.makeUnits(gradients)
		if s != nil {
			u.divisor = s.scale.Clone() // the scaler moves on before the update is done
			if observe != nil {         // it has to see them unscaled
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
	torch.NoGrad(func() {
		o.norm.Copy_(u.norm)
		for _, g := range o.groups {
			torch.CountUpdate_(g.updates, u.foundInf)
		}
		if u.scaler != nil {
			u.scaler.update(u.foundInf)
		}
	})
	o.model.Update(func(i int) {
		torch.NoGrad(func() {
			for j, g := range o.groups {
				if p := o.units[i][j]; len(p.weights) > 0 {
					torch.FusedAdamW_(g.AdamW, p.weights, p.gradients, p.expAvg, p.expAvgSq, g.updates, u.rate, u.divisor, u.foundInf)
				}
			}
		})
	}, u.rate, u.divisor, u.foundInf)
}

// makeUnits makes the views, once there are gradients.
func (o *optimizer) makeUnits(gradients *torch.Tensor) {
	if o.units != nil {
		return
	}
	buffers := []*torch.Tensor{o.model.Weights(), gradients, o.expAvg, o.expAvgSq}
	mine := gpt2.Slice{Length: o.model.BufferLength()}
	if o.shard != nil {
		mine = o.shard.mine()
	}
	starts := []int64{0, 0, mine.Offset, mine.Offset} // of the buffers, in elements
	for _, slices := range o.model.Units() {
		parts := make([]unit, len(o.groups))
		for _, s := range slices {
			p := &parts[1]
			if s.Decay {
				p = &parts[0]
			}
			from, to := max(s.Offset, mine.Offset), min(s.Offset+s.Length, mine.Offset+mine.Length)
			if from >= to {
				continue
			}
			for i, list := range []*[]*torch.Tensor{&p.weights, &p.gradients, &p.expAvg, &p.expAvgSq} {
				*list = append(*list, buffers[i].Narrow(0, from-starts[i], to-from).Detached())
			}
		}
		o.units = append(o.units, parts)
	}
}

// notFinite is 1 where x, a scalar, is infinite or not a number, else 0: a float32 scalar.
func notFinite(x *torch.Tensor) *torch.Tensor {
	finite := x.Sub(x).GreaterEqual(0) // ∞ - ∞ is NaN
	return torch.Where(finite, torch.Zeros(nil, torch.Float32, x.Device()), torch.Full(nil, 1, torch.Float32, x.Device()))
}

func (o *optimizer) free() {
	o.model.Finish()
	for _, parts := range o.units {
		for _, p := range parts {
			for _, t := range slices.Concat(p.weights, p.gradients, p.expAvg, p.expAvgSq) {
				t.Free()
			}
		}
	}
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
