package gpt2

// Hugging Face's names and files: config.json both ways, tensor names.

import (
	"encoding/json"
	"errors"
	"fmt"
	"math"
	"reflect"
	"strings"
)

func isLayerNormWeight(name string) bool {
	return strings.HasSuffix(name, ".weight") && (strings.Contains(name, ".ln_"))
}

// isResidualProjection: attn.c_proj and mlp.c_proj write into the residual stream.
func isResidualProjection(name string) bool { return strings.HasSuffix(name, ".c_proj.weight") }

// hfArchitecture is the part of GPT2Config that decides the computation: all that is read.
type hfArchitecture struct {
	ModelType         string  `json:"model_type"`
	VocabSize         int     `json:"vocab_size"`
	NPositions        int     `json:"n_positions"`
	NEmbd             int     `json:"n_embd"`
	NLayer            int     `json:"n_layer"`
	NHead             int     `json:"n_head"`
	NInner            *int    `json:"n_inner"`
	Activation        string  `json:"activation_function"`
	LayerNormEpsilon  float64 `json:"layer_norm_epsilon"`
	ScaleAttnWeights  bool    `json:"scale_attn_weights"`
	ScaleByLayer      bool    `json:"scale_attn_by_inverse_layer_idx"`
	ReorderUpcast     bool    `json:"reorder_and_upcast_attn"`
	TieWordEmbeddings bool    `json:"tie_word_embeddings"`
	AddCrossAttention bool    `json:"add_cross_attention"`
}

// hfConfig adds what else from_pretrained likes to find.
type hfConfig struct {
	Architectures []string `json:"architectures"`
	hfArchitecture
	NCtx             int     `json:"n_ctx"`
	EmbdPdrop        float64 `json:"embd_pdrop"`
	AttnPdrop        float64 `json:"attn_pdrop"`
	ResidPdrop       float64 `json:"resid_pdrop"`
	InitializerRange float64 `json:"initializer_range"`
	BosTokenID       *int    `json:"bos_token_id"`
	EosTokenID       *int    `json:"eos_token_id"`
	DType            string  `json:"dtype"`
	TorchDType       string  `json:"torch_dtype"`
	UseCache         bool    `json:"use_cache"`
}

// ConfigJSON is config.json for from_pretrained. endToken < 0: the tokenizer has none.
func (c Config) ConfigJSON(endToken int) []byte {
	activation := "gelu_new"
	if c.ExactGELU {
		activation = "gelu"
	}
	h := hfConfig{
		Architectures: []string{"GPT2LMHeadModel"},
		hfArchitecture: hfArchitecture{
			ModelType: "gpt2", VocabSize: c.VocabSize, NPositions: c.MaxPositionEmbeddings, NEmbd: c.HiddenSize, NLayer: c.NumLayers,
			NHead: c.NumHeads, NInner: &c.IntermediateSize, Activation: activation, LayerNormEpsilon: c.LayerNormEpsilon,
			ScaleAttnWeights: true, TieWordEmbeddings: true,
		},
		NCtx: c.MaxPositionEmbeddings, EmbdPdrop: c.Dropout, AttnPdrop: c.Dropout, ResidPdrop: c.Dropout, InitializerRange: 0.02,
		DType: "float32", TorchDType: "float32", UseCache: true,
	}
	if endToken >= 0 {
		h.BosTokenID, h.EosTokenID = &endToken, &endToken
	}
	return indented(h)
}

// GenerationConfigJSON is generation_config.json for generate.
func GenerationConfigJSON(endToken int) []byte {
	g := map[string]any{"_from_model_config": true}
	if endToken >= 0 {
		g["bos_token_id"], g["eos_token_id"], g["pad_token_id"] = endToken, endToken, endToken
	}
	return indented(g)
}

func indented(v any) []byte {
	b, err := json.MarshalIndent(v, "", "  ")
	if err != nil {
		panic(err) // the values above always marshal
	}
	return append(b, '\n')
}

// ParseConfig reads a config.json of Hugging Face's GPT2Config. A setting that this model does not compute is an error. The rates
// of dropout, which decide nothing about the weights, are not taken: Dropout is 0.
func ParseConfig(text []byte) (Config, error) {
	h := hfArchitecture{ // GPT2Config's own defaults
		ModelType: "gpt2", VocabSize: 50257, NPositions: 1024, NEmbd: 768, NLayer: 12, NHead: 12, Activation: "gelu_new",
		LayerNormEpsilon: 1e-5, ScaleAttnWeights: true, TieWordEmbeddings: true,
	}
	var wrong *json.UnmarshalTypeError
	switch err := json.Unmarshal(text, &h); {
	case errors.As(err, &wrong) && wrong.Field != "":
		return Config{}, fmt.Errorf("%s is of the type %s, want %s", wrong.Field, wrong.Value, jsonName(wrong.Type))
	case err != nil:
		return Config{}, fmt.Errorf("not a model configuration: %w", err)
	}
	c := Config{
		VocabSize: h.VocabSize, HiddenSize: h.NEmbd, NumLayers: h.NLayer, NumHeads: h.NHead, IntermediateSize: 4 * h.NEmbd,
		MaxPositionEmbeddings: h.NPositions, LayerNormEpsilon: h.LayerNormEpsilon, ExactGELU: h.Activation == "gelu",
	}
	if h.NInner != nil {
		c.IntermediateSize = *h.NInner
	}
	return c, h.problem(c)
}

// jsonName is what JSON calls a value of the type.
func jsonName(t reflect.Type) string {
	switch t.Kind() {
	case reflect.Pointer:
		return jsonName(t.Elem())
	case reflect.Int:
		return "a whole number"
	case reflect.Float64:
		return "a number"
	case reflect.Bool:
		return "true or false"
	}
	return "a " + t.Kind().String()
}

func (h hfArchitecture) problem(c Config) error {
	switch {
	case h.ModelType != "gpt2":
		return fmt.Errorf("model_type is %q, want \"gpt2\"", h.ModelType)
	case h.Activation != "gelu_new" && h.Activation != "gelu_pytorch_tanh" && h.Activation != "gelu":
		return fmt.Errorf("activation_function is %q, want \"gelu_new\", \"gelu_pytorch_tanh\" or \"gelu\"", h.Activation)
	case !h.ScaleAttnWeights:
		return fmt.Errorf("scale_attn_weights is false: attention without 1/√d is not supported")
	case h.ScaleByLayer:
		return fmt.Errorf("scale_attn_by_inverse_layer_idx is true, which is not supported")
	case h.ReorderUpcast:
		return fmt.Errorf("reorder_and_upcast_attn is true, which is not supported")
	case h.AddCrossAttention:
		return fmt.Errorf("add_cross_attention is true, which is not supported")
	case !h.TieWordEmbeddings:
		return fmt.Errorf("tie_word_embeddings is false: only the tied output is supported")
	}
	return c.Check()
}

// Check says what is impossible about an architecture.
func (c Config) Check() error {
	for _, s := range []struct {
		name  string
		value int
	}{{"vocab_size", c.VocabSize}, {"n_embd", c.HiddenSize}, {"n_layer", c.NumLayers}, {"n_head", c.NumHeads},
		{"n_inner", c.IntermediateSize}, {"n_positions", c.MaxPositionEmbeddings}} {
		if s.value < 1 || s.value > math.MaxInt32 {
			return fmt.Errorf("%s is %d, want 1 to %d", s.name, s.value, math.MaxInt32)
		}
	}
	if c.HiddenSize%c.NumHeads != 0 {
		return fmt.Errorf("n_embd %d is not a multiple of n_head %d", c.HiddenSize, c.NumHeads)
	}
	if !(c.LayerNormEpsilon > 0) {
		return fmt.Errorf("layer_norm_epsilon is %v, want a positive number", c.LayerNormEpsilon)
	}
	if !(c.Dropout >= 0 && c.Dropout < 1) {
		return fmt.Errorf("dropout is %v, want 0 to below 1", c.Dropout)
	}
	return nil
}
