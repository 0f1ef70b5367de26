package docs

// Figures of the guides that follow from the configuration, in the tables of both languages. Those of memory are held by the
// package that plans it: TestThePresetsPageHasThePlan.

import (
	"fmt"
	"strings"
	"testing"

	"frugal/trainer/config"
)

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
