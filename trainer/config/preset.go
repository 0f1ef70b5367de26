package config

// Presets: sizes that suit a card's memory, for the keys that nothing else sets.

import (
	"fmt"
	"strings"
)

var presetNames = []string{"", "4gb", "6gb", "8gb", "large", "auto"}

// presets holds what each preset fills in. large is for cards above 8 GB.
var presets = map[string]map[string]any{
	"4gb":   sizes(256, 4, 4, 1024, 1, 16, 512, true),
	"6gb":   sizes(384, 6, 6, 1536, 2, 8, 1024, true),
	"8gb":   sizes(512, 8, 8, 2048, 4, 4, 1024, true),
	"large": sizes(768, 12, 12, 3072, 8, 2, 2048, false),
}

func sizes(hidden, layers, heads, intermediate, batch, accumulation, positions int, checkpointing bool) map[string]any {
	return map[string]any{
		"hidden_size": hidden, "num_layers": layers, "num_heads": heads, "intermediate_size": intermediate,
		"batch_size": batch, "gradient_accumulation_steps": accumulation,
		"max_position_embeddings": positions, "gradient_checkpointing": checkpointing,
	}
}

// Choice is a value that was chosen automatically, and why.
type Choice struct{ Key, Value, Reason string }

func (c Choice) String() string { return c.Key + " " + c.Value + ": " + c.Reason }

// choosePreset is preset: auto. A card reports a little less than its nominal size, so that 4, 6 and 8 are upper bounds.
func choosePreset(device string, cardMemoryGB func(device string) (gb float64, ok bool, why string)) Choice {
	smallest := func(reason string) Choice {
		return Choice{Key: "preset", Value: "4gb", Reason: reason + ", so the smallest preset"}
	}
	if device == "cpu" {
		return smallest("device is cpu")
	}
	if cardMemoryGB == nil {
		return smallest("no card was looked for")
	}
	gb, ok, why := cardMemoryGB(device)
	if !ok {
		return smallest(strings.TrimSuffix("no card: "+why, ": "))
	}
	name := "large"
	switch {
	case gb <= 4:
		name = "4gb"
	case gb <= 6:
		name = "6gb"
	case gb <= 8:
		name = "8gb"
	}
	return Choice{Key: "preset", Value: name, Reason: fmt.Sprintf("the card has %.1f GiB", gb)}
}
