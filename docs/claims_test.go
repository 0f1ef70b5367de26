//go:build !race

package docs

// What the guides say of their runs in words, checked on the runs themselves.

import (
	"encoding/json"
	"fmt"
	"math"
	"path/filepath"
	"strconv"
	"strings"
	"testing"
)

// claims are checked after a guide's commands, in the directory in which they ran.
var claims = map[string]func(t *testing.T, dir string, p page){
	"mixed-precision":       checkPrecisions,
	"gradient-accumulation": checkAccumulation,
	"memory-and-speed":      checkTable,
	"cluster":               checkProcesses,
}

// trainLine is what the claims need of a train line of metrics.jsonl.
type trainLine struct {
	Event        string
	Step         int
	Loss         float64
	LearningRate float64 `json:"learning_rate"`
	GradNorm     float64 `json:"grad_norm"`
	LossScale    float64 `json:"loss_scale"`
	Skipped      int     `json:"skipped_updates"`
	Tokens       int
}

func trainLines(t *testing.T, dir, run string) (lines []trainLine) {
	t.Helper()
	for line := range strings.Lines(read(t, filepath.Join(dir, "output", run, "metrics.jsonl"))) {
		var l trainLine
		if json.Unmarshal([]byte(line), &l) == nil && l.Event == "train" {
			lines = append(lines, l)
		}
	}
	if len(lines) == 0 {
		t.Fatalf("%s: no train lines", run)
	}
	return lines
}

// checkPrecisions: the three precisions learn alike; the scale falls by half with each skipped update, which repeats rate and
// norm, and doubles after exactly 2000 others.
func checkPrecisions(t *testing.T, dir string, _ page) {
	last := func(run string) float64 { lines := trainLines(t, dir, run); return lines[len(lines)-1].Loss }
	for _, precision := range []string{"bf16", "fp16"} {
		if d := math.Abs(last(precision)/last("fp32") - 1); d > 0.03 {
			t.Errorf("%s ends %.1f%% from fp32", precision, 100*d)
		}
	}
	lines := trainLines(t, dir, "scale")
	falls, rises, changed := 0, 0, 0
	for i := 1; i < len(lines); i++ {
		was, is := lines[i-1], lines[i]
		switch {
		case is.Skipped == was.Skipped+1 && is.LossScale == was.LossScale/2 && is.LearningRate == was.LearningRate && is.GradNorm == was.GradNorm:
			falls, changed = falls+1, is.Step
		case is.Skipped == was.Skipped && is.LossScale == 2*was.LossScale && is.Step == changed+2000:
			rises, changed = rises+1, is.Step
		case is.Skipped != was.Skipped || is.LossScale != was.LossScale:
			t.Errorf("step %d: %+v after %+v", is.Step, is, was)
		}
	}
	if falls == 0 || rises == 0 {
		t.Errorf("the scale fell %d times and rose %d times: the page shows both", falls, rises)
	}
}

// checkAccumulation: every grouping of the eight rows has the same losses, of rows of equal and of unequal length.
func checkAccumulation(t *testing.T, dir string, _ page) {
	for _, rows := range []string{"packed", "lines"} {
		reference := trainLines(t, dir, rows+"-8")
		for _, size := range []int{4, 2, 1} {
			for i, l := range trainLines(t, dir, fmt.Sprintf("%s-%d", rows, size)) {
				if d := math.Abs(l.Loss/reference[i].Loss - 1); d > 1e-6 || l.Tokens != reference[i].Tokens {
					t.Errorf("%s-%d, step %d: loss %v after %d tokens, %v after %d with 8 rows at once", rows, size, l.Step, l.Loss, l.Tokens, reference[i].Loss, reference[i].Tokens)
				}
			}
		}
	}
	if tokens := trainLines(t, dir, "lines-8")[0].Tokens; tokens%8 == 0 && tokens == trainLines(t, dir, "packed-8")[0].Tokens {
		t.Error("the lines are as long as the packed rows: the page shows nothing")
	}
}

// checkTable: each setting whose plan is shown has a row with the same activations. Of times only what is far apart is compared,
// since a test does not have the machine to itself.
func checkTable(t *testing.T, dir string, _ page) {
	var small, large float64
	for line := range strings.Lines(read(t, filepath.Join(dir, "output", "measure.txt"))) {
		fields := strings.Split(strings.TrimSpace(line), "|")
		settings, activations, seconds := fields[0], fields[2], fields[6]
		for _, name := range []string{"memory-and-speed.md", "memory-and-speed.pt-BR.md"} {
			if got := cell(t, name, "`"+settings+"`", 1); plain(got) != plain(activations) {
				t.Errorf("%s: %s: activations %s, printed %s", name, settings, got, activations)
			}
		}
		took, err := strconv.ParseFloat(strings.TrimSuffix(seconds, "s"), 64)
		if err != nil {
			t.Fatal(err)
		}
		switch settings {
		case "batch_size=2":
			small = took
		case "tokenizer.type=gpt2":
			large = took
		}
	}
	if !(large > small && small > 0) {
		t.Errorf("a step with GPT-2's vocabulary took %gs, one of half the rows without it %gs", large, small)
	}
}

// checkProcesses: two processes have one's losses.
func checkProcesses(t *testing.T, dir string, _ page) {
	for i, l := range trainLines(t, dir, "one") {
		if two := trainLines(t, dir, "two")[i]; two.Tokens != l.Tokens || math.Abs(two.Loss/l.Loss-1) > 1e-6 {
			t.Errorf("step %d: loss %v after %d tokens by two processes, %v after %d by one", l.Step, two.Loss, two.Tokens, l.Loss, l.Tokens)
		}
	}
}
