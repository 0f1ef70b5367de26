package config

// Load: the layers, one over the other, and all their problems at once.

import (
	"errors"
	"fmt"
	"strings"

	"github.com/go-viper/mapstructure/v2"
	"github.com/spf13/viper"
)

// LoadOptions says where a configuration comes from.
type LoadOptions struct {
	Path    string   // .yaml, .yml, .json or .toml; "": no file
	Set     []string // key=value, in order; the last of the same key wins
	Environ []string // as os.Environ gives it
	// CardMemoryGB asks for the memory of the card that device names in GiB, for preset: auto; ok is false without a card,
	// and why says the reason. It is called only when it is needed. nil: there is no card.
	CardMemoryGB func(device string) (gb float64, ok bool, why string)
}

// Load reads and checks a configuration: default < preset < file < FRUGAL_ environment < Set. The choices are what was
// decided automatically. The error is an *Error with every problem found.
func Load(o LoadOptions) (*TrainingConfig, []Choice, error) {
	var content []byte
	if o.Path != "" {
		var err error
		if content, err = readFile(o.Path); err != nil {
			return nil, nil, &Error{[]Problem{{File: o.Path, Message: err.Error()}}}
		}
	}
	return load(o, content)
}

// load is Load with the file's content already read.
func load(o LoadOptions, content []byte) (*TrainingConfig, []Choice, error) {
	file, problems := fileLayer(o.Path, content)
	unreadable := o.Path != "" && file == nil
	environment, more := environmentLayer(o.Environ)
	problems = append(problems, more...)
	set, more := setLayer(o.Set)
	problems = append(problems, more...)

	preset, choices := presetLayer(o, file, environment, set)
	c, err := merge(preset, file, environment, set)
	if err != nil {
		problems = append(problems, Problem{File: o.Path, Message: err.Error()})
	} else if !unreadable { // what an unreadable file would have set, nobody knows
		bad := badKeys(problems)
		problems = append(problems, disagreements(bad, preset, file, environment, set)...)
		problems = append(problems, c.check(bad)...)
	}
	if len(problems) > 0 {
		sortProblems(problems, o.Path)
		return nil, nil, &Error{problems}
	}
	return c, choices, nil
}

// layer is what one source sets.
type layer map[string]setting

type setting struct {
	value  any
	origin Origin
}

// fileLayer reads a configuration file.
func fileLayer(path string, content []byte) (layer, []Problem) {
	if path == "" {
		return nil, nil
	}
	root, err := parse(path, content)
	if err != nil {
		p := Problem{File: path, Message: err.Error()}
		if at := new(parseError); errors.As(err, &at) {
			p.Line = at.line
		}
		return nil, []Problem{p}
	}
	r := &reader{file: path}
	l := layer{}
	r.section("", root, l)
	return l, r.problems
}

// section reads the entries of the file's root (name "") or of one of its sections.
func (r *reader) section(name string, n node, into layer) {
	for _, e := range n.entries {
		full := e.key
		if name != "" {
			full = name + "." + e.key
		}
		k, isKey := keyByName[full]
		leaves, isSection := sections[full]
		switch {
		case isSection && e.value.kind == sectionNode:
			r.section(full, e.value, into)
		case isSection:
			r.report(e.line, full, e.value.String(), "want a section with the keys "+strings.Join(leaves, ", "))
		case isKey && (name != "" || !strings.Contains(e.key, ".")):
			if value, ok := k.kind.read(r, full, e.value); ok {
				into[full] = setting{value, Origin{LayerFile, r.file, e.line}}
			}
		case isKey:
			section, leaf, _ := strings.Cut(full, ".")
			r.report(e.line, full, "", "want the key "+leaf+" inside a section "+section)
		default:
			r.unknown(e.line, full, suggestKey(name, e.key))
		}
	}
}

// presetLayer is what the preset named in the highest layer fills in.
func presetLayer(o LoadOptions, above ...layer) (layer, []Choice) {
	pick := func(name string) string {
		value := keyByName[name].def
		for _, l := range above {
			if s, ok := l[name]; ok {
				value = s.value
			}
		}
		return value.(string)
	}
	name, choices := pick("preset"), []Choice(nil)
	if name == "auto" {
		choice := choosePreset(pick("device"), o.CardMemoryGB)
		name, choices = choice.Value, []Choice{choice}
	}
	l := layer{}
	for key, value := range presets[name] {
		l[key] = setting{value, Origin{Layer: LayerPreset, Where: "preset " + name}}
	}
	return l, choices
}

// merge lays the layers over the defaults, by a viper of its own, and notes where each value came from.
func merge(layers ...layer) (*TrainingConfig, error) {
	v := viper.New()
	for _, k := range keys {
		v.SetDefault(k.name, k.def)
	}
	c := &TrainingConfig{origins: map[string]Origin{}}
	for _, l := range layers {
		for name, s := range l {
			if name != effectiveBatchSize {
				v.Set(name, s.value)
				c.origins[name] = s.origin
			}
		}
	}
	err := v.Unmarshal(c, func(d *mapstructure.DecoderConfig) {
		d.WeaklyTypedInput, d.DecodeHook, d.ErrorUnused = false, nil, true
	})
	return c, err
}

// disagreements compares each effective_batch_size with what its own layer and those below make of it, so that a saved
// configuration can be loaded again with another batch_size on top.
func disagreements(bad map[string]bool, layers ...layer) []Problem {
	factors := []string{"batch_size", "gradient_accumulation_steps"}
	sizes := []int{keyByName[factors[0]].def.(int), keyByName[factors[1]].def.(int)}
	var problems []Problem
	for _, l := range layers {
		for i, name := range factors {
			if bad[name] {
				return nil
			}
			if s, ok := l[name]; ok {
				sizes[i] = s.value.(int)
			}
		}
		if s, ok := l[effectiveBatchSize]; ok && s.value.(int) != sizes[0]*sizes[1] {
			problems = append(problems, Problem{File: s.origin.Where, Line: s.origin.Line, Key: effectiveBatchSize, Value: fmt.Sprint(s.value),
				Message: fmt.Sprintf("batch_size %d × gradient_accumulation_steps %d is %d; leave the key out or make it agree", sizes[0], sizes[1], sizes[0]*sizes[1])})
		}
	}
	return problems
}
