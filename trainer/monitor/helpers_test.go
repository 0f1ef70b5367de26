package monitor

import (
	"bytes"
	"runtime"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/sirupsen/logrus"

	"frugal/trainer/internal/vfs"
)

// at is when everything in these tests happens.
var at = time.Date(2026, 1, 2, 15, 4, 5, 678e6, time.UTC)

func trainRecord(step int64) Record {
	return Record{Event: "train", Step: step, Time: at, Fields: []Field{
		{"epoch", float64(step) / 200}, {"loss", 3.4121}, {"learning_rate", 4.2e-4}, {"grad_norm", 0.913},
		{"tokens_per_second", 8120.4}}}
}

// terminal is a screen that breaks long lines, and breaks them anew when its width changes, as terminals with reflow do. A
// line of text is kept whole; the cursor is a place in it.
type terminal struct {
	mu      sync.Mutex
	columns int
	lines   [][]rune
	line    int // the cursor's
	offset  int
}

func newTerminal(columns int) *terminal { return &terminal{columns: columns, lines: [][]rune{nil}} }

func (t *terminal) Write(b []byte) (int, error) {
	t.mu.Lock()
	defer t.mu.Unlock()
	for rest := []rune(string(b)); len(rest) > 0; {
		rest = t.obey(rest)
	}
	return len(b), nil
}

// obey does what the first character or escape sequence says and returns the rest.
func (t *terminal) obey(in []rune) (rest []rune) {
	switch in[0] {
	case '\n':
		t.line, t.offset = t.line+1, 0
		if t.line == len(t.lines) {
			t.lines = append(t.lines, nil)
		}
	case '\r':
		t.offset -= t.offset % t.columns // the start of the row, not of a line broken into several
	case '\x1b':
		end := strings.IndexAny(string(in), "mJ")
		if in[end] == 'J' {
			t.lines = t.lines[:t.line+1]
			t.lines[t.line] = t.lines[t.line][:t.offset]
		}
		return in[end+1:]
	default:
		line := t.lines[t.line]
		if t.offset == len(line) {
			line = append(line, 0)
		}
		line[t.offset] = in[0]
		t.lines[t.line] = line
		t.offset++
	}
	return in[1:]
}

func (t *terminal) resize(columns int) {
	t.mu.Lock()
	defer t.mu.Unlock()
	t.columns = columns
}

func (t *terminal) width() int {
	t.mu.Lock()
	defer t.mu.Unlock()
	return t.columns
}

// screen is what a person sees, without the empty lines below.
func (t *terminal) screen() string {
	t.mu.Lock()
	defer t.mu.Unlock()
	var b strings.Builder
	for _, line := range t.lines {
		for len(line) > t.columns {
			b.WriteString(string(line[:t.columns]) + "\n")
			line = line[t.columns:]
		}
		b.WriteString(string(line) + "\n")
	}
	return strings.TrimRight(b.String(), "\n")
}

// clock is a time that tests set.
type clock struct {
	mu  sync.Mutex
	now time.Time
}

func (c *clock) read() time.Time {
	c.mu.Lock()
	defer c.mu.Unlock()
	return c.now
}

func (c *clock) advance(d time.Duration) {
	c.mu.Lock()
	defer c.mu.Unlock()
	c.now = c.now.Add(d)
}

// on returns a Console on the terminal, with block characters and a clock that stands.
func (t *terminal) console(mode string) (*Console, *clock) {
	time := &clock{now: at}
	return &Console{mode: mode, unicode: true, columns: t.width, now: time.read, w: t}, time
}

// redraw draws now what the refreshing goroutine would within a tenth of a second.
func (c *Console) redraw() { c.update(c.draw) }

// logTo returns a logger whose lines are level and message.
func logTo(b *bytes.Buffer) *logrus.Logger {
	log := logrus.New()
	log.SetOutput(b)
	log.SetFormatter(&consoleFormatter{})
	return log
}

// leaksNothing fails the test if it ends with more goroutines than it began with.
func leaksNothing(t *testing.T) {
	before := runtime.NumGoroutine()
	t.Cleanup(func() {
		for deadline := time.Now().Add(5 * time.Second); runtime.NumGoroutine() > before; time.Sleep(time.Millisecond) {
			if time.Now().After(deadline) {
				t.Errorf("%d goroutines, %d before the test", runtime.NumGoroutine(), before)
				return
			}
		}
	})
}

func read(t *testing.T, fsys vfs.FS, path string) string {
	t.Helper()
	b, err := vfs.ReadFile(fsys, path)
	if err != nil {
		t.Fatal(err)
	}
	return string(b)
}

func write(t *testing.T, fsys vfs.FS, path, text string) {
	t.Helper()
	if err := vfs.WriteFile(fsys, path, []byte(text)); err != nil {
		t.Fatal(err)
	}
}
