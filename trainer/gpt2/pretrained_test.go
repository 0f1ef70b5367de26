package gpt2

import (
	"bytes"
	"flag"
	"os"
	"path/filepath"
	"slices"
	"testing"

	"frugal/torch"
	"frugal/trainer/safetensors"
)

var writeTo = flag.String("write", "", "keep the model that TestAModelForFromPretrained writes in `DIR`, for scripts/golden_gpt2.py DIR")

func TestAModelForFromPretrained(t *testing.T) {
	onThread(t, func() {
		dir := *writeTo
		if dir == "" {
			dir = t.TempDir()
		} else if err := os.MkdirAll(dir, 0o755); err != nil {
			t.Fatal(err)
		}
		save := func(name string, b []byte) {
			if err := os.WriteFile(filepath.Join(dir, name), b, 0o644); err != nil {
				t.Fatal(err)
			}
		}
		g := openGolden(t, "odd")
		m := g.model(t, torch.CPU)
		defer m.Free()
		var weights, golden bytes.Buffer
		if err := safetensors.Write(&weights, map[string]string{"format": "pt"}, m.WeightSources()); err != nil {
			t.Fatal(err)
		}
		save("config.json", m.ConfigJSON(0))
		save("generation_config.json", GenerationConfigJSON(0))
		save("model.safetensors", weights.Bytes())
		ids := torch.FromInt64s(g.row(0), []int64{1, g.lengths[0]}, torch.CPU)
		logits := m.Logits(ids, torch.Float32)
		if err := safetensors.Write(&golden, nil, []safetensors.Source{
			source("input_ids", "I64", ids.Shape(), ids.Bytes()), source("logits", "F32", logits.Shape(), logits.Bytes()),
		}); err != nil {
			t.Fatal(err)
		}
		save("logits.safetensors", golden.Bytes())

		text, err := os.ReadFile(filepath.Join(dir, "config.json"))
		if err != nil {
			t.Fatal(err)
		}
		c, err := ParseConfig(text)
		if err != nil || c != g.Config {
			t.Fatalf("%+v, %v", c, err)
		}
		again := New(c, torch.CPU)
		defer again.Free()
		if err := again.LoadWeights(parse(t, weights.Bytes())); err != nil {
			t.Fatal(err)
		}
		if !again.Logits(ids, torch.Float32).Equal(logits) {
			t.Error("the logits differ after writing and reading")
		}
		if names := parse(t, weights.Bytes()).Names(); !slices.Equal(names, g.weights.Names()) {
			t.Errorf("the file holds %v, want %v", names, g.weights.Names())
		}
	})
}
