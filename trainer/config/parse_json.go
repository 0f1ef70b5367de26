package config

// JSON into the tree.

import (
	"bytes"
	"encoding/json"
	"errors"
	"strings"
)

func parseJSON(content []byte) (node, error) {
	if len(bytes.TrimSpace(content)) == 0 {
		return node{}, nil
	}
	var valid json.RawMessage
	if err := json.Unmarshal(content, &valid); err != nil {
		offset := len(content)
		if syntax := new(json.SyntaxError); errors.As(err, &syntax) {
			offset = int(syntax.Offset) - 1
		}
		return node{}, failAt(lineOf(content, max(offset, 0)), "is not valid JSON: %s", strings.TrimPrefix(err.Error(), "json: "))
	}
	decoder := json.NewDecoder(bytes.NewReader(content))
	decoder.UseNumber()
	return jsonReader{content, decoder}.value(0)
}

// jsonReader walks JSON that is known to be valid, for the lines and the order that Unmarshal does not give.
type jsonReader struct {
	content []byte
	decoder *json.Decoder
}

// next is the next token and the line in which it ends.
func (r jsonReader) next() (json.Token, int, error) {
	token, err := r.decoder.Token()
	line := lineOf(r.content, int(r.decoder.InputOffset()))
	if err != nil {
		return nil, line, failAt(line, "is not valid JSON: %s", err)
	}
	return token, line, nil
}

func (r jsonReader) value(depth int) (node, error) {
	token, line, err := r.next()
	if err != nil {
		return node{}, err
	}
	if depth > maxDepth {
		return node{}, failAt(line, "is nested too deeply")
	}
	n := node{line: line}
	switch t := token.(type) {
	case bool:
		n.kind, n.text = boolNode, map[bool]string{true: "true", false: "false"}[t]
	case json.Number:
		n.kind, n.text = numberNode, t.String()
	case string:
		n.kind, n.text = textNode, t
	case json.Delim:
		if t == '[' {
			return r.list(n, depth)
		}
		return r.section(n, depth)
	}
	return n, nil
}

func (r jsonReader) list(n node, depth int) (node, error) {
	n.kind = listNode
	for r.decoder.More() {
		item, err := r.value(depth + 1)
		if err != nil {
			return n, err
		}
		n.items = append(n.items, item)
	}
	_, _, err := r.next()
	return n, err
}

func (r jsonReader) section(n node, depth int) (node, error) {
	n.kind = sectionNode
	seen := map[string]int{}
	for r.decoder.More() {
		token, line, err := r.next()
		if err != nil {
			return n, err
		}
		name, _ := token.(string)
		if first, again := seen[name]; again {
			return n, failAt(line, "%s: is set twice, first in line %d", name, first)
		}
		seen[name] = line
		value, err := r.value(depth + 1)
		if err != nil {
			return n, err
		}
		n.entries = append(n.entries, entry{name, line, value})
	}
	_, _, err := r.next()
	return n, err
}
