package config

// What a key's value may be. Each kind reads a node into a Go value, or reports what would have been right.

import (
	"math"
	"math/big"
	"slices"
	"strconv"
	"strings"
	"unicode/utf8"
)

// kind is a type with its limits. read reports through r and answers false if the value is not possible; want completes
// the sentence "want …".
type kind interface {
	read(r *reader, key string, n node) (any, bool)
	want() string
}

// reader collects the problems of one source of settings.
type reader struct {
	file     string
	problems []Problem
}

func (r *reader) report(line int, key, value, message string) {
	r.problems = append(r.problems, Problem{File: r.file, Line: line, Key: key, Value: value, Message: message})
}

// unknown reports a key that does not exist.
func (r *reader) unknown(line int, key, suggestion string) {
	message := "unknown key; docs/configuration.md lists them all"
	if suggestion != "" {
		message = "unknown key; did you mean " + suggestion + "?"
	}
	r.problems = append(r.problems, Problem{File: r.file, Line: line, Key: key, Message: message, meant: suggestion})
}

// refuse reports that n is not what k wants.
func (r *reader) refuse(key string, n node, k kind) (any, bool) {
	switch {
	case n.kind == nullNode:
		r.report(n.line, key, "", "has no value; want "+k.want())
	case n.kind == textNode && unquotable(key, n, k):
		r.report(n.line, key, n.String(), "want "+k.want()+", without quotes")
	default:
		r.report(n.line, key, n.String(), "want "+k.want())
	}
	return nil, false
}

// unquotable tells whether a text would be a right number or bool if its quotes were removed.
func unquotable(key string, n node, k kind) bool {
	var bare node
	switch k.(type) {
	case whole, natural, real:
		bare = node{kind: numberNode, text: n.text}
	case boolean:
		bare = node{kind: boolNode, text: n.text}
		if n.text != "true" && n.text != "false" {
			return false
		}
	default:
		return false
	}
	_, ok := k.read(&reader{}, key, bare)
	return ok
}

// integer reads a whole number as people write them: 1000, 1_000, 0x10, 1e3. A leading zero does not mean octal.
func integer(text string) (*big.Int, bool) {
	text = strings.ReplaceAll(text, "_", "")
	if len(text) > 40 {
		return nil, false
	}
	base := 10
	if digits := strings.TrimLeft(text, "+-"); len(digits) > 1 && digits[0] == '0' && strings.ContainsRune("xXoObB", rune(digits[1])) {
		base = 0
	}
	if i, ok := new(big.Int).SetString(text, base); ok {
		return i, true
	}
	const exact = 1 << 53 // above this a float does not say which whole number was meant
	f, err := strconv.ParseFloat(text, 64)
	if err != nil || f != math.Trunc(f) || math.Abs(f) > exact {
		return nil, false
	}
	return big.NewInt(int64(f)), true
}

// whole is an int from lo to hi.
type whole struct{ lo, hi int }

func (k whole) read(r *reader, key string, n node) (any, bool) {
	if n.kind == numberNode {
		if i, ok := integer(n.text); ok && i.IsInt64() && i.Int64() >= int64(k.lo) && i.Int64() <= int64(k.hi) {
			return int(i.Int64()), true
		}
	}
	return r.refuse(key, n, k)
}

func (k whole) want() string {
	return "a whole number from " + strconv.Itoa(k.lo) + " to " + strconv.Itoa(k.hi)
}

// natural is a uint64: a seed.
type natural struct{}

func (k natural) read(r *reader, key string, n node) (any, bool) {
	if n.kind == numberNode {
		if i, ok := integer(n.text); ok && i.IsUint64() {
			return i.Uint64(), true
		}
	}
	return r.refuse(key, n, k)
}

func (natural) want() string { return "a whole number from 0 to 18446744073709551615" }

// real is a finite float64 from lo to hi; an open end is not itself allowed.
type real struct {
	lo, hi         float64
	openLo, openHi bool
}

func between(lo, hi float64) real { return real{lo: lo, hi: hi} }
func above(lo, hi float64) real   { return real{lo: lo, hi: hi, openLo: true} }
func below(lo, hi float64) real   { return real{lo: lo, hi: hi, openHi: true} }

func (k real) read(r *reader, key string, n node) (any, bool) {
	if n.kind == numberNode {
		f, err := strconv.ParseFloat(strings.ReplaceAll(n.text, "_", ""), 64)
		tooLow, tooHigh := f < k.lo || k.openLo && f == k.lo, f > k.hi || k.openHi && f == k.hi
		if err == nil && !math.IsNaN(f) && !tooLow && !tooHigh {
			return f + 0, true // + 0: no negative zero
		}
	}
	return r.refuse(key, n, k)
}

func (k real) want() string {
	lo, hi := strconv.FormatFloat(k.lo, 'g', -1, 64), strconv.FormatFloat(k.hi, 'g', -1, 64)
	switch {
	case k.openLo:
		return "a number above " + lo + ", at most " + hi
	case k.openHi:
		return "a number from " + lo + ", below " + hi
	default:
		return "a number from " + lo + " to " + hi
	}
}

// boolean is a bool.
type boolean struct{}

func (k boolean) read(r *reader, key string, n node) (any, bool) {
	if n.kind == boolNode {
		return n.text == "true", true
	}
	return r.refuse(key, n, k)
}

func (boolean) want() string { return "true or false" }

// word is one of a few words; true and false may be among them.
type word []string

func (k word) read(r *reader, key string, n node) (any, bool) {
	if n.kind == textNode || n.kind == boolNode {
		for _, w := range k {
			if w == n.text {
				return w, true
			}
		}
		if near := nearest(n.text, k); near != "" {
			r.report(n.line, key, n.String(), "want "+k.want()+"; did you mean "+near+"?")
			return nil, false
		}
	}
	return r.refuse(key, n, k)
}

func (k word) want() string {
	shown := make([]string, len(k))
	for i, w := range k {
		if shown[i] = w; w == "" {
			shown[i] = `""`
		}
	}
	return strings.Join(shown[:len(shown)-1], ", ") + " or " + shown[len(shown)-1]
}

// text is a string that passes a test.
type text struct {
	wanted string
	ok     func(string) bool
}

func (k text) read(r *reader, key string, n node) (any, bool) {
	if n.kind == textNode && utf8.ValidString(n.text) && k.ok(n.text) {
		return n.text, true
	}
	if n.kind == numberNode || n.kind == boolNode {
		r.report(n.line, key, n.String(), "want "+k.want()+`; write it as "`+n.text+`"`)
		return nil, false
	}
	return r.refuse(key, n, k)
}

func (k text) want() string { return k.wanted }

// list holds any number of items of one kind; a lone item stands for a list of one.
type list struct{ item kind }

func (k list) read(r *reader, key string, n node) (any, bool) {
	if n.kind == nullNode || n.kind == sectionNode {
		return r.refuse(key, n, k)
	}
	if n.kind != listNode {
		value, ok := k.item.read(r, key, n)
		return []any{value}, ok
	}
	values, good := make([]any, 0, len(n.items)), true
	for i, item := range n.items {
		value, ok := k.item.read(r, key+"["+strconv.Itoa(i)+"]", item)
		values, good = append(values, value), good && ok
	}
	return values, good
}

func (k list) want() string { return "a list, each " + k.item.want() }

// record is a small section inside a list.
type record struct{ fields []key }

func (k record) read(r *reader, at string, n node) (any, bool) {
	if n.kind != sectionNode {
		return r.refuse(at, n, k)
	}
	values, good := map[string]any{}, true
	for _, e := range n.entries {
		i := slices.IndexFunc(k.fields, func(f key) bool { return f.name == e.key })
		if i < 0 {
			r.report(e.line, at+"."+e.key, "", "unknown key; want "+k.want())
			good = false
			continue
		}
		value, ok := k.fields[i].kind.read(r, at+"."+e.key, e.value)
		values[e.key], good = value, good && ok
	}
	for _, f := range k.fields {
		if _, given := values[f.name]; !given && f.def == nil {
			r.report(n.line, at+"."+f.name, "", "is missing; want "+f.kind.want())
			good = false
		}
	}
	return values, good
}

func (k record) want() string {
	names := make([]string, len(k.fields))
	for i, f := range k.fields {
		names[i] = f.name
	}
	return "{" + strings.Join(names, ", ") + "}"
}
