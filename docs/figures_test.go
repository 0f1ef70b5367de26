package docs

// Figures of the guides that follow from formulas, in the tables of both languages.

import (
	"fmt"
	"strings"
	"testing"

	"frugal/trainer/config"
	"frugal/trainer/monitor"
)

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

// The table of docs/presets.md is computed; that the formulas are the program's shows in what it prints for 4gb and 6gb.
func TestThePresetsMemoryIsAsComputed(t *testing.T) {
	shown := ""
	for _, b := range readPage(t, "presets.md").blocks {
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

// The first table says what the presets fill in.
func TestThePresetsSizesAreTheirs(t *testing.T) {
	for column, preset := range []string{"4gb", "6gb", "8gb", "large"} {
		c, _, err := config.Load(config.LoadOptions{Set: []string{"preset=" + preset}})
		if err != nil {
			t.Fatal(err)
		}
		for row, want := range map[string]any{"`hidden_size`": c.HiddenSize, "`num_layers`, `num_heads`": c.NumLayers, "`intermediate_size`": c.IntermediateSize,
			"`max_position_embeddings`": c.MaxPositionEmbeddings, "`batch_size`": c.BatchSize, "`gradient_accumulation_steps`": c.GradientAccumulationSteps,
			"`gradient_checkpointing`": c.GradientCheckpointing} {
			for _, name := range []string{"presets.md", "presets.pt-BR.md"} {
				if got := cell(t, name, row, column+1); got != fmt.Sprint(want) {
					t.Errorf("%s: %s of %s: %s, want %v", name, row, preset, got, want)
				}
			}
		}
		if c.NumHeads != c.NumLayers {
			t.Errorf("%s: %d heads in %d layers: the pages have one row for both", preset, c.NumHeads, c.NumLayers)
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
