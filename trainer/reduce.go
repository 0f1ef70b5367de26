package trainer

// Numbers of the size of the model summed over all processes: a window's gradients, stage by stage, beside the rest of the last
// micro-batch's backward pass.

import (
	"fmt"

	"frugal/torch"
	"frugal/trainer/cluster"
	"frugal/trainer/gpt2"
)

// reduction sums the gradients' buffer.
type reduction struct {
	world     *cluster.World // nil: there is nobody else
	gradients *torch.Tensor
	buffer    *torch.Tensor // [length], what crosses the network; nil: the gradients themselves do
	left      []gpt2.Slice  // that have not begun, in the order in which all processes begin them
	parts     []reducedPart
}

// reducedPart is a stage under way.
type reducedPart struct {
	offset, length int64
	sum            *cluster.Pending
}

// newReduction begins with nothing under way.
func (r *run) newReduction() *reduction {
	return &reduction{world: r.world, gradients: r.model.Gradients(), buffer: r.reduceBuffer, left: r.model.Completion()}
}

// cardToCard says whether what is on this process's card goes to the others' without the host's memory. A dry run, which meets nobody,
// takes it that each process has a card of its own.
func (r *run) cardToCard() bool {
	return r.device.Type != torch.CPUType && (r.world == nil || r.world.HasCards())
}

// reduceDevice is where gradients are summed.
func (r *run) reduceDevice() torch.Device {
	if r.cardToCard() {
		return r.model.Home()
	}
	return torch.CPU
}

// needsReduceBuffer says whether what crosses the network lies elsewhere than the gradients.
func (r *run) needsReduceBuffer() bool {
	return r.processes() > 1 && (r.config.ReducePrecision == "bf16" || r.reduceDevice() != r.model.Home())
}

func (r *run) makeReduceBuffer() {
	dtype := torch.Float32
	if r.config.ReducePrecision == "bf16" {
		dtype = torch.BFloat16
	}
	torch.CountAs(torch.MemoryGradients, func() {
		r.reduceBuffer = torch.Zeros([]int64{r.model.BufferLength()}, dtype, r.reduceDevice()).Detached()
	})
	r.onClose(r.reduceBuffer.Free)
}

// begin sends a stage off: the next that is left.
func (r *reduction) begin(offset, length int64) {
	if r.left[0].Offset != offset {
		panic(fmt.Sprintf("reduction of offset %d, not %d", offset, r.left[0].Offset))
	}
	if r.world == nil {
		r.left = r.left[1:]
		return
	}
	scope := torch.OpenScope()
	defer scope.Close()
	torch.NoGrad(func() {
		part := r.gradients.Narrow(0, offset, length)
		if r.buffer != nil {
			rounded := r.buffer.Narrow(0, offset, length)
			rounded.Copy_(part.To(part.DType(), rounded.Device())) // no card need have room for what is rounded in the host's memory
			part = rounded
		}
		r.parts = append(r.parts, reducedPart{offset, length, r.world.AllReduce(part)})
		r.left = r.left[1:] // it may be begun again where memory was short before
	})
}

// rest sends off what is left.
func (r *reduction) rest() {
	for len(r.left) > 0 {
		r.begin(r.left[0].Offset, r.left[0].Length)
	}
}

// wait ends it: the buffer holds the sums.
func (r *reduction) wait() error {
	for _, p := range r.parts {
		if err := p.sum.Wait(); err != nil {
			return err
		}
		if r.buffer != nil {
			scope := torch.OpenScope()
			torch.NoGrad(func() { r.gradients.Narrow(0, p.offset, p.length).Copy_(r.buffer.Narrow(0, p.offset, p.length)) })
			scope.Close()
		}
	}
	r.parts = nil
	return nil
}
