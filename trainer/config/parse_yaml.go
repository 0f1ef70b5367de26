package config

// YAML into the tree. Anchors, aliases, merge keys and tags of one's own are refused: a configuration has no use for
// them, and without them a value is what stands in its line.

import (
	"bytes"
	"errors"
	"io"
	"regexp"
	"strconv"
	"strings"

	"go.yaml.in/yaml/v3"
)

func parseYAML(content []byte) (node, error) {
	decoder := yaml.NewDecoder(bytes.NewReader(content))
	var document, second yaml.Node
	if err := decoder.Decode(&document); errors.Is(err, io.EOF) {
		return node{}, nil
	} else if err != nil {
		return node{}, explainYAML(content, err)
	}
	if err := decoder.Decode(&second); err == nil {
		return node{}, failAt(second.Line, "a second document begins; want one")
	} else if !errors.Is(err, io.EOF) {
		return node{}, explainYAML(content, err)
	}
	return fromYAML(document.Content[0], 0)
}

// fromYAML converts a parsed value.
func fromYAML(y *yaml.Node, depth int) (node, error) {
	n := node{line: y.Line, text: y.Value}
	switch {
	case depth > maxDepth:
		return n, failAt(y.Line, "is nested too deeply")
	case y.Kind == yaml.AliasNode || y.Anchor != "":
		return n, failAt(y.Line, "anchors (&) and aliases (*) are not supported; write the value out, or put a text that begins so in quotes")
	case y.Kind == yaml.SequenceNode:
		n.kind = listNode
		for _, item := range y.Content {
			child, err := fromYAML(item, depth+1)
			if err != nil {
				return n, err
			}
			n.items = append(n.items, child)
		}
		return n, nil
	case y.Kind == yaml.MappingNode:
		return sectionFromYAML(y, depth)
	}
	switch tag := y.ShortTag(); tag {
	case "!!null":
		n.kind = nullNode
	case "!!bool":
		n.kind, n.text = boolNode, strings.ToLower(y.Value)
	case "!!int", "!!float":
		n.kind = numberNode
	case "!!str", "!!timestamp":
		n.kind = textNode
	default:
		return n, failAt(y.Line, "the tag %s is not supported; put a text that begins with ! in quotes", tag)
	}
	return n, nil
}

func sectionFromYAML(y *yaml.Node, depth int) (node, error) {
	n := node{kind: sectionNode, line: y.Line}
	seen := map[string]int{}
	for i := 0; i+1 < len(y.Content); i += 2 {
		name := y.Content[i]
		if name.Kind != yaml.ScalarNode || name.ShortTag() == "!!merge" {
			return n, failAt(name.Line, "a key must be a plain name")
		}
		if first, again := seen[name.Value]; again {
			return n, failAt(name.Line, "%s: is set twice, first in line %d", name.Value, first)
		}
		seen[name.Value] = name.Line
		value, err := fromYAML(y.Content[i+1], depth+1)
		if err != nil {
			return n, err
		}
		n.entries = append(n.entries, entry{name.Value, name.Line, value})
	}
	return n, nil
}

var (
	yamlErrorLine = regexp.MustCompile(`^line (\d+): `)
	badAnchor     = regexp.MustCompile(`^unknown anchor '.*' referenced$|^did not find expected alphabetic or numeric character$`)
	anchorMark    = regexp.MustCompile(`(?m)(^|[\s\[,])[*&]`)
	tabIndent     = regexp.MustCompile(`(?m)^ *\t`)
)

// explainYAML turns the parser's error into one that a person can act on; the two commonest mistakes get words of their own.
func explainYAML(content []byte, err error) error {
	message := strings.TrimPrefix(err.Error(), "yaml: ")
	line := 1 // the parser leaves out a first line
	if m := yamlErrorLine.FindStringSubmatch(message); m != nil {
		line, _ = strconv.Atoi(m[1])
		message = message[len(m[0]):]
	}
	if at := tabIndent.FindIndex(content); at != nil {
		return failAt(lineOf(content, at[0]), "a tab indents the line; YAML wants spaces")
	}
	if at := anchorMark.FindIndex(content); at != nil && badAnchor.MatchString(message) {
		return failAt(lineOf(content, at[1]-1), "a text that begins with * or & needs quotes in YAML, such as \"*.txt\"")
	}
	return failAt(line, "is not valid YAML: %s", message)
}
