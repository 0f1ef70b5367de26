package scripts

// The experiments' scripts, with -quick: that they run to their end and write what their pages show.

import (
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"
)

// builtTrain skips a test, saying so, where bin/train has not been built.
func builtTrain(t *testing.T) {
	t.Helper()
	if testing.Short() {
		t.Skip("it trains: not with -short")
	}
	if _, err := os.Stat("../bin/train"); err != nil {
		t.Skip("bin/train is not built: make build")
	}
}

func TestExperimentsRun(t *testing.T) {
	builtTrain(t)
	for _, test := range []struct {
		name  string
		wants []string // in the table
		files []string
	}{
		{"histograms", []string{"### Root mean square of weights", "| learning_rate=3e-1,max_grad_norm=0 | never |"},
			[]string{"loss.png", "grad_norm.png", "gradients.png", "weights.png"}},
		{"local-steps", []string{"### Evaluation loss", "4, every 2: rate 0.7, momentum 0.9"}, []string{"eval.png"}},
		{"precision", []string{"### The loss scale", "| fp16, seed 1 | 4 | 65536 (1) | 0 |"},
			[]string{"eval.png", "loss_scale.png"}},
	} {
		t.Run(test.name, func(t *testing.T) {
			t.Parallel()
			dir := t.TempDir()
			script := exec.Command("experiments/"+test.name+".sh", "-quick", "-o", dir)
			out, err := script.CombinedOutput()
			if err != nil {
				t.Fatalf("%v\n%s", err, out)
			}
			table, err := os.ReadFile(filepath.Join(dir, "page", "table.md"))
			if err != nil {
				t.Fatal(err)
			}
			for _, want := range test.wants {
				if !strings.Contains(string(table), want) {
					t.Errorf("want %q in:\n%s", want, table)
				}
			}
			for _, name := range test.files {
				if _, err := os.Stat(filepath.Join(dir, "page", name)); err != nil {
					t.Error(err)
				}
			}
			again, err := exec.Command("experiments/"+test.name+".sh", "-quick", "-o", dir).CombinedOutput()
			if err != nil || strings.Contains(string(again), ": started") {
				t.Errorf("complete runs were made again: %v\n%s", err, again)
			}
		})
	}
}

func TestExperimentsRefuseUnknownFlags(t *testing.T) {
	scripts, err := filepath.Glob("experiments/*.sh")
	if err != nil || len(scripts) < 4 {
		t.Fatalf("%q, %v", scripts, err)
	}
	for _, script := range scripts {
		if filepath.Base(script) == "lib.sh" {
			continue
		}
		out, err := exec.Command(script, "-nonsense").CombinedOutput()
		exit, ok := err.(*exec.ExitError)
		if !ok || exit.ExitCode() != 2 || !strings.Contains(string(out), "-nonsense: no such flag") {
			t.Errorf("%s: %v: %s", script, err, out)
		}
	}
}
