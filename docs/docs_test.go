// Package docs holds the documents to what is there: their commands run, what they show is what is printed, and the keys,
// files, tests and flags that they name exist.
package docs

import (
	"os"
	"path/filepath"
	"regexp"
	"slices"
	"strings"
	"testing"
)

// guides are the pages whose commands are run, in English; each has a twin in Portuguese beside it.
var guides = []string{"mixed-precision", "gradient-accumulation", "presets", "memory-and-speed", "cluster"}

// A block is what stands between two fences. After ```sh come commands, after ```text what the commands above it print: each
// line must be printed, one after the other. "…" stands for any text, alone for any lines, and every number, its unit included, for any
// number, unless the fence is ```text exact. Commands after ```sh slow run only where FRUGAL_TEST_SLOW is set, and those after
// ```sh elsewhere never: they take what a test does not have, another machine or somebody else's program.
type block struct {
	language string // sh or text
	mark     string // slow, elsewhere or exact, mostly nothing
	line     int    // of the opening fence
	text     string
}

// page is a document taken apart.
type page struct {
	name   string   // file name
	prose  []string // lines, those of blocks empty
	blocks []block
}

func readPage(t *testing.T, name string) page {
	t.Helper()
	content, err := os.ReadFile(name)
	if err != nil {
		t.Fatal(err)
	}
	p := page{name: name}
	var open *block
	for i, line := range strings.Split(string(content), "\n") {
		fence, isFence := strings.CutPrefix(line, "```")
		switch {
		case isFence && open == nil:
			language, mark, _ := strings.Cut(fence, " ")
			open = &block{language: language, mark: mark, line: i + 1}
		case isFence:
			p.blocks = append(p.blocks, *open)
			open = nil
		case open != nil:
			open.text += line + "\n"
		default:
			p.prose = append(p.prose, line)
			continue
		}
		p.prose = append(p.prose, "")
	}
	if open != nil {
		t.Fatalf("%s:%d: the block does not end", name, open.line)
	}
	return p
}

func TestBothLanguagesHaveTheSameCommands(t *testing.T) {
	for _, name := range guides {
		english, portuguese := readPage(t, name+".md"), readPage(t, name+".pt-BR.md")
		if len(english.blocks) != len(portuguese.blocks) {
			t.Errorf("%s: %d blocks in English, %d in Portuguese", name, len(english.blocks), len(portuguese.blocks))
			continue
		}
		for i, e := range english.blocks {
			p := portuguese.blocks[i]
			if e.language != p.language || e.mark != p.mark || e.text != p.text {
				t.Errorf("%s.md:%d and %s.pt-BR.md:%d differ", name, e.line, name, p.line)
			}
		}
	}
}

func TestEveryGuideHasCommandsAndShowsWhatTheyPrint(t *testing.T) {
	for _, name := range guides {
		var kinds []string
		for _, b := range readPage(t, name+".md").blocks {
			kinds = append(kinds, b.language)
			known := b.mark == "" || b.language == "sh" && (b.mark == "slow" || b.mark == "elsewhere") || b.language == "text" && b.mark == "exact"
			if b.language != "sh" && b.language != "text" || !known {
				t.Errorf("%s.md:%d: ```%s %s is not known here", name, b.line, b.language, b.mark)
			}
		}
		if !slices.Contains(kinds, "sh") || !slices.Contains(kinds, "text") || kinds[0] != "sh" {
			t.Errorf("%s.md: blocks %q, want commands and then what they print", name, kinds)
		}
	}
}

var linkPattern = regexp.MustCompile(`\]\(([^()\s]+)\)`)

func TestRelativeLinksResolve(t *testing.T) {
	names := []string{"../README.md", "../README.pt-BR.md"}
	for _, pattern := range []string{"*.md", "experiments/*.md"} {
		found, err := filepath.Glob(pattern)
		if err != nil || len(found) == 0 {
			t.Fatal(pattern, err)
		}
		names = append(names, found...)
	}
	seen := 0
	for _, name := range names {
		for i, line := range readPage(t, name).prose {
			for _, match := range linkPattern.FindAllStringSubmatch(line, -1) {
				target := match[1]
				if strings.Contains(target, "://") {
					continue
				}
				seen++
				file, anchor, _ := strings.Cut(target, "#")
				if file == "" {
					file = filepath.Base(name)
				}
				file = filepath.Join(filepath.Dir(name), file)
				if _, err := os.Stat(file); err != nil {
					t.Errorf("%s:%d: %s: no such file", name, i+1, target)
				} else if anchor != "" && !slices.Contains(anchors(t, file), anchor) {
					t.Errorf("%s:%d: %s: no such heading", name, i+1, target)
				}
			}
		}
	}
	if seen < 100 {
		t.Errorf("%d links seen: the pattern finds none", seen)
	}
}

var notInAnchor = regexp.MustCompile(`[^\p{L}\p{N} _-]`)

// anchors are a document's headings as GitHub names them.
func anchors(t *testing.T, file string) (list []string) {
	t.Helper()
	for _, line := range readPage(t, file).prose {
		if title := strings.TrimLeft(line, "#"); title != line && strings.HasPrefix(title, " ") {
			title = notInAnchor.ReplaceAllString(strings.ToLower(strings.TrimSpace(title)), "")
			list = append(list, strings.ReplaceAll(title, " ", "-"))
		}
	}
	return list
}
