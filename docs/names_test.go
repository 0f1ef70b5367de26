package docs

// What stands in backticks: keys, settings, figures of metrics.jsonl, files, tests and commands.

import (
	"encoding/json"
	"io/fs"
	"os"
	"path/filepath"
	"regexp"
	"slices"
	"strings"
	"sync"
	"testing"

	"frugal/trainer/config"
)

var (
	codePattern    = regexp.MustCompile("`([^`]+)`")
	namePattern    = regexp.MustCompile(`^[a-z][a-z0-9]*([._][a-z0-9]+)+$`)
	settingPattern = regexp.MustCompile(`^([a-z][a-z0-9_.]*)(?:=|: )([^ ].*)$`)
	testPattern    = regexp.MustCompile(`^(Test|Fuzz|Benchmark)[A-Z]\w*$`)
	pathPattern    = regexp.MustCompile(`^[\w.-]+(/[\w.-]+)+/?$|^[\w-]+\.(go|md|yaml|sh|py|cc)$`)
	commandPattern = regexp.MustCompile(`^(bin/|scripts/\S+\.sh |make |go (test|run) )`)
	outputPattern  = regexp.MustCompile(`^(output|logs|output_dir|logging_dir)/`)
)

// configurationKeys are all keys, sections' with a dot.
func configurationKeys(t *testing.T) []string {
	t.Helper()
	text, err := config.Default().JSON()
	if err != nil {
		t.Fatal(err)
	}
	var tree map[string]any
	if err := json.Unmarshal(text, &tree); err != nil {
		t.Fatal(err)
	}
	var keys []string
	for key, value := range tree {
		section, ok := value.(map[string]any)
		if !ok {
			keys = append(keys, key)
		}
		for name := range section {
			keys = append(keys, key+"."+name)
		}
	}
	return append(keys, "effective_batch_size")
}

// otherNames are what pages may call by name besides keys: whatever docs/format.md or docs/configuration.md has in backticks.
func otherNames(t *testing.T) (names []string) {
	t.Helper()
	for _, file := range []string{"format.md", "configuration.md"} {
		for _, line := range readPage(t, file).prose {
			for _, match := range codePattern.FindAllStringSubmatch(line, -1) {
				names = append(names, match[1])
			}
		}
	}
	return names
}

// testNames are the functions of the module's tests, by directory.
var testNames = sync.OnceValues(func() (map[string][]string, error) {
	declared := regexp.MustCompile(`(?m)^func ((?:Test|Fuzz|Benchmark)\w+)\(`)
	found := map[string][]string{}
	err := filepath.WalkDir("..", func(path string, entry fs.DirEntry, err error) error {
		if err != nil {
			return err
		}
		if entry.IsDir() && (entry.Name() == "third_party" || entry.Name() == "output") {
			return filepath.SkipDir
		}
		if !strings.HasSuffix(path, "_test.go") {
			return nil
		}
		content, err := os.ReadFile(path)
		for _, match := range declared.FindAllSubmatch(content, -1) {
			dir := filepath.ToSlash(filepath.Dir(strings.TrimPrefix(path, "../")))
			found[dir] = append(found[dir], string(match[1]))
		}
		return err
	})
	return found, err
})

func TestNamesInBackticksExist(t *testing.T) {
	names := append(configurationKeys(t), otherNames(t)...)
	tests, err := testNames()
	if err != nil {
		t.Fatal(err)
	}
	var allTests []string
	for _, list := range tests {
		allTests = append(allTests, list...)
	}
	for _, name := range append(slices.Clone(guides), "course") {
		for _, file := range []string{name + ".md", name + ".pt-BR.md"} {
			for i, line := range readPage(t, file).prose {
				for _, match := range codePattern.FindAllStringSubmatch(line, -1) {
					code := match[1]
					switch {
					case commandPattern.MatchString(code):
						checkCommand(t, file, i+1, code)
					case testPattern.MatchString(code):
						if !slices.Contains(allTests, code) {
							t.Errorf("%s:%d: %s: no such test", file, i+1, code)
						}
					case settingPattern.MatchString(code):
						checkSetting(t, file, i+1, code)
					case outputPattern.MatchString(code): // what a run makes
					case pathPattern.MatchString(code) && exists("../"+code):
					case name == "course" && (slices.Contains(ofTheCourse, code) || slices.Contains(itsWords, code)):
					case namePattern.MatchString(code) && !slices.Contains(names, code), pathPattern.MatchString(code) && !slices.Contains(names, code):
						t.Errorf("%s:%d: %s: no such key, field or file", file, i+1, code)
					}
				}
			}
		}
	}
}

func exists(path string) bool {
	_, err := os.Stat(path)
	return err == nil
}

// checkSetting loads a configuration with `key=value`, or several, or `key: value`. What is not in this version is said so in the text.
func checkSetting(t *testing.T, file string, line int, code string) {
	t.Helper()
	settings := strings.Fields(code)
	if match := settingPattern.FindStringSubmatch(code); !strings.Contains(match[0], "=") || strings.Contains(match[1], ":") {
		settings = []string{match[1] + "=" + match[2]}
	}
	if _, _, err := config.Load(config.LoadOptions{Path: "../configs/demo-pt.yaml", Set: settings}); err != nil && !strings.Contains(err.Error(), "not available in this version") {
		t.Errorf("%s:%d: `%s`: %v", file, line, code, err)
	}
}

var flagPattern = regexp.MustCompile(`(?:^| )-([a-z][a-z-]*)`)

// checkCommand looks for the program, the make target or the test that a command names, and for its flags.
func checkCommand(t *testing.T, file string, line int, command string) {
	t.Helper()
	bad := func(what string) { t.Errorf("%s:%d: `%s`: no such %s", file, line, command, what) }
	words := strings.Fields(command)
	source := ""
	switch {
	case words[0] == "make":
		if !regexp.MustCompile(`(?m)^` + regexp.QuoteMeta(words[1]) + `:`).MatchString(read(t, "../Makefile")) {
			bad("target")
		}
		return
	case words[0] == "go" && words[1] == "test":
		tests, err := testNames()
		if err != nil {
			t.Fatal(err)
		}
		dir := strings.TrimPrefix(words[2], "./")
		if at := slices.Index(words, "-run"); at > 0 {
			pattern := regexp.MustCompile(words[at+1])
			if !slices.ContainsFunc(tests[dir], pattern.MatchString) {
				bad("test")
			}
		} else if len(tests[dir]) == 0 {
			bad("package")
		}
		return
	case words[0] == "go":
		source = words[2] + "/main.go"
	case strings.HasPrefix(words[0], "bin/"):
		source = "cmd/" + strings.TrimPrefix(words[0], "bin/") + "/main.go"
	default:
		source = words[0]
	}
	if !exists("../" + source) {
		bad("program")
		return
	}
	text := read(t, "../"+source)
	for _, match := range flagPattern.FindAllStringSubmatch(command, -1) {
		if !strings.Contains(text, `"`+match[1]+`"`) && !regexp.MustCompile(`[ |[]-`+match[1]+`[ |)\]]`).MatchString(text) {
			bad("flag: -" + match[1])
		}
	}
	if at := slices.Index(words, "-config"); at > 0 && !exists("../"+words[at+1]) && !outputPattern.MatchString(words[at+1]) {
		bad("file: " + words[at+1])
	}
	for i, word := range words {
		if word == "-set" {
			checkSetting(t, file, line, strings.Trim(words[i+1], "'"))
		}
	}
}

func read(t *testing.T, file string) string {
	t.Helper()
	content, err := os.ReadFile(file)
	if err != nil {
		t.Fatal(err)
	}
	return string(content)
}
