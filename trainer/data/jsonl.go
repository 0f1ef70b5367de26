package data

// JSON lines: one object a line, its text under one key.

import (
	"bufio"
	"bytes"
	"encoding/json"
	"errors"
	"fmt"
	"slices"
	"strings"

	"frugal/trainer/internal/vfs"
)

// readLines hands on the lines that are not blank; decodeLine takes the text out of them.
func (c *corpus) readLines(s *source, f vfs.File, b *batcher) error {
	b.decode = func(line []byte) ([]byte, error) { return decodeLine(line, c.textField) }
	lines := bufio.NewScanner(f)
	lines.Buffer(make([]byte, 0, chunkBytes), maxPart)
	number, end := int64(0), int64(0)
	for lines.Scan() {
		line := lines.Bytes()
		number, end = number+1, end+int64(len(line))+1
		if number == 1 {
			line = bytes.TrimPrefix(line, byteOrderMark)
		}
		if len(bytes.TrimSpace(line)) == 0 {
			continue
		}
		if err := b.addText(line, part{at: number, first: true, last: true}, end); err != nil {
			return err
		}
	}
	if err := lines.Err(); errors.Is(err, bufio.ErrTooLong) {
		return fmt.Errorf("line %d: longer than %d MiB", number+1, maxPart>>20)
	} else if err != nil {
		return err
	}
	return nil
}

var errNoObject = errors.New("not a JSON object")

// decodeLine returns the string that a line's object has under key field; null is an empty one.
func decodeLine(line []byte, field string) ([]byte, error) {
	if i := invalidUTF8(line); i >= 0 {
		return nil, fmt.Errorf("byte %d of the line: not UTF-8%s", i, notUTF8Hint(line, int64(i)))
	}
	var object map[string]json.RawMessage
	if err := json.Unmarshal(line, &object); err != nil {
		return nil, explainJSON(line, err)
	}
	if object == nil { // the line is null
		return nil, errNoObject
	}
	raw, ok := object[field]
	if !ok {
		return nil, noField(field, object)
	}
	if raw[0] != '"' && raw[0] != 'n' {
		return nil, fmt.Errorf("%q is %s, want a string", field, kindOfJSON(raw))
	}
	var text string
	if err := json.Unmarshal(raw, &text); err != nil {
		return nil, fmt.Errorf("%q: %w", field, err)
	}
	return []byte(text), nil
}

func noField(field string, object map[string]json.RawMessage) error {
	var keys []string
	for key := range object {
		keys = append(keys, fmt.Sprintf("%q", key))
	}
	if len(keys) == 0 {
		return fmt.Errorf("no %q: the object is empty", field)
	}
	slices.Sort(keys)
	if n := len(keys); n > 8 {
		keys = append(keys[:8], fmt.Sprintf("%d more", n-8))
	}
	return fmt.Errorf("no %q, only %s: set data.text_field", field, strings.Join(keys, ", "))
}

func explainJSON(line []byte, err error) error {
	line = bytes.TrimSpace(line)
	var syntax *json.SyntaxError
	switch {
	case line[0] == '[' || len(line) == 1 && line[0] == '{':
		return errors.New("want one JSON object a line, without [ ] around them or line breaks inside")
	case line[0] != '{':
		return errNoObject
	case errors.As(err, &syntax) && int(syntax.Offset) >= len(line) && strings.HasPrefix(err.Error(), "unexpected end"):
		return errors.New("the JSON object does not end: is the file cut off?")
	case errors.As(err, &syntax):
		return fmt.Errorf("byte %d of the line: %w", syntax.Offset, err)
	}
	return err
}

func kindOfJSON(raw []byte) string {
	switch raw[0] {
	case '{':
		return "an object"
	case '[':
		return "a list"
	case 't', 'f':
		return "true or false"
	}
	return "a number"
}
