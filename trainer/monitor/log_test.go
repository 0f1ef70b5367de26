package monitor

import (
	"bytes"
	"os"
	"strings"
	"syscall"
	"testing"

	"github.com/sirupsen/logrus"

	"frugal/trainer/internal/vfs"
)

func openLog(t *testing.T, disk vfs.FS) vfs.File {
	t.Helper()
	file, err := disk.OpenFile("train.log", os.O_RDWR|os.O_CREATE|os.O_APPEND, 0o666)
	if err != nil {
		t.Fatal(err)
	}
	return file
}

// say logs one of everything, at a fixed time.
func say(log *logrus.Logger) {
	entry := log.WithTime(at)
	entry.Info("device cpu: no driver")
	entry.Warn("slow")
	entry.Error("failed\n")
	entry.WithField("b", 2).WithField("a", "x").Info("two fields")
	entry.WithField(fileOnly, true).Info("for the file")
	entry.Info("ação\té\r\x1b[2J\u009b")
	entry.Debug("hidden")
}

func TestLogIsForPeopleOnTheConsoleAndDatedInTheFile(t *testing.T) {
	disk := vfs.NewMem()
	var console bytes.Buffer
	say(SetupLog(&console, openLog(t, disk)))
	want := "15:04:05 device cpu: no driver\n" +
		"15:04:05 warning: slow\n" +
		"15:04:05 error: failed\n" +
		"15:04:05 two fields  a=x  b=2\n" +
		"15:04:05 ação\té\uFFFD\uFFFD[2J\uFFFD\n"
	if console.String() != want {
		t.Errorf("console: got\n%swant\n%s", console.String(), want)
	}
	want = "2026-01-02T15:04:05.678Z INFO    device cpu: no driver\n" +
		"2026-01-02T15:04:05.678Z WARNING slow\n" +
		"2026-01-02T15:04:05.678Z ERROR   failed\n" +
		"2026-01-02T15:04:05.678Z INFO    two fields  a=x  b=2\n" +
		"2026-01-02T15:04:05.678Z INFO    for the file\n" +
		"2026-01-02T15:04:05.678Z INFO    ação\té\uFFFD\uFFFD[2J\uFFFD\n"
	if got := read(t, disk, "train.log"); got != want {
		t.Errorf("file: got\n%swant\n%s", got, want)
	}
}

func TestLogColoursOnlyTimeAndLevel(t *testing.T) {
	var out bytes.Buffer
	console := &Console{mode: modePlain, color: true, w: &out}
	log := SetupLog(console, nil)
	log.WithTime(at).Warn("slow")
	log.WithTime(at).Info("fine")
	want := "\x1b[2m15:04:05 \x1b[0m\x1b[33mwarning: \x1b[0mslow\n\x1b[2m15:04:05 \x1b[0mfine\n"
	if out.String() != want {
		t.Errorf("got %q, want %q", out.String(), want)
	}
}

func TestLogBeginsANewLineAfterAKilledRunsHalfLine(t *testing.T) {
	for before, want := range map[string]string{
		"":             "",
		"a line\n":     "a line\n",
		"half a li":    "half a li\n",
		"line\nhalf a": "line\nhalf a\n",
	} {
		disk := vfs.NewMem()
		write(t, disk, "train.log", before)
		SetupLog(&bytes.Buffer{}, openLog(t, disk)).WithTime(at).Info("on")
		want += "2026-01-02T15:04:05.678Z INFO    on\n"
		if got := read(t, disk, "train.log"); got != want {
			t.Errorf("got %q, want %q", got, want)
		}
	}
}

func TestLogFileThatFailsIsOneWarning(t *testing.T) {
	disk := vfs.NewMem()
	failing := true
	var console bytes.Buffer
	log := SetupLog(&console, openLog(t, vfs.Fault(disk, func(op vfs.Op) error {
		if failing && (op.Kind == vfs.OpWrite || op.Kind == vfs.OpStat) {
			return syscall.EIO
		}
		return nil
	})))
	log.WithTime(at).Info("one")
	log.WithTime(at).Info("two")
	failing = false
	log.WithTime(at).Info("three")
	want := "warning: log: stat train.log: input/output error (the run goes on)\n15:04:05 one\n15:04:05 two\n15:04:05 three\n"
	if console.String() != want {
		t.Errorf("console: got\n%swant\n%s", console.String(), want)
	}
	if got := read(t, disk, "train.log"); !strings.HasSuffix(got, "INFO    three\n") {
		t.Errorf("file: got %q", got)
	}
}

func TestWrapBreaksBetweenWords(t *testing.T) {
	for _, test := range []struct {
		text  string
		cells int
		want  string
	}{
		{"one two three four five", 20, "one two three four|five"},
		{"one two three four five", 23, "one two three four five"},
		{"one two three four  five six", 20, "one two three four|five six"},
		{"saved /a/path/that/is/longer/than/the/row  1 MB", 20, "saved|/a/path/that/is/longer/than/the/row|1 MB"},
		{"two\nlines, of which the second is long", 20, "two\nlines, of which the|second is long"},
		{"世界世界 世界世界 世界世界", 20, "世界世界 世界世界|世界世界"},
		{"exactly twenty cells", 20, "exactly twenty cells"},
		{"exactly twenty cells and more", 20, "exactly twenty cells|and more"},
		{"too narrow a terminal", 19, "too narrow a terminal"},
		{"", 20, ""},
	} {
		if got := strings.ReplaceAll(wrap(test.text, test.cells, "\n  "), "\n  ", "|"); got != test.want {
			t.Errorf("%q in %d: got %q, want %q", test.text, test.cells, got, test.want)
		}
	}
}

func TestLinesOnATerminalBreakBetweenWordsAndNotInTheFile(t *testing.T) {
	disk, screen := vfs.NewMem(), newTerminal(50)
	console, _ := screen.console(modeBar)
	console.terminal = true
	log := SetupLog(console, openLog(t, disk))
	const text = "the configuration asks for what this machine does not have, so something else was taken"
	log.WithTime(at).Warn(text)
	want := "15:04:05 warning: the configuration asks for what\n         this machine does not have, so something\n         else was taken"
	if got := screen.screen(); got != want {
		t.Errorf("got\n%s\nwant\n%s", got, want)
	}
	if file := read(t, disk, "train.log"); !strings.HasSuffix(file, text+"\n") {
		t.Errorf("train.log: %s", file)
	}
}
