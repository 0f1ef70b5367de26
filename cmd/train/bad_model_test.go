package main

// Tokenizers, models and checkpoints that cannot be right, through the whole program.

import (
	"bytes"
	"encoding/binary"
	"math"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"
)

// badModels are damaged one by one: each from a directory with a finished run below good/. want is the one line that the
// program ends with, behind its name, or the beginning of it if "…" follows; code is its exit code.
var badModels = []struct {
	name   string
	damage func(t *testing.T, dir string)
	args   []string
	code   int
	want   string
}{
	{name: "tokenizer is missing", args: tokenizerPath("none.json"),
		code: 1, want: `tokenizer: open none.json: no such file or directory`},
	{name: "tokenizer is a directory", args: tokenizerPath("good"),
		code: 1, want: `tokenizer: read good: is a directory`},
	{name: "tokenizer is empty", damage: write("t.json", ""), args: tokenizerPath("t.json"),
		code: 1, want: `tokenizer: t.json: the JSON ends before it is complete`},
	{name: "tokenizer is not JSON", damage: write("t.json", "not JSON"), args: tokenizerPath("t.json"),
		code: 1, want: `tokenizer: t.json: line 1: not JSON: invalid character 'o' in literal null (expecting 'u')`},
	{name: "tokenizer is JSON of another kind", damage: write("t.json", `{"a": 1}`), args: tokenizerPath("t.json"),
		code: 1, want: `tokenizer: t.json: …`},
	{name: "tokenizer is a WordPiece", damage: write("t.json", `{"model": {"type": "WordPiece", "vocab": {}}}`), args: tokenizerPath("t.json"),
		code: 1, want: `tokenizer: t.json: …`},
	{name: "tokenizer is cut off", damage: truncate("good/final_model/tokenizer.json", 1000), args: tokenizerPath("good/final_model/tokenizer.json"),
		code: 1, want: `tokenizer: good/final_model/tokenizer.json: the JSON ends before it is complete`},
	{name: "tokenizer has no end token", damage: replace("good/final_model/tokenizer.json", "<|endoftext|>", "<|another|>"),
		args: tokenizerPath("good/final_model/tokenizer.json"),
		code: 1, want: `tokenizer: good/final_model/tokenizer.json: there is no token "<|endoftext|>", which tokenizer_config.json beside it names as eos_token`},

	{name: "init_from is missing", args: []string{"-set", "init_from=none"},
		code: 2, want: `-set: init_from: none: want a Hugging Face GPT-2 directory: open none/config.json: no such file or directory`},
	{name: "init_from is a file", args: []string{"-set", "init_from=corpus.txt"},
		code: 2, want: `-set: init_from: corpus.txt: want a Hugging Face GPT-2 directory: open corpus.txt/config.json: not a directory`},
	{name: "init_from without config.json", damage: remove("good/final_model/config.json"), args: initFrom,
		code: 2, want: `-set: init_from: good/final_model: want a Hugging Face GPT-2 directory: open good/final_model/config.json: no such file or directory`},
	{name: "config.json is cut off", damage: truncate("good/final_model/config.json", 100), args: initFrom,
		code: 2, want: `-set: init_from: good/final_model/config.json: not a model configuration: unexpected end of JSON input`},
	{name: "config.json of another architecture", damage: replace("good/final_model/config.json", `"gpt2"`, `"llama"`), args: initFrom,
		code: 2, want: `-set: init_from: good/final_model/config.json: model_type is "llama", want "gpt2"`},
	{name: "config.json with heads that do not divide", damage: replace("good/final_model/config.json", `"n_head": 2`, `"n_head": 3`), args: initFrom,
		code: 2, want: `-set: init_from: good/final_model/config.json: n_embd 16 is not a multiple of n_head 3`},
	{name: "config.json with a text for a number", damage: replace("good/final_model/config.json", `"n_layer": 2`, `"n_layer": "two"`), args: initFrom,
		code: 2, want: `-set: init_from: good/final_model/config.json: n_layer is of the type string, want a whole number`},
	{name: "config.json of an absurd size", damage: replace("good/final_model/config.json", `"n_embd": 16`, `"n_embd": 160000000000`), args: initFrom,
		code: 2, want: `-set: init_from: good/final_model/config.json: n_embd is 160000000000, want 1 to 2147483647`},
	{name: "config.json with a smaller vocabulary", damage: replace("good/final_model/config.json", `"vocab_size": 257`, `"vocab_size": 200`), args: initFrom,
		code: 2, want: `good/final_model/config.json: vocab_size: 200: the tokenizer has 257 tokens; want at least as many`},
	{name: "no weights", damage: remove("good/final_model/model.safetensors"), args: initFrom,
		code: 2, want: `-set: init_from: good/final_model/model.safetensors: no such file`},
	{name: "weights are empty", damage: truncate("good/final_model/model.safetensors", 0), args: initFrom,
		code: 2, want: `-set: init_from: good/final_model/model.safetensors: 0 bytes are too short for a safetensors file`},
	{name: "weights are cut off", damage: truncate("good/final_model/model.safetensors", 5000), args: initFrom,
		code: 2, want: `-set: init_from: good/final_model/model.safetensors: tensor "transformer.h.0.attn.c_attn.weight" ends at byte 3264 of the data, which has …`},
	{name: "weights have a header that is too long", damage: overwrite("good/final_model/model.safetensors", 0, bytes.Repeat([]byte{0xff}, 8)), args: initFrom,
		code: 2, want: `-set: init_from: good/final_model/model.safetensors: the header's length 18446744073709551615 is above 100000000: not a safetensors file`},
	{name: "weights have a header that is not JSON", damage: overwrite("good/final_model/model.safetensors", 8, []byte("no")), args: initFrom,
		code: 2, want: `-set: init_from: good/final_model/model.safetensors: header: not a JSON object`},
	{name: "weights are a pickle", damage: overwrite("good/final_model/model.safetensors", 0, []byte("PK\x03\x04\x00\x00\x08\x08")), args: initFrom,
		code: 2, want: `-set: init_from: good/final_model/model.safetensors: the header's length 578712552184433488 is above 100000000: not a safetensors file`},
	{name: "weights of other shapes", damage: replace("good/final_model/config.json", `"n_inner": 32`, `"n_inner": 64`), args: initFrom,
		code: 2, want: `-set: init_from: good/final_model/model.safetensors: transformer.h.0.mlp.c_fc.weight has shape [16 32], want [16 64]; …`},
	{name: "weights of fewer layers", damage: replace("good/final_model/config.json", `"n_layer": 2`, `"n_layer": 3`), args: initFrom,
		code: 2, want: `-set: init_from: good/final_model/model.safetensors: transformer.h.2.ln_1.weight is missing; …`},
	{name: "weights of more layers", damage: replace("good/final_model/config.json", `"n_layer": 2`, `"n_layer": 1`), args: initFrom,
		code: 2, want: `-set: init_from: good/final_model/model.safetensors: transformer.h.1.attn.c_attn.bias is unknown; …`},
	{name: "a weight is not a number", damage: overwriteLast("good/final_model/model.safetensors", float32(math.NaN())), args: initFrom,
		code: 2, want: `-set: init_from: good/final_model/model.safetensors: transformer.wte.weight holds values that are not finite`},
	{name: "a weight is infinite", damage: overwriteLast("good/final_model/model.safetensors", float32(math.Inf(1))), args: initFrom,
		code: 2, want: `-set: init_from: good/final_model/model.safetensors: transformer.wte.weight holds values that are not finite`},

	{name: "resume names nothing", args: []string{"-resume", "none"},
		code: 1, want: `resume: checkpoint none: file does not exist`},
	{name: "resume names a file", args: []string{"-resume", "corpus.txt"},
		code: 1, want: `resume: checkpoint corpus.txt: not a directory`},
	{name: "resume names an output_dir", args: []string{"-resume", "good"},
		code: 1, want: `resume: checkpoint good: manifest.json: missing (the directory holds checkpoints: model_step_2, model_step_4, model_step_6)`},
	{name: "resume names a model", args: []string{"-resume", "good/final_model"},
		code: 1, want: `resume: checkpoint good/final_model: manifest.json: missing`},
	{name: "resume names a damaged checkpoint", damage: truncate("good/model_step_4/training_state.safetensors", 100), args: []string{"-resume", "good/model_step_4"},
		code: 1, want: `resume: checkpoint good/model_step_4: training_state.safetensors: 100 bytes, want …`},
	{name: "resume names a checkpoint of another model", args: []string{"-resume", "good/model_step_4", "-set", "num_layers=1"},
		code: 1, want: `checkpoint good/model_step_4: its architecture is another than the configuration's (vocab_size, hidden_size, …`},
	{name: "resume names a checkpoint of another tokenizer", args: []string{"-resume", "good/model_step_4", "-set", "tokenizer.type=bpe", "-set", "tokenizer.vocab_size=257"},
		code: 1, want: `checkpoint good/model_step_4: its tokenizer is another than the configuration's (the tokenizer section, …`},
	{name: "resume names a checkpoint of other data", args: []string{"-resume", "good/model_step_4", "-set", "batch_size=1"},
		code: 1, want: `checkpoint good/model_step_4: its data is another than the configuration's (the files, the data section, …`},
}

var initFrom = []string{"-set", "init_from=good/final_model"}

func tokenizerPath(path string) []string {
	return []string{"-set", "tokenizer.type=bpe", "-set", "tokenizer.path=" + path}
}

func TestBadTokenizersModelsAndCheckpointsEndWithOneLine(t *testing.T) {
	whole := workplace(t)
	mustTrain(t, whole, "-config", "tiny.yaml", "-set", "output_dir=good")
	for _, test := range badModels {
		t.Run(test.name, func(t *testing.T) {
			t.Parallel()
			dir := t.TempDir()
			copyDir(t, whole, dir)
			if test.damage != nil {
				test.damage(t, dir)
			}
			before := must(list(filepath.Join(dir, "good")))(t)
			config := "tiny.yaml"
			if strings.HasPrefix(test.args[1], "init_from=") {
				config = "init.yaml"
			}
			code, stderr := train(t, dir, append([]string{"-config", config}, test.args...)...)
			if code != test.code {
				t.Errorf("exit code %d, want %d", code, test.code)
			}
			checkOneProblem(t, stderr, test.want)
			if diff := cmp.Diff(before, must(list(filepath.Join(dir, "good")))(t)); diff != "" {
				t.Errorf("the run that was there: %s", diff)
			}
			checkNothingHalfDone(t, dir)
		})
	}
}

// checkOneProblem fails unless the program ended with one line: want, or what begins so if "…" follows.
func checkOneProblem(t *testing.T, stderr, want string) {
	t.Helper()
	got := problems(stderr)
	if len(got) != 1 {
		t.Fatalf("%d problems, want one:\n%s", len(got), stderr)
	}
	line := strings.TrimPrefix(got[0], "train: ")
	if beginning, open := strings.CutSuffix(want, "…"); open && strings.HasPrefix(line, beginning) {
		return
	}
	if line != want {
		t.Errorf("problem %q\nwant    %q", line, want)
	}
}

// What the table does to a file, given by its path below the test's directory.

func write(name, content string) func(*testing.T, string) {
	return edit(name, func([]byte) []byte { return []byte(content) })
}

func truncate(name string, size int) func(*testing.T, string) {
	return edit(name, func(content []byte) []byte { return content[:size] })
}

func replace(name, old, new string) func(*testing.T, string) {
	return edit(name, func(content []byte) []byte { return bytes.ReplaceAll(content, []byte(old), []byte(new)) })
}

func overwrite(name string, at int, with []byte) func(*testing.T, string) {
	return edit(name, func(content []byte) []byte {
		copy(content[at:], with)
		return content
	})
}

func overwriteLast(name string, x float32) func(*testing.T, string) {
	return edit(name, func(content []byte) []byte {
		binary.LittleEndian.PutUint32(content[len(content)-4:], math.Float32bits(x))
		return content
	})
}

func remove(name string) func(*testing.T, string) {
	return func(t *testing.T, dir string) {
		if err := os.Remove(filepath.Join(dir, name)); err != nil {
			t.Fatal(err)
		}
	}
}

// edit fails where the file is not changed: then there would be nothing to refuse.
func edit(name string, change func([]byte) []byte) func(*testing.T, string) {
	return func(t *testing.T, dir string) {
		path := filepath.Join(dir, name)
		before, err := os.ReadFile(path)
		after := change(bytes.Clone(before))
		if err == nil && bytes.Equal(before, after) {
			t.Fatalf("%s is as it was", name)
		}
		if err := os.WriteFile(path, after, 0o666); err != nil {
			t.Fatal(err)
		}
	}
}
