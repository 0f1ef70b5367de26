package main

// What is read of a metrics.jsonl, in whatever state it is.

import (
	"math"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
)

func FuzzReadEvents(f *testing.F) {
	var m metrics
	m.started(0, map[string]any{"learning_rate": 1e-3, "curriculum": map[string]any{"stages": []any{map[string]any{"name": "a"}}}})
	m.line("train", 5, "loss", math.NaN(), "tokens", 100, "curriculum_weights", map[string]any{"a": 1})
	m.line("eval", 5, "loss", 2.5)
	m.line("sample", 5, "prompt", "Era", "text", "Era uma vez")
	f.Add([]byte(m.String()))
	f.Add([]byte("{\"event\":\"train\",\"step\":5,\"loss\":\"NaN\"}\n\x00\x00{\"event\":1}\n[]\n{\"event\":\"run\",\"step\":1,\"status\":null,\"config\":[]"))
	f.Fuzz(func(t *testing.T, file []byte) {
		r := &run{dir: "fuzz", name: "fuzz", curves: map[string]*curve{}}
		damaged, err := readEvents(strings.NewReader(string(file)), r.take)
		if err != nil {
			t.Fatal(err) // a reader that does not fail
		}
		if lines := strings.Count(string(file), "\n") + 1; len(damaged) > lines {
			t.Fatalf("%d damaged lines of %d", len(damaged), lines)
		}
		for tag, c := range r.curves {
			if !slices.IsSorted(c.steps) || len(c.steps) != len(c.values) {
				t.Fatalf("%s: steps %v of %d values", tag, c.steps, len(c.values))
			}
		}
		r.settle(false)
		runs := []*run{r}
		page := must(newPage(options{}, runs, must(compare(runs))(t)))(t)
		page.Script, page.Style = "", "" // always the same, and long
		if err := pageTemplate.Execute(new(strings.Builder), page); err != nil {
			t.Fatal(err)
		}
		textGrid(runs)
	})
}

func TestLineBeyondTheLimitIsPassedOverAndTheNextRead(t *testing.T) {
	file := `{"event":"train","step":1,"x":"` + strings.Repeat("x", maxLine) + "\"}\n" + `{"event":"train","step":2,"loss":1}` + "\n"
	var steps []int64
	damaged, err := readEvents(strings.NewReader(file), func(e *event) { steps = append(steps, e.step) })
	if err != nil || len(damaged) != 1 || damaged[0].line != 1 || damaged[0].err.Error() != "longer than 16 MB" || !slices.Equal(steps, []int64{2}) {
		t.Errorf("damaged %v, steps %v, %v", damaged, steps, err)
	}
}

func TestNumbersAreReadAsTheyAreWritten(t *testing.T) {
	for text, want := range map[string]float64{
		"1.25": 1.25, "-0.0": math.Copysign(0, -1), "1e-320": 1e-320, "9007199254740993": 9007199254740993,
		`"Infinity"`: math.Inf(1), `"-Infinity"`: math.Inf(-1), "1e999": math.Inf(1),
	} {
		if x, ok := parseNumber([]byte(text)); !ok || math.Float64bits(x) != math.Float64bits(want) {
			t.Errorf("%s: %v, %v", text, x, ok)
		}
	}
	if x, ok := parseNumber([]byte(`"NaN"`)); !ok || !math.IsNaN(x) {
		t.Errorf("NaN: %v, %v", x, ok)
	}
	for _, text := range []string{`"nan"`, `"1"`, "null", "true", "[1]", "{}"} {
		if x, ok := parseNumber([]byte(text)); ok {
			t.Errorf("%s: %v, want no number", text, x)
		}
	}
}

// A kill, and a resume from step 10: what comes again counts, what came before it at those steps does not.
func TestRepeatedStepsCountOnce(t *testing.T) {
	var m metrics
	m.started(0, nil)
	m.line("train", 10, "loss", 3)
	m.line("train", 20, "loss", 2)
	m.started(10, nil)
	m.line("train", 20, "loss", 2.5)
	m.line("train", 30, "loss", 2.25)
	c := m.in(t, "a").curves["train/loss"]
	if !slices.Equal(c.steps, []int64{10, 20, 30}) || !slices.Equal(c.values, []float64{3, 2.5, 2.25}) {
		t.Errorf("%v %v", c.steps, c.values)
	}
}

func TestTimeLeavesOutThePausesBetweenSessions(t *testing.T) {
	var m metrics
	m.line("run", 0, "status", "started", "time", "2026-01-02T10:00:00.000Z")
	m.line("train", 5, "loss", 1, "time", "2026-01-02T10:00:30.000Z")
	m.line("run", 5, "status", "started", "time", "2026-01-03T10:00:00.000Z")
	m.line("train", 9, "loss", 1, "time", "2026-01-03T10:01:00.000Z")
	r := m.in(t, "a")
	if r.seconds() != 90*time.Second {
		t.Errorf("%v, want 90s", r.seconds())
	}
	if diff := cmp.Diff([]float64{30, 90}, r.clock.values); diff != "" {
		t.Error(diff)
	}
}

// What was drawn may be counts: they become shares. Shares stay as they are, to the last bit.
func TestCurriculumMixBecomesShares(t *testing.T) {
	var m metrics
	m.started(0, map[string]any{"curriculum": map[string]any{"stages": []any{map[string]any{"name": "late"}, map[string]any{"name": "early"}}}})
	m.line("train", 1, "curriculum_weights", map[string]any{"late": 0.1, "early": 0.9}, "curriculum_drawn", map[string]any{"early": 8})
	m.line("train", 2, "curriculum_weights", map[string]any{"late": 0.3, "early": 0.7}, "curriculum_drawn", map[string]any{"early": 6, "late": 2})
	r := m.in(t, "a")
	want := map[string][]float64{"planned late": {0.1, 0.3}, "planned early": {0.9, 0.7}, "drawn late": {0, 0.25}, "drawn early": {1, 0.75}}
	got := map[string][]float64{}
	var order []string
	for _, s := range mixOf(r, plannedMix) {
		got["planned "+s.stage] = s.values
		order = append(order, s.stage)
	}
	for _, s := range mixOf(r, drawnMix) {
		got["drawn "+s.stage] = s.values
	}
	if diff := cmp.Diff(want, got); diff != "" {
		t.Error(diff)
	}
	if !slices.Equal(order, []string{"late", "early"}) {
		t.Errorf("stages %v, want the configuration's order", order)
	}
}
