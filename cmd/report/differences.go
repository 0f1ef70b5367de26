package main

// What differs between the configurations of runs, and what they have in common.

import (
	"bytes"
	"encoding/json"
	"fmt"
	"slices"
	"strconv"
	"strings"
	"sync"

	"frugal/trainer/config"
)

// place says where a run's files go or what it goes on from: that differs between any two and decides nothing.
var place = []string{"output_dir", "logging_dir", "resume"}

// settings are a configuration's values as JSON, by dotted key.
type settings map[string]string

// flatten reads a configuration. What is no object has no settings.
func flatten(text json.RawMessage) settings {
	s := settings{}
	var root map[string]json.RawMessage
	if json.Unmarshal(text, &root) == nil {
		s.add("", root)
	}
	return s
}

func (s settings) add(prefix string, section map[string]json.RawMessage) {
	for key, value := range section {
		var inner map[string]json.RawMessage
		if value = bytes.TrimSpace(value); len(value) > 0 && value[0] == '{' && json.Unmarshal(value, &inner) == nil {
			s.add(prefix+key+".", inner)
			continue
		}
		var compact bytes.Buffer
		if json.Compact(&compact, value) == nil {
			s[prefix+key] = compact.String()
		}
	}
}

// defaults is a configuration that nothing touched. Its keys stand in the order of docs/configuration.md.
var defaults = sync.OnceValues(func() ([]byte, error) { return config.Default().JSON() })

// orderOf lists the dotted keys of an object as they stand.
func orderOf(text []byte) (order []string) {
	var walk func(prefix string, text []byte)
	walk = func(prefix string, text []byte) {
		decoder := json.NewDecoder(bytes.NewReader(text))
		if _, err := decoder.Token(); err != nil {
			return
		}
		for decoder.More() {
			key, err := decoder.Token()
			var value json.RawMessage
			if err != nil || decoder.Decode(&value) != nil {
				return
			}
			if value[0] == '{' {
				walk(prefix+fmt.Sprint(key)+".", value)
			} else {
				order = append(order, prefix+fmt.Sprint(key))
			}
		}
	}
	walk("", text)
	return order
}

// same compares two values: 1e-3 is 0.001, and whole numbers are compared to the last digit.
func same(a, b string) bool {
	if a == b {
		return true
	}
	x, errX := strconv.ParseFloat(a, 64)
	y, errY := strconv.ParseFloat(b, 64)
	_, wholeX := strconv.ParseUint(a, 10, 64)
	_, wholeY := strconv.ParseUint(b, 10, 64)
	return errX == nil && errY == nil && x == y && (wholeX != nil || wholeY != nil)
}

// comparison is the runs' configurations side by side. The keys come in the documented order, unknown ones after them.
type comparison struct {
	differing, common []string
	values            []settings // of each run
	defaults          settings
}

func compare(runs []*run) (*comparison, error) {
	base, err := defaults()
	if err != nil {
		return nil, err
	}
	c := &comparison{defaults: flatten(base)}
	known := map[string]bool{}
	for _, r := range runs {
		s := flatten(r.started().Config)
		c.values = append(c.values, s)
		for key := range s {
			known[key] = true
		}
	}
	for _, key := range inOrder(known, orderOf(base)) {
		if slices.Contains(place, key) {
			continue
		}
		if c.differs(key) {
			c.differing = append(c.differing, key)
		} else {
			c.common = append(c.common, key)
		}
	}
	return c, nil
}

// inOrder sorts keys as in order; those that are not there follow by name.
func inOrder(keys map[string]bool, order []string) (list []string) {
	for _, key := range order {
		if keys[key] {
			list = append(list, key)
		}
	}
	var rest []string
	for key := range keys {
		if !slices.Contains(order, key) {
			rest = append(rest, key)
		}
	}
	slices.Sort(rest)
	return append(list, rest...)
}

// differs leaves out runs without any configuration: nothing is known of them.
func (c *comparison) differs(key string) bool {
	var first settings
	for _, s := range c.values {
		if len(s) == 0 {
			continue
		}
		if first == nil {
			first = s
			continue
		}
		a, hasA := first[key]
		b, hasB := s[key]
		if hasA != hasB || !same(a, b) {
			return true
		}
	}
	return false
}

// cell shows a run's value of a key.
func (c *comparison) cell(i int, key string) cell {
	value, ok := c.values[i][key]
	if !ok {
		return cell{Text: absent, Title: "this run's version does not have the key", Number: true}
	}
	_, err := strconv.ParseFloat(value, 64)
	base, known := c.defaults[key]
	return cell{Text: plain(value), Number: err == nil, Default: known && same(value, base)}
}

// plain writes a value as it stands in a configuration file, without the quotes that it does not need.
func plain(value string) string {
	var s string
	if json.Unmarshal([]byte(value), &s) != nil {
		return value
	}
	if s == "" || strings.TrimSpace(s) != s || strings.ContainsAny(s, "\n\t") {
		return value
	}
	return s
}

// table is the differing keys against the runs; the longer of the two goes down.
func (c *comparison) table(runs []*run) [][]cell {
	head := []cell{{Text: "run", Head: true}}
	for _, key := range c.differing {
		head = append(head, cell{Text: key, Head: true})
	}
	table := [][]cell{head}
	for i, r := range runs {
		line := []cell{{Text: r.name, Head: true}}
		for _, key := range c.differing {
			line = append(line, c.cell(i, key))
		}
		table = append(table, line)
	}
	if len(c.differing) > len(runs) {
		table = transpose(table)
		table[0][0].Text = "key"
	}
	return table
}

func transpose(table [][]cell) [][]cell {
	turned := make([][]cell, len(table[0]))
	for _, line := range table {
		for j, x := range line {
			turned[j] = append(turned[j], x)
		}
	}
	return turned
}

// changes are the keys that a later session of the run set otherwise than the one before it: "key: old → new".
func changes(r *run) (list []string) {
	var was settings
	for _, s := range r.sessions {
		if s.start == nil {
			continue
		}
		is := flatten(s.start.Config)
		for _, key := range inOrder(keysOf(was), nil) {
			if value, ok := is[key]; ok && !same(was[key], value) && !slices.Contains(place, key) {
				list = append(list, fmt.Sprintf("%s: %s → %s", key, plain(was[key]), plain(value)))
			}
		}
		was = is
	}
	return list
}

func keysOf(s settings) map[string]bool {
	keys := map[string]bool{}
	for key := range s {
		keys[key] = true
	}
	return keys
}
