package config

// The tree that every file format and every -set value is turned into before it is checked: values as they were
// written, with their lines.

import (
	"strconv"
	"strings"
)

type nodeKind int

const (
	nullNode nodeKind = iota
	boolNode
	numberNode
	textNode
	listNode
	sectionNode
)

// node is one value; text holds what was written for a scalar (a bool's is "true" or "false").
type node struct {
	kind    nodeKind
	line    int
	text    string
	items   []node
	entries []entry
}

// entry is one key of a section, in the file's order.
type entry struct {
	key   string
	line  int
	value node
}

// maxDepth bounds nesting: the deepest real key, curriculum.points[0].weights[0], needs five levels.
const maxDepth = 32

// String is the value as a message shows it, cut where it grows long.
func (n node) String() string {
	const limit = 60
	s := []rune(n.describe(limit))
	if len(s) > limit {
		return string(s[:limit]) + "…"
	}
	return string(s)
}

// describe stops descending once the result is longer than limit.
func (n node) describe(limit int) string {
	var b strings.Builder
	switch n.kind {
	case nullNode:
		return "null"
	case textNode:
		return strconv.Quote(n.text)
	case listNode:
		for i, item := range n.items {
			if b.Len() > limit {
				break
			}
			if i > 0 {
				b.WriteString(", ")
			}
			b.WriteString(item.describe(limit))
		}
		return "[" + b.String() + "]"
	case sectionNode:
		for i, e := range n.entries {
			if b.Len() > limit {
				break
			}
			if i > 0 {
				b.WriteString(", ")
			}
			b.WriteString(e.key + ": " + e.value.describe(limit))
		}
		return "{" + b.String() + "}"
	default:
		return n.text
	}
}
