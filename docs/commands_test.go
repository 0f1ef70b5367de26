//go:build !race

package docs

// The pages' commands, run as a reader would, in a directory that looks like the checkout. The race detector would learn
// nothing from it: the work is done by other programs.

import (
	"fmt"
	"io/fs"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"slices"
	"strings"
	"testing"
)

// inShort is the guide whose commands run under -short.
const inShort = "gradient-accumulation"

func TestCommandsRunAndPrintWhatIsShown(t *testing.T) {
	for _, program := range []string{"train", "report"} {
		if !exists("../bin/" + program) {
			t.Skipf("bin/%s is not built: make build", program)
		}
	}
	for _, name := range guides {
		t.Run(name, func(t *testing.T) {
			if testing.Short() && name != inShort {
				t.Skip("with -short the commands of " + inShort + ".md run alone")
			}
			t.Parallel()
			dir := checkout(t)
			p, output := readPage(t, name+".md"), ""
			for i, b := range p.blocks {
				if b.language == "text" || b.mark == "elsewhere" {
					continue
				}
				if b.mark == "slow" && os.Getenv("FRUGAL_TEST_SLOW") == "" {
					t.Logf("%s:%d: left out, for it takes minutes; FRUGAL_TEST_SLOW=1 runs it", p.name, b.line)
					continue
				}
				output = runBlock(t, dir, p.name, b)
				for _, shown := range p.blocks[i+1:] {
					if shown.language != "text" {
						break
					}
					checkShown(t, p.name, shown, output)
				}
			}
			if check := claims[name]; check != nil {
				check(t, dir, p)
			}
		})
	}
}

// checkout makes a directory in which bin/, configs/, corpus/ and scripts/ are the project's and all else is new.
func checkout(t *testing.T) string {
	t.Helper()
	dir := t.TempDir()
	for _, name := range []string{"bin", "configs", "corpus", "scripts"} {
		target, err := filepath.Abs("../" + name)
		if err != nil {
			t.Fatal(err)
		}
		if err := os.Symlink(target, filepath.Join(dir, name)); err != nil {
			t.Fatal(err)
		}
		// go test remembers a result until something changes that the test has looked at: the commands look without it.
		if err := filepath.WalkDir(target, func(_ string, _ fs.DirEntry, err error) error { return err }); err != nil {
			t.Fatal(err)
		}
	}
	return dir
}

// runBlock runs a block's commands in one shell, which ends at the first that fails, and returns what it printed to its standard output.
func runBlock(t *testing.T, dir, file string, b block) string {
	t.Helper()
	c := exec.Command("bash", "-euo", "pipefail", "-c", b.text)
	c.Dir = dir
	for _, variable := range os.Environ() {
		if !strings.HasPrefix(variable, "FRUGAL_") {
			c.Env = append(c.Env, variable)
		}
	}
	c.Env = append(c.Env, "XDG_CACHE_HOME="+filepath.Join(dir, "cache"), "FRUGAL_THREADS=1", "OMP_NUM_THREADS=1", "LC_ALL=C.UTF-8")
	var stdout, stderr strings.Builder
	c.Stdout, c.Stderr = &stdout, &stderr
	if err := c.Run(); err != nil {
		t.Fatalf("%s:%d: %v\n%s%s", file, b.line, err, stdout.String(), stderr.String())
	}
	return stdout.String()
}

var (
	numberPattern = regexp.MustCompile(`(\d+h)?(\d+m)?\d[\d.,]*(e[-+]?\d+)?( ?([KMG]?B|s)\b)?`)
	spacePattern  = regexp.MustCompile(`\s+`)
)

// checkShown looks for the lines of a text block in what was printed.
func checkShown(t *testing.T, file string, shown block, output string) {
	t.Helper()
	if line := firstMissing(shown.mark == "exact", shown.text, output); line != "" {
		t.Errorf("%s:%d: not printed, or not in this order: %s\nprinted was:\n%s", file, shown.line, line, output)
	}
}

// firstMissing is the first line of shown that output does not have next, or after a "…" anywhere behind the ones before; or the
// first that output has and shown leaves out at its end. "" if there is none.
func firstMissing(exact bool, shown, output string) string {
	simplify := func(line string) string {
		if !exact {
			line = numberPattern.ReplaceAllString(line, "#")
		}
		return strings.TrimSpace(spacePattern.ReplaceAllString(line, " "))
	}
	rest := strings.Split(strings.TrimRight(output, "\n"), "\n")
	skips := false
	for line := range strings.Lines(shown) {
		line = strings.TrimSuffix(line, "\n")
		if line == "…" {
			skips = true
			continue
		}
		parts := strings.Split(simplify(line), "…")
		for i := range parts {
			parts[i] = regexp.QuoteMeta(parts[i])
		}
		pattern := regexp.MustCompile("^" + strings.Join(parts, ".*") + "$")
		at := slices.IndexFunc(rest, func(printed string) bool { return pattern.MatchString(simplify(printed)) })
		if at < 0 || at > 0 && !skips {
			return line
		}
		rest, skips = rest[at+1:], false
	}
	if len(rest) > 0 && !skips {
		return rest[0]
	}
	return ""
}

// The harness itself: what it must notice.
func TestShownLinesAreLookedForInTheirOrder(t *testing.T) {
	for _, c := range []struct {
		mark, shown, output string
		want                bool
	}{
		{"", "loss 2.5  1m03s\n", "loss 2.25 59s\n", true},
		{"", "memory 1.1 GB\n", "memory 900 MB\n", true},
		{"exact", "loss 2.5\n", "loss   2.5\n", true},
		{"exact", "loss 2.5\n", "loss 2.6\n", false},
		{"", "loss 2.5\n", "gain 2.5\n", false},
		{"", "b 1\na 1\n", "a 1\nb 1\n", false},
		{"", "a 1\n…\nc 1\n", "a 1\nb 1\nc 1\n", true},
		{"", "a 1\nc 1\n", "a 1\nb\nc 1\n", false},
		{"", "a 1\n", "a 1\nb\n", false},
		{"", "a 1\n…\n", "a 1\nb\n", true},
		{"", "a … z\n", "a b c z\n", true},
		{"", "a\n", "a b\n", false},
	} {
		t.Run(fmt.Sprintf("%s %q", c.mark, c.shown), func(t *testing.T) {
			found := firstMissing(c.mark == "exact", c.shown, c.output) == ""
			if found != c.want {
				t.Errorf("found %v in %q", found, c.output)
			}
		})
	}
}
