package main

// The program as a person meets it: the test binary runs itself as `train`, and scripts in testdata/script say what is typed
// and what must come of it. Beside testscript's own commands they have those of scriptCommands and the program `upon`.

import (
	"encoding/binary"
	"errors"
	"fmt"
	"io/fs"
	"math"
	"os"
	"os/exec"
	"os/signal"
	"path/filepath"
	"slices"
	"strconv"
	"strings"
	"syscall"
	"testing"
	"time"

	"github.com/parquet-go/parquet-go"
	"github.com/rogpeppe/go-internal/testscript"

	"frugal/torch"
)

func TestMain(m *testing.M) {
	testscript.Main(m, map[string]func(){"train": main, "train-newer": newer, "upon": upon})
}

// Scripts begin with the few variables that testscript sets, so none of FRUGAL_* is among them.
func TestScripts(t *testing.T) {
	// Under nohup the programs would be started with SIGHUP ignored, and keep it so.
	signal.Notify(make(chan os.Signal, 1), syscall.SIGHUP)
	testscript.Run(t, testscript.Params{
		Dir:                 filepath.Join("testdata", "script"),
		Cmds:                scriptCommands,
		RequireExplicitExec: true,
		Setup: func(env *testscript.Env) error {
			env.Setenv("HOME", env.WorkDir)
			env.Setenv("XDG_CACHE_HOME", filepath.Join(env.WorkDir, ".cache"))
			return layOut(env.WorkDir)
		},
	})
}

// Whatever does not fit is exit code 3, with what there is to change: a step has come down to one row by then.
func TestOutOfMemorySaysWhatNeedsLess(t *testing.T) {
	for doing, want := range map[string]string{
		"step 7":           "one row at a time does not fit; a smaller model or a shorter max_position_embeddings needs less, and so do gradient_checkpointing: true and, on a card, cpu_offload where they are not set yet",
		"making the model": "a smaller hidden_size, num_layers or vocabulary needs less, and so does cpu_offload where the device is a card",
	} {
		var stderr strings.Builder
		code := report(&stderr, fmt.Errorf("%s: %w", doing, &torch.Error{Kind: torch.OutOfMemory, Message: "no room"}))
		if line := "train: " + doing + ": out of memory: no room; " + want + "\n"; code != 3 || stderr.String() != line {
			t.Errorf("exit code %d, %q, want %q", code, stderr.String(), line)
		}
	}
}

// layOut puts the configurations and the corpus that all tests share into dir.
func layOut(dir string) error {
	for _, name := range []string{"tiny.yaml", "init.yaml", "corpus.txt"} {
		content, err := os.ReadFile(filepath.Join("testdata", name))
		if err != nil {
			return err
		}
		if err := os.WriteFile(filepath.Join(dir, name), content, 0o666); err != nil {
			return err
		}
	}
	return nil
}

var scriptCommands = map[string]func(ts *testscript.TestScript, neg bool, args []string){
	// exits CODE PROGRAM ARGS… runs a program, which must end with that exit code.
	"exits": func(ts *testscript.TestScript, neg bool, args []string) {
		if neg || len(args) < 2 {
			ts.Fatalf("usage: exits CODE PROGRAM ARGS…")
		}
		want, err := strconv.Atoi(args[0])
		ts.Check(err)
		if err := ts.Exec(args[1], args[2:]...); exitCode(err) != want {
			ts.Fatalf("exit code %d (%v), want %d", exitCode(err), err, want)
		}
	},
	// list DIR writes the paths of the files and empty directories below DIR to stdout, sorted.
	"list": func(ts *testscript.TestScript, neg bool, args []string) {
		if neg || len(args) != 1 {
			ts.Fatalf("usage: list DIR")
		}
		paths, err := list(ts.MkAbs(args[0]))
		ts.Check(err)
		for _, path := range paths {
			fmt.Fprintln(ts.Stdout(), path)
		}
	},
	// results METRICS writes what a metrics.jsonl says of the training itself to stdout: see results.
	"results": func(ts *testscript.TestScript, neg bool, args []string) {
		if neg || len(args) != 1 {
			ts.Fatalf("usage: results METRICS")
		}
		lines, err := results(ts.MkAbs(args[0]))
		ts.Check(err)
		fmt.Fprintln(ts.Stdout(), strings.Join(lines, "\n"))
	},
	// parquet TEXT FILE writes a parquet file with a column "text", one row for each line of TEXT.
	"parquet": func(ts *testscript.TestScript, neg bool, args []string) {
		if neg || len(args) != 2 {
			ts.Fatalf("usage: parquet TEXT FILE")
		}
		type row struct {
			Text string `parquet:"text"`
		}
		var rows []row
		for line := range strings.Lines(ts.ReadFile(args[0])) {
			rows = append(rows, row{strings.TrimSuffix(line, "\n")})
		}
		ts.Check(parquet.WriteFile(ts.MkAbs(args[1]), rows))
	},
	// waitfor FILE returns when there is such a file; the background program that makes it is left a minute for that.
	"waitfor": func(ts *testscript.TestScript, neg bool, args []string) {
		if neg || len(args) != 1 {
			ts.Fatalf("usage: waitfor FILE")
		}
		for end := time.Now().Add(time.Minute); time.Now().Before(end); time.Sleep(10 * time.Millisecond) {
			if _, err := os.Stat(ts.MkAbs(args[0])); err == nil {
				return
			}
		}
		ts.Fatalf("%s did not appear", args[0])
	},
	// finite PATTERN… fails unless all numbers of the safetensors files, of which there must be one, are finite.
	"finite": func(ts *testscript.TestScript, neg bool, args []string) {
		if neg || len(args) == 0 {
			ts.Fatalf("usage: finite PATTERN…")
		}
		for _, pattern := range args {
			files, err := filepath.Glob(ts.MkAbs(pattern))
			ts.Check(err)
			if len(files) == 0 {
				ts.Fatalf("there is no %s", pattern)
			}
			for _, file := range files {
				ts.Check(checkFinite(file))
			}
		}
	},
	// grow FILE BYTES repeats a file's content until it is at least that large.
	"grow": func(ts *testscript.TestScript, neg bool, args []string) {
		if neg || len(args) != 2 {
			ts.Fatalf("usage: grow FILE BYTES")
		}
		size, err := strconv.Atoi(args[1])
		ts.Check(err)
		content := ts.ReadFile(args[0])
		ts.Check(os.WriteFile(ts.MkAbs(args[0]), []byte(strings.Repeat(content, size/len(content)+1)), 0o666))
	},
}

// exitCode is the code that a program ended with; -1 where it did not run or a signal killed it.
func exitCode(err error) int {
	var exit *exec.ExitError
	switch {
	case err == nil:
		return 0
	case errors.As(err, &exit):
		return exit.ExitCode()
	}
	return -1
}

// list returns the slash-separated paths of the files and empty directories below dir, sorted.
func list(dir string) ([]string, error) {
	var paths []string
	err := filepath.WalkDir(dir, func(path string, entry fs.DirEntry, err error) error {
		if err != nil || path == dir {
			return err
		}
		if entry.IsDir() {
			if inside, err := os.ReadDir(path); err != nil || len(inside) > 0 {
				return err
			}
		}
		relative, err := filepath.Rel(dir, path)
		paths = append(paths, filepath.ToSlash(relative))
		return err
	})
	slices.Sort(paths)
	return paths, err
}

// checkFinite returns an error where a safetensors file of F32 tensors holds a number that is not finite. Behind the length of
// the header, 8 bytes, and the header there are only the numbers.
func checkFinite(path string) error {
	content, err := os.ReadFile(path)
	if err != nil {
		return err
	}
	numbers := content[8+binary.LittleEndian.Uint64(content):]
	for ; len(numbers) > 0; numbers = numbers[4:] {
		x := float64(math.Float32frombits(binary.LittleEndian.Uint32(numbers)))
		if math.IsNaN(x) || math.IsInf(x, 0) {
			return fmt.Errorf("%s holds %v", path, x)
		}
	}
	return nil
}

// What ran out of memory with one row at a time is not told to take fewer.
func TestWhatNeedsLessMemory(t *testing.T) {
	for doing, want := range map[string]string{
		"making the model":     "a smaller hidden_size",
		"step 7":               "one row at a time does not fit; a smaller model or a shorter max_position_embeddings needs less, and so do gradient_checkpointing",
		"evaluation":           "one row at a time does not fit; a smaller model or a shorter max_position_embeddings needs less, and so does, on a card, cpu_offload",
		"asking the teacher":   "a smaller batch_size",
		"checking the weights": "a smaller batch_size",
	} {
		var b strings.Builder
		code := report(&b, fmt.Errorf("%s: %w", doing, &torch.Error{Kind: torch.OutOfMemory, Message: "there is no more"}))
		if code != 3 || !strings.Contains(b.String(), doing) || !strings.Contains(b.String(), "; "+want) {
			t.Errorf("%s: code %d, %q, want %q", doing, code, b.String(), want)
		}
	}
}
