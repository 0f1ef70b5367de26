package main

// Repetitions: what counts as one, and its figures.

import (
	"bytes"
	"errors"
	"math"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"
)

// repeated makes runs of two rates with two seeds each, and their evaluation losses.
func repeated(t *testing.T) (runs []*run) {
	t.Helper()
	root := t.TempDir()
	for _, x := range []struct {
		name       string
		rate, loss float64
		seed       int
	}{
		{"learning_rate=0.001,seed=1", 1e-3, 3, 1}, {"learning_rate=0.002,seed=1", 2e-3, 2, 1},
		{"learning_rate=0.001,seed=2", 1e-3, 4, 2}, {"learning_rate=0.002,seed=2", 2e-3, 2.5, 2},
	} {
		var m metrics
		m.started(0, map[string]any{"learning_rate": x.rate, "seed": x.seed, "output_dir": x.name})
		m.line("eval", 10, "loss", x.loss+1)
		m.line("eval", 20, "loss", x.loss)
		if x.seed == 2 {
			m.line("eval", 30, "loss", x.loss) // the other has no such step
		}
		m.line("run", 30, "status", "complete")
		dir := filepath.Join(root, x.name)
		if err := os.MkdirAll(dir, 0o777); err != nil {
			t.Fatal(err)
		}
		if err := os.WriteFile(filepath.Join(dir, "metrics.jsonl"), []byte(m.String()), 0o666); err != nil {
			t.Fatal(err)
		}
		runs = append(runs, must(openRun(dir))(t))
	}
	nameRuns(runs)
	return runs
}

func TestRunsThatDifferInTheSeedAloneAreOneGroup(t *testing.T) {
	groups := must(groupRuns(repeated(t), "seed"))(t)
	grid, _ := groupGrid(groups)
	if want := []string{"learning_rate=0.001", "2", "complete", absent, "3.5000 (3.0000–4.0000)"}; !slices.Equal(grid[1][:5], want) {
		t.Errorf("%q, want %q", grid[1][:5], want)
	}
	if want := []string{"learning_rate=0.002", "2", "complete", absent, "2.2500 (2.0000–2.5000)"}; !slices.Equal(grid[2][:5], want) {
		t.Errorf("%q, want %q", grid[2][:5], want)
	}
}

func TestAGroupsCurveIsTheMeanAtTheStepsThatAllHave(t *testing.T) {
	groups := must(groupRuns(repeated(t), "seed"))(t)
	lines := groupLines(chart{tags: []string{"eval/loss"}}, groups, 0.6)
	if len(lines) != 4 { // two areas, two means
		t.Fatalf("%d lines", len(lines))
	}
	if band := lines[0]; !slices.Equal(band.values, []float64{4, 5, 3, 4}) || !slices.Equal(band.steps, []int64{10, 10, 20, 20}) {
		t.Errorf("area %v at %v", band.values, band.steps)
	}
	if mean := lines[2]; mean.name != "learning_rate=0.001" || !slices.Equal(mean.values, []float64{4.5, 3.5}) || !slices.Equal(mean.steps, []int64{10, 20}) {
		t.Errorf("%s: %v at %v", mean.name, mean.values, mean.steps)
	}
	if files := must(drawPictures(t.TempDir(), groups[0].runs, groups, 0.6))(t); len(files) != 1 {
		t.Errorf("%d pictures", len(files))
	}
}

func TestGroupsAreNamedByWhatTheyShare(t *testing.T) {
	for first, want := range map[string]string{
		"lr=1,seed=2": "lr=1", "seed=2": "seed=2", "linear/runs/seed=1": "linear", "plain-1": "plain-1", "a/seed=1,lr=2": "a/lr=2",
	} {
		groups := []group{{runs: []*run{{name: first}}}}
		if nameGroups(groups, "seed"); groups[0].name != want {
			t.Errorf("%s: %s, want %s", first, groups[0].name, want)
		}
	}
}

func TestARunWithoutTheKeyIsNamed(t *testing.T) {
	var m metrics
	m.started(0, map[string]any{"learning_rate": 1})
	var use *usageError
	if _, err := groupRuns([]*run{m.in(t, "a")}, "sead"); !errors.As(err, &use) || !strings.Contains(err.Error(), "has no key sead") {
		t.Error(err)
	}
}

func TestATableAsMarkdown(t *testing.T) {
	dirs := []string{"-over", "seed", "-markdown"}
	for _, r := range repeated(t) {
		dirs = append(dirs, r.dir)
	}
	var out, errs bytes.Buffer
	if code := command(dirs, &out, &errs); code != 0 {
		t.Fatalf("%d: %s", code, errs.String())
	}
	lines := strings.Split(out.String(), "\n")
	if !strings.HasPrefix(lines[0], "| run | runs | status | train loss | eval loss |") || !strings.HasPrefix(lines[1], "| --- | ---: | --- | ---: |") ||
		!strings.HasPrefix(lines[2], `| learning\_rate=0.001 | 2 | complete |`) {
		t.Errorf("%s", out.String())
	}
	if spread, _ := spread([]*curve{{[]int64{1}, []float64{math.Inf(1)}}}); len(spread.steps) != 1 {
		t.Error("a value that is not finite is lost")
	}
}
