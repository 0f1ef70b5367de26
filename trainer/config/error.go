package config

// Problems and the error that carries all of them at once.

import (
	"cmp"
	"slices"
	"strconv"
	"strings"
	"unicode"
)

// Problem is one thing that is wrong with a configuration.
type Problem struct {
	File    string // the configuration file, a FRUGAL_ variable, or "-set"
	Line    int    // line in File, from 1; 0 where there is none
	Key     string // dotted, such as data.eval_fraction; "" where the whole file is meant
	Value   string // as a person would write it; "" where the value does not matter
	Message string // what would be right

	meant string // the key that an unknown one probably stands for
}

// Error is the problem in one line: file:line: key: value: message.
func (p Problem) Error() string {
	where := p.File
	if p.Line > 0 {
		where += ":" + strconv.Itoa(p.Line)
	}
	var parts []string
	for _, part := range []string{where, p.Key, p.Value, p.Message} {
		if part != "" {
			parts = append(parts, oneLine(part))
		}
	}
	return strings.Join(parts, ": ")
}

// Error is everything that is wrong with a configuration. Load returns no other type.
type Error struct{ Problems []Problem }

// Error is one line a problem.
func (e *Error) Error() string {
	lines := make([]string, len(e.Problems))
	for i, p := range e.Problems {
		lines[i] = p.Error()
	}
	return strings.Join(lines, "\n")
}

// oneLine writes line breaks and other unprintable characters as escapes, since keys and values come from outside.
func oneLine(s string) string {
	printable := func(r rune) bool { return unicode.IsPrint(r) && r != unicode.ReplacementChar }
	if !strings.ContainsFunc(s, func(r rune) bool { return !printable(r) }) {
		return s
	}
	quoted := strconv.Quote(s)
	return strings.ReplaceAll(quoted[1:len(quoted)-1], `\"`, `"`)
}

// badKeys are those that cannot be relied on: with a problem of their own, or probably misspelled.
func badKeys(problems []Problem) map[string]bool {
	bad := map[string]bool{}
	for _, p := range problems {
		name, _, _ := strings.Cut(p.Key, "[")
		bad[name], bad[p.meant] = true, true
	}
	return bad
}

// sortProblems orders problems as the layers are read: the file from its top, then variables, then flags.
func sortProblems(problems []Problem, path string) {
	rank := func(p Problem) int {
		switch {
		case p.File == path:
			return 0
		case strings.HasPrefix(p.File, envPrefix):
			return 1
		default:
			return 2
		}
	}
	slices.SortStableFunc(problems, func(a, b Problem) int {
		return cmp.Or(cmp.Compare(rank(a), rank(b)), cmp.Compare(a.Line, b.Line))
	})
}
