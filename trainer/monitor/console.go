// The person's terminal: log lines above, one live line (the progress bar) below them, without either tearing the other.

package monitor

import (
	"bytes"
	"fmt"
	"io"
	"os"
	"strings"
	"sync"
	"time"

	"golang.org/x/term"
)

// The ways to show progress: a live line, a line of text for each Record, or nothing.
const (
	modeBar   = "bar"
	modePlain = "plain"
	modeOff   = "off"
)

// refreshEvery is how often the live line is looked at; it is written only when it changed.
const refreshEvery = 100 * time.Millisecond

// liveLine is what stands below the log. It is called with the Console's lock held; the result is one line of at most
// columns cells.
type liveLine interface {
	render(columns int, now time.Time) string
}

// Console is where a person follows the run, usually standard error. It is safe for concurrent use.
type Console struct {
	mode     string // one of the three
	terminal bool   // somebody looks at lines of a certain width
	color    bool
	unicode  bool // the bar may use block characters
	columns  func() int
	now      func() time.Time

	turn sync.Mutex // of what shows or hides a live line: one at a time; taken before mu

	mu    sync.Mutex
	w     io.Writer
	live  liveLine      // nil when there is none
	drawn string        // live as it stands on the terminal
	stop  chan struct{} // closed to end the refreshing goroutine
	done  chan struct{} // closed when it has ended
}

// NewConsole returns a Console over w. mode is auto, bar, plain or off; auto means a bar on a terminal and plain lines
// elsewhere. Colour needs a terminal and no NO_COLOR in the environment.
func NewConsole(w io.Writer, mode string) (*Console, error) {
	columns, terminal := terminalOf(w)
	dumb := os.Getenv("TERM") == "dumb"
	switch mode {
	case modeBar, modePlain, modeOff:
	case "auto":
		mode = modePlain
		if terminal && !dumb {
			mode = modeBar
		}
	default:
		return nil, fmt.Errorf("monitoring.progress: %q is none of auto, bar, plain, off", mode)
	}
	return &Console{
		w: w, mode: mode, terminal: terminal, columns: columns, now: time.Now, unicode: unicodeLocale(),
		color: terminal && !dumb && os.Getenv("NO_COLOR") == "",
	}, nil
}

// terminalOf returns how to ask for the width of the terminal that w writes to (80 where there is none), and whether w
// writes to one.
func terminalOf(w io.Writer) (columns func() int, terminal bool) {
	const standard = 80
	file, ok := w.(interface{ Fd() uintptr })
	if !ok || !term.IsTerminal(int(file.Fd())) {
		return func() int { return standard }, false
	}
	return func() int {
		if width, _, err := term.GetSize(int(file.Fd())); err == nil && width > 0 {
			return width
		}
		return standard
	}, true
}

// unicodeLocale is false where the environment names a character set other than UTF-8. Naming none, as in most containers,
// says nothing about the terminal outside.
func unicodeLocale() bool {
	for _, name := range []string{"LC_ALL", "LC_CTYPE", "LANG"} {
		if locale := os.Getenv(name); locale != "" {
			locale = strings.ToLower(strings.ReplaceAll(locale, "-", ""))
			return strings.Contains(locale, "utf8")
		}
	}
	return true
}

// eraseBelow clears from the cursor to the end of the screen. The cursor rests at the live line's first cell: should the
// terminal be made narrower and break that line into several, all of them are from the cursor on.
const eraseBelow = "\x1b[J"

// Write puts whole lines of text above the live line.
func (c *Console) Write(text []byte) (int, error) {
	c.mu.Lock()
	defer c.mu.Unlock()
	if len(text) == 0 {
		return 0, nil
	}
	if c.live == nil {
		return c.w.Write(text)
	}
	var b bytes.Buffer
	b.WriteString("\r" + eraseBelow)
	b.Write(text)
	if text[len(text)-1] != '\n' {
		b.WriteByte('\n')
	}
	c.drawn = c.live.render(c.columns(), c.now())
	b.WriteString(c.drawn + "\r")
	if _, err := c.w.Write(b.Bytes()); err != nil {
		return 0, err
	}
	return len(text), nil
}

// show puts line below the log, in the place of the one before, and keeps it fresh until hide. Only a bar is shown.
func (c *Console) show(line liveLine) {
	if c.mode != modeBar {
		return
	}
	c.turn.Lock()
	defer c.turn.Unlock()
	c.end(nil, false)
	c.mu.Lock()
	defer c.mu.Unlock()
	c.live = line
	c.stop, c.done = make(chan struct{}), make(chan struct{})
	c.draw()
	go c.refresh(c.stop, c.done)
}

func (c *Console) refresh(stop <-chan struct{}, done chan<- struct{}) {
	defer close(done)
	ticker := time.NewTicker(refreshEvery)
	defer ticker.Stop()
	for {
		select {
		case <-stop:
			return
		case <-ticker.C:
			c.mu.Lock()
			c.draw()
			c.mu.Unlock()
		}
	}
}

// draw writes the live line where it changed, in one call. The lock is held.
func (c *Console) draw() {
	line := c.live.render(c.columns(), c.now())
	if line == c.drawn {
		return
	}
	c.drawn = line
	io.WriteString(c.w, "\r"+line+eraseBelow+"\r") // an error here is the terminal's: there is nobody left to tell
}

// hide ends the live line if it is line, or whatever it is if line is nil: kept as the last line of the log, or erased.
func (c *Console) hide(line liveLine, keep bool) {
	c.turn.Lock()
	defer c.turn.Unlock()
	c.end(line, keep)
}

// end is hide with the turn taken. The goroutine that refreshes needs mu to end, so mu is given back meanwhile.
func (c *Console) end(line liveLine, keep bool) {
	c.mu.Lock()
	stop, done := c.stop, c.done
	if stop == nil || line != nil && c.live != line {
		c.mu.Unlock()
		return
	}
	c.stop = nil
	c.mu.Unlock()
	close(stop)
	<-done
	c.mu.Lock()
	defer c.mu.Unlock()
	if keep {
		c.draw()
		io.WriteString(c.w, "\n")
	} else {
		io.WriteString(c.w, "\r"+eraseBelow)
	}
	c.live, c.drawn = nil, ""
}

// update changes what a live line shows.
func (c *Console) update(change func()) {
	c.mu.Lock()
	defer c.mu.Unlock()
	change()
}
