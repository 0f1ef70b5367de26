package trainer

// The memory of a block's two passes and of the head's, in the order in which trainer/gpt2 and torch/layers.cc take and release it.

// keptOfBlock is what a block's backward pass needs of the forward one.
type keptOfBlock struct {
	norm1, rows1, qkv, scores, scoresMask, sums, y, mask1 loan // attention
	norm2, rows2, inner, activated, mask2                 loan // MLP
	middle, output                                        loan // the residual stream behind each
}

// blockForward is block.forward. Without gradients (keep false) only the output stays.
func (s stepShape) blockForward(l *ledger, part memoryPart, keep bool) (b keptOfBlock) {
	row := s.width() * s.tokens()
	C, inner := int64(s.model.HiddenSize), int64(s.model.IntermediateSize)
	release := func(loans ...loan) {
		if !keep {
			l.free(loans...)
		}
	}
	b.norm1, b.rows1 = s.norm(l, part)
	release(b.norm1)
	b.qkv = l.take(part, 3*C*row)
	s.attentionForward(l, part, &b)
	release(b.scores, b.scoresMask, b.sums)
	var y loan
	b.mask1, y, b.middle = s.branchEnd(l, part)
	release(b.mask1, b.rows1, b.qkv, b.y)
	l.free(y)

	b.norm2, b.rows2 = s.norm(l, part)
	release(b.norm2)
	b.inner = l.take(part, inner*row)
	b.activated = l.take(part, inner*row)
	b.mask2, y, b.output = s.branchEnd(l, part)
	release(b.mask2, b.rows2, b.inner, b.activated, b.middle)
	l.free(y)
	return b
}

// withoutGradients is a batch through the blocks, of which only the last one's output stays.
func (s stepShape) withoutGradients(l *ledger, part memoryPart) (x loan) {
	x = l.take(part, 4*s.tokens()*int64(s.model.HiddenSize))
	for range s.model.NumLayers {
		next := s.blockForward(l, part, false).output
		l.free(x)
		x = next
	}
	return x
}

// norm is layerNorm.forward: its statistics, and its output in the compute precision.
func (s stepShape) norm(l *ledger, part memoryPart) (statistics, y loan) {
	n := s.tokens() * int64(s.model.HiddenSize)
	y = l.take(part, 4*n)
	statistics = l.take(part, 8*s.tokens())
	if s.half() {
		inFull := y
		y = l.take(part, s.width()*n)
		l.free(inFull)
	}
	return statistics, y
}

// branchEnd is a projection back to the residual stream, its dropout, and the sum: in half precision the projection is beside it
// until the branch is done, in fp32 the sum takes its place.
func (s stepShape) branchEnd(l *ledger, part memoryPart) (mask, beside, sum loan) {
	n := s.tokens() * int64(s.model.HiddenSize)
	y := l.take(part, s.width()*n)
	if s.model.Dropout > 0 {
		projected := y
		mask, y = s.dropout(l, s.width()*n, s.width())
		beside = projected
	}
	if s.half() {
		sum = l.take(part, 4*n)
		beside.part, beside.bytes = part, beside.bytes+y.bytes
		return mask, beside, sum
	}
	return mask, beside, y
}

// dropout of a tensor of so many bytes, of elements of so many: what the backward pass multiplies by, and the result.
func (s stepShape) dropout(l *ledger, bytes, element int64) (mask, y loan) {
	if s.card {
		return l.take(partActivations, bytes/element), l.take(partActivations, bytes)
	}
	mask = l.take(partActivations, bytes)
	l.pass(partActivations, 4*bytes/element) // the draw is in integers
	return mask, l.take(partActivations, bytes)
}

func (s stepShape) attentionForward(l *ledger, part memoryPart, b *keptOfBlock) {
	n, C, H := s.tokens(), int64(s.model.HiddenSize), int64(s.model.NumHeads)
	row := s.width() * n * C
	if !s.composed {
		b.y, b.sums = l.take(part, row), l.take(part, 4*n*H)
		return
	}
	matrix := n * H * s.length
	q, k := l.take(part, row), l.take(part, row)
	b.scores = l.take(part, s.width()*matrix)
	l.free(q, k)
	used := loan{}
	if s.model.Dropout > 0 {
		b.scoresMask = l.take(part, matrix)
		l.pass(part, 4*matrix)
		used = s.masked(l, part, matrix)
	}
	v, y := l.take(part, row), l.take(part, row)
	l.free(v)
	b.y = l.take(part, row)
	l.free(used, y)
}

// masked is scores through dropout; on a CPU the mask becomes numbers on the way.
func (s stepShape) masked(l *ledger, part memoryPart, elements int64) loan {
	numbers := loan{}
	if !s.card {
		numbers = l.take(part, s.width()*elements)
	}
	y := l.take(part, s.width()*elements)
	l.free(numbers)
	return y
}

// blockBackward releases what the forward pass has kept, block's output and gradient included, and returns the gradient that arrives.
func (s stepShape) blockBackward(l *ledger, b keptOfBlock, gradient loan) loan {
	const part = partActivations
	C, inner, row := int64(s.model.HiddenSize), int64(s.model.IntermediateSize), s.width()*s.tokens()
	dy := s.branchBackward(l, b.mask2)
	dactivated := s.productBackward(l, part, inner, C)
	l.free(dy, b.activated)
	dinner := l.take(part, inner*row)
	l.free(dactivated, b.inner)
	drows := s.productBackward(l, part, C, inner)
	l.free(dinner, b.rows2)
	dmiddle := s.normBackward(l, part, drows)
	sum := l.take(part, gradient.bytes) // the caller still has the gradient of the output
	l.free(dmiddle, b.norm2, b.middle)

	dy = s.branchBackward(l, b.mask1)
	dattended := s.productBackward(l, part, C, C)
	l.free(dy)
	dqkv := s.attentionBackward(l, part, b)
	l.free(dattended)
	drows = s.productBackward(l, part, C, 3*C)
	l.free(dqkv, b.rows1)
	dx := s.normBackward(l, part, drows)
	l.free(dx, b.norm1) // added to the sum
	l.free(b.output, gradient)
	return sum
}

// branchBackward is the gradient of a branch's end, in the compute precision and through dropout; in fp32 without dropout it is the
// stream's own.
func (s stepShape) branchBackward(l *ledger, mask loan) (dy loan) {
	bytes := s.width() * s.tokens() * int64(s.model.HiddenSize)
	if s.half() {
		dy = l.take(partActivations, bytes)
	}
	if s.model.Dropout > 0 {
		rounded := dy
		dy = l.take(partActivations, bytes)
		l.free(rounded, mask)
	}
	return dy
}

// productBackward is a linear layer's [in, out]: in half precision a piece of its weight's gradient, then its input's gradient.
func (s stepShape) productBackward(l *ledger, part memoryPart, in, out int64) loan {
	s.weightGradient(l, part, in, out)
	return l.take(part, s.width()*s.tokens()*in)
}

// weightGradient [rows, columns] is made in place in fp32; of a product in half precision a piece exists, and is added or copied.
func (s stepShape) weightGradient(l *ledger, part memoryPart, rows, columns int64) {
	if s.half() {
		l.pass(part, s.width()*columns*min(rows, max(1, gradientPiece/columns)))
	}
}

// gradientPiece is kPiece of torch/layers.cc.
const gradientPiece = 1 << 22

// normBackward takes the place of its output's gradient.
func (s stepShape) normBackward(l *ledger, part memoryPart, dy loan) loan {
	bytes := 4 * s.tokens() * int64(s.model.HiddenSize)
	inFull := loan{}
	if s.half() {
		inFull = l.take(part, bytes)
	}
	dx := l.take(part, bytes)
	l.free(inFull, dy)
	return dx
}

func (s stepShape) attentionBackward(l *ledger, part memoryPart, b keptOfBlock) (dqkv loan) {
	n, C, H := s.tokens(), int64(s.model.HiddenSize), int64(s.model.NumHeads)
	row := s.width() * n * C
	if !s.composed {
		three := l.take(part, 3*row)
		dqkv = l.take(part, 3*row)
		l.free(three, b.qkv, b.y, b.sums)
		return dqkv
	}
	l.free(b.y)
	matrix := n * H * s.length
	dy := l.take(part, row)
	dqkv = l.take(part, 3*row)
	used := loan{}
	if s.model.Dropout > 0 {
		used = s.masked(l, part, matrix)
	}
	l.pass(part, row) // the gradient of the values
	l.free(used)
	v := l.take(part, row)
	ds := l.take(part, s.width()*matrix)
	l.free(v)
	if s.model.Dropout > 0 {
		l.pass(part, s.width()*matrix) // the mask in numbers
	}
	k := l.take(part, row)
	l.pass(part, row) // the gradient of the queries, then of the keys
	l.free(k, dy, ds, b.qkv, b.scores, b.scoresMask)
	return dqkv
}

// head is headLoss: the last norm, the largest chunk of logits with what a Guide makes of it, and the gradient of the last hidden state.
func (s stepShape) head(l *ledger) (gradient loan) {
	C, V := int64(s.model.HiddenSize), int64(s.model.VocabSize)
	statistics, y := s.norm(l, partHead)
	drows := l.take(partHead, s.width()*s.tokens()*C)
	rows := min(s.tokens(), s.chunkRows)
	logits := l.take(partHead, s.width()*rows*V)
	if s.teacher != nil || s.topK > 0 {
		logits = s.guided(l, logits, rows)
	} else {
		s.entropy(l, rows)
	}
	product := l.take(partHead, s.width()*rows*C)
	s.weightGradient(l, partHead, V, C)
	l.free(product, logits)
	gradient = s.normBackward(l, partHead, drows)
	l.free(statistics, y)
	return gradient
}

// entropy is the losses of a chunk; a card's take another form of the logits.
func (s stepShape) entropy(l *ledger, rows int64) {
	if s.card {
		l.pass(partHead, 4*rows*int64(s.model.VocabSize))
		return
	}
	l.pass(partHead, 4*rows)
}

// guided is what the losses of distill do with a chunk's logits; the gradient in the compute precision comes back.
func (s stepShape) guided(l *ledger, logits loan, rows int64) loan {
	matrix := 4 * rows * int64(s.model.VocabSize)
	gradient := l.take(partHead, matrix)
	kept := loan{}
	if s.topK > 0 {
		kept = l.take(partTeacher, 3*4*rows*s.topK)
	}
	student := s.softened(l, matrix)
	l.free(logits)
	if s.teacher != nil {
		output := l.take(partTeacher, s.width()*rows*int64(s.model.VocabSize))
		teacher := s.softened(l, matrix)
		l.free(output)
		l.pass(partTeacher, matrix) // the terms of the divergence
		l.free(teacher)
	}
	l.free(student, kept)
	if !s.half() {
		return gradient
	}
	rounded := l.take(partHead, s.width()*rows*int64(s.model.VocabSize))
	l.free(gradient)
	return rounded
}

// softened is distill's: logits in fp32, divided by the temperature, their log softmax.
func (s stepShape) softened(l *ledger, matrix int64) loan {
	inFull := loan{}
	if s.half() {
		inFull = l.take(partTeacher, matrix)
	}
	scaled := l.take(partTeacher, matrix)
	l.free(inFull)
	y := l.take(partTeacher, matrix)
	l.free(scaled)
	return y
}
