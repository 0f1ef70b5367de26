package config

// Printing a configuration, as YAML for people and as JSON for a checkpoint. Both load again to the same configuration.

import (
	"bytes"
	"encoding/json"
	"fmt"
	"slices"
	"strings"

	"go.yaml.in/yaml/v3"
)

// leftOut tells whether a key is not printed: init_from decides it, and has not yet. Printed with its default, it would
// be a key that the user set to something else.
func (c *TrainingConfig) leftOut(name string) bool {
	return c.InitFrom != "" && c.origins[name].Layer < LayerArchitecture && slices.Contains(architectureKeys, name)
}

// printed is a value in the type that both encoders write and the loader takes back.
func (c *TrainingConfig) printed(name string) any {
	value := c.field(name).Interface()
	if offload, ok := value.(Offload); ok && offload != OffloadFull {
		return offload == OffloadOptimizer
	}
	return value
}

// YAML is the configuration with every key; a comment tells where a value came from that is no default.
func (c *TrainingConfig) YAML() ([]byte, error) {
	root := &yaml.Node{Kind: yaml.MappingNode}
	inside := map[string]*yaml.Node{"": root}
	for _, k := range keys {
		if c.leftOut(k.name) {
			continue
		}
		section, leaf := splitName(k.name)
		if inside[section] == nil {
			inside[section] = &yaml.Node{Kind: yaml.MappingNode}
			root.Content = append(root.Content, textNodeYAML(section), inside[section])
		}
		value := &yaml.Node{}
		if err := value.Encode(c.printed(k.name)); err != nil {
			return nil, err
		}
		flow(value)
		if o := c.origins[k.name]; o.Layer != LayerDefault {
			value.LineComment = "# " + oneLine(o.String())
		}
		inside[section].Content = append(inside[section].Content, textNodeYAML(leaf), value)
	}
	root.HeadComment = c.headline()
	var out bytes.Buffer
	encoder := yaml.NewEncoder(&out)
	encoder.SetIndent(2)
	if err := encoder.Encode(root); err != nil {
		return nil, err
	}
	return out.Bytes(), encoder.Close()
}

// headline is the comment above the keys: what follows from them, and what is not among them.
func (c *TrainingConfig) headline() string {
	line := fmt.Sprintf("# %s: %d", effectiveBatchSize, c.EffectiveBatchSize())
	if left := slices.DeleteFunc(slices.Clone(architectureKeys), func(name string) bool { return !c.leftOut(name) }); len(left) > 0 {
		line += "\n# init_from decides: " + strings.Join(left, ", ")
	}
	return line
}

// flow writes lists in one line, and texts with line breaks as quoted ones.
func flow(n *yaml.Node) {
	switch {
	case n.Kind == yaml.SequenceNode || n.Kind == yaml.MappingNode:
		n.Style = yaml.FlowStyle
	case n.ShortTag() == "!!str" && oneLine(n.Value) != n.Value:
		n.Style = yaml.DoubleQuotedStyle
	}
	for _, child := range n.Content {
		flow(child)
	}
}

func textNodeYAML(s string) *yaml.Node {
	return &yaml.Node{Kind: yaml.ScalarNode, Tag: "!!str", Value: s}
}

// JSON is the configuration as a checkpoint keeps it: every key, and effective_batch_size beside them.
func (c *TrainingConfig) JSON() ([]byte, error) {
	var out bytes.Buffer
	encoder := json.NewEncoder(&out)
	encoder.SetEscapeHTML(false)
	open := "" // the section being written
	out.WriteString("{")
	separator := ""
	member := func(name string, value any) error {
		fmt.Fprintf(&out, "%s%q:", separator, name)
		separator = ","
		return encoder.Encode(value)
	}
	for _, k := range keys {
		if c.leftOut(k.name) {
			continue
		}
		section, leaf := splitName(k.name)
		if section != open {
			if open != "" {
				out.WriteString("}")
			}
			fmt.Fprintf(&out, ",%q:{", section)
			open, separator = section, ""
		}
		if err := member(leaf, c.printed(k.name)); err != nil {
			return nil, err
		}
		if k.name == "gradient_accumulation_steps" {
			if err := member(effectiveBatchSize, c.EffectiveBatchSize()); err != nil {
				return nil, err
			}
		}
	}
	out.WriteString("}}")
	var indented bytes.Buffer
	err := json.Indent(&indented, out.Bytes(), "", "  ")
	indented.WriteByte('\n')
	return indented.Bytes(), err
}

// splitName takes a dotted name apart; the section of a top-level key is "".
func splitName(name string) (section, leaf string) {
	section, leaf, dotted := strings.Cut(name, ".")
	if !dotted {
		return "", section
	}
	return section, leaf
}
