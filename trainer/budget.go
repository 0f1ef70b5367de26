package trainer

// The search for a division of the effective batch, checkpointing and offload that fit a memory budget: the fastest that does.

import (
	"cmp"
	"slices"

	"frugal/trainer/config"
)

// candidate is a way to make an update of the same rows.
type candidate struct {
	rows          int64 // of a micro-batch: batch_size
	checkpointing bool
	offload       config.Offload
}

// offloadLevels are those that a budget may choose, the fastest first.
var offloadLevels = []config.Offload{config.OffloadOff, config.OffloadOptimizer, config.OffloadFull}

// apply gives a shape of the candidate's rows the rest of it.
func (c candidate) apply(s stepShape) stepShape {
	s.checkpointing, s.offload = c.checkpointing, offloads[c.offload]
	return s
}

// What a step costs beside its tokens' own work.
const (
	recomputing   = 1.25 // of the time without; measured 1.2 (width 384, fp32 and bf16) to 1.5 (width 256, flash)
	overheadCPU   = 30   // of a micro-batch, in tokens: with 64 a step takes 1.5 times as long a token as with 2048, with 256 1.1 times
	overheadOther = 500  // a card's starting of kernels: not measured
)

// cost is the time of a token, that of a large micro-batch without checkpointing being 1.
func (c candidate) cost(length int64, card bool) float64 {
	overhead := float64(overheadCPU)
	if card {
		overhead = overheadOther
	}
	time := 1 + overhead/float64(min(c.rows*length, enoughTokens(card)))
	if c.checkpointing {
		time *= recomputing
	}
	return time
}

// choices are what a search may vary.
type choices struct {
	effective     int64 // rows of an update
	rows          int64 // of a micro-batch as configured
	most          int64 // rows at once that are known to fit; 0: any number
	divide        bool  // batch_size may change
	checkpointing []bool
	offload       []config.Offload
}

// candidates are in the order in which they are tried: no offload before offload, then by the time of a token, so that a micro-batch of
// some hundred tokens without checkpointing comes before a larger one with it, and a tiny one after it; of those that are equally fast the
// configured one first, then the smallest.
func (o choices) candidates(length int64, card bool) (all []candidate) {
	sizes := []int64{o.rows}
	if o.divide {
		sizes = nil
		most := max(o.rows, enoughTokens(card)/length)
		for rows := int64(1); rows <= min(most, o.effective); rows++ {
			if o.effective%rows == 0 && (o.most == 0 || rows <= o.most) {
				sizes = append(sizes, rows)
			}
		}
	}
	for _, offload := range o.offload {
		for _, checkpointing := range o.checkpointing {
			for _, rows := range sizes {
				all = append(all, candidate{rows, checkpointing, offload})
			}
		}
	}
	level := func(c candidate) int { return slices.Index(o.offload, c.offload) }
	own := func(c candidate) int {
		if c.rows == o.rows {
			return 0
		}
		return 1
	}
	slices.SortStableFunc(all, func(a, b candidate) int {
		return cmp.Or(cmp.Compare(level(a), level(b)), cmp.Compare(a.cost(length, card), b.cost(length, card)), cmp.Compare(own(a), own(b)), cmp.Compare(a.rows, b.rows))
	})
	return all
}

// planned is a candidate and the most that it takes.
type planned struct {
	candidate
	activity
	flash bool // fits, or is smallest, only with attention flash
}

// search returns the first candidate that fits and the one that was tried before it, nil where it is the first. Where none fits ok is
// false, and found is the one that takes the least.
func search(all []candidate, budget int64, plan func(candidate) planned) (found planned, before *planned, ok bool) {
	var least *planned
	for _, c := range all {
		p := plan(c)
		if p.sum() <= budget {
			return p, before, true
		}
		if least == nil || p.sum() < least.sum() {
			least = &p
		}
		before = &p
	}
	return *least, nil, false
}
