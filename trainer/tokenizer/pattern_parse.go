// Reading the regular expression of a Split, which is in Oniguruma's Ruby syntax, and writing it in regexp2's, which is .NET's.
// What a set of characters holds is worked out here, from tables of our own, and what the two would read differently is
// written so that they do not, or refused.

package tokenizer

import (
	"fmt"
	"strings"
	"unicode"
)

// piece is a part of the translation: text of regexp2's, or the number of a set.
type piece struct {
	text string
	set  int // -1 for text
}

type parser struct {
	source   []rune
	at       int
	depth    int
	out      []piece
	sets     []codeSet
	branches []string // the alternatives of the whole
	branch   int      // where the one that is being read begins
	asserts  bool     // something looks around
	folded   rune     // the letter just read, where case does not count
}

// flags are what (?i) and (?m) set.
type flags struct{ fold, dotAll bool }

func parsePattern(source string) (*parser, error) {
	p := &parser{source: []rune(source)}
	if _, err := p.alternatives(flags{}); err != nil {
		return nil, err
	}
	if p.at < len(p.source) {
		return nil, fmt.Errorf("character %d: ) without (", p.at+1)
	}
	p.branches = append(p.branches, string(p.source[p.branch:]))
	return p, nil
}

func (p *parser) peek(text string) bool {
	return strings.HasPrefix(string(p.source[p.at:min(len(p.source), p.at+len(text))]), text)
}

func (p *parser) take(text string) bool {
	if !p.peek(text) {
		return false
	}
	p.at += len([]rune(text))
	return true
}

func (p *parser) unsupported(what string) error {
	return fmt.Errorf("character %d: %s is not supported", p.at+1, what)
}

func (p *parser) write(text string) { p.out = append(p.out, piece{text, -1}) }

func (p *parser) writeSet(s codeSet) {
	p.out = append(p.out, piece{set: len(p.sets)})
	p.sets = append(p.sets, s)
}

// takes is what text something takes: none ever, at times, or always. Only the last may be repeated: where a round takes no
// text, regular expressions differ in what they do.
type takes int

const (
	noText takes = iota
	mayTakeText
	takesText
)

// alternatives reads up to the ) of the group it is in, or the end.
func (p *parser) alternatives(f flags) (takes, error) {
	all, branch := takesText, mayTakeText
	for p.at < len(p.source) && !p.peek(")") {
		if p.peek("|") {
			if p.depth == 0 {
				p.branches = append(p.branches, string(p.source[p.branch:p.at]))
				p.branch = p.at + 1
			}
			p.at++
			p.write("|")
			p.folded = 0
			all, branch = min(all, branch), mayTakeText
			continue
		}
		start := len(p.out)
		text, err := p.atom(f)
		if err == nil {
			text, err = p.repeat(start, text)
		}
		if err != nil {
			return noText, err
		}
		branch = max(branch, text)
	}
	return min(all, branch), nil
}

// atom reads one thing.
func (p *parser) atom(f flags) (takes, error) {
	c := p.source[p.at]
	if c != '\\' && !unicode.IsLetter(c) {
		p.folded = 0
	}
	switch c {
	case '(':
		return p.group(f)
	case '[':
		p.at++
		set, err := p.class(f, 0)
		p.writeSet(set)
		return takesText, err
	case '.':
		p.at++
		if f.dotAll {
			p.writeSet(codeSet{}.complement())
		} else {
			p.writeSet(newline.complement())
		}
		return takesText, nil
	case '^', '$':
		p.at++
		p.assert(map[rune]string{'^': "(?:\\A|(?<=%)(?!\\z))", '$': "(?=%|\\z)"}[c], newline)
		return noText, nil
	case '*', '+', '?':
		return noText, p.unsupported(fmt.Sprintf("%c without something to repeat", c))
	case '\\':
		return p.escape(f)
	case '{':
		if interval := strings.TrimLeft(string(p.source[p.at+1:min(len(p.source), p.at+20)]), "0123456789,"); interval != "" && interval[0] == '}' {
			return noText, p.unsupported("this {…}")
		}
	}
	p.at++
	return takesText, p.literal(c, f)
}

// assert writes a template in which % is a set.
func (p *parser) assert(template string, set codeSet) {
	p.asserts = true
	for i, text := range strings.Split(template, "%") {
		if i > 0 {
			p.writeSet(set)
		}
		p.write(text)
	}
}

// escape reads what begins with \ outside a class.
func (p *parser) escape(f flags) (takes, error) {
	for _, a := range []struct {
		name, template string
		set            codeSet
	}{
		{`\A`, `\A`, nil}, {`\z`, `\z`, nil}, {`\Z`, `(?=%?\z)`, newline},
		{`\b`, "(?:(?<=%)(?!%)|(?<!%)(?=%))", wordsOutside}, {`\B`, "(?:(?<=%)(?=%)|(?<!%)(?!%))", wordsOutside},
	} {
		if p.take(a.name) {
			p.folded = 0
			p.assert(a.template, a.set)
			return noText, nil
		}
	}
	set, c, err := p.escaped(wordsOutside)
	if err != nil {
		return noText, err
	}
	if set == nil {
		return takesText, p.literal(c, f)
	}
	p.folded = 0
	if f.fold {
		if set, err = p.foldCase(set); err != nil {
			return noText, err
		}
	}
	p.writeSet(set)
	return takesText, nil
}

// literal writes a character that stands for itself.
func (p *parser) literal(c rune, f flags) error {
	set := oneCode(c)
	if !f.fold {
		p.folded = 0
		p.writeSet(set)
		return nil
	}
	folded, err := p.foldCase(set)
	if err != nil {
		return err
	}
	// ß matches ss to Oniguruma, and ligatures match the letters they are made of.
	pair := string([]rune{p.folded, unicode.ToLower(c)})
	switch pair {
	case "ss", "st", "ff", "fi", "fl":
		return p.unsupported("(?i) over " + pair)
	}
	p.folded = unicode.ToLower(c)
	p.writeSet(folded)
	return nil
}

// foldCase adds what case does not tell apart: among ASCII letters, and ſ and the Kelvin sign, which are s and k.
func (p *parser) foldCase(set codeSet) (codeSet, error) {
	letters, _ := property("L")
	cased := setOf(append(letters, codeRange{0x345, 0x345}, codeRange{0x2160, 0x217f}, codeRange{0x24b6, 0x24e9})...)
	if len(set.intersect(cased).intersect(codeSet{{0x80, invalidByte}})) > 0 {
		return nil, p.unsupported("(?i) over letters beyond ASCII")
	}
	found := set
	for c := 'a'; c <= 'z'; c++ {
		upper := unicode.ToUpper(c)
		if !set.has(c) && !set.has(upper) {
			continue
		}
		found = found.union(codeSet{{upper, upper}, {c, c}})
		switch c {
		case 's':
			found = found.union(oneCode('ſ'))
		case 'k':
			found = found.union(oneCode('\u212a'))
		}
	}
	return found, nil
}
