package main

// What both sides are given: settings, first weights, tokens.

import (
	"encoding/binary"
	"encoding/json"
	"errors"
	"fmt"
	"maps"
	"math/bits"
	"os"
	"os/exec"
	"path/filepath"
	"strings"

	"go.yaml.in/yaml/v3"
)

const script = "bench/train/nanogpt_like.py"

// corpus is cut into tokens once, by our tokenizer, for both sides.
var corpus = []string{"corpus/pt/01-historias.txt", "corpus/pt/02-artigos.txt", "corpus/pt/03-prosa.txt"}

// model is a configuration file, or the defaults where there is none, and what it sets beside.
type model struct {
	name      string
	config    string
	tokenizer string // bench/tokenizer's command for it: new (GPT-2's) or bytes
	settings  map[string]any
}

var models = []model{
	{"6x384", "", "new", map[string]any{
		"hidden_size": 384, "num_layers": 6, "num_heads": 6, "intermediate_size": 1536, "max_position_embeddings": 256, "batch_size": 4,
		"tokenizer": map[string]any{"type": "gpt2"}}},
	{"demo", "configs/demo-pt.yaml", "bytes", nil},
}

// settings are those of every run: no work but the training. The rate is low: at 1e-3 the demo's loss leaps once on its way
// down, which magnifies rounding, in bf16 to a relative 4e-4 between two runs of PyTorch that differ in nothing but threads.
func (b *bench) settings(c *testCase, vocabSize int) map[string]any {
	return map[string]any{
		"vocab_size": vocabSize, "precision": c.precision, "device": "cpu", "threads": b.threads, "dropout": 0, "seed": 1337,
		"gradient_accumulation_steps": 1, "gradient_checkpointing": false, "learning_rate": 3e-4, "lr_schedule": "cosine", "min_lr_ratio": 0.1,
		"warmup_steps": 8, "adam_beta2": 0.95, "weight_decay": 0.1, "max_grad_norm": 1.0, "max_steps": b.steps, "eval_steps": 0, "save_steps": 0, "logging_steps": 1,
		"init_from": filepath.Join(c.folder, "init"), "output_dir": c.output("ours"), "logging_dir": filepath.Join(c.folder, "logs"), "resume": "never",
		"data":       map[string]any{"train": []string{filepath.Join(c.folder, "tokens.bin")}, "eval_fraction": 0, "cache_dir": filepath.Join(c.folder, "cache")},
		"monitoring": map[string]any{"tensorboard": false, "progress": "off", "listen": "", "sample_steps": 0, "histogram_steps": 0},
	}
}

// output is a directory for what a side writes.
func (c *testCase) output(side string) string { return filepath.Join(c.folder, side) }

// newCase makes a case's folder: settings.json, init/, tokens.bin for us, rows.bin for the peer.
func (b *bench) newCase(name, precision string) (*testCase, error) {
	c := &testCase{precision: precision, folder: filepath.Join(b.folder, name+"-"+precision)}
	for _, m := range models {
		if m.name == name {
			c.model = m
		}
	}
	if c.model.name == "" {
		return nil, fmt.Errorf("no model %q: want %s or %s", name, models[0].name, models[1].name)
	}
	if _, ok := tolerances[precision]; !ok {
		return nil, fmt.Errorf("no precision %q: want fp32 or bf16", precision)
	}
	c.settings, c.rows = filepath.Join(c.folder, "settings.json"), filepath.Join(c.folder, "rows.bin")
	if err := os.MkdirAll(c.folder, 0o777); err != nil {
		return nil, err
	}
	ids, vocabSize, err := b.tokens(c.model.tokenizer)
	if err != nil {
		return nil, err
	}
	settings, err := b.writeSettings(c, vocabSize)
	if err != nil {
		return nil, err
	}
	if _, err := b.peer("init", c.settings, filepath.Join(c.folder, "init")); err != nil {
		return nil, err
	}
	c.decided = settings
	return c, writeTokens(c.folder, ids, b.steps*settings.BatchSize, settings.Positions, settings.Seed)
}

// decided are settings, as the configuration file and we set them, that the tokens and the report depend on.
type decided struct {
	Layers    int    `json:"num_layers"`
	Width     int    `json:"hidden_size"`
	Heads     int    `json:"num_heads"`
	VocabSize int    `json:"vocab_size"`
	BatchSize int    `json:"batch_size"`
	Positions int    `json:"max_position_embeddings"`
	Seed      uint64 `json:"seed"`
}

func (d decided) String() string {
	return fmt.Sprintf("%d layers of width %d, %d heads, %d tokens, batch %d × %d", d.Layers, d.Width, d.Heads, d.VocabSize, d.BatchSize, d.Positions)
}

// writeSettings starts from what our trainer makes of the model's configuration.
func (b *bench) writeSettings(c *testCase, vocabSize int) (d decided, err error) {
	arguments := []string{"-print-config"}
	if c.model.config != "" {
		arguments = append(arguments, "-config", c.model.config)
	}
	printed, err := b.ours(arguments...)
	if err != nil {
		return d, err
	}
	var settings map[string]any
	if err := yaml.Unmarshal(printed, &settings); err != nil {
		return d, fmt.Errorf("train -print-config: %w", err)
	}
	overlay(settings, c.model.settings)
	overlay(settings, b.settings(c, vocabSize))
	text, err := json.MarshalIndent(settings, "", "  ")
	if err != nil {
		return d, err
	}
	if err := json.Unmarshal(text, &d); err != nil {
		return d, err
	}
	return d, os.WriteFile(c.settings, text, 0o666)
}

// overlay sets the keys of over in settings, section by section.
func overlay(settings, over map[string]any) {
	for key, value := range over {
		section, isSection := value.(map[string]any)
		if below, ok := settings[key].(map[string]any); ok && isSection {
			overlay(below, section)
		} else if isSection {
			settings[key] = maps.Clone(section)
		} else {
			settings[key] = value
		}
	}
}

// tokens are the corpus in ids, the documents joined by end tokens.
func (b *bench) tokens(tokenizer string) (ids []uint16, vocabSize int, err error) {
	file := filepath.Join(b.folder, "ids.json")
	c := exec.CommandContext(b.ctx, filepath.Join(b.folder, "tokenizer"))
	c.Stdin = strings.NewReader(fmt.Sprintf("%s\nload %s\nids %s\n", tokenizer, strings.Join(corpus, " "), file))
	answer, err := b.output(c)
	if err != nil {
		return nil, 0, err
	}
	var first struct {
		VocabSize int `json:"vocab_size"`
	}
	if err := json.NewDecoder(strings.NewReader(string(answer))).Decode(&first); err != nil {
		return nil, 0, fmt.Errorf("bench/tokenizer: %w", err)
	}
	text, err := os.ReadFile(file)
	if err != nil {
		return nil, 0, err
	}
	var documents [][]uint16
	if err := json.Unmarshal(text, &documents); err != nil {
		return nil, 0, fmt.Errorf("bench/tokenizer's ids: %w", err)
	}
	end := uint16(first.VocabSize - 1)
	for _, d := range documents {
		ids = append(append(ids, d...), end)
	}
	return ids, first.VocabSize, nil
}

// writeTokens writes the tokens of one epoch, the ids repeated as often as it takes: tokens.bin as nanoGPT writes them, and
// rows.bin with the rows in the order in which our trainer visits them.
func writeTokens(folder string, ids []uint16, rows, positions int, seed uint64) error {
	if len(ids) == 0 {
		return errors.New("the corpus is empty")
	}
	var stream []byte
	for i := range rows * positions {
		stream = binary.LittleEndian.AppendUint16(stream, ids[i%len(ids)])
	}
	var ordered []byte
	for _, row := range firstEpoch(seed, rows) {
		ordered = append(ordered, stream[2*row*positions:2*(row+1)*positions]...)
	}
	return errors.Join(os.WriteFile(filepath.Join(folder, "tokens.bin"), stream, 0o666), os.WriteFile(filepath.Join(folder, "rows.bin"), ordered, 0o666))
}

// firstEpoch is the order in which our trainer visits n rows in epoch 0: the swap-or-not shuffle of trainer/data, which keeps
// it to itself. If it changes there, the losses of the two sides differ.
func firstEpoch(seed uint64, n int) []int {
	order := make([]int, n)
	for position := range order {
		x := uint64(position)
		for i := range uint64(64) {
			key := mix(mix(mix(seed)) + i)
			turn, _ := bits.Mul64(key, uint64(n))
			partner := (turn + uint64(n) - x) % uint64(n)
			if mix(key^mix(max(x, partner)))&1 == 1 {
				x = partner
			}
		}
		order[position] = int(x)
	}
	return order
}

// mix is the output function of splitmix64.
func mix(x uint64) uint64 {
	x += 0x9e3779b97f4a7c15
	x = (x ^ x>>30) * 0xbf58476d1ce4e5b9
	x = (x ^ x>>27) * 0x94d049bb133111eb
	return x ^ x>>31
}
