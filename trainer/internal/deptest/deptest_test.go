// Package deptest holds the rules of the house, as tests: which package may import which, and why; who may use cgo; who may
// touch the file system; that each package says once what it is for. Only the source is read: nothing is built.
package deptest

import (
	"go/ast"
	"go/parser"
	"go/token"
	"io/fs"
	"maps"
	"os"
	"path"
	"path/filepath"
	"slices"
	"strconv"
	"strings"
	"testing"
)

const (
	module = "frugal"
	vfs    = "trainer/internal/vfs"
)

// row says what a package may import of ours.
type row struct {
	imports string // separated by spaces
	why     string
}

// arrows is the whole house. A package that is not here has no place in it yet: add the row, with its reason, first.
var arrows = map[string]row{
	"cmd/train": {"cmd/internal/program trainer trainer/config trainer/launch torch",
		"flags, signals and exit codes: torch.Error's kind is exit code 3, torch.Version is in -version; it starts itself several times"},
	"cmd/generate": {"cmd/internal/program trainer trainer/config trainer/gpt2 trainer/tokenizer torch",
		"opens one model and samples from it, without a run around it"},
	"cmd/report": {"cmd/internal/program trainer/config trainer/monitor trainer/monitor/web", "reads what runs have logged: it must start without libtorch"},

	"cmd/internal/program": {"", "how the programs end, say an error and name their version"},

	"trainer": {"torch corpus trainer/gpt2 trainer/distill trainer/distill/cache trainer/config trainer/tokenizer trainer/data trainer/curriculum " +
		"trainer/safetensors trainer/checkpoint trainer/cluster trainer/launch trainer/monitor trainer/monitor/live " + vfs, "the one place where the parts meet"},

	"trainer/cluster": {"torch trainer/launch", "who meets whom and who is gone: it moves tensors and knows no model"},
	"trainer/launch":  {"", "a place among processes, from the environment: it must be tested without libtorch"},

	"trainer/gpt2":          {"torch trainer/safetensors", "the model: tensors, and the file its weights lie in"},
	"trainer/distill":       {"torch trainer/gpt2 trainer/safetensors", "a teacher is a model whose logits the loss needs"},
	"trainer/distill/cache": {vfs, "a file of numbers: it must be tested and fuzzed without libtorch"},
	"torch":                 {"", "the binding knows nothing of language models"},

	"trainer/config":       {"", "each part has small options of its own, filled in trainer/build.go: a part that read the configuration could not be used without all of it"},
	"trainer/tokenizer":    {vfs, "text and ids; it reads and writes files"},
	"trainer/data":         {vfs, "it declares the Encoder that it needs and does not know the tokenizer"},
	"trainer/curriculum":   {"", "pure functions: of the step, and of a text"},
	"trainer/safetensors":  {"", "a header and bytes: whoever has the bytes can read them"},
	"trainer/checkpoint":   {vfs, "named files, not tensors: what is in them is the trainer's business"},
	"trainer/monitor":      {vfs, "numbers and text go in, files come out: it knows no model"},
	"trainer/monitor/web":  {"", "embedded scripts for a browser"},
	"trainer/monitor/live": {"trainer/monitor trainer/monitor/web " + vfs, "a server that reads metrics.jsonl: it knows no more of a run than the file does"},
	vfs:                    {"", "the bottom of the house"},
	"corpus":               {"", "embedded text"},

	"trainer/internal/deptest": {"", "these rules"},
	"trainer/internal/nettest": {"", "the program on several hosts, whose network has accidents"},
	"docs":                     {"trainer/config", "tests of the documents: keys, and what presets fill in"},
	"scripts":                  {"", "tests of the scripts"},
	"scripts/htmltext":         {"", "a filter for scripts/fetch-corpus.sh"},
	"scripts/experiments/lab":  {"", "tables and pictures of the experiments, from what runs have logged"},
	"scripts/livereplay":       {"trainer/monitor trainer/monitor/live", "the live page without a training, for scripts/check_live.mjs"},
	"bench/tokenizer":          {"trainer/tokenizer", "the tokenizer beside others"},
	"bench/generate":           {"torch trainer trainer/gpt2", "a model's generation beside Hugging Face's"},
	"bench/distill":            {"torch trainer trainer/gpt2 trainer/distill", "it runs the program, and computes what a cache loses"},
	"bench/memory":             {"bench/internal/document torch trainer trainer/config trainer/gpt2", "plans models, and trains those that the machine holds below a limit of the allocator's"},
	"bench/cluster":            {"bench/internal/document", "it runs the program in several processes, as a user would"},
	"bench/race":               {"bench/internal/document", "it runs the program beside others, as a user would"},
	"bench/internal/document":  {"", "where a bench's table goes in a page"},
	"bench/monitoring":         {"", "it runs the program with and without an audience"},
}

// usesDisk are the packages whose files all go through a vfs.FS, so that tests can crash the disk below them.
var usesDisk = []string{"trainer/tokenizer", "trainer/data", "trainer/checkpoint", "trainer/monitor", "trainer/monitor/live", "trainer/distill/cache"}

// osFiles are the functions of os that reach the disk past it.
var osFiles = strings.Fields("Chdir Chmod Chtimes Create CreateTemp DirFS Link Lstat Mkdir MkdirAll MkdirTemp Open OpenFile ReadDir " +
	"ReadFile Readlink Remove RemoveAll Rename Stat Symlink Truncate WriteFile")

// source is one parsed file.
type source struct {
	path   string // from the module's root
	isTest bool
	*ast.File
}

// imports lists what the file imports.
func (s source) imports() []string {
	var list []string
	for _, spec := range s.Imports {
		name, err := strconv.Unquote(spec.Path.Value)
		if err == nil {
			list = append(list, name)
		}
	}
	return list
}

// packages parses the module: its packages' files by directory. Other modules inside it, test data and what git ignores are
// not of the house.
func packages(t *testing.T) map[string][]source {
	t.Helper()
	root, err := filepath.Abs("../../..")
	if err != nil {
		t.Fatal(err)
	}
	found := map[string][]source{}
	err = filepath.WalkDir(root, func(name string, entry fs.DirEntry, err error) error {
		if err != nil {
			return err
		}
		relative, err := filepath.Rel(root, name)
		if err != nil {
			return err
		}
		if entry.IsDir() {
			return skip(root, name, relative)
		}
		if !strings.HasSuffix(name, ".go") {
			return nil
		}
		file, err := parser.ParseFile(token.NewFileSet(), name, nil, parser.ParseComments|parser.SkipObjectResolution)
		if err != nil {
			return err
		}
		dir := path.Dir(filepath.ToSlash(relative))
		found[dir] = append(found[dir], source{filepath.ToSlash(relative), strings.HasSuffix(name, "_test.go"), file})
		return nil
	})
	if err != nil {
		t.Fatal(err)
	}
	if len(found["torch"]) == 0 || len(found[vfs]) == 0 {
		t.Fatalf("%s does not look like the module's root", root)
	}
	return found
}

func skip(root, name, relative string) error {
	base := filepath.Base(name)
	if relative == "." {
		return nil
	}
	if _, err := os.Stat(filepath.Join(name, "go.mod")); err == nil {
		return filepath.SkipDir
	}
	if base == "testdata" || base == "third_party" || strings.HasPrefix(base, ".") || strings.HasPrefix(base, "_") {
		return filepath.SkipDir
	}
	return nil
}

func TestPackagesImportOnlyWhatTheTableAllows(t *testing.T) {
	for dir, files := range packages(t) {
		rule, ok := arrows[dir]
		if !ok {
			t.Errorf("%s: not in the table: give it a row, and the reason for what it imports", dir)
			continue
		}
		allowed := strings.Fields(rule.imports)
		for _, file := range files {
			for _, imported := range file.imports() {
				ours, ok := strings.CutPrefix(imported, module+"/")
				// A test may always have a disk, and a package's external test the package itself.
				if !ok || slices.Contains(allowed, ours) || file.isTest && (ours == vfs || ours == dir) {
					continue
				}
				t.Errorf("%s imports %s; %s may import only %q: %s", file.path, ours, dir, allowed, rule.why)
			}
		}
	}
}

func TestEveryRowHasAReasonAndNamesRows(t *testing.T) {
	for _, dir := range slices.Sorted(maps.Keys(arrows)) {
		if arrows[dir].why == "" {
			t.Errorf("%s: no reason", dir)
		}
		for imported := range strings.FieldsSeq(arrows[dir].imports) {
			if _, ok := arrows[imported]; !ok {
				t.Errorf("%s may import %s, which has no row", dir, imported)
			}
		}
	}
}

// The pure-Go layer builds with CGO_ENABLED=0, and a crash in C is looked for in one place.
func TestOnlyTorchUsesC(t *testing.T) {
	for dir, files := range packages(t) {
		for _, file := range files {
			if dir != "torch" && slices.Contains(file.imports(), "C") {
				t.Errorf(`%s imports "C": only torch may`, file.path)
			}
		}
	}
}

// cgo and the assembler apart, unsafe is for the binding and for views of a mapped file.
func TestOnlyTorchAndDataUseUnsafe(t *testing.T) {
	for dir, files := range packages(t) {
		for _, file := range files {
			if dir != "torch" && dir != "trainer/data" && slices.Contains(file.imports(), "unsafe") {
				t.Errorf("%s imports unsafe: only torch and trainer/data may", file.path)
			}
		}
	}
}

func TestFilesGoThroughTheFileSystemParameter(t *testing.T) {
	all := packages(t)
	for _, dir := range usesDisk {
		for _, file := range all[dir] {
			if file.isTest {
				continue
			}
			ast.Inspect(file.File, func(node ast.Node) bool {
				selector, ok := node.(*ast.SelectorExpr)
				if !ok {
					return true
				}
				if x, ok := selector.X.(*ast.Ident); ok && x.Name == "os" && slices.Contains(osFiles, selector.Sel.Name) {
					t.Errorf("%s uses os.%s: take a vfs.FS", file.path, selector.Sel.Name)
				}
				return true
			})
		}
	}
}

// go doc joins the doc comments of several files; a reader looks for one.
func TestEveryPackageSaysOnceWhatItIsFor(t *testing.T) {
	for dir, files := range packages(t) {
		var documented, named []string
		onlyTests := true
		for _, file := range files {
			onlyTests = onlyTests && file.isTest
		}
		for _, file := range files {
			if file.isTest != onlyTests || file.Doc == nil { // go doc does not read tests
				continue
			}
			documented = append(documented, file.path)
			text := file.Doc.Text()
			if strings.HasPrefix(text, "Package "+file.Name.Name+" ") || file.Name.Name == "main" {
				named = append(named, file.path)
			}
		}
		switch {
		case onlyTests && len(documented) == 0:
			t.Errorf("%s: no file has a package comment", dir)
		case !onlyTests && len(documented) != 1:
			t.Errorf("%s: %d package comments, want 1: %q", dir, len(documented), documented)
		case !onlyTests && len(named) != 1:
			t.Errorf("%s: the package comment in %s does not begin with its name", dir, documented[0])
		}
	}
}
