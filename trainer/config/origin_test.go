package config

import "testing"

func TestArchitectureOverridesPresetAndContradictsTheUser(t *testing.T) {
	a := Architecture{50257, 768, 12, 12, 3072, 1024}
	c := mustLoad(t, LoadOptions{Set: []string{"init_from=gpt2", "preset=4gb", "vocab_size=0", "num_heads=12", "hidden_size=768"}})
	if err := c.SetArchitecture(a, "gpt2/config.json"); err != nil {
		t.Fatal(err)
	}
	got := Architecture{c.VocabSize, c.HiddenSize, c.NumLayers, c.NumHeads, c.IntermediateSize, c.MaxPositionEmbeddings}
	if got != a || c.BatchSize != 1 || c.Origin("num_layers").String() != "gpt2/config.json" || c.Origin("num_heads").String() != "-set" {
		t.Errorf("got %+v, batch_size %d, num_layers from %s", got, c.BatchSize, c.Origin("num_layers"))
	}
	c = mustLoad(t, LoadOptions{Set: []string{"init_from=gpt2", "num_layers=6", "vocab_size=50304"}})
	want := "-set: vocab_size: 50304: gpt2/config.json has 50257; leave the key out\n-set: num_layers: 6: gpt2/config.json has 12; leave the key out"
	if got := messages(t, c.SetArchitecture(a, "gpt2/config.json")); got != want {
		t.Errorf("got %q, want %q", got, want)
	}
	if c.HiddenSize != 384 {
		t.Error("the architecture was taken over in part")
	}
}
