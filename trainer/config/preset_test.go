package config

import (
	"fmt"
	"path/filepath"
	"strings"
	"testing"
)

func TestPresetFillsWhatNothingElseSets(t *testing.T) {
	c := mustLoad(t, LoadOptions{Set: []string{"preset=large", "num_layers=2"}})
	got := fmt.Sprint(c.HiddenSize, c.NumLayers, c.NumHeads, c.IntermediateSize, c.BatchSize, c.GradientAccumulationSteps, c.MaxPositionEmbeddings, c.GradientCheckpointing)
	if want := "768 2 12 3072 8 2 2048 false"; got != want {
		t.Errorf("got %s, want %s", got, want)
	}
	if c.LearningRate != Default().LearningRate {
		t.Error("a preset changed the learning rate")
	}
}

func TestPresetAutoGoesByTheCard(t *testing.T) {
	card := func(gb float64) func(string) (float64, bool, string) {
		return func(string) (float64, bool, string) { return gb, true, "" }
	}
	none := func(string) (float64, bool, string) { return 0, false, "no driver is loaded" }
	for _, test := range []struct {
		name string
		set  []string
		card func(string) (float64, bool, string)
		want string
	}{
		{"small card", nil, card(3.81), "preset 4gb: the card has 3.8 GiB"},
		{"exactly 4", nil, card(4), "preset 4gb: the card has 4.0 GiB"},
		{"6 GB card", nil, card(5.78), "preset 6gb: the card has 5.8 GiB"},
		{"8 GB card", nil, card(7.79), "preset 8gb: the card has 7.8 GiB"},
		{"above 8 GB", nil, card(11.6), "preset large: the card has 11.6 GiB"},
		{"no card", nil, none, "preset 4gb: no card: no driver is loaded, so the smallest preset"},
		{"nobody to ask", nil, nil, "preset 4gb: no card was looked for, so the smallest preset"},
		{"CPU asked for", []string{"device=cpu"}, card(24), "preset 4gb: device is cpu, so the smallest preset"},
	} {
		t.Run(test.name, func(t *testing.T) {
			c, choices, err := Load(LoadOptions{Set: append([]string{"preset=auto"}, test.set...), CardMemoryGB: test.card})
			if err != nil {
				t.Fatal(err)
			}
			if len(choices) != 1 || choices[0].String() != test.want {
				t.Errorf("got %v, want %s", choices, test.want)
			}
			if got := c.Origin("hidden_size").String(); got != "preset "+choices[0].Value || c.HiddenSize != presets[choices[0].Value]["hidden_size"] {
				t.Errorf("hidden_size %d comes from %s", c.HiddenSize, got)
			}
		})
	}
}

func TestCardIsAskedOnlyForPresetAuto(t *testing.T) {
	ask := func(string) (float64, bool, string) { t.Error("the card was asked"); return 0, false, "" }
	for _, set := range [][]string{nil, {"preset=4gb"}, {"preset=auto", "device=cpu"}} {
		if _, _, err := Load(LoadOptions{Set: set, CardMemoryGB: ask}); err != nil {
			t.Error(err)
		}
	}
}

func TestPresetFilesEqualThePresets(t *testing.T) {
	for name := range presets {
		file := filepath.Join("..", "..", "configs", "preset-"+name+".yaml")
		spelledOut, preset := mustLoad(t, LoadOptions{Path: file}), mustLoad(t, LoadOptions{Set: []string{"preset=" + name}})
		for _, k := range keys {
			written := spelledOut.Origin(k.name).Layer == LayerFile
			if _, sized := presets[name][k.name]; sized && !written {
				t.Errorf("%s does not set %s", file, k.name)
			}
			same := fmt.Sprint(spelledOut.field(k.name)) == fmt.Sprint(preset.field(k.name))
			if place := strings.HasSuffix(k.name, "_dir"); !same && !place && k.name != "preset" {
				t.Errorf("%s: %s is %v, the preset makes it %v", file, k.name, spelledOut.field(k.name), preset.field(k.name))
			}
		}
	}
}
