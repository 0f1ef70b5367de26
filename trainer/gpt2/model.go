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

// Parameter is a named weight, a leaf of the autograd graph in fp32.
type Parameter struct {
	Name   string // Hugging Face's: transformer.h.0.attn.c_attn.weight
	Tensor *torch.Tensor
	Decay  bool // weight decay applies: matrices and embeddings, not biases nor LayerNorm
}

// Model holds the weights. Conv1D weights are [in, out], as in Hugging Face's files.
type Model struct {
	Config
	Device torch.Device
	// HeadRows is the most rows [V] of logits that the head holds at once; 0 chooses by the vocabulary. It changes memory and time.
	HeadRows int

	wte, wpe *torch.Tensor // [V, C], [positions, C]
	blocks   []block
	lnF      layerNorm
	params   []Parameter

	byRows bool          // every row of a product is computed by itself: of a model made by forGeneration
	output *torch.Tensor // wte in the compute precision, [C, V]: of that, or of one that Freeze was called on
}

type layerNorm struct{ weight, bias *torch.Tensor } // [C]

type linear struct{ weight, bias *torch.Tensor } // [in, out], [out]

// block is one transformer layer, pre-LayerNorm.
type block struct {
	ln1          layerNorm
	attn, attnPr linear // c_attn [C, 3C], c_proj [C, C]
	ln2          layerNorm
	fc, mlpPr    linear // c_fc [C, inner], c_proj [inner, C]
}

// New makes a model whose weights are not set: Init or Load fills them.
func New(c Config, device torch.Device) *Model {
	m := &Model{Config: c, Device: device}
	C, inner := int64(c.HiddenSize), int64(c.IntermediateSize)
	m.wte = m.parameter("transformer.wte.weight", true, int64(c.VocabSize), C)
	m.wpe = m.parameter("transformer.wpe.weight", true, int64(c.MaxPositionEmbeddings), C)
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
	}
	m.lnF = m.layerNorm("transformer.ln_f", C)
	return m
}

func (m *Model) parameter(name string, decay bool, shape ...int64) *torch.Tensor {
	t := torch.Empty(shape, torch.Float32, m.Device).Detached().SetRequiresGrad(true)
	m.params = append(m.params, Parameter{name, t, decay})
	return t
}

func (m *Model) layerNorm(name string, size int64) layerNorm {
	return layerNorm{m.parameter(name+".weight", false, size), m.parameter(name+".bias", false, size)}
}

func (m *Model) linear(name string, in, out int64) linear {
	return linear{m.parameter(name+".weight", true, in, out), m.parameter(name+".bias", false, out)}
}

// Parameters lists the weights in the order of Hugging Face's named_parameters.
func (m *Model) Parameters() []Parameter { return m.params }

// NumParameters counts the elements of all weights; the tied output counts once.
func (c Config) NumParameters() int64 {
	C, inner := int64(c.HiddenSize), int64(c.IntermediateSize)
	perBlock := 4*C + (C*3*C + 3*C) + (C*C + C) + (C*inner + inner) + (inner*C + C)
	return int64(c.VocabSize+c.MaxPositionEmbeddings)*C + int64(c.NumLayers)*perBlock + 2*C
}

// Free releases the weights.
func (m *Model) Free() {
	for _, p := range m.params {
		p.Tensor.Free()
	}
	m.output.Free()
}

// embed: ids [B, T] int64 of the positions from first on → [B, T, C].
func (m *Model) embed(ids *torch.Tensor, first int64) *torch.Tensor {
	return torch.Scoped(func() *torch.Tensor {
		T := ids.Shape()[1]
		positions := torch.Arange(first+T, m.Device).Narrow(0, first, T)
		x := torch.Embedding(m.wte, ids).Add(torch.Embedding(m.wpe, positions))
		return x.Dropout(m.Dropout)
	})
}

// forward: [B, T, C] → [B, T, C], the residual stream in fp32 whatever the autocast. past holds the keys and values of the
// positions before; nil in training, where there are none.
func (b *block) forward(m *Model, x *torch.Tensor, past *layerCache) *torch.Tensor {
	middle := torch.Scoped(func() *torch.Tensor { return x.Add(b.attention(m, b.ln1.forward(m, x), past)) })
	defer middle.Free()
	return torch.Scoped(func() *torch.Tensor { return middle.Add(b.mlp(m, b.ln2.forward(m, middle))) })
}

// attention: [B, T, C] → [B, T, C], causal, H heads of size C/H.
func (b *block) attention(m *Model, x *torch.Tensor, past *layerCache) *torch.Tensor {
	shape := x.Shape()
	B, T, C, H := shape[0], shape[1], shape[2], int64(m.NumHeads)
	qkv := b.attn.forward(m, x)
	head := func(i int64) *torch.Tensor { // [B, T, 3C] → [B, H, T, C/H]
		return qkv.Narrow(2, i*C, C).Reshape(B, T, H, C/H).Transpose(1, 2)
	}
	var y *torch.Tensor
	if past == nil {
		y = torch.Attention(head(0), head(1), head(2), m.Dropout, true)
	} else {
		y = past.attention(head(0), head(1), head(2))
	}
	y = y.Transpose(1, 2).Reshape(B, T, C)
	return b.attnPr.forward(m, y).Dropout(m.Dropout)
}

// mlp: [B, T, C] → [B, T, C] through the inner size.
func (b *block) mlp(m *Model, x *torch.Tensor) *torch.Tensor {
	h := b.fc.forward(m, x)
	switch {
	case m.byRows:
		h = h.GELURows_(m.ExactGELU)
	case m.ExactGELU:
		h = h.GELU()
	default:
		h = h.GELUTanh()
	}
	return b.mlpPr.forward(m, h).Dropout(m.Dropout)
}

func (l layerNorm) forward(m *Model, x *torch.Tensor) *torch.Tensor {
	return torch.LayerNorm(x, l.weight, l.bias, m.LayerNormEpsilon)
}

// forward: [.., in] → [.., out]
func (l linear) forward(m *Model, x *torch.Tensor) *torch.Tensor {
	if m.byRows {
		return torch.LinearRows(x, l.weight, l.bias)
	}
	shape := x.Shape()
	last := len(shape) - 1
	y := torch.AddMM(l.bias, x.Reshape(-1, shape[last]), l.weight)
	shape[last] = -1
	return y.Reshape(shape...)
}
