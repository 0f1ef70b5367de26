// Reading a regular expression's [classes] and escapes.

package tokenizer

import (
	"fmt"
	"strconv"
	"unicode"
)

// maxNesting bounds [[[…]]], so that no file makes us run out of stack.
const maxNesting = 50

// class reads a class after its [.
func (p *parser) class(f flags, depth int) (codeSet, error) {
	if depth > maxNesting {
		return nil, p.unsupported("a class this deep in others")
	}
	negated := p.take("^")
	var set, left codeSet
	intersects := false
	for first := true; ; first = false {
		switch {
		case p.at == len(p.source):
			return nil, fmt.Errorf("character %d: a class has no end", p.at+1)
		case p.peek("]") && !first:
			p.at++
			if intersects {
				set = left.intersect(set)
			}
			if f.fold && depth == 0 {
				var err error
				if set, err = p.foldCase(set); err != nil {
					return nil, err
				}
			}
			if negated {
				set = set.complement()
			}
			return set, nil
		case p.peek("[:"):
			return nil, p.unsupported("[:…:]")
		case p.take("["):
			inner, err := p.class(f, depth+1)
			if err != nil {
				return nil, err
			}
			set = set.union(inner)
		case p.take("&&"):
			if p.peek("^") || p.peek("]") {
				return nil, p.unsupported("&& before ^ or ]")
			}
			if intersects {
				set = left.intersect(set)
			}
			left, set, intersects = set, nil, true
		default:
			item, err := p.classItem()
			if err != nil {
				return nil, err
			}
			set = set.union(item)
		}
	}
}

// classItem reads a character, a range, or an escape that is a set.
func (p *parser) classItem() (codeSet, error) {
	set, low, err := p.classAtom()
	if err != nil || set != nil {
		return set, err
	}
	if !p.peek("-") || p.peek("-]") || p.peek("-[") || p.peek("-&&") || p.at+1 == len(p.source) {
		return oneCode(low), nil
	}
	p.at++
	set, high, err := p.classAtom()
	switch {
	case err != nil:
		return nil, err
	case set != nil:
		return nil, p.unsupported("a range that ends in a set")
	case high < low:
		return nil, fmt.Errorf("character %d: a range from %q to %q", p.at+1, low, high)
	}
	return codeSet{{low, high}}, nil
}

func (p *parser) classAtom() (codeSet, rune, error) {
	if p.peek(`\b`) {
		p.at += 2
		return nil, '\b', nil
	}
	if p.peek(`\`) {
		return p.escaped(wordCharacters)
	}
	p.at++
	return nil, p.source[p.at-1], nil
}

// controls are the escapes that stand for a control character.
var controls = map[rune]rune{'n': '\n', 'r': '\r', 't': '\t', 'f': '\f', 'v': '\v', 'a': '\a', 'e': 0x1b}

// escaped reads \ and what it makes special, or not: a set, or else a character. words is what \w holds where it stands.
func (p *parser) escaped(words codeSet) (codeSet, rune, error) {
	if p.at+1 == len(p.source) {
		return nil, 0, fmt.Errorf(`character %d: \ at the end`, p.at+1)
	}
	c := p.source[p.at+1]
	if control, ok := controls[c]; ok {
		p.at += 2
		return nil, control, nil
	}
	decimals, _ := property("Nd")
	sets := map[rune]codeSet{'s': spaces, 'd': decimals, 'w': words, 'h': hexDigits}
	if set, ok := sets[unicode.ToLower(c)]; ok {
		p.at += 2
		if unicode.IsUpper(c) {
			set = set.complement()
		}
		return set, 0, nil
	}
	switch {
	case c == 'p' || c == 'P':
		set, err := p.propertySet()
		return set, 0, err
	case c == 'x' || c == 'u':
		code, err := p.codePoint()
		return nil, code, err
	case c < unicode.MaxASCII && (unicode.IsLetter(c) || unicode.IsDigit(c)):
		return nil, 0, p.unsupported(`\` + string(c))
	}
	p.at += 2
	return nil, c, nil
}

// propertySet reads \p{…}, \p{^…} or \P{…}.
func (p *parser) propertySet() (codeSet, error) {
	negated := p.source[p.at+1] == 'P'
	end := p.at + 2
	for end < len(p.source) && p.source[end] != '}' {
		end++
	}
	if end == len(p.source) || p.source[p.at+2] != '{' {
		return nil, p.unsupported(`\p without {…}`)
	}
	name := string(p.source[p.at+3 : end])
	if len(name) > 0 && name[0] == '^' {
		name, negated = name[1:], !negated
	}
	set, ok := property(name)
	if !ok {
		return nil, p.unsupported(`\p{…} of ` + quote(name))
	}
	p.at = end + 1
	if negated {
		set = set.complement()
	}
	return set, nil
}

// codePoint reads \xHH, \x{H…} or \uHHHH.
func (p *parser) codePoint() (rune, error) {
	start, end := p.at+2, p.at+4
	next := end
	switch {
	case p.source[p.at+1] == 'u':
		end, next = p.at+6, p.at+6
	case start < len(p.source) && p.source[start] == '{':
		start++
		for end = start; end < len(p.source) && p.source[end] != '}'; end++ {
		}
		next = end + 1
	}
	if next > len(p.source) {
		return 0, p.unsupported("an escape that has no end")
	}
	text := string(p.source[start:end])
	code, err := strconv.ParseUint(text, 16, 32)
	if err != nil || code > unicode.MaxRune || code >= 0xD800 && code < 0xE000 || code >= 0x80 && start == p.at+2 && end == p.at+4 {
		return 0, p.unsupported(quote(string(p.source[p.at:next])))
	}
	p.at = next
	return rune(code), nil
}
