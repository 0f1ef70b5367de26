// Sets of code points: what a regular expression's [classes] and \p{properties} come to.

package tokenizer

import (
	"cmp"
	"slices"
	"strings"
	"unicode/utf8"
)

// invalidByte stands for a byte that is part of no valid rune: in no set but complements.
const invalidByte = utf8.MaxRune + 1

// codeSet is sorted ranges that neither overlap nor touch.
type codeSet []codeRange

func setOf(ranges ...codeRange) codeSet {
	sorted := slices.SortedFunc(slices.Values(ranges), func(a, b codeRange) int { return cmp.Compare(a[0], b[0]) })
	var set codeSet
	for _, r := range sorted {
		if last := len(set) - 1; last >= 0 && r[0] <= set[last][1]+1 {
			set[last][1] = max(set[last][1], r[1])
		} else {
			set = append(set, r)
		}
	}
	return set
}

func oneCode(c rune) codeSet { return codeSet{{c, c}} }

func (s codeSet) union(other codeSet) codeSet { return setOf(slices.Concat(s, other)...) }

// complement is everything else, bytes of no valid rune included.
func (s codeSet) complement() codeSet {
	var rest codeSet
	next := rune(0)
	for _, r := range s {
		if next < r[0] {
			rest = append(rest, codeRange{next, r[0] - 1})
		}
		next = r[1] + 1
	}
	if next <= invalidByte {
		rest = append(rest, codeRange{next, invalidByte})
	}
	return rest
}

func (s codeSet) intersect(other codeSet) codeSet {
	return s.complement().union(other.complement()).complement()
}

func (s codeSet) has(c rune) bool {
	_, ok := slices.BinarySearchFunc(s, c, func(r codeRange, c rune) int {
		switch {
		case r[1] < c:
			return -1
		case r[0] > c:
			return 1
		}
		return 0
	})
	return ok
}

var (
	newline      = oneCode('\n')
	wordsOutside = codeSet(wordCharacters).union(moreWordCharacters) // of a class
	hexDigits    = setOf(codeRange{'0', '9'}, codeRange{'A', 'F'}, codeRange{'a', 'f'})
	asciiLetter  = setOf(codeRange{'A', 'Z'}, codeRange{'a', 'z'})
)

// property is \p{name}: a general category, one letter for a group of them, or a script. Case, spaces, - and _ do not count.
func property(name string) (codeSet, bool) {
	name = strings.ToLower(strings.NewReplacer(" ", "", "-", "", "_", "").Replace(name))
	if long, ok := longNames[name]; ok {
		name = long
	}
	if name == "any" {
		return codeSet{{0, utf8.MaxRune}}, true
	}
	var found []codeRange
	for key, ranges := range properties {
		key = strings.ToLower(key)
		if key == name || len(name) == 1 && len(key) == 2 && key[:1] == name && name != "c" {
			found = append(found, ranges...)
		}
	}
	return setOf(found...), len(found) > 0
}

var longNames = map[string]string{"letter": "l", "mark": "m", "number": "n", "punctuation": "p", "symbol": "s", "separator": "z"}
