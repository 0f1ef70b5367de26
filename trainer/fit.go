package trainer

// memory_budget_gb: batch_size, accumulation, checkpointing and offload are chosen before the model takes its memory, once all is known
// that its size depends on.

import (
	"fmt"
	"math"
	"strconv"
	"strings"

	"frugal/torch"
	"frugal/trainer/config"
	"frugal/trainer/monitor"
)

// budget is how much of the device's memory a run may take.
type budget struct {
	bytes  int64  // 0: there is none
	reason string // "" where the configuration says it
	asked  bool   // memory_budget_gb is set: it decides, whatever else is set, and what does not fit is an error
}

// memoryBudget is memory_budget_gb; where that is not set, with preset auto, the card's free memory less a reserve: the caching
// allocator's rounding and gaps, and the kernels that are loaded when they are first called.
func (r *run) memoryBudget() (b budget, err error) {
	if c := r.config; c.MemoryBudgetGB > 0 || c.IsSet("memory_budget_gb") || c.Preset != "auto" || r.device.Type == torch.CPUType {
		return budget{bytes: int64(math.Ceil(c.MemoryBudgetGB * (1 << 30))), asked: true}, nil
	}
	free, err := r.freeMemory()
	if err != nil {
		return b, fmt.Errorf("the memory of %s: %w", r.device, err)
	}
	const least = 256 << 20
	reserve := max(least, free/10)
	return budget{bytes: max(1, free-reserve), reason: fmt.Sprintf("preset is auto and %s has %s free, of which %s stay so; ", r.device,
		monitor.FormatBytes(free), monitor.FormatBytes(reserve))}, nil
}

// agreeBudget has the least of all processes' budgets count, since all take the same choice.
func (r *run) agreeBudget(b *budget) error {
	if r.world == nil {
		return nil
	}
	all := make([]float64, r.processes()) // exact: below 2^53
	all[r.rank()] = float64(b.bytes)
	if err := r.world.AllReduceNumbers(all); err != nil {
		return err
	}
	for rank, x := range all {
		if n := int64(x); b.bytes > 0 && n > 0 && n < b.bytes { // rank 0's device decides whether there is a budget
			b.bytes, b.reason = n, fmt.Sprintf("rank %d has the least memory; ", rank)
		}
	}
	return nil
}

func (r *run) freeOnDevice() (int64, error) {
	m, err := torch.MemoryStats(r.device)
	return m.Free, err
}

// fitMemory makes the choice, where there is a budget, and lets the data know.
func (r *run) fitMemory() error {
	b, err := r.memoryBudget()
	if err == nil {
		err = r.agreeBudget(&b)
	}
	if err != nil || b.bytes == 0 || r.isComplete() || !r.leads() {
		return err
	}
	r.budget = b.bytes
	if err := r.choose(b, r.workload(), r.savedProgress()); err != nil {
		return err
	}
	r.infof("%s", r.fitted)
	return nil
}

// choose sets the keys to the fastest choice that fits. saved is where a checkpoint stood that is gone on from.
func (r *run) choose(b budget, w workload, saved progress) error {
	c := r.config
	all := r.choices(b, saved).candidates(int64(c.MaxPositionEmbeddings), r.device.Type != torch.CPUType)
	plan := func(x candidate) planned { return r.planOf(x, w, b.bytes, saved) }
	found, before, ok := search(all, b.bytes, plan)
	if !ok && b.asked {
		return r.problem("memory_budget_gb", fmt.Sprint(c.MemoryBudgetGB), "the smallest plan needs "+gibibytes(found.sum())+": "+r.whatNeedsMost(found))
	}
	was := *c
	c.BatchSize, c.GradientAccumulationSteps = int(found.rows), c.EffectiveBatchSize()/int(found.rows)
	c.GradientCheckpointing, c.CPUOffload = found.checkpointing, found.offload
	if found.flash {
		c.Attention = "flash"
	}
	what := r.whatWasChosen(&was)
	switch {
	case !ok:
		what += fmt.Sprintf(": the smallest there is, and it is planned to take more, %s at the peak of %s", monitor.FormatBytes(found.sum()), found.name)
	case before == nil:
		what += fmt.Sprintf(": planned %s at the peak of %s; nothing is expected to be faster", monitor.FormatBytes(found.sum()), found.name)
	default:
		what += fmt.Sprintf(": planned %s at the peak of %s; the next faster, %s, would take %s", monitor.FormatBytes(found.sum()), found.name, before.candidate,
			monitor.FormatBytes(before.sum()))
	}
	r.fitted = config.Choice{Key: "memory_budget_gb", Value: fmt.Sprintf("%.4g", float64(b.bytes)/(1<<30)), Reason: b.reason + what}
	return nil
}

// choices: a budget that was asked for decides everything, as files that set every key are common; one of preset auto decides what
// nobody has set. Micro-batches that memory did not suffice for before the checkpoint are not tried again. On a CPU an offload moves
// nothing away: what the device no longer holds the same memory does.
func (r *run) choices(b budget, saved progress) choices {
	c := r.config
	o := choices{effective: int64(c.EffectiveBatchSize()), rows: int64(c.BatchSize), most: int64(saved.MicroBatchRows), divide: true,
		checkpointing: []bool{false, true}, offload: offloadLevels}
	if r.device.Type == torch.CPUType {
		o.offload = []config.Offload{c.CPUOffload}
	} else if err := r.checkHostMemory(config.OffloadOptimizer, r.modelConfig()); err != nil {
		o.offload = offloadLevels[:1]
	}
	if b.asked {
		return o
	}
	o.divide = !c.IsSet("batch_size") && !c.IsSet("gradient_accumulation_steps")
	if c.IsSet("gradient_checkpointing") {
		o.checkpointing = []bool{c.GradientCheckpointing}
	}
	if c.IsSet("cpu_offload") {
		o.offload = []config.Offload{c.CPUOffload}
	}
	return o
}

// planOf is the most that a run takes with a candidate. Attention that is to be measured may turn out to be composed, which takes more;
// where only flash fits, flash it is.
func (r *run) planOf(x candidate, w workload, limit int64, saved progress) planned {
	s := x.apply(r.shapeOf(x.rows, saved.MicroBatchRows))
	s.composed = r.mayCompose(s, saved.Kernels.Attention)
	p := planned{candidate: x, activity: largest(w.plans(s, limit))}
	if s.composed && p.sum() > limit && r.config.Attention == "auto" && s.model.Dropout == 0 {
		s.composed = false
		p.activity, p.flash = largest(w.plans(s, limit)), true
	}
	return p
}

// mayCompose says whether attention is composed or may be, when it is measured. before is what a checkpoint says.
func (r *run) mayCompose(s stepShape, before string) bool {
	switch name := r.config.Attention; {
	case s.card:
		return false
	case s.model.Dropout > 0:
		return true
	case name != "auto":
		return name == "composed"
	case before != "":
		return before == "composed"
	}
	return worthMeasuring(s.model, s.tokens()) && s.model.MayCompose(int(s.length))
}

func (r *run) whatWasChosen(was *config.TrainingConfig) string {
	c := r.config
	since := func(text, before string) string {
		if before == text {
			return text
		}
		return text + " (was " + before + ")"
	}
	division := func(c *config.TrainingConfig) string {
		return fmt.Sprintf("%d × %d", c.BatchSize, c.GradientAccumulationSteps)
	}
	parts := []string{
		"batch_size × gradient_accumulation_steps " + since(division(c), division(was)),
		"gradient_checkpointing " + since(fmt.Sprint(c.GradientCheckpointing), fmt.Sprint(was.GradientCheckpointing)),
		"cpu_offload " + since(string(c.CPUOffload), string(was.CPUOffload)),
	}
	if c.Attention != was.Attention {
		parts = append(parts, "attention flash, as composed might not fit")
	}
	return strings.Join(parts, ", ")
}

func (c candidate) String() string {
	text := fmt.Sprintf("batch_size %d", c.rows)
	if c.checkpointing {
		text += " with checkpointing"
	} else {
		text += " without checkpointing"
	}
	if c.offload != config.OffloadOff {
		text += ", cpu_offload " + string(c.offload)
	}
	return text
}

// whatNeedsMost explains the smallest plan.
func (r *run) whatNeedsMost(p planned) string {
	part := memoryPart(0)
	for i, bytes := range p.memoryPlan {
		if bytes > p.memoryPlan[part] {
			part = memoryPart(i)
		}
	}
	advice := "a smaller model or vocabulary needs less, activations and head also with a shorter max_position_embeddings"
	switch {
	case p.name == measuringTexts:
		advice = "a smaller curriculum.model needs less, and the other measures none"
	case part == partTeacherWeights:
		advice = "a smaller teacher needs less; a distillation.cache that was filled elsewhere needs none in memory"
	}
	return fmt.Sprintf("%s at the peak of %s with %s, the largest part being %s with %s; %s", monitor.FormatBytes(p.sum()), p.name, p.candidate,
		part.name(r.config.Distillation.Cache != ""), monitor.FormatBytes(p.memoryPlan[part]), advice)
}

// gibibytes rounds up, so that the number is enough.
func gibibytes(bytes int64) string {
	return strconv.FormatFloat(math.Ceil(float64(bytes)/(1<<30)*1000)/1000, 'f', -1, 64)
}
