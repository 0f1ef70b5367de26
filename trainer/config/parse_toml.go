package config

// TOML into the tree. The library's decoder checks the file (duplicates too) and gives the values; a second walk over its
// syntax tree gives the lines.

import (
	"cmp"
	"errors"
	"fmt"
	"slices"
	"strconv"
	"strings"

	"github.com/pelletier/go-toml/v2"
	"github.com/pelletier/go-toml/v2/unstable"
)

func parseTOML(content []byte) (node, error) {
	var values map[string]any
	if err := toml.Unmarshal(content, &values); err != nil {
		if name, first, again := tomlDuplicate(content); again > 0 {
			return node{}, failAt(again, "%s: is set twice, first in line %d", name, first)
		}
		line := 0
		if decode := new(toml.DecodeError); errors.As(err, &decode) {
			line, _ = decode.Position()
		}
		return node{}, failAt(line, "is not valid TOML: %s", strings.TrimPrefix(err.Error(), "toml: "))
	}
	if len(values) == 0 {
		return node{}, nil
	}
	return fromTOML(values, "", 1, tomlLines(content))
}

// fromTOML converts a decoded value; at is its path as tomlLines writes it, line that of what holds it.
func fromTOML(value any, at string, line int, lines map[string]int) (node, error) {
	if strings.Count(at, "\x00") > maxDepth {
		return node{}, failAt(line, "is nested too deeply")
	}
	n := node{line: cmp.Or(lines[at], line)}
	switch v := value.(type) {
	case bool:
		n.kind, n.text = boolNode, strconv.FormatBool(v)
	case int64:
		n.kind, n.text = numberNode, strconv.FormatInt(v, 10)
	case float64:
		n.kind, n.text = numberNode, strconv.FormatFloat(v, 'g', -1, 64)
	case string:
		n.kind, n.text = textNode, v
	case []any:
		n.kind = listNode
		for i, item := range v {
			child, err := fromTOML(item, at+"\x00"+strconv.Itoa(i), n.line, lines)
			if err != nil {
				return n, err
			}
			n.items = append(n.items, child)
		}
	case map[string]any:
		n.kind = sectionNode
		for name, item := range v {
			child, err := fromTOML(item, at+"\x00"+name, n.line, lines)
			if err != nil {
				return n, err
			}
			n.entries = append(n.entries, entry{name, child.line, child})
		}
		slices.SortFunc(n.entries, func(a, b entry) int {
			return cmp.Or(cmp.Compare(a.line, b.line), strings.Compare(a.key, b.key))
		})
	default: // dates and times
		n.kind, n.text = textNode, fmt.Sprint(v)
	}
	return n, nil
}

// tomlLines maps each key's path, its parts each led by a NUL, to the line where it first appears.
func tomlLines(content []byte) map[string]int {
	lines := map[string]int{}
	walkTOML(content, func(at string, line int, _ bool) {
		if _, known := lines[at]; !known {
			lines[at] = line
		}
	})
	return lines
}

// tomlDuplicate finds the first key that is given two values.
func tomlDuplicate(content []byte) (name string, first, again int) {
	lines := map[string]int{}
	walkTOML(content, func(at string, line int, value bool) {
		if !value || again > 0 {
			return
		}
		if earlier, known := lines[at]; known {
			name, first, again = strings.ReplaceAll(at[1:], "\x00", "."), earlier, line
		}
		lines[at] = line
	})
	return name, first, again
}

// walkTOML visits the path of every key, and of every part of a dotted one, in the file's order; value tells whether
// a value is given to it there.
func walkTOML(content []byte, visit func(at string, line int, value bool)) {
	newest := map[string]int{} // tables in each array of tables so far
	var parser unstable.Parser
	parser.Reset(content)
	table := ""
	for parser.NextExpression() {
		expression := parser.Expression()
		at := table
		if expression.Kind != unstable.KeyValue {
			at = ""
		}
		line := 0
		for name := expression.Key(); name.Next(); {
			line = lineOf(content, int(name.Node().Raw.Offset))
			at += "\x00" + string(name.Node().Data)
			visit(at, line, name.IsLast() && expression.Kind == unstable.KeyValue)
			if n := newest[at]; n > 0 && !name.IsLast() {
				at += "\x00" + strconv.Itoa(n-1)
			}
		}
		switch expression.Kind {
		case unstable.ArrayTable:
			newest[at]++
			table = at + "\x00" + strconv.Itoa(newest[at]-1)
			visit(table, line, false)
		case unstable.Table:
			table = at
		}
	}
}
