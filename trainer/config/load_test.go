package config

import (
	"fmt"
	"reflect"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"
	"github.com/google/go-cmp/cmp/cmpopts"
)

// values compares configurations by their values alone, not by where these came from.
var values = cmpopts.IgnoreUnexported(TrainingConfig{})

func mustLoad(t *testing.T, o LoadOptions) *TrainingConfig {
	t.Helper()
	c, _, err := Load(o)
	if err != nil {
		t.Fatal(err)
	}
	return c
}

func TestLaterLayersWin(t *testing.T) {
	t.Chdir(t.TempDir())
	write(t, "with.yaml", "# sizes\nbatch_size: 5\npreset: 6gb\n")
	write(t, "without.yaml", "seed: 1\npreset: 6gb\n")
	environ := []string{"FRUGAL_BATCH_SIZE=6", "HOME=/root", "FRUGAL_TEST_ANYTHING=1", "FRUGAL_DEBUG=1", "FRUGAL_NCCL=0"}
	set := []string{"batch_size=7", "batch_size=8"}
	for _, test := range []struct {
		name    string
		options LoadOptions
		want    int
		origin  string
		isSet   bool
	}{
		{"default", LoadOptions{}, 4, "default", false},
		{"preset over default", LoadOptions{Path: "without.yaml"}, 2, "preset 6gb", false},
		{"file over preset", LoadOptions{Path: "with.yaml"}, 5, "with.yaml:2", true},
		{"environment over file", LoadOptions{Path: "with.yaml", Environ: environ}, 6, "FRUGAL_BATCH_SIZE", true},
		{"set over environment, the last one", LoadOptions{Path: "with.yaml", Environ: environ, Set: set}, 8, "-set", true},
		{"set over default", LoadOptions{Set: set}, 8, "-set", true},
		{"environment over preset", LoadOptions{Path: "without.yaml", Environ: environ}, 6, "FRUGAL_BATCH_SIZE", true},
		{"a variable set to nothing is not set", LoadOptions{Environ: []string{"FRUGAL_BATCH_SIZE="}}, 4, "default", false},
	} {
		t.Run(test.name, func(t *testing.T) {
			c := mustLoad(t, test.options)
			if c.BatchSize != test.want {
				t.Errorf("batch_size %d, want %d", c.BatchSize, test.want)
			}
			if got := c.Origin("batch_size").String(); got != test.origin {
				t.Errorf("from %s, want %s", got, test.origin)
			}
			if c.IsSet("batch_size") != test.isSet {
				t.Errorf("IsSet is %v", c.IsSet("batch_size"))
			}
		})
	}
}

func TestListsAreReplacedWhole(t *testing.T) {
	t.Chdir(t.TempDir())
	write(t, "x.yaml", "data: {train: [a, b, c], eval: [d]}\n")
	c := mustLoad(t, LoadOptions{Path: "x.yaml", Set: []string{"data.train=[e]"}})
	if diff := cmp.Diff([][]string{{"e"}, {"d"}}, [][]string{c.Data.Train, c.Data.Eval}); diff != "" {
		t.Error(diff)
	}
}

func TestFlagsAndVariablesNeedNoQuotes(t *testing.T) {
	for set, want := range map[string]string{
		"data.train=*.txt":                   "[*.txt]",
		"data.train=texts/*.txt":             "[texts/*.txt]",
		`data.train=["*.txt", b]`:            "[*.txt b]",
		"data.train=[]":                      "[]",
		"data.train=":                        "[]",
		"data.train=- a\n- b":                "[a b]",
		"model_name=124":                     "124",
		`model_name="a b"`:                   "a b",
		"init_from=":                         "",
		"init_from=~/gpt2":                   "~/gpt2",
		"output_dir=!x: y # z":               "!x: y # z",
		"cpu_offload=false":                  "false",
		"max_steps=1e6":                      "1000000",
		"max_steps=1_000":                    "1000",
		"max_steps=0x10":                     "16",
		"max_steps=010":                      "10",
		"learning_rate=1":                    "1",
		"learning_rate=3e-4 # after a sweep": "0.0003",
		"min_lr_ratio=-0.0":                  "0",
		"seed=18446744073709551615":          "18446744073709551615",
		"fp16=FALSE":                         "false",
		"monitoring.progress=off":            "off",
		"preset=8gb":                         "8gb",
		" seed = 7":                          "7",
		"curriculum.stages=[{name: a, data: [x, y], difficulty: 2}, {name: b, data: z, difficulty: 3.5}]": "[{a [x y] 2} {b [z] 3.5}]",
	} {
		name, raw, _ := strings.Cut(set, "=")
		c, _, err := Load(LoadOptions{Set: []string{set}})
		if err != nil {
			t.Errorf("-set %s: %v", set, err)
			continue
		}
		if got := fmt.Sprint(c.field(strings.TrimSpace(name))); got != want {
			t.Errorf("-set %s: got %s, want %s", set, got, want)
		}
		fromEnvironment := mustLoad(t, LoadOptions{Environ: []string{envName(strings.TrimSpace(name)) + "=" + raw}})
		if diff := cmp.Diff(c, fromEnvironment, values); diff != "" {
			t.Errorf("%s as a variable: %s", set, diff)
		}
	}
}

// The three formats hold the same configuration, keys of every type among them.
func TestFormatsAgree(t *testing.T) {
	t.Chdir(t.TempDir())
	write(t, "x.yml", "\xef\xbb\xbf"+`
learning_rate: 3e-4
fp16: false
seed: 9223372036854775807
precision: bf16
adam_epsilon: 1.0E-7
data: {train: [a.txt, "b*.txt"], eval_fraction: 0}
curriculum:
  stages:
    - name: fácil
      data: [c.txt]
      difficulty: 1
    - name: "difícil 😀"
      data: d.txt
      difficulty: 2
monitoring: {prompts: ["Era uma vez\n"], progress: off}
`)
	write(t, "x.json", `{"learning_rate": 3e-4, "fp16": false, "seed": 9223372036854775807, "precision": "bf16", "adam_epsilon": 1.0E-7,
"data": {"train": ["a.txt", "b*.txt"], "eval_fraction": 0},
"curriculum": {"stages": [{"name": "f\u00e1cil", "data": ["c.txt"], "difficulty": 1}, {"name": "difícil \ud83d\ude00", "data": ["d.txt"], "difficulty": 2}]},
"monitoring": {"prompts": ["Era uma vez\n"], "progress": "off"}}`)
	write(t, "x.TOML", `learning_rate = 3e-4
fp16 = false
seed = 9223372036854775807
precision = "bf16"
adam_epsilon = 1.0E-7
data.train = ["a.txt", 'b*.txt']
data.eval_fraction = 0
[monitoring]
prompts = ["Era uma vez\n"]
progress = "off"
[[curriculum.stages]]
name = "fácil"
data = ["c.txt"]
difficulty = 1
[[curriculum.stages]]
name = "difícil 😀"
data = ["d.txt"]
difficulty = 2
`)
	fromYAML := mustLoad(t, LoadOptions{Path: "x.yml"})
	if got := fromYAML.Curriculum.Stages; len(got) != 2 || got[1].Name != "difícil 😀" || got[0].Difficulty != 1 {
		t.Errorf("stages %+v", got)
	}
	for _, file := range []string{"x.json", "x.TOML"} {
		c := mustLoad(t, LoadOptions{Path: file})
		if diff := cmp.Diff(fromYAML, c, values); diff != "" {
			t.Errorf("%s differs from x.yml: %s", file, diff)
		}
	}
	toml := mustLoad(t, LoadOptions{Path: "x.TOML"})
	for key, want := range map[string]string{"seed": "x.TOML:3", "data.eval_fraction": "x.TOML:7", "monitoring.progress": "x.TOML:10", "curriculum.stages": "x.TOML:11"} {
		if got := toml.Origin(key).String(); got != want {
			t.Errorf("%s comes from %s, want %s", key, got, want)
		}
	}
}

func TestEmptyObjectIsTheDefaults(t *testing.T) {
	t.Chdir(t.TempDir())
	write(t, "x.json", "{}")
	write(t, "x.yaml", "{}\r\n")
	for _, file := range []string{"x.json", "x.yaml"} {
		if diff := cmp.Diff(Default(), mustLoad(t, LoadOptions{Path: file}), values); diff != "" {
			t.Errorf("%s: %s", file, diff)
		}
	}
}

// testdata/original.json is what the original TrainingConfig's to_dict writes for its defaults.
func TestOriginalJSONLoadsAsItIs(t *testing.T) {
	c := mustLoad(t, LoadOptions{Path: "testdata/original.json"})
	want := Default()
	want.VocabSize = 50257
	if diff := cmp.Diff(want, c, values); diff != "" {
		t.Error(diff)
	}
	if !c.IsSet("vocab_size") || Default().IsSet("vocab_size") {
		t.Error("IsSet does not tell a vocab_size in the file from the default")
	}
}

func TestEffectiveBatchSizeHoldsForItsOwnLayer(t *testing.T) {
	c := mustLoad(t, LoadOptions{Path: "testdata/original.json", Set: []string{"batch_size=16"}})
	if got := c.EffectiveBatchSize(); got != 128 {
		t.Errorf("effective batch size %d, want 128", got)
	}
	mustLoad(t, LoadOptions{Set: []string{"effective_batch_size=64", "batch_size=8"}})
}

// Every key is a field of TrainingConfig, with a default that its own check accepts, and the other way round.
func TestKeysAndFieldsAgree(t *testing.T) {
	fields := map[string]bool{}
	var walk func(reflect.Type, string)
	walk = func(s reflect.Type, prefix string) {
		for i := range s.NumField() {
			f := s.Field(i)
			if !f.IsExported() {
				continue
			}
			name := prefix + f.Tag.Get("mapstructure")
			if f.Type.Kind() == reflect.Struct {
				walk(f.Type, name+".")
			} else {
				fields[name] = true
			}
		}
	}
	walk(reflect.TypeFor[TrainingConfig](), "")
	variables := map[string]bool{}
	c := Default()
	for _, k := range keys {
		if !fields[k.name] {
			t.Errorf("%s is a key and no field, or twice a key", k.name)
			continue
		}
		delete(fields, k.name)
		if variables[envName(k.name)] {
			t.Errorf("%s shares its variable with another key", k.name)
		}
		variables[envName(k.name)] = true
		r := &reader{}
		if _, ok := k.kind.read(r, k.name, nodeOf(c.field(k.name))); !ok {
			t.Errorf("the default of %s is refused: %v", k.name, r.problems)
		}
		if strings.TrimSpace(k.doc) == "" || !strings.HasSuffix(k.doc, ".") {
			t.Errorf("%s: what it does must be one or more sentences, is %q", k.name, k.doc)
		}
	}
	for name := range fields {
		t.Errorf("field %s is no key", name)
	}
	for other, name := range otherNames {
		if _, ok := keyByName[name]; !ok {
			t.Errorf("%s is explained as %s, which is no key", other, name)
		}
		if _, ok := keyByName[other]; ok {
			t.Errorf("%s is a key itself", other)
		}
	}
}

func TestLocalStepsGoIntoTheOthers(t *testing.T) {
	for set, want := range map[string]string{
		"local_steps=10 eval_steps=50 save_steps=0":                          "",
		"local_steps=10 eval_steps=45 save_steps=0":                          "-set: local_steps: 10: the processes have one model every 10 updates (local_steps); want eval_steps 45 to be a multiple of that, or 0",
		"local_steps=10 eval_steps=0 save_steps=0 monitoring.sample_steps=1": "-set: local_steps: 10: the processes have one model every 10 updates (local_steps); want monitoring.sample_steps 1 to be a multiple of that, or 0",
		"local_steps=10 eval_steps=0 save_steps=0 shard_optimizer=true":      "-set: local_steps: 10: with local_steps each process needs all of the moments; want local_steps 0 or shard_optimizer false",
	} {
		_, _, err := Load(LoadOptions{Set: strings.Fields(set)})
		if want == "" {
			if err != nil {
				t.Errorf("%s: %v", set, err)
			}
		} else if got := messages(t, err); got != want {
			t.Errorf("%s: got %q", set, got)
		}
	}
}

// Points that no schedule goes through are not looked at.
func TestPointsThatAreNotUsedMayBeWrong(t *testing.T) {
	for _, unused := range []string{"curriculum.enabled=false", "curriculum.schedule=linear"} {
		set := []string{"curriculum.enabled=true", "curriculum.schedule=piecewise", "curriculum.points=[{step: 0, weights: [1, 2]}]",
			"curriculum.stages=[{name: a, data: [a.txt], difficulty: 1}]"}
		if _, _, err := Load(LoadOptions{Set: append(set, unused)}); err != nil {
			t.Errorf("%s: %v", unused, err)
		}
		if _, _, err := Load(LoadOptions{Set: set}); err == nil {
			t.Error("2 weights are accepted for 1 stage")
		}
	}
}
