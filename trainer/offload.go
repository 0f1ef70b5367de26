package trainer

// cpu_offload: what the host's memory has to hold for it.

import (
	"fmt"

	"frugal/torch"
	"frugal/trainer/config"
	"frugal/trainer/gpt2"
	"frugal/trainer/monitor"
)

var offloads = map[config.Offload]gpt2.Offload{config.OffloadOff: gpt2.NoOffload, config.OffloadOptimizer: gpt2.OffloadOptimizer,
	config.OffloadFull: gpt2.OffloadFull}

// hostBytes is what an offload keeps in the host's memory: weights, gradients and two moments in fp32, and the weights once more in half
// precision.
func hostBytes(c gpt2.Config, precision torch.DType) int64 {
	each := int64(4 * 4)
	if precision != torch.Float32 {
		each += int64(precision.Size())
	}
	return each * c.BufferLength()
}

// checkHostMemory refuses an offload for which the host's memory does not suffice: the system would end the program later, in the
// middle of an update.
func (r *run) checkHostMemory(o config.Offload, c gpt2.Config) error {
	need := hostBytes(c, r.precision)
	m, err := torch.MemoryStats(torch.CPU)
	if offloads[o] == gpt2.NoOffload || err != nil || m.Total == 0 || need <= m.Free {
		return nil
	}
	return fmt.Errorf("making the model: %w", &torch.Error{Kind: torch.OutOfMemory, Message: fmt.Sprintf("cpu_offload %s keeps %s in the host's memory, which has %s left",
		o, monitor.FormatBytes(need), monitor.FormatBytes(m.Free))})
}

// sayPageable warns, once, where the system does not allow what makes an offload's copies fast.
func (r *run) sayPageable() {
	if !r.saidPageable && r.model.Pageable() {
		r.saidPageable = true
		r.logger.Warnf("cpu_offload: the system does not let so much memory be pinned (ulimit -l tells how much), so that copies to and from the card are slower")
	}
}
