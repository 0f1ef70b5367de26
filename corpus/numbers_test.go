// The table of numbers in pt/README.md, computed from the texts:
//
//	go test ./corpus -run Numbers -update     # writes it anew; needs xz
package corpus

import (
	"flag"
	"fmt"
	"os"
	"os/exec"
	"regexp"
	"strings"
	"testing"
)

var update = flag.Bool("update", false, "write the table of pt/README.md anew")

const readme = "pt/README.md"

func TestNumbersInTheReadmeAreTrue(t *testing.T) {
	b, err := os.ReadFile(readme)
	if err != nil {
		t.Fatal(err)
	}
	parts := regexp.MustCompile(`(?s)^(.*<!-- numbers: [^\n]* -->\n)(.*)(<!-- /numbers -->\n.*)$`).FindStringSubmatch(string(b))
	if parts == nil {
		t.Fatalf("%s has no place for the numbers", readme)
	}
	table, want := numbers(t), parts[2]
	if *update {
		if strings.Contains(table, "?") {
			t.Fatal("xz is not on this machine's PATH: it is needed for the last column")
		}
		if err := os.WriteFile(readme, []byte(parts[1]+table+parts[3]), 0o644); err != nil {
			t.Fatal(err)
		}
		return
	}
	// Another version of xz may round differently; whoever changes a text changes other columns too, and updates all.
	lastColumn := regexp.MustCompile(`(?m)[^|]*\|$`)
	table, want = lastColumn.ReplaceAllString(table, ""), lastColumn.ReplaceAllString(want, "")
	if table != want {
		t.Errorf("%s says\n%sbut the texts give\n%s(go test ./corpus -run Numbers -update writes the table anew)", readme, want, table)
	}
}

// numbers is the table, its columns as its first line names them.
func numbers(t *testing.T) string {
	table := "| texto | bytes | palavras | palavras distintas | documentos | xz |\n|---|---|---|---|---|---|\n"
	all := ""
	documents := 0
	row := func(name, text string, documents int) {
		every := words(strings.ToLower(strings.ReplaceAll(text, separator, "\n")))
		distinct := map[string]bool{}
		for _, w := range every {
			distinct[w] = true
		}
		table += fmt.Sprintf("| %s | %d | %d | %d | %d | %s |\n", name, len(text), len(every), len(distinct), documents, xzShare(t, text))
	}
	for _, name := range texts {
		text := read(t, name)
		n := strings.Count(text, separator) + 1
		row(name, text, n)
		all += text
		documents += n
	}
	row("os três", all, documents)
	return table
}

// xzShare is the share that xz -9e leaves, "?" where there is no xz; less than the 30% asked for is an error.
func xzShare(t *testing.T, text string) string {
	xz, err := exec.LookPath("xz")
	if err != nil {
		return "?"
	}
	cmd := exec.Command(xz, "-9e", "-c")
	cmd.Stdin = strings.NewReader(text)
	packed, err := cmd.Output()
	if err != nil {
		t.Fatal("xz:", err)
	}
	share := 100 * float64(len(packed)) / float64(len(text))
	if share < 30 {
		t.Errorf("xz leaves %.1f%% of %.40q…, want at least 30%%", share, text)
	}
	return fmt.Sprintf("%.0f%%", share)
}
