package config

import (
	"os"
	"path/filepath"
	"regexp"
	"slices"
	"strings"
	"testing"

	"go.yaml.in/yaml/v3"
)

// shippedConfigs are the files of configs/ in the order in which a newcomer reads them.
func shippedConfigs(t *testing.T) []string {
	t.Helper()
	files, err := filepath.Glob(filepath.Join("..", "..", "configs", "*"))
	if err != nil {
		t.Fatal(err)
	}
	first := []string{filepath.Join("..", "..", "configs", "demo-pt.yaml"), filepath.Join("..", "..", "configs", "gpt2-124m.yaml")}
	rest := slices.DeleteFunc(files, func(f string) bool { return slices.Contains(first, f) })
	return append(first, rest...)
}

func TestShippedConfigsLoad(t *testing.T) {
	for _, file := range shippedConfigs(t) {
		mustLoad(t, LoadOptions{Path: file})
	}
}

// The first file that has a key explains it, in its line or in the one above.
func TestEveryKeyIsExplainedWhereItFirstAppears(t *testing.T) {
	explained := map[string]bool{}
	for _, file := range shippedConfigs(t) {
		content, err := os.ReadFile(file)
		if err != nil {
			t.Fatal(err)
		}
		var document yaml.Node
		if err := yaml.Unmarshal(content, &document); err != nil {
			t.Fatal(err)
		}
		lines := strings.Split(string(content), "\n")
		eachKey(document.Content[0], func(name string, line int) {
			if explained[name] {
				return
			}
			explained[name] = true
			isSwitch := strings.HasSuffix(name, ".enabled") // the section's own comment explains it
			above := strings.HasPrefix(strings.TrimSpace(lines[max(0, line-3)]), "#")
			if !strings.Contains(lines[line-1], " # ") && !(isSwitch && above) {
				t.Errorf("%s:%d: %s is not explained", file, line, name)
			}
		})
	}
	for _, k := range keys {
		if !explained[k.name] {
			t.Errorf("%s is in no file of configs/", k.name)
		}
	}
}

// eachKey visits the dotted name of every key in a file, with its line.
func eachKey(root *yaml.Node, visit func(name string, line int)) {
	for i := 0; i < len(root.Content); i += 2 {
		name, value := root.Content[i], root.Content[i+1]
		if sections[name.Value] == nil {
			visit(name.Value, name.Line)
			continue
		}
		for j := 0; j < len(value.Content); j += 2 {
			visit(name.Value+"."+value.Content[j].Value, value.Content[j].Line)
		}
	}
}

// The tables of docs/configuration.md stand between two marks and come from keys.go: go test -run Reference -update.
func TestReferenceEqualsTheKeys(t *testing.T) {
	file := filepath.Join("..", "..", "docs", "configuration.md")
	content, err := os.ReadFile(file)
	if err != nil {
		t.Fatal(err)
	}
	const begin, end = "<!-- from trainer/config/keys.go -->\n", "<!-- end -->\n"
	before, rest, _ := strings.Cut(string(content), begin)
	_, after, found := strings.Cut(rest, end)
	if !found {
		t.Fatalf("%s has no marks %q and %q", file, begin, end)
	}
	compareWithFile(t, file, before+begin+referenceTables()+end+strings.TrimSuffix(after, "\n"))
}

func referenceTables() string {
	var out strings.Builder
	section := "none"
	for _, k := range keys {
		if s, _ := splitName(k.name); s != section {
			section = s
			title := map[string]string{"": "At the top"}[s]
			if s != "" {
				title = "Section `" + s + "`"
			}
			out.WriteString("\n## " + title + "\n\n| key | default | value | what it does |\n|---|---|---|---|\n")
		}
		doc := cell(k.doc)
		out.WriteString("| `" + k.name + "` | `" + nodeOf(Default().field(k.name)).String() + "` | " + cell(k.kind.want()) + " | " + doc + " |\n")
	}
	out.WriteString("\n## Presets\n\n| key | " + strings.Join(presetNames[1:5], " | ") + " |\n|---|---|---|---|---|\n")
	for _, k := range keys {
		if _, sized := presets["4gb"][k.name]; sized {
			out.WriteString("| `" + k.name + "`")
			for _, preset := range presetNames[1:5] {
				c, _, _ := Load(LoadOptions{Set: []string{"preset=" + preset}})
				out.WriteString(" | " + nodeOf(c.field(k.name)).String())
			}
			out.WriteString(" |\n")
		}
	}
	return out.String() + "\n"
}

var markdownSpecial = regexp.MustCompile(`[*\[\]\\|<>]`)

// cell is a text inside a table of Markdown.
func cell(s string) string { return markdownSpecial.ReplaceAllString(s, `\$0`) }
