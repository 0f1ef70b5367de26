package config

// Where each key's value came from, and what a model's own architecture does to the keys that nobody set.

import (
	"reflect"
	"strconv"
	"strings"
)

// Layer is a source of values; later ones win over earlier ones.
type Layer int

// The layers, in rising precedence. Architecture stands for the model that init_from names.
const (
	LayerDefault Layer = iota
	LayerPreset
	LayerArchitecture
	LayerFile
	LayerEnvironment
	LayerSet
)

// Origin is where a value came from.
type Origin struct {
	Layer Layer
	Where string // "preset 4gb", the file, "FRUGAL_SEED", "-set"; "" for a default
	Line  int    // line in the file, otherwise 0
}

// String is the origin as a message shows it: default, preset 4gb, x.yaml:12, FRUGAL_SEED, -set.
func (o Origin) String() string {
	switch {
	case o.Layer == LayerDefault:
		return "default"
	case o.Line > 0:
		return o.Where + ":" + strconv.Itoa(o.Line)
	default:
		return o.Where
	}
}

// Origin tells where the value of a dotted key, such as data.eval_fraction, came from.
func (c *TrainingConfig) Origin(key string) Origin { return c.origins[key] }

// IsSet tells whether the user set the key, by file, environment or -set, and not a default or a preset.
func (c *TrainingConfig) IsSet(key string) bool { return c.origins[key].Layer >= LayerFile }

// Architecture is what a model directory fixes.
type Architecture struct {
	VocabSize, HiddenSize, NumLayers, NumHeads, IntermediateSize, MaxPositionEmbeddings int
}

// SetArchitecture takes over the architecture of the model that init_from names; from says where it was read. Keys that
// the user set to something else are an *Error, and nothing is taken over. vocab_size 0 agrees with every vocabulary.
func (c *TrainingConfig) SetArchitecture(a Architecture, from string) error {
	sizes := []int{a.VocabSize, a.HiddenSize, a.NumLayers, a.NumHeads, a.IntermediateSize, a.MaxPositionEmbeddings}
	var problems []Problem
	for i, name := range architectureKeys {
		mine := c.field(name).Interface().(int)
		if c.IsSet(name) && mine != sizes[i] && !(name == "vocab_size" && mine == 0) {
			problems = append(problems, c.problem(name, from+" has "+strconv.Itoa(sizes[i])+"; leave the key out"))
		}
	}
	if len(problems) > 0 {
		return &Error{problems}
	}
	for i, name := range architectureKeys {
		c.field(name).SetInt(int64(sizes[i]))
		if !c.IsSet(name) {
			c.origins[name] = Origin{Layer: LayerArchitecture, Where: from}
		}
	}
	return nil
}

// problem is one with the value that a key has now.
func (c *TrainingConfig) problem(name, message string) Problem {
	o := c.origins[name]
	return Problem{File: o.Where, Line: o.Line, Key: name, Value: nodeOf(c.field(name)).String(), Message: message}
}

// field is the struct field of a dotted key; it must be a key of the table.
func (c *TrainingConfig) field(name string) reflect.Value {
	v := reflect.ValueOf(c).Elem()
	for part := range strings.SplitSeq(name, ".") {
		for i := range v.NumField() {
			if v.Type().Field(i).Tag.Get("mapstructure") == part {
				v = v.Field(i)
				break
			}
		}
	}
	return v
}

// nodeOf is a field's value as a tree, for messages.
func nodeOf(v reflect.Value) node {
	switch v.Kind() {
	case reflect.Bool:
		return node{kind: boolNode, text: strconv.FormatBool(v.Bool())}
	case reflect.Int:
		return node{kind: numberNode, text: strconv.FormatInt(v.Int(), 10)}
	case reflect.Uint64:
		return node{kind: numberNode, text: strconv.FormatUint(v.Uint(), 10)}
	case reflect.Float64:
		return node{kind: numberNode, text: strconv.FormatFloat(v.Float(), 'g', -1, 64)}
	case reflect.Slice:
		n := node{kind: listNode}
		for i := range v.Len() {
			n.items = append(n.items, nodeOf(v.Index(i)))
		}
		return n
	case reflect.Struct:
		n := node{kind: sectionNode}
		for i := range v.NumField() {
			n.entries = append(n.entries, entry{key: v.Type().Field(i).Tag.Get("mapstructure"), value: nodeOf(v.Field(i))})
		}
		return n
	default:
		if v.Type() == reflect.TypeFor[Offload]() && v.String() != string(OffloadFull) {
			return node{kind: boolNode, text: v.String()}
		}
		return node{kind: textNode, text: v.String()}
	}
}
