package curriculum

import (
	"encoding/json"
	"fmt"
	"math"
	"os"
	"path/filepath"
	"testing"

	"pgregory.net/rapid"
)

// The weights at every step of each schedule against the course's formulas; scripts/golden_curriculum.py writes the file.
func TestWeightsAtEveryStepAreTheCourses(t *testing.T) {
	text, err := os.ReadFile(filepath.Join("testdata", "weights.json"))
	if err != nil {
		t.Fatal(err)
	}
	var cases []struct {
		Schedule     string
		Difficulties []float64
		TotalSteps   int64 `json:"total_steps"`
		Weights      [][]float64
	}
	if err := json.Unmarshal(text, &cases); err != nil || len(cases) < 18 {
		t.Fatalf("%d cases, %v; python3 scripts/golden_curriculum.py trainer/curriculum/testdata makes them", len(cases), err)
	}
	for _, test := range cases {
		c := &Curriculum{Schedule: test.Schedule, Difficulties: test.Difficulties, TotalSteps: test.TotalSteps}
		for step, want := range test.Weights {
			same(t, fmt.Sprintf("%s of %v over %d, step %d", test.Schedule, test.Difficulties, test.TotalSteps, step), c.Weights(int64(step)), want)
		}
	}
}

func same(t *testing.T, what string, got, want []float64) {
	t.Helper()
	for i := range want {
		if len(got) != len(want) || !(math.Abs(got[i]-want[i]) <= 1e-12) {
			t.Fatalf("%s: %v, want %v", what, got, want)
		}
	}
}

func TestWeightsComputedByHand(t *testing.T) {
	three := []float64{1, 2, 4}
	points := []Point{{100, []float64{1, 0, 0}}, {200, []float64{0, 3, 1}}, {300, []float64{0, 0, 0}}}
	for _, test := range []struct {
		c    Curriculum
		step int64
		want []float64
	}{
		{Curriculum{Schedule: "linear", Difficulties: three, TotalSteps: 100}, 0, []float64{1, 0, 0}},
		{Curriculum{Schedule: "linear", Difficulties: three, TotalSteps: 100}, 50, []float64{1. / 3, 2. / 3, 0}}, // ½, 1, 0
		{Curriculum{Schedule: "linear", Difficulties: three, TotalSteps: 100}, 100, []float64{0, 0, 1}},
		{Curriculum{Schedule: "linear", Difficulties: three, TotalSteps: 100}, 1 << 40, []float64{0, 0, 1}},
		{Curriculum{Schedule: "linear", Difficulties: []float64{5, 5}, TotalSteps: 10}, 3, []float64{.5, .5}}, // both 0
		{Curriculum{Schedule: "exp", Difficulties: []float64{1, 2}, TotalSteps: 10}, 10, []float64{1 / (1 + math.Exp(2.5)), 1 / (1 + math.Exp(-2.5))}},
		{Curriculum{Schedule: "step", Difficulties: three, TotalSteps: 9}, 2, []float64{1, 0, 0}},
		{Curriculum{Schedule: "step", Difficulties: three, TotalSteps: 9}, 3, []float64{0, 1, 0}},
		{Curriculum{Schedule: "step", Difficulties: three, TotalSteps: 9}, 9, []float64{0, 0, 1}},
		{Curriculum{Schedule: "step", Difficulties: []float64{4, 1, 2}, TotalSteps: 9}, 0, []float64{0, 1, 0}}, // by difficulty, not as listed
		{Curriculum{Schedule: "piecewise", Points: points}, 0, []float64{1, 0, 0}},
		{Curriculum{Schedule: "piecewise", Points: points}, 100, []float64{1, 0, 0}},
		{Curriculum{Schedule: "piecewise", Points: points}, 150, []float64{.2, .6, .2}},
		{Curriculum{Schedule: "piecewise", Points: points}, 200, []float64{0, .75, .25}},
		{Curriculum{Schedule: "piecewise", Points: points}, 275, []float64{0, .75, .25}},
		{Curriculum{Schedule: "piecewise", Points: points}, 300, []float64{1. / 3, 1. / 3, 1. / 3}},
		{Curriculum{Schedule: "piecewise", Points: points[:1]}, 7, []float64{1, 0, 0}},
	} {
		same(t, fmt.Sprintf("%+v at step %d", test.c, test.step), test.c.Weights(test.step), test.want)
	}
}

// anyCurriculum draws one whose piecewise points are often 0.
func anyCurriculum(t *rapid.T) *Curriculum {
	c := &Curriculum{Schedule: rapid.SampledFrom([]string{"linear", "exp", "step", "piecewise"}).Draw(t, "schedule"),
		TotalSteps: rapid.Int64Range(1, 300).Draw(t, "total")}
	n := rapid.IntRange(1, 6).Draw(t, "stages")
	if c.Schedule != "piecewise" {
		c.Difficulties = rapid.SliceOfN(rapid.Float64Range(1e-3, 10), n, n).Draw(t, "difficulties")
		return c
	}
	step := int64(0)
	for range rapid.IntRange(1, 4).Draw(t, "points") {
		step += rapid.Int64Range(1, 100).Draw(t, "gap")
		c.Points = append(c.Points, Point{step - 1, rapid.SliceOfN(rapid.SampledFrom([]float64{0, 0, 0, 1, 2.5}), n, n).Draw(t, "weights")})
	}
	return c
}

func TestWeightsAreShares(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		c := anyCurriculum(t)
		sum := 0.0
		for _, w := range c.Weights(rapid.Int64Range(0, 1000).Draw(t, "step")) {
			if !(w >= 0) {
				t.Fatalf("weight %v", w)
			}
			sum += w
		}
		if !(math.Abs(sum-1) < 1e-12) {
			t.Fatalf("the weights sum to %v", sum)
		}
	})
}

// A stage's peak is what looking at every step finds, 0 for those that no step draws from.
func TestPeaksAreThoseOfEveryStep(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		c, steps := anyCurriculum(t), rapid.Int64Range(1, 400).Draw(t, "steps")
		want := make([]float64, c.Stages())
		for step := range steps {
			for i, w := range c.Weights(step) {
				want[i] = max(want[i], w)
			}
		}
		for i, peak := range c.Peaks(steps) {
			if math.Abs(peak.Weight-want[i]) > 1e-8 || peak.Step >= steps || c.Weights(peak.Step)[i] < peak.Weight && peak.Weight > 0 {
				t.Fatalf("stage %d: peak %+v, want weight %v", i, peak, want[i])
			}
		}
	})
}

// In a run too long to look at every step, a weight that is not 0 for a few steps only is found.
func TestPeaksOfLongRunsMissNoStage(t *testing.T) {
	long := int64(1_000_000_000)
	points := []Point{{0, []float64{1, 0}}, {499_999_999, []float64{1, 0}}, {500_000_000, []float64{1, 1}}, {500_000_001, []float64{1, 0}}}
	for name, c := range map[string]*Curriculum{
		"a point":   {Schedule: "piecewise", Points: points},
		"a trace":   {Schedule: "piecewise", Points: []Point{{0, []float64{1e9, 0.5}}}},
		"a segment": {Schedule: "step", Difficulties: []float64{1, 2}, TotalSteps: 2*long - 4},
	} {
		for i, p := range c.Peaks(long) {
			if p.Weight == 0 {
				t.Errorf("%s: stage %d weighs nothing", name, i)
			}
		}
	}
	if p := (&Curriculum{Schedule: "step", Difficulties: []float64{1, 2}, TotalSteps: 2 * long}).Peaks(long); p[0].Weight != 1 || p[1].Weight != 0 {
		t.Errorf("half of a curriculum reaches %+v", p)
	}
}
