package trainer

// The libraries and kernels that a run computes with: configured, or measured when it starts and then its own, in its checkpoints
// too, because they change the last bits.

import (
	"fmt"
	"time"

	"frugal/torch"
	"frugal/trainer/gpt2"
)

// kernelNames are a run's choices, by the names of their keys' values; empty before they are made and on a card.
type kernelNames struct {
	Linear    string `json:"linear,omitempty"`
	Attention string `json:"attention,omitempty"`
	BF16      string `json:"bf16,omitempty"` // "fast" or "slow", where it was measured
}

var (
	libraries        = map[string]torch.Library{"onednn": torch.OneDNN, "blas": torch.BLAS}
	attentionKernels = map[string]torch.AttentionKernel{"flash": torch.Flash, "composed": torch.Composed}
)

// noticeableWork is that of a micro-batch, in floating-point operations, from which a faster kernel is noticed.
const noticeableWork = 5e9

// worthMeasuring says whether it is with micro-batches of so many tokens.
func worthMeasuring(m gpt2.Config, tokens int64) bool {
	return 6*float64(m.NumParameters())*float64(tokens) >= noticeableWork
}

// chooseKernels sets what the model computes with: the configuration's choice, else that of the checkpoint resumed from, else what a
// measurement finds, where there is enough to do for it to matter.
func (r *run) chooseKernels() (err error) {
	defer protect("choosing kernels", &err)
	if r.device.Type != torch.CPUType {
		r.done.Kernels = kernelNames{}
		return nil
	}
	tokens := r.config.BatchSize * r.config.MaxPositionEmbeddings
	matters := worthMeasuring(r.model.Config, int64(tokens))
	r.chooseLibrary(tokens, matters)
	r.chooseAttention(matters)
	return nil
}

// chooseLibrary: in half precision all products are oneDNN's, whatever is chosen.
func (r *run) chooseLibrary(tokens int, matters bool) {
	name, why := r.config.Linear, "linear is "+r.config.Linear
	switch {
	case name != "auto":
	case r.done.Kernels.Linear != "":
		name, why = r.done.Kernels.Linear, "as before the resume"
	case !torch.HasOneDNN():
		name, why = "blas", "this libtorch has no oneDNN"
	case r.precision != torch.Float32 || !matters:
		name = "onednn"
	default:
		library, c := r.model.MeasureLibrary(tokens)
		name = nameOf(libraries, library)
		why = fmt.Sprintf("some products of a block and the head take %s, by blas %s", milliseconds(c.Usual), milliseconds(c.Other))
	}
	r.model.Library, r.done.Kernels.Linear = libraries[name], name
	if matters && r.precision == torch.Float32 {
		r.infof("linear: %s (%s)", name, why)
	}
}

func (r *run) chooseAttention(matters bool) {
	name, why := r.config.Attention, "attention is "+r.config.Attention
	switch {
	case name != "auto" && !(name == "flash" && r.config.Dropout > 0):
	case r.config.Dropout > 0:
		name, why = "composed", "flash has no dropout"
	case r.done.Kernels.Attention != "":
		name, why = r.done.Kernels.Attention, "as before the resume"
	case !matters:
		name = "flash"
	default:
		kernel, c := r.model.MeasureAttention(r.config.BatchSize, r.config.MaxPositionEmbeddings, r.precision)
		name = nameOf(attentionKernels, kernel)
		why = fmt.Sprintf("a block's takes %s by flash, %s composed", milliseconds(c.Usual), milliseconds(c.Other))
		if c.Other == 0 {
			why = "composed would keep too much memory for rows of this length"
		}
	}
	r.model.Attention, r.done.Kernels.Attention = attentionKernels[name], name
	if matters {
		r.infof("attention: %s (%s)", name, why)
	}
}

func nameOf[T comparable](names map[string]T, value T) string {
	for name, v := range names {
		if v == value {
			return name
		}
	}
	return ""
}

func milliseconds(d time.Duration) string { return fmt.Sprintf("%.3gms", d.Seconds()*1e3) }
