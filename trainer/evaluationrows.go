package trainer

// Evaluation's own batch: without gradients there is room for more rows than in a micro-batch.

import (
	"sort"

	"frugal/trainer/monitor"
)

// enoughTokens is where more tokens at once make neither a pass forward nor a step faster. A CPU's, with one thread, at widths 384 and
// 768, fp32 and bf16, took within 1% at 1024 tokens of what they took at 8192; several threads have to share them. A card's was not
// measured: it has to be filled with more.
func enoughTokens(card bool) int64 {
	if card {
		return 1 << 14
	}
	return 1 << 11
}

// evaluationRows is how many full rows are evaluated at once: as many as make it faster, as long as it takes no more memory than a
// step, nor than limit where that is not 0; never fewer than a step's.
func (s stepShape) evaluationRows(limit int64) int64 {
	most := max(s.rows, enoughTokens(s.card)/s.length)
	if step := s.plan().sum(); limit == 0 || step < limit {
		limit = step
	}
	more := sort.Search(int(most-s.rows), func(i int) bool { return s.evaluation(s.rows+int64(i)+1).sum() > limit })
	return s.rows + int64(more)
}

func (r *run) evaluationRows() int { return int(r.stepShape().evaluationRows(r.budget)) }

// sayEvaluation logs evaluation's batch where it is another than a step's.
func (r *run) sayEvaluation() {
	s := r.stepShape()
	rows := s.evaluationRows(r.budget)
	if !r.evaluates() || rows == s.rows {
		return
	}
	r.infof("evaluation: %d rows at once (planned %s at its peak; a step with %d rows %s)", rows, monitor.FormatBytes(s.evaluation(rows).sum()), s.rows,
		monitor.FormatBytes(s.plan().sum()))
}
