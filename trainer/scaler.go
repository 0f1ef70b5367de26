package trainer

// Loss scaling for fp16 (Micikevicius et al., arXiv 1710.03740), with torch.amp.GradScaler's numbers and kernels. The state
// lives where the update is made, and what is counted of losses on the device: no update waits for the host to learn whether it was
// skipped.

import "frugal/torch"

const (
	initialScale   = 65536.0
	growthFactor   = 2.0
	backoffFactor  = 0.5
	growthInterval = 2000
)

type lossScaler struct {
	scale   *torch.Tensor // float32 scalar
	growth  *torch.Tensor // int32 scalar: clean updates since the scale last changed
	skipped *torch.Tensor // float32 scalar: updates skipped in all, exact up to 2^24
	lost    *torch.Tensor // float64 scalar: targets of skipped windows whose losses are not in the sum, since it was read
}

func newLossScaler(home, device torch.Device) *lossScaler {
	s, complete := &lossScaler{}, false
	defer freeUnless(&complete, s.free)
	s.scale = torch.Full(nil, initialScale, torch.Float32, home).Detached()
	s.growth = torch.Zeros(nil, torch.Int32, home).Detached()
	s.skipped = torch.Zeros(nil, torch.Float32, home).Detached()
	s.lost = torch.Zeros(nil, torch.Float64, device).Detached()
	complete = true
	return s
}

// inverse is 1/scale: a float32 scalar.
func (s *lossScaler) inverse() *torch.Tensor {
	return s.scale.To(torch.Float64, s.scale.Device()).Reciprocal().To(torch.Float32, s.scale.Device())
}

// update counts a skipped update and adapts the scale.
func (s *lossScaler) update(foundInf *torch.Tensor) {
	s.skipped.Add_(foundInf)
	torch.AMPUpdateScale_(s.scale, s.growth, foundInf, growthFactor, backoffFactor, growthInterval)
}

// count is what a window adds to sums: its objective, and with a teacher the parts of it, and the targets that are left out. A window
// whose objective is not finite and whose update was skipped is left out with its targets: it would make all losses of the interval
// infinite. Where the update was not skipped it stays, to be found.
func (s *lossScaler) count(losses []*torch.Tensor, targets int64, foundInf *torch.Tensor, sums []*torch.Tensor) (addends, to []*torch.Tensor) {
	loss, device := losses[0], s.lost.Device()
	foundInf = foundInf.To(torch.Float32, device)
	zero := torch.Zeros(nil, torch.Float64, device)
	leave := notFinite(loss).Mul(foundInf)
	for i := range sums {
		addends = append(addends, torch.Where(leave, zero, losses[i]))
	}
	return append(addends, leave.MulScalar(float64(targets)).To(torch.Float64, device)), append(sums[:len(sums):len(sums)], s.lost)
}

func (s *lossScaler) free() {
	s.lost.Free()
	s.scale.Free()
	s.growth.Free()
	s.skipped.Free()
}
