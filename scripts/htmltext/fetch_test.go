// scripts/fetch-corpus.sh as a whole, on a machine whose apt is a stand-in: no network, no packages.

package main

import (
	"errors"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"syscall"
	"testing"

	"github.com/google/go-cmp/cmp"
)

// What the stand-ins do: apt-get brings an empty file, dpkg-deb unpacks the book in testdata.
var standIns = map[string]string{
	"apt-cache": "exit 0",
	"apt-get":   `: > debian-faq-pt_1.0_all.deb`,
	"dpkg-deb": `d=$3/usr/share/doc; mkdir -p "$d/debian/FAQ" "$d/debian-faq-pt"; cp -r "$BOOK" "$d/debian/FAQ/pt"
echo "free, like water" > "$d/debian-faq-pt/copyright"`,
}

// fetch runs the script with some stand-ins changed, in a process group of its own.
func fetch(t *testing.T, changed map[string]string, args ...string) (output string, err error) {
	t.Helper()
	bin := t.TempDir()
	for _, tools := range []map[string]string{standIns, changed} {
		for name, body := range tools {
			if err := os.WriteFile(filepath.Join(bin, name), []byte("#!/bin/sh\nset -e\n"+body+"\n"), 0o755); err != nil {
				t.Fatal(err)
			}
		}
	}
	book, err := filepath.Abs("testdata/book")
	if err != nil {
		t.Fatal(err)
	}
	cmd := exec.Command("bash", append([]string{"../fetch-corpus.sh"}, args...)...)
	cmd.Env = append(os.Environ(), "BOOK="+book, "PATH="+bin+":"+os.Getenv("PATH"))
	cmd.SysProcAttr = &syscall.SysProcAttr{Setpgid: true}
	b, err := cmd.CombinedOutput()
	return string(b), err
}

func wantComplete(t *testing.T, dest string) {
	t.Helper()
	files := readDir(t, dest)
	if !strings.Contains(files["NOTICE"], "debian-faq-pt, version 1.0") {
		t.Errorf("NOTICE: %q", files["NOTICE"])
	}
	delete(files, "NOTICE")
	want := map[string]string{"01-agua.txt": water, "02-sede.txt": thirst, "LICENSE": "free, like water\n"}
	if diff := cmp.Diff(want, files); diff != "" {
		t.Errorf("(-want +got)\n%s", diff)
	}
	beside, err := os.ReadDir(filepath.Dir(dest))
	if err != nil || len(beside) != 1 {
		t.Errorf("beside the text: %v, %v", beside, err)
	}
}

func TestFetchTwice(t *testing.T) {
	dest := filepath.Join(t.TempDir(), "a text")
	if out, err := fetch(t, nil, "debian-faq-pt", dest); err != nil {
		t.Fatalf("%v\n%s", err, out)
	}
	wantComplete(t, dest)
	out, err := fetch(t, map[string]string{"apt-get": "exit 9"}, "debian-faq-pt", dest)
	if err != nil || !strings.Contains(out, "is there already") {
		t.Errorf("second run: %v\n%s", err, out)
	}
}

func TestFetchKilledAnywhereLeavesNothingHalfDone(t *testing.T) {
	for _, tool := range []string{"apt-get", "dpkg-deb", "go", "sync", "mv"} {
		t.Run("at "+tool, func(t *testing.T) {
			dest := filepath.Join(t.TempDir(), "text")
			_, err := fetch(t, map[string]string{tool: standIns[tool] + "\nkill -KILL 0"}, "debian-faq-pt", dest)
			var exit *exec.ExitError
			if !errors.As(err, &exit) || !exit.Sys().(syscall.WaitStatus).Signaled() {
				t.Fatalf("the run was not killed: %v", err)
			}
			if _, err := os.Stat(dest); !errors.Is(err, os.ErrNotExist) {
				t.Fatalf("after the kill, the text's directory: %v", err)
			}
			if out, err := fetch(t, nil, "debian-faq-pt", dest); err != nil {
				t.Fatalf("%v\n%s", err, out)
			}
			wantComplete(t, dest)
		})
	}
}

func TestFetchSaysWhatToDo(t *testing.T) {
	for name, test := range map[string]struct {
		changed map[string]string
		args    []string
		status  int
		want    string
	}{
		"unknown name":        {nil, []string{"nope"}, 2, `no text is known by the name "nope"`},
		"too many words":      {nil, []string{"debian-faq-pt", "a", "b"}, 2, "usage:"},
		"no package lists":    {map[string]string{"apt-cache": "exit 100"}, []string{"debian-faq-pt", "DEST"}, 1, "apt-get update"},
		"download fails":      {map[string]string{"apt-get": "echo E: 404; exit 100"}, []string{"debian-faq-pt", "DEST"}, 1, "E: 404"},
		"broken package":      {map[string]string{"dpkg-deb": "exit 2"}, []string{"debian-faq-pt", "DEST"}, 1, "debian-faq-pt_1.0_all.deb could not be unpacked"},
		"another version":     {map[string]string{"dpkg-deb": `mkdir -p "$3"`}, []string{"debian-faq-pt", "DEST"}, 1, "does not know that version"},
		"a directory of mine": {nil, []string{"debian-faq-pt", "testdata"}, 1, "is not a text fetched before"},
	} {
		t.Run(name, func(t *testing.T) {
			parent := t.TempDir()
			for i, a := range test.args {
				if a == "DEST" {
					test.args[i] = filepath.Join(parent, "text")
				}
			}
			out, err := fetch(t, test.changed, test.args...)
			var exit *exec.ExitError
			if !errors.As(err, &exit) || exit.ExitCode() != test.status || !strings.Contains(out, test.want) {
				t.Errorf("%v, want status %d and %q in\n%s", err, test.status, test.want, out)
			}
			if left := readDir(t, parent); len(left) > 0 {
				t.Errorf("left behind: %v", left)
			}
		})
	}
}
