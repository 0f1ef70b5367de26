package config

import (
	"errors"
	"flag"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"
)

var update = flag.Bool("update", false, "rewrite testdata/bad/*.want and docs/configuration.md; read the difference before committing it")

// Each file of testdata/bad has a sibling .want with the whole message, one line a problem.
func TestBadFilesSayWhatWouldBeRight(t *testing.T) {
	t.Chdir(filepath.Join("testdata", "bad"))
	files, err := filepath.Glob("*")
	if err != nil {
		t.Fatal(err)
	}
	count := 0
	for _, file := range files {
		if filepath.Ext(file) == ".want" {
			continue
		}
		count++
		t.Run(file, func(t *testing.T) {
			config, _, err := Load(LoadOptions{Path: file})
			if config != nil {
				t.Error("a configuration came back beside the error")
			}
			compareWithFile(t, file+".want", messages(t, err))
		})
	}
	if count < 40 {
		t.Errorf("%d bad files, want at least 40", count)
	}
}

func TestBadVariablesAndFlagsSayWhatWouldBeRight(t *testing.T) {
	for name, test := range map[string]struct {
		environ, set []string
		want         string
	}{
		"unknown variable":              {environ: []string{"FRUGAL_LERNING_RATE=1"}, want: "FRUGAL_LERNING_RATE: sets no key; did you mean FRUGAL_LEARNING_RATE?"},
		"unknown variable in section":   {environ: []string{"FRUGAL_DATA_EVALFRACTION=1"}, want: "FRUGAL_DATA_EVALFRACTION: sets no key; did you mean FRUGAL_DATA_EVAL_FRACTION?"},
		"variable of another name":      {environ: []string{"FRUGAL_N_LAYER=1"}, want: "FRUGAL_N_LAYER: sets no key; did you mean FRUGAL_NUM_LAYERS?"},
		"variable without its section":  {environ: []string{"FRUGAL_PACKING=false"}, want: "FRUGAL_PACKING: sets no key; did you mean FRUGAL_DATA_PACKING?"},
		"unknown variable far off":      {environ: []string{"FRUGAL_XYZZY=1"}, want: "FRUGAL_XYZZY: sets no key; docs/configuration.md lists them all"},
		"variable of a wrong type":      {environ: []string{"FRUGAL_BATCH_SIZE=many"}, want: `FRUGAL_BATCH_SIZE: batch_size: "many": want a whole number from 1 to 1000000`},
		"variable is not YAML":          {environ: []string{"FRUGAL_SEED=[1"}, want: `FRUGAL_SEED: seed: "[1": is not valid YAML: did not find expected ',' or ']'`},
		"variable is not UTF-8":         {environ: []string{"FRUGAL_OUTPUT_DIR=a\xff"}, want: `FRUGAL_OUTPUT_DIR: output_dir: "a\xff": want a path that is not empty`},
		"flag without value":            {set: []string{"batch_size"}, want: `-set: "batch_size": want key=value`},
		"flag without key":              {set: []string{"=4"}, want: `-set: "=4": want key=value`},
		"flag of an unknown key":        {set: []string{"data.trian=x"}, want: "-set: data.trian: unknown key; did you mean data.train?"},
		"flag of a section":             {set: []string{"tokenizer=bpe"}, want: "-set: tokenizer: is a section; set one of its keys: tokenizer.type, tokenizer.path, tokenizer.vocab_size"},
		"flag of a wrong value":         {set: []string{"precision=bf17"}, want: `-set: precision: "bf17": want auto, fp32, fp16 or bf16; did you mean bf16?`},
		"flag with nothing":             {set: []string{"batch_size="}, want: "-set: batch_size: has no value; want a whole number from 1 to 1000000"},
		"flag of a list of wrong items": {set: []string{"data.train=[a.txt, 5]"}, want: `-set: data.train[1]: 5: want a path or a pattern such as texts/*.txt; write it as "5"`},
		"flag holds a line break":       {set: []string{"bad\nkey=1"}, want: `-set: bad\nkey: unknown key; docs/configuration.md lists them all`},
		"device is a list":              {set: []string{"device=cuda:x"}, want: `-set: device: "cuda:x": want auto, cpu, cuda or cuda:N`},
		"rule over two flags":           {set: []string{"hidden_size=100", "num_heads=7"}, want: "-set: num_heads: 7: hidden_size 100 is not a multiple of num_heads 7; with num_heads 5 it would be"},
		"rule over preset and flag":     {set: []string{"preset=4gb", "num_heads=5"}, want: "-set: num_heads: 5: hidden_size 256 is not a multiple of num_heads 5; with num_heads 4 it would be"},
		"effective batch size":          {set: []string{"effective_batch_size=7"}, want: "-set: effective_batch_size: 7: batch_size 4 × gradient_accumulation_steps 8 is 32; leave the key out or make it agree"},
		"variables before flags": {environ: []string{"FRUGAL_SEED=x"}, set: []string{"batch_size=0"},
			want: "FRUGAL_SEED: seed: \"x\": want a whole number from 0 to 18446744073709551615\n-set: batch_size: 0: want a whole number from 1 to 1000000"},
	} {
		t.Run(name, func(t *testing.T) {
			_, _, err := Load(LoadOptions{Environ: test.environ, Set: test.set})
			if diff := cmp.Diff(test.want, messages(t, err)); diff != "" {
				t.Error(diff)
			}
		})
	}
}

func TestUnreadableFilesSayWhy(t *testing.T) {
	t.Chdir(t.TempDir())
	if err := os.Mkdir("directory.yaml", 0o755); err != nil {
		t.Fatal(err)
	}
	write(t, "large.yaml", strings.Repeat("# a comment\n", 1<<17))
	write(t, "deep.yaml", "seed: "+strings.Repeat("[", 100)+strings.Repeat("]", 100))
	write(t, "deep.json", `{"seed": `+strings.Repeat("[", 100)+strings.Repeat("]", 100)+"}")
	write(t, "deep.toml", "seed = "+strings.Repeat("[", 100)+strings.Repeat("]", 100))
	for file, want := range map[string]string{
		"missing.yaml":   "missing.yaml: no such file",
		"directory.yaml": "directory.yaml: is a directory; want a .yaml, .yml, .json or .toml file",
		"large.yaml":     "large.yaml: is larger than 1 MiB, which no configuration is",
		"deep.yaml":      "deep.yaml:1: is nested too deeply",
		"deep.json":      "deep.json:1: is nested too deeply",
		"deep.toml":      "deep.toml:1: is nested too deeply",
		"a/b\nc.yaml":    `a/b\nc.yaml: no such file`,
	} {
		_, _, err := Load(LoadOptions{Path: file})
		if got := messages(t, err); got != want {
			t.Errorf("%q: got %q, want %q", file, got, want)
		}
	}
}

// A broken file hides what it would have set: only what flags say on their own is reported beside it.
func TestBrokenFileIsReportedBesideOtherProblems(t *testing.T) {
	t.Chdir(t.TempDir())
	write(t, "x.yaml", "num_heads: [")
	_, _, err := Load(LoadOptions{Path: "x.yaml", Set: []string{"hidden_size=100", "seed=x"}})
	want := "x.yaml:1: is not valid YAML: did not find expected node content\n-set: seed: \"x\": want a whole number from 0 to 18446744073709551615"
	if diff := cmp.Diff(want, messages(t, err)); diff != "" {
		t.Error(diff)
	}
}

func TestProblemsTellFileLineKeyAndValueApart(t *testing.T) {
	t.Chdir(t.TempDir())
	write(t, "x.yaml", "seed: 1\nprecision: fp8\n")
	_, _, err := Load(LoadOptions{Path: "x.yaml"})
	var all *Error
	if !errors.As(err, &all) || len(all.Problems) != 1 {
		t.Fatalf("got %v, want one problem", err)
	}
	p := all.Problems[0]
	if p.File != "x.yaml" || p.Line != 2 || p.Key != "precision" || p.Value != `"fp8"` || p.Message == "" {
		t.Errorf("got %+v", p)
	}
}

// messages is the error's text, after checking that it is an *Error of single lines.
func messages(t *testing.T, err error) string {
	t.Helper()
	var all *Error
	if !errors.As(err, &all) || len(all.Problems) == 0 {
		t.Fatalf("got error %v, want an *Error with problems", err)
	}
	if lines := strings.Count(err.Error(), "\n") + 1; lines != len(all.Problems) {
		t.Errorf("%d problems in %d lines", len(all.Problems), lines)
	}
	return err.Error()
}

func compareWithFile(t *testing.T, file, got string) {
	t.Helper()
	if *update {
		write(t, file, got+"\n")
	}
	want, err := os.ReadFile(file)
	if err != nil {
		t.Fatal(err)
	}
	if diff := cmp.Diff(string(want), got+"\n"); diff != "" {
		t.Error(diff)
	}
}

func write(t *testing.T, file, content string) {
	t.Helper()
	if err := os.WriteFile(file, []byte(content), 0o644); err != nil {
		t.Fatal(err)
	}
}
