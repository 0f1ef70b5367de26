// The log: for people on the terminal, with full dates in train.log. The one place where logrus is set up.

package monitor

import (
	"bytes"
	"fmt"
	"io"
	"maps"
	"slices"
	"strings"
	"sync"

	"github.com/rivo/uniseg"
	"github.com/sirupsen/logrus"

	"frugal/trainer/internal/vfs"
)

// These mark the entries that the log file keeps and the terminal does not show, and the other way round.
const fileOnly, consoleOnly = "file only", "console only"

// SetupLog returns the run's logger. On the console a line is the time of day, the level unless it is info, and the message,
// coloured when console is a *Console that has colour. file, opened for appending, gets every line with its date; it may be
// nil, stays the caller's to close, and costs one warning, not the run, when it cannot be written.
func SetupLog(console io.Writer, file vfs.File) *logrus.Logger {
	formatter := &consoleFormatter{}
	if c, ok := console.(*Console); ok {
		formatter.color = c.color
		if c.terminal {
			formatter.columns = c.columns
		}
	}
	log := logrus.New()
	log.SetOutput(console)
	log.SetFormatter(formatter)
	if file != nil {
		log.AddHook(&fileHook{file: file, warn: func(message string) {
			console.Write(formatter.line(logrus.WarnLevel, "", message))
		}})
	}
	return log
}

type consoleFormatter struct {
	color   bool
	columns func() int // of the terminal, where lines break between words; nil: they do not break
}

// clockFormat is how a console's line begins, and clockCells what that takes.
const (
	clockFormat = "15:04:05 "
	clockCells  = len(clockFormat)
)

// Format returns nothing for what only the file keeps.
func (f *consoleFormatter) Format(e *logrus.Entry) ([]byte, error) {
	if _, hidden := e.Data[fileOnly]; hidden {
		return nil, nil
	}
	return f.line(e.Level, e.Time.Format(clockFormat), message(e)), nil
}

func (f *consoleFormatter) line(level logrus.Level, time, message string) []byte {
	var label, color string
	switch {
	case level <= logrus.ErrorLevel:
		label, color = "error: ", "\x1b[31m"
	case level == logrus.WarnLevel:
		label, color = "warning: ", "\x1b[33m"
	case level >= logrus.DebugLevel:
		label, color = level.String()+": ", "\x1b[2m"
	}
	if f.columns != nil {
		message = wrap(label+message, f.columns()-1-clockCells, "\n"+strings.Repeat(" ", clockCells))[len(label):]
	}
	if f.color {
		time = paint("\x1b[2m", time)
		label = paint(color, label)
	}
	return []byte(time + label + message + "\n")
}

// wrap puts newline in the place of a space wherever a line of text would take more than cells of a terminal. A word that
// alone takes more is left to the terminal, and so is all of it where there is room for nothing.
func wrap(text string, cells int, newline string) string {
	if cells < 20 {
		return text
	}
	var b strings.Builder
	for text != "" {
		line, _, _ := strings.Cut(text, "\n")
		end := len(line)
		if uniseg.StringWidth(line) > cells {
			fits := len(cutToCells(line+" ", cells+1, "")) // a space may stand in the cell behind the last
			if space := strings.LastIndexByte(line[:min(fits, len(line))], ' '); space > 0 {
				end = space
			} else if space := strings.IndexByte(line, ' '); space > 0 {
				end = space
			}
		}
		b.WriteString(strings.TrimRight(text[:end], " "))
		text = strings.TrimLeft(text[end:], " ")
		if rest, ok := strings.CutPrefix(text, "\n"); ok {
			b.WriteByte('\n')
			text = rest
		} else if text != "" {
			b.WriteString(newline)
		}
	}
	return b.String()
}

// paint wraps text in a colour and its end.
func paint(color, text string) string {
	if text == "" || color == "" {
		return text
	}
	return color + text + "\x1b[0m"
}

// message is the entry's text and fields. What a terminal would obey is made harmless: a model may write anything.
func message(e *logrus.Entry) string {
	var b strings.Builder
	b.WriteString(strings.TrimRight(e.Message, "\n"))
	for _, key := range slices.Sorted(maps.Keys(e.Data)) {
		if key != fileOnly && key != consoleOnly {
			fmt.Fprintf(&b, "  %s=%v", key, e.Data[key])
		}
	}
	return strings.Map(func(r rune) rune {
		if r < ' ' && r != '\n' && r != '\t' || r >= 0x7f && r < 0xa0 {
			return '\uFFFD'
		}
		return r
	}, b.String())
}

// fileHook appends every entry to the log file.
type fileHook struct {
	file vfs.File
	warn func(message string)

	mu      sync.Mutex
	out     *appender
	failing bool
}

func (h *fileHook) Levels() []logrus.Level { return logrus.AllLevels }

// Fire never returns an error: logrus would print it across the bar at every line.
func (h *fileHook) Fire(e *logrus.Entry) error {
	if _, hidden := e.Data[consoleOnly]; hidden {
		return nil
	}
	level := strings.ToUpper(e.Level.String())
	line := fmt.Appendf(nil, "%s %-7s %s\n", e.Time.Format("2006-01-02T15:04:05.000Z07:00"), level, message(e))
	h.mu.Lock()
	defer h.mu.Unlock()
	err := h.write(line)
	if err != nil && !h.failing {
		h.warn(fmt.Sprintf("log: %v (the run goes on)", err))
	}
	h.failing = err != nil
	return nil
}

func (h *fileHook) write(line []byte) error {
	if h.out == nil {
		out, err := newAppender(h.file)
		if err != nil {
			return err
		}
		h.out = out
		if endsMidLine(h.file, out.size) {
			line = append([]byte("\n"), line...)
		}
	}
	return h.out.append(line)
}

// endsMidLine says whether a killed run left the file without a last newline; false where it cannot be read.
func endsMidLine(file vfs.File, size int64) bool {
	last := make([]byte, 1)
	if size == 0 {
		return false
	}
	n, _ := file.ReadAt(last, size-1)
	return n == 1 && !bytes.Equal(last, []byte("\n"))
}

// LogToFile writes a line to the log's file and not to the console: for what the console says otherwise.
func LogToFile(log *logrus.Logger, level logrus.Level, text string) {
	log.WithField(fileOnly, true).Log(level, text)
}
