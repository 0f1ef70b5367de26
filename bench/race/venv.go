package main

// The peers' Python: an interpreter that has them, or a virtual environment made for the race.

import (
	"encoding/json"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
)

// packages are what the peers need, in the versions that they are raced in. torch has our libtorch's.
var packages = []string{"torch==2.11.0", "numpy", "safetensors", "transformers==5.23.0", "accelerate", "tokenizers==0.23.3", "tiktoken==0.14.0"}

// versionsScript prints the versions of packages, as JSON; null for one that is absent.
const versionsScript = `
import importlib.metadata, json, platform, sys
found = {"python": platform.python_version()}
for name in sys.argv[1:]:
    try:
        found[name] = importlib.metadata.version(name)
    except importlib.metadata.PackageNotFoundError:
        found[name] = None
print(json.dumps(found))
`

// findPeers makes b.python an interpreter with the peers, and says which versions they are.
func (b *bench) findPeers() (versions string, err error) {
	found, err := b.askVersions(b.python)
	if err != nil {
		return "", fmt.Errorf("-python: %w", err)
	}
	if missing := missingFrom(found); len(missing) > 0 {
		if found, err = b.useVenv(missing); err != nil {
			return "", err
		}
	}
	return describePeers(found), nil
}

// useVenv makes the environment's the interpreter, and the environment where it is absent or incomplete.
func (b *bench) useVenv(missing []string) (found map[string]string, err error) {
	inside := filepath.Join(b.venv, "bin", "python")
	if _, err := os.Stat(inside); err == nil {
		if found, err = b.askVersions(inside); err == nil && len(missingFrom(found)) == 0 {
			b.python = inside
			return found, nil
		}
	}
	b.say("%s lacks %s: installing into the virtual environment %s", b.python, strings.Join(missing, ", "), b.venv)
	if err := b.makeVenv(); err != nil {
		return nil, err
	}
	b.python = inside
	if found, err = b.askVersions(inside); err != nil {
		return nil, err
	}
	if missing := missingFrom(found); len(missing) > 0 {
		return nil, fmt.Errorf("%s still lacks %s: remove %s, and it will be made anew", inside, strings.Join(missing, ", "), b.venv)
	}
	return found, nil
}

// makeVenv makes the environment, or completes it, and shows what pip says.
func (b *bench) makeVenv() error {
	inside := filepath.Join(b.venv, "bin", "python")
	commands := [][]string{append([]string{inside, "-m", "pip", "install", "--progress-bar", "off"}, packages...)}
	if _, err := os.Stat(inside); err != nil {
		commands = append([][]string{{b.python, "-m", "venv", b.venv}}, commands...)
	}
	for _, words := range commands {
		c := exec.CommandContext(b.ctx, words[0], words[1:]...)
		c.Stdout, c.Stderr = os.Stderr, os.Stderr
		if err := c.Run(); err != nil {
			return fmt.Errorf("%s: %w", strings.Join(words, " "), err)
		}
	}
	return nil
}

func (b *bench) askVersions(python string) (map[string]string, error) {
	words := []string{"-c", versionsScript}
	for _, p := range packages {
		name, _, _ := strings.Cut(p, "==")
		words = append(words, name)
	}
	answer, err := b.output(b.command(nil, python, words...))
	if err != nil {
		return nil, err
	}
	var found map[string]string
	if err := json.Unmarshal(answer, &found); err != nil {
		return nil, fmt.Errorf("the versions of %s: %w", python, err)
	}
	return found, nil
}

// missingFrom lists the packages that are absent or of another version. A build's name behind a plus, such as torch's cu130, does not count.
func missingFrom(found map[string]string) (list []string) {
	for _, p := range packages {
		name, want, pinned := strings.Cut(p, "==")
		version, _, _ := strings.Cut(found[name], "+")
		if version == "" || pinned && version != want {
			list = append(list, p)
		}
	}
	return list
}

func describePeers(found map[string]string) string {
	return fmt.Sprintf("PyTorch %s, transformers %s, Python %s", found["torch"], found["transformers"], found["python"])
}
