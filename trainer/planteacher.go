package trainer

// The memory that a teacher takes: beside a step, and before there is a student, when it is loaded and when it fills a cache.

import (
	"frugal/torch"
	"frugal/trainer/gpt2"
)

// teacherShape is that of a teacher's pass over the batches of s.
func (s stepShape) teacherShape(t gpt2.Config) stepShape {
	t.Dropout = 0
	return stepShape{model: t, rows: s.rows, length: s.length, precision: s.precision, card: s.card, chunkRows: t.ChunkRows()}
}

// askTeacher takes what a distilled run has of a batch: the teacher's hidden states, for which the batch goes through it; or the kept
// probabilities.
func (s stepShape) askTeacher(l *ledger) {
	n, k := s.tokens(), s.topK
	if k > 0 {
		l.take(partTeacher, 8*n*k)
		l.take(partTeacher, 4*n*k)
		l.take(partTeacher, 4*n)
	}
	if s.teacher != nil {
		s.teacherShape(*s.teacher).hidden(l)
	}
}

// hidden is gpt2.Model.Hidden: of a batch through the model only the last norm's output stays.
func (s stepShape) hidden(l *ledger) {
	x := s.withoutGradients(l, partTeacher)
	statistics, _ := s.norm(l, partTeacher)
	l.free(x, statistics)
}

// loading is a teacher that is read in fp32 and then frozen, when nothing else is there.
func (s stepShape) loading(teacher gpt2.Config) memoryPlan {
	l := ledger{}
	masters := l.take(partTeacherWeights, 4*teacher.BufferLength())
	s.teacherShape(teacher).readWeights(&l, partTeacherWeights)
	if s.half() {
		takeFrozen(&l, teacher, s.precision)
		l.free(masters)
	}
	return l.peak
}

func takeFrozen(l *ledger, teacher gpt2.Config, precision torch.DType) {
	for _, bytes := range teacher.FrozenBytes(precision) {
		l.take(partTeacherWeights, bytes)
	}
}

// fillingRows is how many rows a teacher that fills a cache is asked about at once: a micro-batch's, or what limit bytes suffice for where
// that is not 0.
func (s stepShape) fillingRows(limit int64) int64 {
	rows := s.rows
	for rows > 1 && limit > 0 && s.filling(rows).sum() > limit {
		rows = (rows + 1) / 2
	}
	return rows
}

// filling is distill.Teacher.TopK of a batch of so many rows: the teacher is alone.
func (s stepShape) filling(rows int64) memoryPlan {
	l := ledger{}
	s.rows = rows
	takeFrozen(&l, *s.filler, s.precision)
	t := s.teacherShape(*s.filler)
	l.take(partTeacher, 8*s.tokens()) // ids
	l.take(partTeacher, 8*s.tokens()) // targets, of which nothing is asked
	t.hidden(&l)
	n := min(t.chunkRows, s.tokens())
	l.take(partTeacher, s.width()*n*int64(s.filler.VocabSize)) // logits
	t.softened(&l, 4*n*int64(s.filler.VocabSize))
	l.take(partTeacher, 8*n*s.topK)
	l.take(partTeacher, 4*n*s.topK)
	return l.peak
}
