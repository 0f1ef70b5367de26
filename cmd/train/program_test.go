package main

// Running the program from Go tests.

import (
	"bytes"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"
)

// trainCommand returns a command that runs train in dir, with the caches below home and no FRUGAL_ variable.
func trainCommand(dir, home string, args ...string) *exec.Cmd {
	command := exec.Command("train", args...) // testscript.Main has put it on the path
	command.Dir = dir
	for _, variable := range os.Environ() {
		if !strings.HasPrefix(variable, "FRUGAL_") {
			command.Env = append(command.Env, variable)
		}
	}
	command.Env = append(command.Env, "HOME="+home, "XDG_CACHE_HOME="+filepath.Join(home, ".cache"))
	return command
}

// workplace is a directory with the configurations and the corpus that all tests share.
func workplace(t *testing.T) string {
	t.Helper()
	dir := t.TempDir()
	if err := layOut(dir); err != nil {
		t.Fatal(err)
	}
	return dir
}

// train runs the program to its end and returns its exit code and what it wrote to standard error.
func train(t *testing.T, dir string, args ...string) (code int, stderr string) {
	t.Helper()
	command := trainCommand(dir, dir, args...)
	var stdoutText, stderrText bytes.Buffer
	command.Stdout, command.Stderr = &stdoutText, &stderrText
	code = exitCode(command.Run())
	if stdoutText.Len() > 0 {
		t.Errorf("standard output: %q", stdoutText.String())
	}
	checkNoStack(t, stderrText.String())
	return code, stderrText.String()
}

// mustTrain is train where it has to succeed.
func mustTrain(t *testing.T, dir string, args ...string) (stderr string) {
	t.Helper()
	code, stderr := train(t, dir, args...)
	if code != 0 {
		t.Fatalf("exit code %d:\n%s", code, stderr)
	}
	return stderr
}

// checkNoStack fails where the program showed its inside: a stack of Go's or of libtorch's.
func checkNoStack(t *testing.T, stderr string) {
	t.Helper()
	for _, sign := range []string{"goroutine ", "panic", "runtime error", "SIGSEGV", "terminate called", ".go:", ".cpp:", ".cc:", "Exception raised from", "frame #"} {
		if strings.Contains(stderr, sign) {
			t.Errorf("%q in standard error:\n%s", sign, stderr)
		}
	}
}

// problems returns the lines that the program ended with: those that begin with its name.
func problems(stderr string) []string {
	var lines []string
	for line := range strings.Lines(stderr) {
		if strings.HasPrefix(line, "train: ") {
			lines = append(lines, strings.TrimSuffix(line, "\n"))
		}
	}
	return lines
}

// must(f())(t) is what f returned, or the end of the test.
func must[T any](result T, err error) func(t *testing.T) T {
	return func(t *testing.T) T {
		t.Helper()
		if err != nil {
			t.Fatal(err)
		}
		return result
	}
}

func copyFile(t *testing.T, from, to string) {
	t.Helper()
	content, err := os.ReadFile(from)
	if err == nil {
		err = os.WriteFile(to, content, 0o666)
	}
	if err != nil {
		t.Fatal(err)
	}
}

func copyDir(t *testing.T, from, to string) {
	t.Helper()
	if err := os.CopyFS(to, os.DirFS(from)); err != nil {
		t.Fatal(err)
	}
}
