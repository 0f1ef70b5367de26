package main

// Damaged checkpoints: passed over by name where an older one is intact, an error where none is, and never lost.

import (
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"
)

// damages are the three ways to damage a file of the newest checkpoint.
var damages = map[string]func(name string) func(*testing.T, string){
	"one bit flipped": func(name string) func(*testing.T, string) {
		return edit(name, func(content []byte) []byte {
			content[len(content)/2] ^= 0x10
			return content
		})
	},
	"cut off": func(name string) func(*testing.T, string) {
		return edit(name, func(content []byte) []byte { return content[:len(content)/2] })
	},
	"removed": remove,
}

func TestDamagedCheckpointIsPassedOverByName(t *testing.T) {
	whole := workplace(t)
	args := []string{"-config", "tiny.yaml", "-set", "dropout=0.1"}
	mustTrain(t, whole, args...)
	for _, file := range must(list(filepath.Join(whole, "output", "model_step_6")))(t) {
		for name, damage := range damages {
			t.Run(file+" "+name, func(t *testing.T) {
				t.Parallel()
				dir := t.TempDir()
				copyDir(t, whole, dir)
				damage("output/model_step_6/"+file)(t, dir)
				if err := os.RemoveAll(filepath.Join(dir, "output", "final_model")); err != nil {
					t.Fatal(err)
				}
				stderr := mustTrain(t, dir, args...)
				for _, want := range []string{
					fmt.Sprintf("warning: resume: passed over checkpoint output/model_step_6: %s: ", file),
					"resume: going on from output/model_step_4, step 4\n",
				} {
					if !strings.Contains(stderr, want) {
						t.Errorf("want %q in:\n%s", want, stderr)
					}
				}
				compareResults(t, whole, dir)
				if _, err := os.Stat(filepath.Join(dir, "output", "model_step_6.superseded")); err != nil {
					t.Errorf("the damaged checkpoint is gone: %v", err)
				}
			})
		}
	}
}

func TestAllCheckpointsDamagedIsAnErrorAndRemovesNothing(t *testing.T) {
	dir := workplace(t)
	mustTrain(t, dir, "-config", "tiny.yaml")
	for _, file := range []string{"model_step_2/manifest.json", "model_step_4/model.safetensors", "model_step_6/training_state.json"} {
		truncate("output/"+file, 10)(t, dir)
	}
	before := must(list(dir))(t)
	for _, args := range [][]string{{"-config", "tiny.yaml"}, {"-config", "tiny.yaml", "-set", "max_steps=12"}} {
		code, stderr := train(t, dir, args...)
		if code != 1 {
			t.Errorf("exit code %d, want 1", code)
		}
		checkOneProblem(t, stderr, "./output: no checkpoint is intact: 3 of 3 named model_step_N are damaged; restore one, or start anew with -resume never")
		for _, name := range []string{"model_step_2: manifest.json: ", "model_step_4: model.safetensors: ", "model_step_6: training_state.json: "} {
			if want := "warning: resume: passed over checkpoint output/" + name; !strings.Contains(stderr, want) {
				t.Errorf("want %q in:\n%s", want, stderr)
			}
		}
		if diff := cmp.Diff(before, must(list(dir))(t)); diff != "" {
			t.Errorf("files: %s", diff)
		}
	}
	// The way out that the message names.
	mustTrain(t, dir, "-config", "tiny.yaml", "-resume", "never")
}
