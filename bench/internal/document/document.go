// Package document puts what a bench measured into a Markdown file, in the place that the file keeps for it.
package document

import (
	"bytes"
	"errors"
	"fmt"
	"os"
	"slices"
	"strings"
)

// Markers are the two lines between which a bench writes.
type Markers struct{ Begin, End string }

// MarkersOf a bench, by its directory.
func MarkersOf(bench string) Markers {
	return Markers{"<!-- written by " + bench + ": begin -->\n", "<!-- written by " + bench + ": end -->\n"}
}

// Replace puts text between the markers of a document.
func (m Markers) Replace(document []byte, text string) ([]byte, error) {
	before, rest, begins := bytes.Cut(document, []byte(m.Begin))
	_, after, ends := bytes.Cut(rest, []byte(m.End))
	if !begins || !ends {
		return nil, errors.New("the markers are missing: " + strings.TrimSpace(m.Begin) + " … " + strings.TrimSpace(m.End))
	}
	return slices.Concat(before, []byte(m.Begin), []byte(text), []byte(m.End), after), nil
}

// Write is Replace on a file.
func (m Markers) Write(file, text string) error {
	was, err := os.ReadFile(file)
	if err != nil {
		return err
	}
	is, err := m.Replace(was, text)
	if err != nil {
		return fmt.Errorf("%s: %w", file, err)
	}
	return os.WriteFile(file, is, 0o666)
}
