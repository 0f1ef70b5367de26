package gpt2

// A model that is only looked at, such as a teacher: its hidden states for a whole batch, its logits a few rows at a time.

import "frugal/torch"

// Freeze gives up training m: its weights are kept in the compute precision, to which they are rounded for every pass anyway. What m
// computes in that precision stays the same to the bit. Embeddings and LayerNorms, which are used in fp32, are kept in it too.
func (m *Model) Freeze(precision torch.DType) {
	m.freeze(precision, m.usedInFull())
}

func (m *Model) usedInFull() []*weight {
	keep := []*weight{m.wte, m.wpe, m.lnF.weight, m.lnF.bias}
	for _, b := range m.blocks {
		keep = append(keep, b.ln1.weight, b.ln1.bias, b.ln2.weight, b.ln2.bias)
	}
	return keep
}

// FrozenBytes is the memory of a model frozen to a precision, tensor by tensor.
func (c Config) FrozenBytes(precision torch.DType) (tensors []int64) {
	m := &Model{Config: c}
	m.declareStages()
	tensors = append(tensors, m.length*int64(precision.Size()))
	if precision != torch.Float32 {
		for _, w := range m.usedInFull() {
			tensors = append(tensors, 4*w.elements())
		}
	}
	return tensors
}

// Hidden is what the output sees of ids [B, T] int64: [B·T, C] in the compute precision, without gradients and without dropout.
func (m *Model) Hidden(ids *torch.Tensor, precision torch.DType) *torch.Tensor {
	return m.evaluate(ids, precision, func(x *torch.Tensor) *torch.Tensor {
		m.headArrives()
		defer m.headLeaves()
		return m.lnF.forward(m, x).Reshape(-1, int64(m.HiddenSize))
	})
}

// Output is the logits of rows of Hidden: [n, C] → [n, V], of a frozen model, in the precision that it was frozen to. Without
// gradients only.
func (m *Model) Output(hidden *torch.Tensor) *torch.Tensor {
	return torch.Product(hidden, m.wte.working.Transpose(0, 1), m.Library)
}
