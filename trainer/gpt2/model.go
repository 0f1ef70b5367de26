// Package gpt2 is the model: GPT-2 (Radford et al., 2019) as a row of stages, embed → blocks → head, with the names and the
// layout of Hugging Face's GPT2LMHeadModel. It knows how to compute a loss and its gradients, not what to do with them.
package gpt2

import (
	"fmt"

	"frugal/torch"
)

// Config is the architecture, in Hugging Face's GPT2Config terms.
type Config struct {
	VocabSize             int // V: rows of the embedding and of the tied output
	HiddenSize            int // C: n_embd, a multiple of NumHeads
	NumLayers             int // n_layer
	NumHeads              int // n_head
	IntermediateSize      int // n_inner; GPT-2 has 4·C
	MaxPositionEmbeddings int // the longest row, n_positions
	LayerNormEpsilon      float64
	Dropout               float64 // embd_pdrop, attn_pdrop and resid_pdrop alike
	ExactGELU             bool    // activation_function "gelu" in place of GPT-2's "gelu_new"
}

// Model holds the weights. Conv1D weights are [in, out], as in Hugging Face's files.
type Model struct {
	Config
	Device torch.Device
	// HeadRows is the most rows [V] of logits that the head holds at once; 0 chooses by the vocabulary. It changes memory and time.
	HeadRows int
	// Kernels are what a CPU computes with. They change time, memory and the last bits.
	Kernels

	wte, wpe *weight // [V, C], [positions, C]
	blocks   []block
	lnF      layerNorm
	weights

	byRows bool // every row of a product is computed by itself: of a model made by forGeneration
}

// Kernels are choices that depend on the machine.
type Kernels struct {
	Library   torch.Library         // of linear layers in fp32
	Attention torch.AttentionKernel // without dropout
}

type layerNorm struct{ weight, bias *weight } // [C]

type linear struct{ weight, bias *weight } // [in, out], [out]

// block is one transformer layer, pre-LayerNorm.
type block struct {
	ln1          layerNorm
	attn, attnPr linear // c_attn [C, 3C], c_proj [C, C]
	ln2          layerNorm
	fc, mlpPr    linear // c_fc [C, inner], c_proj [inner, C]
}

// New makes a model whose weights are not set: Init or Load fills them.
func New(c Config, device torch.Device) *Model { return NewOffloaded(c, device, NoOffload) }

// NewOffloaded makes one that keeps on the device what the Offload leaves there. It computes what any other does.
func NewOffloaded(c Config, device torch.Device, o Offload) *Model {
	m := &Model{Config: c, Device: device}
	if torch.HasOneDNN() {
		m.Library = torch.OneDNN
	}
	m.declareStages()
	complete := false
	defer func() {
		if !complete { // memory did not suffice
			m.Free()
		}
	}()
	m.allocate(device, o)
	complete = true
	return m
}

// declareStages gives every weight its shape and its place in the buffers.
func (m *Model) declareStages() {
	c, C, inner := m.Config, int64(m.HiddenSize), int64(m.IntermediateSize)
	m.wte = m.declare("transformer.wte.weight", true, int64(c.VocabSize), C)
	m.wpe = m.declare("transformer.wpe.weight", true, int64(c.MaxPositionEmbeddings), C)
	m.endStage()
	for i := range c.NumLayers {
		h := fmt.Sprintf("transformer.h.%d.", i)
		m.blocks = append(m.blocks, block{
			ln1:    m.layerNorm(h+"ln_1", C),
			attn:   m.linear(h+"attn.c_attn", C, 3*C),
			attnPr: m.linear(h+"attn.c_proj", C, C),
			ln2:    m.layerNorm(h+"ln_2", C),
			fc:     m.linear(h+"mlp.c_fc", C, inner),
			mlpPr:  m.linear(h+"mlp.c_proj", inner, C),
		})
		m.endStage()
	}
	m.lnF = m.layerNorm("transformer.ln_f", C)
	m.endStage()
}

func (m *Model) layerNorm(name string, size int64) layerNorm {
	return layerNorm{m.declare(name+".weight", false, size), m.declare(name+".bias", false, size)}
}

func (m *Model) linear(name string, in, out int64) linear {
	return linear{m.declare(name+".weight", true, in, out), m.declare(name+".bias", false, out)}
}

// embed: ids [B, T] int64 of the positions from first on → [B, T, C] fp32, without gradients and before dropout. The rows are looked
// up at home, where the ids had better be as well.
func (m *Model) embed(ids *torch.Tensor, first int64) *torch.Tensor {
	m.awaitUpdate(embedding)
	return torch.Scoped(func() *torch.Tensor {
		T := ids.Shape()[1]
		x := torch.Embedding(m.wte.master, ids.To(torch.Int64, m.home)).Add_(m.wpe.master.Narrow(0, first, T))
		return x.To(torch.Float32, m.Device)
	})
}

// embedBackward adds the gradient [B, T, C] of embed(ids, 0) to those of wte and wpe. The head has been at wte before.
func (m *Model) embedBackward(ids, gradient *torch.Tensor) {
	scope := torch.OpenScope()
	defer scope.Close()
	ids = ids.To(torch.Int64, m.Device)
	m.wte.gradient.AddRows_(ids, gradient)
	if !m.accumulate {
		m.wpe.gradient.Fill_(0)
	}
	m.wpe.gradient.Narrow(0, 0, ids.Shape()[1]).Add_(gradient.SumDim(0))
}

// forward: [B, T, C] → [B, T, C], the residual stream in fp32 whatever the compute precision. past holds the keys and values of
// the positions before; nil in training, where there are none.
func (b *block) forward(m *Model, x *torch.Tensor, past *layerCache) *torch.Tensor {
	middle := torch.Scoped(func() *torch.Tensor { return residual(x, b.attention(m, b.ln1.forward(m, x), past)) })
	defer middle.Free()
	return torch.Scoped(func() *torch.Tensor { return residual(middle, b.mlp(m, b.ln2.forward(m, middle))) })
}

// residual is x + y in fp32; where y is of fp32 too, y becomes it.
func residual(x, y *torch.Tensor) *torch.Tensor {
	if y.DType() == torch.Float32 {
		return y.Add_(x)
	}
	return x.AddWidened(y)
}

// attention: [B, T, C] → [B, T, C], causal, H heads of size C/H.
func (b *block) attention(m *Model, x *torch.Tensor, past *layerCache) *torch.Tensor {
	qkv := b.attn.forward(m, x)
	var y *torch.Tensor
	if past == nil {
		y = torch.SelfAttention(qkv, m.NumHeads, m.Dropout, m.Attention)
	} else {
		y = past.selfAttention(qkv, m.NumHeads)
	}
	return b.attnPr.forward(m, y).Dropout(m.Dropout)
}

// mlp: [B, T, C] → [B, T, C] through the inner size.
func (b *block) mlp(m *Model, x *torch.Tensor) *torch.Tensor {
	h := b.fc.forward(m, x)
	switch {
	case m.byRows && m.ExactGELU:
		h = h.GELURows_()
	case m.ExactGELU:
		h = h.GELU()
	default:
		h = h.GELUTanh()
	}
	return b.mlpPr.forward(m, h).Dropout(m.Dropout)
}

// forward: [.., C] fp32 → [.., C] in the compute precision.
func (l layerNorm) forward(m *Model, x *torch.Tensor) *torch.Tensor {
	return torch.LayerNorm(x, torch.Affine{Weight: l.weight.full, Bias: l.bias.full, WeightGradient: l.weight.gradient, BiasGradient: l.bias.gradient,
		Accumulate: m.accumulate}, m.LayerNormEpsilon, m.precision)
}

// forward: [.., in] → [.., out] in the compute precision.
func (l linear) forward(m *Model, x *torch.Tensor) *torch.Tensor {
	if m.byRows {
		return torch.LinearRows(x, l.weight.working, l.bias.working)
	}
	return torch.Linear(x, torch.Affine{Weight: l.weight.working, Bias: l.bias.working, WeightGradient: l.weight.gradient, BiasGradient: l.bias.gradient,
		Accumulate: m.accumulate}, m.Library)
}
