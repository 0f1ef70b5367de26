package main

// The virtual environment, made by scripts that stand in for Python.

import (
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"
)

func TestPackagesThatAreMissing(t *testing.T) {
	found := map[string]string{"torch": "2.11.0+cu130", "numpy": "2.4.0", "safetensors": "0.7.0", "transformers": "5.22.0", "tokenizers": "0.23.3", "tiktoken": "0.14.0"}
	if got, want := missingFrom(found), []string{"transformers==5.23.0", "accelerate"}; !slices.Equal(got, want) {
		t.Errorf("got %q, want %q", got, want)
	}
}

// bare is an interpreter without packages. Its environments' interpreters have what pip was told to install.
const bare = `#!/bin/sh
case "$1 $2" in
"-m venv") mkdir -p "$3/bin" && cp "$0" "$3/bin/python" ;;
"-m pip") echo "$@" > "$0.installed" ;;
"-c "*) if [ -e "$0.installed" ]; then
	echo '{"python": "3.11.7", "torch": "2.11.0+cpu", "numpy": "2", "safetensors": "1", "transformers": "5.23.0", "accelerate": "1", "tokenizers": "0.23.3", "tiktoken": "TIKTOKEN"}'
else
	echo '{"python": "3.11.7", "torch": null}'
fi ;;
esac
`

// interpreter writes a stand-in whose environments have that version of tiktoken.
func interpreter(t *testing.T, tiktoken string) *bench {
	t.Helper()
	folder := t.TempDir()
	python := filepath.Join(folder, "python3")
	if err := os.WriteFile(python, []byte(strings.Replace(bare, "TIKTOKEN", tiktoken, 1)), 0o777); err != nil {
		t.Fatal(err)
	}
	return &bench{options: options{python: python, venv: filepath.Join(folder, "venv")}, ctx: t.Context()}
}

func TestAnInterpreterWithoutThePeersGetsAnEnvironment(t *testing.T) {
	b := interpreter(t, "0.14.0")
	outside := b.python
	versions, err := b.findPeers()
	if err != nil {
		t.Fatal(err)
	}
	inside := filepath.Join(b.venv, "bin", "python")
	if b.python != inside || versions != "PyTorch 2.11.0+cpu, transformers 5.23.0, Python 3.11.7" {
		t.Errorf("python %s, %s", b.python, versions)
	}
	said, err := os.ReadFile(inside + ".installed")
	if err != nil || !strings.Contains(string(said), "torch==2.11.0") {
		t.Errorf("pip was told %q, %v", said, err)
	}
	// What is complete is used as it is.
	if err := os.WriteFile(inside+".installed", []byte("before"), 0o666); err != nil {
		t.Fatal(err)
	}
	again := &bench{options: b.options, ctx: t.Context()}
	again.python = outside
	if _, err := again.findPeers(); err != nil || again.python != inside {
		t.Errorf("again: python %s, %v", again.python, err)
	}
	if said, err := os.ReadFile(inside + ".installed"); err != nil || string(said) != "before" {
		t.Errorf("again: pip was told %q, %v", said, err)
	}
}

func TestAnEnvironmentThatStaysIncompleteIsAnError(t *testing.T) {
	b := interpreter(t, "0.13.0")
	if _, err := b.findPeers(); err == nil || !strings.Contains(err.Error(), "lacks tiktoken==0.14.0") {
		t.Errorf("error %v, want one about tiktoken", err)
	}
}

func TestAnInterpreterThatIsAbsentIsAnError(t *testing.T) {
	b := interpreter(t, "0.14.0")
	b.python += "-absent"
	if _, err := b.findPeers(); err == nil || !strings.HasPrefix(err.Error(), "-python: fork/exec "+b.python+":") {
		t.Errorf("error %v, want one that begins with the flag and the whole path", err)
	}
}
