package trainer

// curriculum.measure model: how many bits a byte of text costs a GPT-2.

import (
	"math"

	"frugal/torch"
	"frugal/trainer/curriculum"
	"frugal/trainer/data"
)

// newModelMeasure opens curriculum.model on the run's device. It reads with its own tokenizer, in fp32.
func (r *run) newModelMeasure() (m *measuring, err error) {
	dir := r.config.Curriculum.Model
	defer protect("curriculum.model "+dir, &err)
	p, err := openPretrained(r.fs, dir, r.device)
	if err != nil {
		return nil, r.problem("curriculum.model", dir, err.Error())
	}
	for _, passedBy := range p.PassedBy {
		r.logger.Warnf("curriculum.model: passed over %v", passedBy)
	}
	score := func(_ int, text []byte) (s curriculum.Score, err error) {
		defer protect("measuring with "+dir, &err)
		return p.score(text, r.device), nil
	}
	return &measuring{score, modelBytes, p.Model.Free, 1}, nil
}

// score is the bits that the model needs for a text, and its bytes. What is longer than its rows it reads in several.
func (p *Pretrained) score(text []byte, device torch.Device) (s curriculum.Score) {
	var ids []int64
	if end := p.EndToken(); end >= 0 {
		ids = append(ids, end) // every token of the text is a target, as behind the text before
	}
	for _, id := range p.Tokenizer.AppendEncode(nil, text) {
		ids = append(ids, int64(id))
	}
	if len(ids) < 2 {
		return s
	}
	for _, id := range ids[1:] {
		s.Amount += float64(p.Tokenizer.TokenBytes(uint32(id)))
	}
	scope := torch.OpenScope()
	defer scope.Close()
	sum := torch.Zeros(nil, torch.Float64, device)
	input, targets := tensors(rowsOf(ids, p.Model.MaxPositionEmbeddings), device, device)
	p.Model.Loss(input, targets, torch.Float32, sum)
	s.Total = sum.Item() / math.Ln2
	return s
}

// rowsOf divides two ids or more into rows, each of which begins with the last id of the one before: each but the first of all
// is a target once.
func rowsOf(ids []int64, positions int) *data.Batch {
	b := &data.Batch{Length: min(positions, len(ids))}
	for first := 0; first < len(ids)-1; first += positions - 1 {
		row := ids[first:min(first+positions, len(ids))]
		b.Rows++
		b.Lengths = append(b.Lengths, int32(len(row)))
		b.InputIDs = append(append(b.InputIDs, row...), make([]int64, b.Length-len(row))...)
	}
	return b
}
