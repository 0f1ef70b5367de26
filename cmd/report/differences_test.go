package main

// The comparison of configurations.

import (
	"math"
	"slices"
	"testing"

	"github.com/google/go-cmp/cmp"
)

func TestComparisonShowsWhatDiffersAndMarksDefaults(t *testing.T) {
	var a, b metrics
	a.started(0, map[string]any{"batch_size": 4, "learning_rate": 5e-5, "output_dir": "a", "seed": 42,
		"data": map[string]any{"train": []string{"x.txt"}}, "tokenizer": map[string]any{"type": "byte"}})
	b.started(0, map[string]any{"batch_size": 8, "learning_rate": 5e-5, "output_dir": "b", "seed": 42, "new_key": true,
		"data": map[string]any{"train": []string{"x.txt", "y.txt"}}, "tokenizer": map[string]any{"type": "byte"}})
	runs := []*run{a.in(t, "a"), b.in(t, "b")}
	nameRuns(runs)
	c := must(compare(runs))(t)
	if want := []string{"batch_size", "data.train", "new_key"}; !slices.Equal(c.differing, want) {
		t.Errorf("differing %q, want %q", c.differing, want)
	}
	if want := []string{"learning_rate", "seed", "tokenizer.type"}; !slices.Equal(c.common, want) {
		t.Errorf("common %q, want %q", c.common, want)
	}
	var got [][]string
	for _, line := range c.table(runs) {
		var texts []string
		for _, x := range line {
			if x.Default {
				x.Text += " (default)"
			}
			texts = append(texts, x.Text)
		}
		got = append(got, texts)
	}
	// More keys than runs: the keys go down.
	want := [][]string{{"key", "a", "b"}, {"batch_size", "4 (default)", "8"}, {"data.train", `["x.txt"]`, `["x.txt","y.txt"]`}, {"new_key", "–", "true"}}
	if diff := cmp.Diff(want, got); diff != "" {
		t.Error(diff)
	}
}

func TestValuesAreComparedAsNumbers(t *testing.T) {
	for _, test := range []struct {
		a, b string
		want bool
	}{
		{"0.001", "1e-3", true}, {"1e-8", "1e-08", true}, {"1", "1.0", true}, {"1", "2", false}, {`"1"`, "1", false}, {`"a"`, `"a"`, true},
		{"18446744073709551615", "18446744073709551614", false},
	} {
		if got := same(test.a, test.b); got != test.want {
			t.Errorf("%s and %s: %v", test.a, test.b, got)
		}
	}
}

func TestChangesOnAResumeAreListed(t *testing.T) {
	var m metrics
	m.started(0, map[string]any{"learning_rate": 1e-3, "max_steps": 10, "resume": "auto"})
	m.started(10, map[string]any{"learning_rate": 1e-3, "max_steps": 20, "resume": "never"})
	if got := changes(m.in(t, "a")); !slices.Equal(got, []string{"max_steps: 10 → 20"}) {
		t.Errorf("%q", got)
	}
}

func TestBestOfSeveralRunsIsMarked(t *testing.T) {
	var runs []*run
	for _, loss := range []any{2.5, 1.5, math.NaN(), 1.5} {
		var m metrics
		m.started(0, nil)
		m.line("eval", 1, "loss", loss)
		runs = append(runs, m.in(t, "x"))
	}
	var got []bool
	for _, cells := range rows(runs) {
		got = append(got, cells[3].Best)
	}
	if want := []bool{false, true, false, true}; !slices.Equal(got, want) {
		t.Errorf("best %v, want %v", got, want)
	}
	if rows(runs[:1])[0][3].Best {
		t.Error("the only run is marked as the best")
	}
}
