package config

// The rules of the section curriculum.

import (
	"fmt"
	"slices"
	"strings"
)

func brokenCurriculum(c *TrainingConfig) string {
	if c.Curriculum.Enabled && len(c.Curriculum.Stages) == 0 && c.Curriculum.Buckets == 0 {
		return "a curriculum needs curriculum.stages, or curriculum.buckets with curriculum.difficulty auto"
	}
	return ""
}

// brokenStages asks for names, data and difficulties, the latter rising, where the schedule goes by them.
func brokenStages(c *TrainingConfig) string {
	seen := map[string]bool{}
	byDifficulty := c.Curriculum.Difficulty == "given" && c.Curriculum.Schedule != "piecewise"
	for i, stage := range c.Curriculum.Stages {
		switch {
		case seen[stage.Name]:
			return fmt.Sprintf("two stages are called %q; want a name for each", stage.Name)
		case len(stage.Data) == 0:
			return fmt.Sprintf("stage %q has no data; want at least one file or pattern", stage.Name)
		case stage.Difficulty == 0 && byDifficulty:
			return fmt.Sprintf("stage %q has no difficulty; give it a number above 0, or set curriculum.difficulty to auto", stage.Name)
		case byDifficulty && i > 0 && stage.Difficulty < c.Curriculum.Stages[i-1].Difficulty:
			return fmt.Sprintf("stage %q of difficulty %v stands behind %q of %v; list the stages from easy to hard, or set curriculum.difficulty to auto, "+
				"which finds the order", stage.Name, stage.Difficulty, c.Curriculum.Stages[i-1].Name, c.Curriculum.Stages[i-1].Difficulty)
		}
		seen[stage.Name] = true
	}
	return ""
}

func brokenBuckets(c *TrainingConfig) string {
	switch n := c.Curriculum.Buckets; {
	case n == 0:
		return ""
	case n == 1:
		return "one bucket is no curriculum; want 2 or more, or 0"
	case len(c.Curriculum.Stages) > 0:
		return "buckets are made of data.train where no stages are named; leave out curriculum.buckets or curriculum.stages"
	case c.Curriculum.Difficulty != "auto":
		return "buckets are made by a measured difficulty; set curriculum.difficulty to auto"
	}
	return ""
}

func brokenMeasure(c *TrainingConfig) string {
	if c.Curriculum.Measure == "model" && c.Curriculum.Model == "" {
		return "the measure model needs curriculum.model, the directory of a GPT-2"
	}
	return ""
}

func brokenPoints(c *TrainingConfig) string {
	points, stages := c.Curriculum.Points, max(len(c.Curriculum.Stages), c.Curriculum.Buckets)
	if !c.Curriculum.Enabled || c.Curriculum.Schedule != "piecewise" {
		return ""
	}
	if len(points) == 0 {
		return "the piecewise schedule needs curriculum.points"
	}
	for i, point := range points {
		if len(point.Weights) != stages {
			return fmt.Sprintf("the point at step %d has %d weights for %d stages; want one for each", point.Step, len(point.Weights), stages)
		}
		if i > 0 && point.Step <= points[i-1].Step {
			return fmt.Sprintf("the point at step %d follows the one at step %d; want rising steps", point.Step, points[i-1].Step)
		}
	}
	if never := c.neverDrawn(); len(never) > 0 {
		return fmt.Sprintf("%s weighs 0 at every point, so that no row of it is ever drawn; give it a weight, or leave the stage out", strings.Join(never, " and "))
	}
	return ""
}

// neverDrawn names the stages that weigh 0 at every point, though at no point all stages do: then each would be drawn alike.
func (c *TrainingConfig) neverDrawn() (names []string) {
	points := c.Curriculum.Points
	allZero := func(p PointConfig) bool { return slices.Max(p.Weights) == 0 }
	if len(points) == 0 || len(points[0].Weights) == 0 || slices.ContainsFunc(points, allZero) {
		return nil
	}
	for i := range points[0].Weights {
		if slices.ContainsFunc(points, func(p PointConfig) bool { return p.Weights[i] != 0 }) {
			continue
		}
		if i < len(c.Curriculum.Stages) {
			names = append(names, fmt.Sprintf("stage %q", c.Curriculum.Stages[i].Name))
		} else {
			names = append(names, fmt.Sprintf("bucket_%d", i+1))
		}
	}
	return names
}
