package monitor

import (
	"strings"
	"testing"

	"github.com/rivo/uniseg"
	"pgregory.net/rapid"

	"frugal/trainer/internal/vfs"
)

func TestSampleIsOneReadableLine(t *testing.T) {
	for _, test := range []struct{ prompt, text, want string }{
		{"Era", "Era uma vez", "Era uma vez"},
		{"Era ", "uma vez", "Era uma vez"},
		{"", " \n\"Olá\", disse.\r\n\r\n\tFim.\n", "\"Olá\", disse. ↵ ↵ Fim."},
		{"", "a\x1b[2J\x00b\x9bc\u202ed\xff", "a\uFFFD[2J\uFFFDb\uFFFDc\uFFFDd\uFFFD"},
		{"", "世界 👩\u200d🚀 e\u0301 \u00a0\u3000 .", "世界 👩\u200d🚀 e\u0301 ."},
		{"", "", ""},
	} {
		if got := sampleLine(test.prompt, test.text); got != test.want {
			t.Errorf("%q: got %q, want %q", test.text, got, test.want)
		}
	}
}

func TestCutToCells(t *testing.T) {
	for _, test := range []struct {
		text  string
		cells int
		want  string
	}{
		{"abc", 3, "abc"}, {"abcd", 3, "ab…"}, {"世界人", 6, "世界人"}, {"世界人", 5, "世界…"}, {"世界人", 4, "世…"}, {"世界人", 2, ""},
		{"cafe\u0301s", 5, "cafe\u0301s"}, {"cafe\u0301s", 4, "caf…"}, {"👩\u200d🚀x", 2, ""}, {"👩\u200d🚀xy", 3, "👩\u200d🚀…"}, {"abc", 0, ""}, {"abc", -3, ""},
	} {
		if got := cutToCells(test.text, test.cells, "…"); got != test.want {
			t.Errorf("%q to %d: got %q, want %q", test.text, test.cells, got, test.want)
		}
	}
	rapid.Check(t, func(t *rapid.T) {
		text, cells := rapid.String().Draw(t, "text"), rapid.IntRange(0, 30).Draw(t, "cells")
		if got := cutToCells(text, cells, "…"); uniseg.StringWidth(got) > cells {
			t.Fatalf("%q takes %d cells of %d", got, uniseg.StringWidth(got), cells)
		}
	})
}

func TestSampleTakesOneRowOfATerminalAndIsWholeInTheFile(t *testing.T) {
	leaksNothing(t)
	text := strings.Repeat("Era uma vez um gato. ", 20)
	for _, columns := range []int{40, 80, 200} {
		disk, screen := vfs.NewMem(), newTerminal(columns)
		console, _ := screen.console(modeBar)
		console.terminal = true
		progress := NewProgress(console, SetupLog(console, openLog(t, disk)))
		progress.Write(Record{Event: "sample", Step: 5, Fields: []Field{{"prompt", "Era"}, {"text", text}}})
		rows := strings.Split(screen.screen(), "\n")
		if len(rows) != 1 || len([]rune(rows[0])) != columns-1 || !strings.HasSuffix(rows[0], "…") {
			t.Errorf("%d columns: got\n%s", columns, screen.screen())
		}
		if file := read(t, disk, "train.log"); strings.Count(file, "\n") != 1 || !strings.HasSuffix(file, strings.TrimSpace(text)+"\n") {
			t.Errorf("train.log: %s", file)
		}
	}
}

func TestPhaseNamedInWideCharactersFits(t *testing.T) {
	ph := &phase{name: "読み込み中 " + strings.Repeat("語", 30), total: 10, unicode: true, done: 5}
	for columns := range 100 {
		if line := ph.render(columns, at); uniseg.StringWidth(line) > max(0, columns-1) {
			t.Fatalf("%d columns: %d cells: %s", columns, uniseg.StringWidth(line), line)
		}
	}
}
