package trainer

// All that a run does, as far as its memory goes.

import "frugal/trainer/gpt2"

// activity is something that a run does, and the plan of its peak.
type activity struct {
	name string
	memoryPlan
}

const measuringTexts = "measuring the texts"

// workload is what a run does beside its steps.
type workload struct {
	evaluates  bool
	samples    *sampleShape // nil: none
	histograms bool
	measures   *gpt2.Config // curriculum.model, which measures the texts first; nil: none does
}

func (r *run) workload() workload {
	w := workload{evaluates: r.evaluates(), histograms: r.showsHistograms()}
	if len(r.prompts) > 0 {
		m := r.config.Monitoring
		w.samples = &sampleShape{sequences: int64(m.NumReturnSequences), limit: int64(min(m.MaxLength, r.config.MaxPositionEmbeddings))}
		for _, p := range r.prompts {
			w.samples.prompt = max(w.samples.prompt, int64(len(p.ids)), 1)
		}
	}
	if c := r.config.Curriculum; c.Enabled && c.Difficulty == "auto" && c.Measure == "model" && r.from == nil {
		if _, m, err := findPretrained(r.fs, c.Model); err == nil { // who opens it says why it cannot be
			w.measures = &m
		}
	}
	return w
}

// plans are those of a run of this shape within limit bytes (0: any number), the step's first.
func (w workload) plans(s stepShape, limit int64) []activity {
	all := []activity{{"training", s.plan()}}
	if w.evaluates {
		all = append(all, activity{"evaluation", s.evaluation(s.evaluationRows(limit))})
	}
	if w.samples != nil {
		all = append(all, activity{"sampling", s.sampling(*w.samples)})
	}
	if w.histograms {
		all = append(all, activity{"histograms", s.histograms()})
	}
	if w.measures != nil {
		all = append(all, activity{measuringTexts, s.measuring(*w.measures)})
	}
	if s.teacher != nil {
		all = append(all, activity{"loading the teacher", s.loading(*s.teacher)})
	}
	if s.filler != nil {
		all = append(all, activity{"loading the teacher", s.loading(*s.filler)}, activity{"filling the cache", s.filling(s.fillingRows(limit))})
	}
	return append(all, activity{"saving", s.saving()})
}

func (r *run) plans() []activity { return r.workload().plans(r.stepShape(), r.budget) }

// largest is the activity that takes the most.
func largest(all []activity) activity {
	most := all[0]
	for _, a := range all[1:] {
		if a.sum() > most.sum() {
			most = a
		}
	}
	return most
}
