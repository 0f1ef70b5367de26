package main

// What all sides are given: settings, first weights, tokens.

import (
	"encoding/binary"
	"encoding/json"
	"errors"
	"fmt"
	"maps"
	"math/bits"
	"os"
	"path/filepath"
	"strings"

	"go.yaml.in/yaml/v3"
)

// corpus is cut into tokens once, by our tokenizer, for all sides.
var corpus = []string{"corpus/pt/01-historias.txt", "corpus/pt/02-artigos.txt", "corpus/pt/03-prosa.txt"}

// Vocabularies that are not trained.
const (
	byteVocabulary = 257
	gpt2Vocabulary = 50257
)

// testCase is a model in a precision, and the files that the sides are given for it.
type testCase struct {
	name      string
	shape     shape
	precision string
	steps     int
	checked   int // first steps, of which a peer tells the gradients' exact norm; they are not timed
	folder    string
	tokenizer string // a directory
	settings  string // a file that all sides read
	rows      string // the peers' tokens
	alike     run    // ours as it rounds where the peers do, in bf16; no steps: not run yet
}

func (c *testCase) String() string { return c.name + " " + c.precision }

// output is a directory for what a side writes.
func (c *testCase) output(side string) string { return filepath.Join(c.folder, "of-"+side) }

// defaults are settings of every run: no work but the training. The rate is low: at 1e-3 the loss of a small model leaps on its way
// down, which magnifies rounding, in bf16 to a relative 4e-4 between two runs of PyTorch that differ in nothing but threads. The decay is ten times the usual one, which costs
// nothing and lets a side that leaves it out be seen.
func (b *bench) defaults(c *testCase) map[string]any {
	s := c.shape
	return map[string]any{
		"hidden_size": s.Width, "num_layers": s.Layers, "num_heads": s.heads(), "intermediate_size": 4 * s.Width,
		"max_position_embeddings": s.Sequence, "batch_size": s.Batch, "vocab_size": s.Vocabulary, "precision": c.precision,
		"device": "cpu", "threads": b.threads, "dropout": 0, "seed": 1337,
		"gradient_accumulation_steps": 1, "gradient_checkpointing": false, "learning_rate": 3e-4, "lr_schedule": "cosine", "min_lr_ratio": 0.1,
		"warmup_steps": 8, "adam_beta2": 0.95, "weight_decay": 1.0, "max_grad_norm": 1.0, "max_steps": c.steps, "eval_steps": 0, "save_steps": 0, "logging_steps": 1,
		"init_from": filepath.Join(c.folder, "init"), "output_dir": c.output("ours"), "logging_dir": filepath.Join(c.folder, "logs"), "resume": "never",
		"tokenizer": map[string]any{"path": filepath.Join(c.tokenizer, "tokenizer.json")}, "model_name": "model",
		"data":       map[string]any{"train": []string{filepath.Join(c.folder, "tokens.bin")}, "eval_fraction": 0, "cache_dir": filepath.Join(c.folder, "cache")},
		"monitoring": map[string]any{"tensorboard": false, "progress": "off", "listen": "", "sample_steps": 0, "histogram_steps": 0},
	}
}

// newCase makes a case's folder: settings.json, init/, tokenizer/, tokens.bin for us, rows.bin for the peers.
func (b *bench) newCase(name, precision string, steps int) (*testCase, error) {
	s, err := parseShape(name)
	if err != nil {
		return nil, err
	}
	c := &testCase{name: name, shape: s, precision: precision, steps: steps, checked: min(steps, b.dropped)}
	if c.folder, err = os.MkdirTemp(b.scratch, name+"-"+precision+"-"); err != nil {
		return nil, err
	}
	c.settings, c.rows = filepath.Join(c.folder, "settings.json"), filepath.Join(c.folder, "rows.bin")
	made, err := b.tokens(s.Vocabulary)
	if err != nil {
		return nil, err
	}
	c.tokenizer = made.folder
	seed, err := b.writeSettings(c)
	if err != nil {
		return nil, err
	}
	if _, err := b.output(b.command(nil, b.python, nanoGPT, "init", c.settings, filepath.Join(c.folder, "init"))); err != nil {
		return nil, err
	}
	return c, writeTokens(c.folder, made.ids, steps*s.Batch, s.Sequence, seed)
}

// writeSettings starts from what our trainer makes of an empty configuration.
func (b *bench) writeSettings(c *testCase) (seed uint64, err error) {
	printed, err := b.output(b.command(nil, b.train(), "-print-config"))
	if err != nil {
		return 0, err
	}
	var settings map[string]any
	if err := yaml.Unmarshal(printed, &settings); err != nil {
		return 0, fmt.Errorf("train -print-config: %w", err)
	}
	overlay(settings, b.defaults(c))
	var decided struct{ Seed uint64 }
	text, err := json.MarshalIndent(settings, "", "  ")
	if err != nil {
		return 0, err
	}
	if err := json.Unmarshal(text, &decided); err != nil {
		return 0, err
	}
	return decided.Seed, os.WriteFile(c.settings, text, 0o666)
}

// with copies a case with other settings and a number of steps that may be smaller; name tells its files apart.
func (c testCase) with(name string, steps int, over map[string]any) (*testCase, error) {
	text, err := os.ReadFile(c.settings)
	if err != nil {
		return nil, err
	}
	var settings map[string]any
	if err := json.Unmarshal(text, &settings); err != nil {
		return nil, fmt.Errorf("%s: %w", c.settings, err)
	}
	overlay(settings, map[string]any{"max_steps": steps})
	overlay(settings, over)
	if text, err = json.MarshalIndent(settings, "", "  "); err != nil {
		return nil, err
	}
	c.steps, c.settings = steps, filepath.Join(c.folder, name+".json")
	return &c, os.WriteFile(c.settings, text, 0o666)
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

// tokenized is the corpus in ids, the documents joined by end tokens, and the directory of the tokenizer's files.
type tokenized struct {
	ids    []uint16
	folder string
}

// tokens makes a vocabulary's once.
func (b *bench) tokens(vocabulary int) (tokenized, error) {
	if made, ok := b.tokenized[vocabulary]; ok {
		return made, nil
	}
	folder := filepath.Join(b.scratch, fmt.Sprintf("tokenizer-%d", vocabulary))
	ids, err := b.tokenize(vocabulary, folder)
	if err != nil {
		return tokenized{}, err
	}
	b.tokenized[vocabulary] = tokenized{ids, folder}
	return b.tokenized[vocabulary], nil
}

func (b *bench) tokenize(vocabulary int, folder string) (ids []uint16, err error) {
	how, end := fmt.Sprintf("train %d", vocabulary), uint16(0) // a trained one has its end first
	switch vocabulary {
	case gpt2Vocabulary:
		how, end = "new", gpt2Vocabulary-1
	case byteVocabulary:
		how, end = "bytes", byteVocabulary-1
	}
	if err := os.Mkdir(folder, 0o777); err != nil {
		return nil, err
	}
	file := filepath.Join(folder, "ids.json")
	c := b.command(nil, filepath.Join(b.scratch, "tokenizer"))
	c.Stdin = strings.NewReader(fmt.Sprintf("load %s\n%s\nsave %s\nids %s\n", strings.Join(corpus, " "), how, folder, file))
	answer, err := b.output(c)
	if err != nil {
		return nil, err
	}
	var made struct {
		VocabSize int `json:"vocab_size"`
	}
	for line := range strings.Lines(string(answer)) {
		if err := json.Unmarshal([]byte(line), &made); err != nil {
			return nil, fmt.Errorf("bench/tokenizer: %w", err)
		}
	}
	if made.VocabSize > vocabulary { // a small corpus may give fewer: the rest of the model's rows is unused, and computed all the same
		return nil, fmt.Errorf("bench/tokenizer made a vocabulary of %d tokens, want %d", made.VocabSize, vocabulary)
	}
	text, err := os.ReadFile(file)
	if err != nil {
		return nil, err
	}
	var documents [][]uint16
	if err := json.Unmarshal(text, &documents); err != nil {
		return nil, fmt.Errorf("bench/tokenizer's ids: %w", err)
	}
	for _, d := range documents {
		ids = append(append(ids, d...), end)
	}
	return ids, nil
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
// it to itself. If it changes there, our losses differ from the peers'.
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
