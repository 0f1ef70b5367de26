package gpt2

import (
	"encoding/json"
	"strings"
	"testing"
)

func TestParseConfigReadsWhatHuggingFaceWrites(t *testing.T) {
	for name, want := range map[string]Config{
		"odd":     {211, 30, 2, 3, 77, 19, 1e-5, 0, false},
		"gelu":    {97, 20, 3, 5, 80, 11, 1e-3, 0, true},
		"onehead": {301, 15, 1, 1, 8, 8, 1e-5, 0, false},
	} {
		if got, err := ParseConfig(readFile(t, name, "config.json")); err != nil || got != want {
			t.Errorf("%s: %+v, %v, want %+v", name, got, err, want)
		}
	}
	unread := `{"bos_token_id": [1], "eos_token_id": [50256, 1], "n_ctx": "x", "resid_pdrop": 1.0, "use_cache": 0, "architectures": null}`
	if got, err := ParseConfig([]byte(unread)); err != nil || got.HiddenSize != 768 {
		t.Errorf("keys that decide nothing: %+v, %v", got, err)
	}
	if got, err := ParseConfig([]byte(`{}`)); err != nil || got.NumParameters() != 124_439_808 {
		t.Errorf("GPT2Config's defaults are %+v, %v", got, err)
	}
}

func TestConfigComesBackFromItsJSON(t *testing.T) {
	for _, c := range []Config{tiny, presetConfig, {97, 20, 3, 5, 80, 11, 1e-3, 0, true}} {
		for _, end := range []int{-1, 0, 50256} {
			text := c.ConfigJSON(end)
			if got, err := ParseConfig(text); err != nil || got != c {
				t.Errorf("%+v comes back as %+v, %v", c, got, err)
			}
			var h hfConfig
			if err := json.Unmarshal(text, &h); err != nil || (h.EosTokenID != nil) != (end >= 0) || h.EosTokenID != nil && *h.EosTokenID != end {
				t.Errorf("end token %d: %v in %s", end, err, text)
			}
		}
	}
}

func TestParseConfigSaysWhatIsWrong(t *testing.T) {
	for _, c := range []struct{ text, want string }{
		{``, "not a model configuration"},
		{`[]`, "not a model configuration"},
		{`{"n_embd": "768"}`, "n_embd"},
		{`{"n_layer": 1.5}`, "n_layer"},
		{`{"model_type": "llama"}`, `model_type is "llama", want "gpt2"`},
		{`{"n_embd": 100, "n_head": 12}`, "n_embd 100 is not a multiple of n_head 12"},
		{`{"n_head": 0}`, "n_head is 0, want 1 to 2147483647"},
		{`{"n_embd": -768}`, "n_embd is -768, want 1 to 2147483647"},
		{`{"vocab_size": 0}`, "vocab_size is 0"},
		{`{"vocab_size": 99999999999}`, "vocab_size is 99999999999"},
		{`{"n_layer": 0}`, "n_layer is 0"},
		{`{"n_inner": 0}`, "n_inner is 0"},
		{`{"n_positions": -1}`, "n_positions is -1"},
		{`{"layer_norm_epsilon": 0}`, "layer_norm_epsilon is 0, want a positive number"},
		{`{"activation_function": "relu"}`, `activation_function is "relu"`},
		{`{"scale_attn_weights": false}`, "scale_attn_weights is false"},
		{`{"scale_attn_by_inverse_layer_idx": true}`, "scale_attn_by_inverse_layer_idx is true"},
		{`{"reorder_and_upcast_attn": true}`, "reorder_and_upcast_attn is true"},
		{`{"tie_word_embeddings": false}`, "tie_word_embeddings is false"},
		{`{"add_cross_attention": true}`, "add_cross_attention is true"},
		{`{"n_layer": [12]}`, "n_layer is of the type array, want a whole number"},
	} {
		got, err := ParseConfig([]byte(c.text))
		if err == nil || !strings.Contains(err.Error(), c.want) {
			t.Errorf("%s: %+v, error %v, want %q", c.text, got, err, c.want)
		} else if strings.Contains(err.Error(), "\n") {
			t.Errorf("%s: %q is more than one line", c.text, err)
		}
	}
}
