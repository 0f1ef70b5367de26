package config

import (
	"encoding/json"
	"math"
	"path/filepath"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"
	"pgregory.net/rapid"
)

// drawValue is any value that a kind accepts, as JSON, which is also YAML.
func drawValue(t *rapid.T, k kind, name string) any {
	switch k := k.(type) {
	case whole:
		return rapid.IntRange(k.lo, k.hi).Draw(t, name)
	case natural:
		return rapid.Uint64().Draw(t, name)
	case real:
		lo, hi := k.lo, k.hi
		if k.openLo {
			lo = math.Nextafter(lo, hi)
		}
		if k.openHi {
			hi = math.Nextafter(hi, lo)
		}
		return rapid.Float64Range(lo, hi).Draw(t, name)
	case boolean:
		return rapid.Bool().Draw(t, name)
	case word:
		return rapid.SampledFrom(k).Draw(t, name)
	case text:
		generators := []*rapid.Generator[string]{rapid.String(), rapid.SampledFrom([]string{
			"", "off", "null", "~", "1e3", "0x1", "true", "- a", "a: b", "a #b", "#a", "*a", "&a", "!a", "@a", "`a", "'", `"`, "\\", "%", "|", ">", "[", "{a", " a ", "a\nb", "\n",
			"\t", "\u0085", "\u2028", "\ufeffa", "<|endoftext|>", "2024-01-01", "auto", "cpu", "cuda:3", "never", "127.0.0.1:80", "texts/*.txt", "a b", "ação", "=", "<<",
		})}
		return rapid.OneOf(generators...).Filter(k.ok).Draw(t, name)
	case list:
		return rapid.SliceOfN(rapid.Custom(func(t *rapid.T) any { return drawValue(t, k.item, name) }), 0, 3).Draw(t, name)
	case record:
		fields := map[string]any{}
		for _, f := range k.fields {
			fields[f.name] = drawValue(t, f.kind, f.name)
		}
		return fields
	}
	t.Fatalf("no values for %T", k)
	return nil
}

// drawConfig is any configuration that Load accepts: a random file with random keys.
func drawConfig(t *rapid.T, dir string) *TrainingConfig {
	chosen := rapid.SliceOfNDistinct(rapid.SampledFrom(keys), 0, 12, func(k key) string { return k.name }).Draw(t, "keys")
	root := map[string]any{}
	for _, k := range chosen {
		if k.name == "local_steps" { // others have to be multiples of it
			continue
		}
		value := drawValue(t, k.kind, k.name)
		section, leaf := splitName(k.name)
		if section == "" {
			root[leaf] = value
			continue
		}
		if root[section] == nil {
			root[section] = map[string]any{}
		}
		root[section].(map[string]any)[leaf] = value
	}
	content, err := json.Marshal(root)
	if err != nil {
		t.Fatal(err)
	}
	c, _, err := load(LoadOptions{Path: filepath.Join(dir, "random.json")}, content)
	if err != nil {
		for _, p := range err.(*Error).Problems {
			if strings.HasPrefix(p.Message, "want ") { // rules over several keys do not begin so, and may refuse
				t.Fatalf("%s is refused: %v", content, p)
			}
		}
		t.Skipf("drawn settings that contradict each other, which rapid replaces: %v", err)
	}
	return c
}

func TestPrintedConfigurationLoadsAgain(t *testing.T) {
	dir := t.TempDir()
	rapid.Check(t, func(t *rapid.T) {
		c := drawConfig(t, dir)
		for extension, print := range map[string]func() ([]byte, error){".yaml": c.YAML, ".json": c.JSON} {
			printed, err := print()
			if err != nil {
				t.Fatal(err)
			}
			again, _, err := load(LoadOptions{Path: filepath.Join(dir, "printed"+extension)}, printed)
			if err != nil {
				t.Fatalf("%v\n%s", err, printed)
			}
			if diff := cmp.Diff(c, again, values); diff != "" {
				t.Fatalf("%s\n%s", diff, printed)
			}
		}
	})
}

func TestPrintedConfigurationTellsWhereValuesComeFrom(t *testing.T) {
	t.Chdir(t.TempDir())
	write(t, "x.yaml", "seed: 7\n")
	c := mustLoad(t, LoadOptions{Path: "x.yaml", Set: []string{"data.train=a.txt"}, Environ: []string{"FRUGAL_PRESET=4gb"}})
	printed, err := c.YAML()
	if err != nil {
		t.Fatal(err)
	}
	for _, line := range []string{"# effective_batch_size: 16", "seed: 7 # x.yaml:1", "hidden_size: 256 # preset 4gb", "preset: 4gb # FRUGAL_PRESET", "  train: [a.txt] # -set", "dropout: 0"} {
		if !strings.Contains("\n"+string(printed), "\n"+line+"\n") {
			t.Errorf("no line %q in\n%s", line, printed)
		}
	}
}

// What init_from will decide is not printed with a default that would then count as set.
func TestPrintedConfigurationLeavesArchitectureToInitFrom(t *testing.T) {
	t.Chdir(t.TempDir())
	c := mustLoad(t, LoadOptions{Set: []string{"init_from=gpt2", "num_layers=12"}})
	gpt2 := Architecture{50257, 768, 12, 12, 3072, 1024}
	for _, resolved := range []bool{false, true} {
		if resolved {
			if err := c.SetArchitecture(gpt2, "gpt2/config.json"); err != nil {
				t.Fatal(err)
			}
		}
		for extension, print := range map[string]func() ([]byte, error){".yaml": c.YAML, ".json": c.JSON} {
			printed, err := print()
			if err != nil {
				t.Fatal(err)
			}
			write(t, "again"+extension, string(printed))
			again := mustLoad(t, LoadOptions{Path: "again" + extension})
			if diff := cmp.Diff(c, again, values); diff != "" {
				t.Error(diff)
			}
			if again.IsSet("hidden_size") != resolved {
				t.Errorf("%s: hidden_size is set: %v\n%s", extension, !resolved, printed)
			}
			if err := again.SetArchitecture(gpt2, "gpt2/config.json"); err != nil {
				t.Error(err)
			}
		}
	}
}
