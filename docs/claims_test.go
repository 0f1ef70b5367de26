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

	"frugal/trainer/config"
	"frugal/trainer/monitor"
)

// claims are checked after a guide's commands, in the directory in which they ran.
var claims = map[string]func(t *testing.T, dir string, p page){
	"mixed-precision":       checkPrecisions,
	"gradient-accumulation": checkAccumulation,
	"presets":               checkPlans,
	"memory-and-speed":      checkTable,
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

const gpt2Vocabulary = 50257

// plan is what -dry-run estimates in 16-bit precision with GPT-2's vocabulary, by the formulas of trainer/dryrun.go and
// trainer/gpt2: parameters, then bytes of weights, gradients, optimizer, activations, head, and their sum.
func plan(c *config.TrainingConfig) []int64 {
	C, inner, L, V := int64(c.HiddenSize), int64(c.IntermediateSize), int64(c.NumLayers), int64(gpt2Vocabulary)
	tokens := int64(c.BatchSize) * int64(c.MaxPositionEmbeddings)
	const width = 2
	parameters := (V+int64(c.MaxPositionEmbeddings))*C + L*(4*C+C*3*C+3*C+C*C+C+2*C*inner+inner+C) + 2*C
	block := tokens * (4*4*C + 2*C*width + (5*C+2*inner)*width)
	activations := L*block + tokens*4*C
	if c.GradientCheckpointing {
		activations = block + (L+1)*tokens*4*C
	}
	rows := min(tokens, max(128, (1<<24)/V))
	head := rows*V*(4+2*width) + tokens*C*12 + V*C*width
	return []int64{parameters, 4 * parameters, 4 * parameters, 8 * parameters, activations, head, 16*parameters + activations + head}
}

// rows of the presets' table, as the pages call them.
var planRows = [][2]string{{"parameters", "parâmetros"}, {"weights", "pesos"}, {"gradients", "gradientes"}, {"optimizer", "otimizador"},
	{"activations", "ativações"}, {"head", "cabeça"}, {"sum", "soma"}}

// checkPlans computes the table of both pages; that the formulas are the program's shows in the blocks for 4gb and 6gb.
func checkPlans(t *testing.T, _ string, p page) {
	shown := ""
	for _, b := range p.blocks {
		shown += b.text
	}
	for column, preset := range []string{"4gb", "6gb", "8gb", "large"} {
		c, _, err := config.Load(config.LoadOptions{Set: []string{"preset=" + preset}})
		if err != nil {
			t.Fatal(err)
		}
		for row, value := range plan(c) {
			want := monitor.FormatCount(value)
			if row > 0 {
				want = monitor.FormatBytes(value)
			}
			for language, name := range []string{"presets.md", "presets.pt-BR.md"} {
				if got := cell(t, name, planRows[row][language], column+1); plain(got) != plain(want) {
					t.Errorf("%s: %s of %s: %s, computed %s", name, planRows[row][language], preset, got, want)
				}
			}
			if column < 2 && !strings.Contains(shown, want) {
				t.Errorf("the program does not print %s, the %s of %s", want, planRows[row][0], preset)
			}
		}
	}
}

// plain is a figure without the separators in which English and Portuguese differ.
func plain(figure string) string { return strings.NewReplacer(",", "", ".", "").Replace(figure) }

// cell is the cell in that column of the table row that begins with name.
func cell(t *testing.T, file, name string, column int) string {
	t.Helper()
	for _, line := range readPage(t, file).prose {
		if cells := strings.Split(strings.Trim(line, "| "), " | "); cells[0] == name && len(cells) > column {
			return cells[column]
		}
	}
	t.Fatalf("%s: no row %s", file, name)
	return ""
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
