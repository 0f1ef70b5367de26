package gpt2

// A model that is only looked at, such as a teacher: its hidden states for a whole batch, its logits a few rows at a time.

import "frugal/torch"

// Freeze gives up training m: its blocks' matrices are kept in the compute precision, to which autocast would round them each
// time, in the place of fp32. What m computes in that precision stays the same to the bit. Embeddings and LayerNorms stay in
// fp32; the output is a second copy of the embedding in the compute precision, where that is another.
func (m *Model) Freeze(precision torch.DType) {
	scope := torch.OpenScope()
	defer scope.Close()
	torch.NoGrad(func() {
		rounded := make(map[*torch.Tensor]*torch.Tensor)
		for i := range m.blocks {
			b := &m.blocks[i]
			for _, l := range []*linear{&b.attn, &b.attnPr, &b.fc, &b.mlpPr} {
				for _, t := range []**torch.Tensor{&l.weight, &l.bias} {
					kept := (*t).Detach().To(precision, m.Device).Detached()
					rounded[*t] = kept
					(*t).Free()
					*t = kept
				}
			}
		}
		for i, p := range m.params {
			if kept := rounded[p.Tensor]; kept != nil {
				m.params[i].Tensor = kept
			}
		}
		m.output = m.wte.Detach().To(precision, m.Device).Transpose(0, 1).Detached()
	})
}

// WeightBytes is the memory of the weights, with a frozen model's second copy of the embedding.
func (m *Model) WeightBytes() (n int64) {
	for _, p := range m.params {
		n += p.Tensor.NumBytes()
	}
	if m.output != nil && m.output.DType() != m.wte.DType() {
		n += m.output.NumBytes()
	}
	return n
}

// Hidden is what the output sees of ids [B, T] int64: [B·T, C] in the compute precision, without gradients and without dropout.
func (m *Model) Hidden(ids *torch.Tensor, precision torch.DType) *torch.Tensor {
	return m.evaluate(ids, precision, func(x *torch.Tensor) *torch.Tensor {
		return m.lnF.forward(m, x).Reshape(-1, int64(m.HiddenSize)).To(precision, m.Device)
	})
}

// Output is the logits of rows of Hidden: [n, C] → [n, V], of a frozen model, in the precision that it was frozen to. Without
// gradients only.
func (m *Model) Output(hidden *torch.Tensor) *torch.Tensor { return hidden.MatMul(m.output) }
