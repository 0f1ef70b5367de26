package main

// The program as a person meets it: the test binary runs itself as `generate`, and scripts in testdata/script say what is typed
// and what must come of it. They begin in a directory where output/ is a small finished run, bare/ a model without a tokenizer.

import (
	"bytes"
	"context"
	"encoding/binary"
	"errors"
	"io"
	"math"
	"os"
	"os/exec"
	"os/signal"
	"path/filepath"
	"strconv"
	"strings"
	"syscall"
	"testing"
	"time"

	"github.com/rogpeppe/go-internal/testscript"

	"frugal/trainer"
	"frugal/trainer/config"
)

func TestMain(m *testing.M) {
	testscript.Main(m, map[string]func(){"generate": main})
}

func TestScripts(t *testing.T) {
	finished := trainedRun(t)
	testscript.Run(t, testscript.Params{
		Dir:                 filepath.Join("testdata", "script"),
		Cmds:                scriptCommands,
		RequireExplicitExec: true,
		Setup: func(env *testscript.Env) error {
			env.Setenv("HOME", env.WorkDir)
			return os.CopyFS(env.WorkDir, os.DirFS(finished))
		},
	})
}

// trainedRun trains for four steps of a millisecond: a model of bytes with 64 positions.
func trainedRun(t *testing.T) (dir string) {
	t.Helper()
	dir = t.TempDir()
	corpus, err := filepath.Abs(filepath.Join("..", "train", "testdata", "corpus.txt"))
	if err != nil {
		t.Fatal(err)
	}
	c, choices, err := config.Load(config.LoadOptions{Set: []string{
		"data.train=[" + corpus + "]", "data.cache_dir=" + filepath.Join(dir, "cache"), "data.eval_fraction=0", "eval_steps=0",
		"output_dir=" + filepath.Join(dir, "output"), "logging_dir=" + filepath.Join(dir, "cache", "logs"), "tokenizer.type=byte",
		"hidden_size=16", "num_layers=2", "num_heads=2", "intermediate_size=32", "max_position_embeddings=64", "batch_size=2",
		"learning_rate=0.01", "warmup_steps=0", "max_steps=4", "save_steps=2", "precision=fp32", "device=cpu", "threads=1",
	}})
	if err != nil {
		t.Fatal(err)
	}
	var log bytes.Buffer
	if err := trainer.Run(t.Context(), trainer.Options{Config: c, Choices: choices, Stderr: &log}); err != nil {
		t.Fatalf("%v\n%s", err, log.String())
	}
	if err := os.RemoveAll(filepath.Join(dir, "cache")); err != nil {
		t.Fatal(err)
	}
	if err := os.CopyFS(filepath.Join(dir, "bare"), os.DirFS(filepath.Join("..", "..", "trainer", "gpt2", "testdata", "odd"))); err != nil {
		t.Fatal(err)
	}
	return dir
}

var scriptCommands = map[string]func(ts *testscript.TestScript, neg bool, args []string){
	// exits CODE PROGRAM ARGS… runs a program, which must end with that exit code, and shows no stack.
	"exits": func(ts *testscript.TestScript, neg bool, args []string) {
		if neg || len(args) < 2 {
			ts.Fatalf("usage: exits CODE PROGRAM ARGS…")
		}
		want, err := strconv.Atoi(args[0])
		ts.Check(err)
		var exit *exec.ExitError
		code := 0
		if err := ts.Exec(args[1], args[2:]...); errors.As(err, &exit) {
			code = exit.ExitCode()
		} else {
			ts.Check(err)
		}
		if code != want {
			ts.Fatalf("exit code %d, want %d", code, want)
		}
		for _, sign := range []string{"goroutine ", "panic", ".go:", "terminate called", "Exception raised from"} {
			if strings.Contains(ts.ReadFile("stderr"), sign) {
				ts.Fatalf("%q in standard error", sign)
			}
		}
	},
	// truncate FILE SIZE cuts a file off.
	"truncate": func(ts *testscript.TestScript, neg bool, args []string) {
		size, err := strconv.ParseInt(args[1], 10, 64)
		ts.Check(err)
		ts.Check(os.Truncate(ts.MkAbs(args[0]), size))
	},
	// replace FILE OLD NEW changes a file, in which OLD must stand.
	"replace": func(ts *testscript.TestScript, neg bool, args []string) {
		before := ts.ReadFile(args[0])
		after := strings.ReplaceAll(before, args[1], args[2])
		if after == before {
			ts.Fatalf("%s does not hold %s", args[0], args[1])
		}
		ts.Check(os.WriteFile(ts.MkAbs(args[0]), []byte(after), 0o666))
	},
	// nan FILE sets the last number of a safetensors file to NaN.
	"nan": func(ts *testscript.TestScript, neg bool, args []string) {
		content := []byte(ts.ReadFile(args[0]))
		binary.LittleEndian.PutUint32(content[len(content)-4:], math.Float32bits(float32(math.NaN())))
		ts.Check(os.WriteFile(ts.MkAbs(args[0]), content, 0o666))
	},
	// bytes FILE HEX… writes a file of these bytes.
	"bytes": func(ts *testscript.TestScript, neg bool, args []string) {
		var content []byte
		for _, hex := range args[1:] {
			b, err := strconv.ParseUint(hex, 16, 8)
			ts.Check(err)
			content = append(content, byte(b))
		}
		ts.Check(os.WriteFile(ts.MkAbs(args[0]), content, 0o666))
	},
}

// A signal ends the program after the token in hand, whatever it is doing, with a whole line and the signal's exit code.
func TestSignalsEndTheProgram(t *testing.T) {
	dir := trainedRun(t)
	for what, want := range map[os.Signal]int{syscall.SIGHUP: 129, syscall.SIGINT: 130, syscall.SIGTERM: 143} {
		if signal.Ignored(what) { // under nohup: the program inherits that, and goes on
			t.Logf("%s is ignored where this test runs, and was not tried", what)
			continue
		}
		ctx, cancel := context.WithTimeout(t.Context(), time.Minute)
		defer cancel()
		command := exec.CommandContext(ctx, "generate", "-model", filepath.Join(dir, "output"), "-temperature", "0")
		stdin, err := command.StdinPipe() // stays open: the program waits for the next prompt
		if err != nil {
			t.Fatal(err)
		}
		stdout, err := command.StdoutPipe()
		if err != nil {
			t.Fatal(err)
		}
		var stderr bytes.Buffer
		command.Stderr = &stderr
		if err := command.Start(); err != nil {
			t.Fatal(err)
		}
		io.WriteString(stdin, "Era\n")
		if _, err := io.ReadFull(stdout, make([]byte, 10)); err != nil {
			t.Fatalf("%v: %s", err, stderr.String())
		}
		command.Process.Signal(what)
		io.Copy(io.Discard, stdout)
		var exit *exec.ExitError
		if err := command.Wait(); !errors.As(err, &exit) || exit.ExitCode() != want {
			t.Errorf("%s: %v, want exit code %d: %s", what, err, want, stderr.String())
		}
		if stderr.Len() > 0 {
			t.Errorf("%s: standard error: %s", what, stderr.String())
		}
	}
}

func TestATerminalIsNotControlledByWhatIsGenerated(t *testing.T) {
	for text, want := range map[string]string{
		"ção\n\tok": "ção\n\tok", "\x1b[31mred": "\uFFFD[31mred", "a\xe7b": "a\uFFFDb", "\a\b\r\u009b2J": "\uFFFD\uFFFD\uFFFD\uFFFD2J",
	} {
		if got := visible(text); got != want {
			t.Errorf("%q becomes %q, want %q", text, got, want)
		}
	}
}
