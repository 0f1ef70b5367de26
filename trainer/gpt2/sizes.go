package gpt2

// How large a model is, by its architecture alone.

// NumParameters counts the elements of all weights; the tied output counts once.
func (c Config) NumParameters() int64 {
	C, inner := int64(c.HiddenSize), int64(c.IntermediateSize)
	perBlock := 4*C + (C*3*C + 3*C) + (C*C + C) + (C*inner + inner) + (inner*C + C)
	return int64(c.VocabSize+c.MaxPositionEmbeddings)*C + int64(c.NumLayers)*perBlock + 2*C
}

// ParameterSizes is the elements of each weight, in the order of Model.Parameters.
func (c Config) ParameterSizes() (sizes []int64) {
	m := &Model{Config: c}
	m.declareStages()
	for _, p := range m.params {
		sizes = append(sizes, p.weight.elements())
	}
	return sizes
}

// BufferLength is the elements of a buffer of all weights, such as Model.Weights: NumParameters and what lies between them.
func (c Config) BufferLength() int64 {
	m := &Model{Config: c}
	m.declareStages()
	return m.length
}
