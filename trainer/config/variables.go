package config

// Settings from FRUGAL_ variables and from -set key=value. Both hold one value written as YAML.

import (
	"slices"
	"strings"
)

const envPrefix = "FRUGAL_"

// The variables that set no key: FRUGAL_DEBUG, which shows stacks, FRUGAL_NCCL, which is trainer/cluster's, and those of the project's own
// tests.
const (
	debugVariable  = envPrefix + "DEBUG"
	ncclVariable   = envPrefix + "NCCL"
	reservedPrefix = envPrefix + "TEST_"
)

const setFlag = "-set"

// envName is the variable of a key: FRUGAL_DATA_EVAL_FRACTION for data.eval_fraction.
func envName(key string) string {
	return envPrefix + strings.ToUpper(strings.ReplaceAll(key, ".", "_"))
}

// environmentLayer reads the FRUGAL_ variables. One that is set to nothing counts as not set.
func environmentLayer(environ []string) (layer, []Problem) {
	byVariable := map[string]key{}
	for _, k := range keyByName {
		byVariable[envName(k.name)] = k
	}
	l := layer{}
	var problems []Problem
	for _, variable := range slices.Sorted(slices.Values(environ)) {
		name, raw, _ := strings.Cut(variable, "=")
		if !strings.HasPrefix(name, envPrefix) || strings.HasPrefix(name, reservedPrefix) || name == debugVariable || name == ncclVariable || raw == "" {
			continue
		}
		k, ok := byVariable[name]
		if !ok {
			problems = append(problems, unknownVariable(name, byVariable))
			continue
		}
		r := &reader{file: name}
		if value, ok := r.loose(k, raw); ok {
			l[k.name] = setting{value, Origin{Layer: LayerEnvironment, Where: name}}
		}
		problems = append(problems, r.problems...)
	}
	return l, problems
}

func unknownVariable(name string, known map[string]key) Problem {
	names := make([]string, 0, len(known))
	for n := range known {
		names = append(names, strings.TrimPrefix(n, envPrefix))
	}
	slices.Sort(names)
	written := strings.TrimPrefix(name, envPrefix)
	near := nearest(written, names)
	if suggestion := suggestKey("", written); near == "" && suggestion != "" && sections[suggestion] == nil {
		near = strings.TrimPrefix(envName(suggestion), envPrefix)
	}
	message, meant := "sets no key; docs/configuration.md lists them all", ""
	if near != "" {
		message, meant = "sets no key; did you mean "+envPrefix+near+"?", known[envPrefix+near].name
	}
	return Problem{File: name, Message: message, meant: meant}
}

// setLayer reads the -set flags in their order.
func setLayer(set []string) (layer, []Problem) {
	r := &reader{file: setFlag}
	l := layer{}
	for _, s := range set {
		name, raw, ok := strings.Cut(s, "=")
		name = strings.TrimSpace(name)
		k, known := keyByName[name]
		leaves, isSection := sections[name]
		switch {
		case !ok || name == "":
			r.report(0, "", node{kind: textNode, text: s}.String(), "want key=value")
		case isSection:
			r.report(0, name, "", "is a section; set one of its keys: "+name+"."+strings.Join(leaves, ", "+name+"."))
		case !known:
			section, leaf := splitName(name)
			r.unknown(0, name, suggestKey(section, leaf))
		default:
			if value, ok := r.loose(k, raw); ok {
				l[name] = setting{value, Origin{Layer: LayerSet, Where: setFlag}}
			}
		}
	}
	return l, r.problems
}

// loose reads one value written as YAML, except that a text, or a list's only text, needs no quotes whatever it begins
// with: a shell has taken them away.
func (r *reader) loose(k key, raw string) (any, bool) {
	n, err := looseNode(k.kind, raw)
	if err != nil {
		r.report(0, k.name, node{kind: textNode, text: raw}.String(), err.Error())
		return nil, false
	}
	before := len(r.problems)
	value, ok := k.kind.read(r, k.name, n)
	for i := range r.problems[before:] {
		r.problems[before+i].Line = 0 // a flag or a variable has no lines
	}
	return value, ok
}

func looseNode(k kind, raw string) (node, error) {
	bare := node{kind: textNode, text: raw}
	quoted := strings.HasPrefix(raw, `"`) || strings.HasPrefix(raw, "'")
	switch k := k.(type) {
	case text, word:
		if !quoted {
			return bare, nil
		}
	case list:
		if raw == "" {
			return node{kind: listNode}, nil
		}
		if _, ok := k.item.(text); ok && !quoted && raw[0] != '[' && !strings.HasPrefix(raw, "- ") {
			return bare, nil
		}
	}
	if err := checkText([]byte(raw)); err != nil {
		return node{}, err
	}
	return parseYAML([]byte(raw))
}
