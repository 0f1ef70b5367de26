package trainer

// The curriculum of a run: its stages, what they weigh at each step, and what is said about it.

import (
	"context"
	"crypto/sha256"
	"encoding/hex"
	"fmt"
	"slices"
	"strings"
	"text/tabwriter"
	"unicode/utf8"

	"frugal/trainer/config"
	"frugal/trainer/curriculum"
	"frugal/trainer/data"
	"frugal/trainer/monitor"
)

// staging is a curriculum over the stages of the data.
type staging struct {
	curriculum.Curriculum
	stages       []data.StageSplit
	difficulties []float64 // by stage; 0: none was given
	measured     []float64 // by stage, in the measure's unit; nil: they were not
}

// stageOptions tells data which stages there are, or how to make them.
func (r *run) stageOptions(ctx context.Context, o *data.Options) {
	c := r.config.Curriculum
	switch {
	case !c.Enabled:
	case c.Buckets > 0:
		o.Divide = func(p *data.Passages) ([]string, []int, error) { return r.divide(ctx, p) }
	default:
		for _, s := range c.Stages {
			o.Stages = append(o.Stages, data.Stage{Name: s.Name, Data: s.Data})
		}
		if len(r.config.Data.Train) > 0 {
			r.infof("curriculum: data.train is not used; the stages take its place")
		}
	}
}

// buildCurriculum makes the schedule, now that the run's steps are known, and shows it.
func (r *run) buildCurriculum(ctx context.Context) (err error) {
	c := r.config.Curriculum
	if !c.Enabled {
		return nil
	}
	s := &staging{Curriculum: curriculum.Curriculum{Schedule: c.Schedule, TotalSteps: int64(c.TotalSteps)}, stages: r.data.Stages()}
	if c.TotalSteps == 0 {
		s.TotalSteps = r.totalSteps
	}
	for _, p := range c.Points {
		s.Points = append(s.Points, curriculum.Point{Step: int64(p.Step), Weights: p.Weights})
	}
	switch {
	case c.Buckets > 0:
		s.measured = r.measured.Values
	case c.Difficulty == "auto":
		if s.measured, err = r.measureStages(ctx); err != nil {
			return err
		}
		if slices.ContainsFunc(c.Stages, func(s config.StageConfig) bool { return s.Difficulty != 0 }) {
			r.infof("curriculum: the difficulties in curriculum.stages are not used; curriculum.difficulty is auto")
		}
	}
	s.setDifficulties(c.Stages)
	if r.curriculum = s; r.done.Drawn == nil {
		r.done.Drawn, r.done.IntervalDrawn = make([]int64, len(s.stages)), make([]int64, len(s.stages))
	}
	r.sayStages()
	return nil
}

// setDifficulties takes those given, or where the stages were measured their places in that order: schedules go by shares of
// the largest difficulty, and 2.8 and 3.0 bits a byte, say, would be nearly the same.
func (s *staging) setDifficulties(given []config.StageConfig) {
	s.difficulties = make([]float64, len(s.stages))
	for i := range s.difficulties {
		if s.measured == nil {
			s.difficulties[i] = given[i].Difficulty
		}
	}
	if s.measured != nil {
		for place, stage := range curriculum.Order(s.measured) {
			s.difficulties[stage] = float64(place + 1)
		}
	}
	if s.Schedule != "piecewise" {
		s.Difficulties = s.difficulties
	}
}

// window is what step number step trains on, after so many rows drawn from each stage. Without a curriculum, step s uses window
// s mod n of epoch s/n.
func (r *run) window(step int64, drawn []int64) (*data.Window, error) {
	if r.curriculum != nil {
		return r.data.Draw(step, r.curriculum.Weights(step), drawn)
	}
	n := int64(r.data.WindowsPerEpoch())
	return r.data.Window(int(step/n), int(step%n))
}

// addCounts adds what a window drew from each stage.
func addCounts(counts, more []int64) {
	for i, n := range more {
		counts[i] += n
	}
}

// fields are the weights of the last update and the rows drawn from each stage since the last time.
func (s *staging) fields(done *progress) []monitor.Field {
	if s == nil {
		return nil
	}
	var weights, drawn []monitor.Field
	for i, w := range s.Weights(done.Step - 1) {
		weights = append(weights, monitor.Field{Name: s.stages[i].Name, Value: w})
		drawn = append(drawn, monitor.Field{Name: s.stages[i].Name, Value: done.IntervalDrawn[i]})
	}
	return []monitor.Field{{Name: "curriculum_weights", Value: weights}, {Name: "curriculum_drawn", Value: drawn}}
}

// sayStages logs the stages in a table, and those that no step of the run draws from as a warning.
func (r *run) sayStages() {
	s, c, n := r.curriculum, r.config.Curriculum, monitor.FormatCount
	how := fmt.Sprintf("the %s schedule, over %s updates", s.Schedule, n(s.TotalSteps))
	if s.Schedule == "piecewise" {
		how = fmt.Sprintf("the piecewise schedule, through %d points", len(s.Points))
	}
	r.infof("curriculum: rows are drawn from %d stages by %s; an epoch is as many rows as there are", len(s.stages), how)
	var text strings.Builder
	t := tabwriter.NewWriter(&text, 0, 0, 2, ' ', tabwriter.AlignRight)
	width := len("stage")
	for _, stage := range s.stages {
		width = max(width, utf8.RuneCountInString(stage.Name))
	}
	head := fmt.Sprintf("%-*s", width, "stage") + "\tdocuments\trows\ttokens\t"
	if s.measured != nil {
		head += measureUnits[c.Measure] + "\t"
	}
	fmt.Fprintln(t, head+"difficulty\tlargest share\tfrom step\t")
	peaks := s.Peaks(r.totalSteps)
	for i, stage := range s.stages {
		row := fmt.Sprintf("%-*s\t%s\t%s\t%s\t", width, stage.Name, n(stage.Documents), n(stage.Rows), n(stage.Tokens))
		if s.measured != nil {
			row += fmt.Sprintf("%.3f\t", s.measured[i])
		}
		fmt.Fprintf(t, "%s%s\t%.0f%%\t%s\t\n", row, givenDifficulty(s.difficulties[i]), 100*peaks[i].Weight, n(peaks[i].Step))
	}
	t.Flush()
	for line := range strings.Lines(text.String()) {
		r.infof("  %s", strings.TrimRight(line, "\n"))
	}
	for i, stage := range s.stages {
		if peaks[i].Weight == 0 {
			r.logger.Warnf("curriculum: nothing is ever drawn from stage %s: its weight is 0 from the run's first step to its last, %s; "+
				"another curriculum.schedule, curriculum.total_steps or difficulty would reach it", stage.Name, n(r.totalSteps))
		}
	}
}

func givenDifficulty(d float64) string {
	if d == 0 {
		return "—"
	}
	return fmt.Sprintf("%.4g", d)
}

// sayDrawn says at the end how often each stage was gone through.
func (r *run) sayDrawn() {
	if r.curriculum == nil {
		return
	}
	var parts []string
	for i, stage := range r.curriculum.stages {
		parts = append(parts, fmt.Sprintf("%s %.2f times (%s rows)", stage.Name, float64(r.done.Drawn[i])/float64(stage.Rows), monitor.FormatCount(r.done.Drawn[i])))
	}
	r.infof("curriculum: gone through %s", strings.Join(parts, ", "))
}

// dataFingerprint is data's, and with it the order that was measured: on another device a model may find another.
func (r *run) dataFingerprint() string {
	if r.curriculum == nil || r.curriculum.measured == nil {
		return r.data.Fingerprint()
	}
	sum := sha256.Sum256(fmt.Appendf(nil, "%s %v", r.data.Fingerprint(), r.curriculum.difficulties))
	return hex.EncodeToString(sum[:])
}
