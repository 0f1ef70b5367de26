// Reading the regular expression of a Split, which is in Oniguruma's Ruby syntax, and writing it in regexp2's, which is .NET's.
// What a set of characters holds is worked out here, from tables of our own, and what the two would read differently is
// written so that they do not, or refused.

package tokenizer

import (
	"fmt"
	"strconv"
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
	if err := p.alternatives(flags{}); err != nil {
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

// alternatives reads up to the ) of the group it is in, or the end.
func (p *parser) alternatives(f flags) error {
	for p.at < len(p.source) && !p.peek(")") {
		if p.peek("|") {
			if p.depth == 0 {
				p.branches = append(p.branches, string(p.source[p.branch:p.at]))
				p.branch = p.at + 1
			}
			p.at++
			p.write("|")
			p.folded = 0
			continue
		}
		start := len(p.out)
		repeatable, err := p.atom(f)
		if err != nil {
			return err
		}
		if err := p.repeat(start, repeatable); err != nil {
			return err
		}
	}
	return nil
}

// atom reads one thing; repeatable says that it takes text, so that a repeat may follow.
func (p *parser) atom(f flags) (repeatable bool, err error) {
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
		return true, err
	case '.':
		p.at++
		if f.dotAll {
			p.writeSet(codeSet{}.complement())
		} else {
			p.writeSet(newline.complement())
		}
		return true, nil
	case '^', '$':
		p.at++
		p.assert(map[rune]string{'^': "(?:\\A|(?<=%)(?!\\z))", '$': "(?=%|\\z)"}[c], newline)
		return false, nil
	case '*', '+', '?':
		return false, p.unsupported(fmt.Sprintf("%c without something to repeat", c))
	case '\\':
		return p.escape(f)
	case '{':
		if interval := strings.TrimLeft(string(p.source[p.at+1:min(len(p.source), p.at+20)]), "0123456789,"); interval != "" && interval[0] == '}' {
			return false, p.unsupported("this {…}")
		}
	}
	p.at++
	return true, p.literal(c, f)
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
func (p *parser) escape(f flags) (repeatable bool, err error) {
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
			return false, nil
		}
	}
	set, c, err := p.escaped(wordsOutside)
	if err != nil {
		return false, err
	}
	if set == nil {
		return true, p.literal(c, f)
	}
	p.folded = 0
	if f.fold {
		if set, err = p.foldCase(set); err != nil {
			return false, err
		}
	}
	p.writeSet(set)
	return true, nil
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

// group reads ( … ).
func (p *parser) group(f flags) (repeatable bool, err error) {
	open, repeatable := "(?:", true
	inside := f
	switch {
	case p.take("(?:"), p.take("(?>"):
		open = string(p.source[p.at-3 : p.at])
	case p.take("(?="), p.take("(?!"):
		open, repeatable = string(p.source[p.at-3:p.at]), false
	case p.take("(?<="), p.take("(?<!"):
		open, repeatable = string(p.source[p.at-4:p.at]), false
	case p.named():
	case p.peek("(?"):
		end := p.at + 2
		for end < len(p.source) && (unicode.IsLetter(p.source[end]) || p.source[end] == '-') {
			end++
		}
		name := string(p.source[p.at:min(end+1, len(p.source))])
		if !inside.set(strings.TrimRight(name[2:], ":)")) || !strings.ContainsAny(name[len(name)-1:], ":)") {
			return false, p.unsupported(quote(name))
		}
		p.at = end + 1
		if strings.HasSuffix(name, ")") { // up to the end of the group it stands in
			p.write(open)
			err := p.alternatives(inside)
			p.write(")")
			return false, err
		}
	default:
		p.at++ // what a group captures is not asked for
	}
	p.asserts = p.asserts || !repeatable
	p.write(open)
	if p.depth++; p.depth > maxNesting {
		return false, p.unsupported("a group this deep in others")
	}
	if err := p.alternatives(inside); err != nil {
		return false, err
	}
	p.depth--
	if !p.take(")") {
		return false, fmt.Errorf("character %d: a group has no end", p.at+1)
	}
	p.write(")")
	p.folded = 0
	return repeatable, nil
}

// named reads the beginning of a group that has a name, which nothing here refers to.
func (p *parser) named() bool {
	if !p.peek("(?<") {
		return false
	}
	end := p.at + 3
	for end < len(p.source) && (unicode.IsLetter(p.source[end]) || unicode.IsDigit(p.source[end]) || p.source[end] == '_') {
		end++
	}
	if end == p.at+3 || end == len(p.source) || p.source[end] != '>' {
		return false
	}
	p.at = end + 1
	return true
}

// set takes the letters of (?i), (?-i), (?m); false for others.
func (f *flags) set(letters string) bool {
	on := true
	for _, c := range letters {
		switch c {
		case '-':
			on = false
		case 'i':
			f.fold = on
		case 'm':
			f.dotAll = on
		default:
			return false
		}
	}
	return letters != ""
}

// repeat reads the quantifier of what stands in out from start on, if there is one.
func (p *parser) repeat(start int, repeatable bool) error {
	text, interval := p.quantifier()
	if text == "" {
		return nil
	}
	if !repeatable {
		return p.unsupported("a repeat of what takes no text")
	}
	p.folded = 0
	open, end := "", text
	switch {
	case interval && p.take("+"): // Ruby repeats the interval
		open, end = "(?:", text+")+"
	case p.take("+"):
		open, end = "(?>", text+")"
	case interval && !strings.Contains(text, ",") && p.peek("?"):
		return p.unsupported("{n}?")
	case p.take("?"):
		end = text + "?"
	}
	if open != "" {
		p.out = append(p.out[:start], append([]piece{{open, -1}}, p.out[start:]...)...)
	}
	p.write(end)
	if again, _ := p.quantifier(); again != "" {
		return p.unsupported("a repeat of a repeat")
	}
	return nil
}

// quantifier reads *, +, ? or {n,m}; a { that begins no interval is a character.
func (p *parser) quantifier() (text string, interval bool) {
	if p.at == len(p.source) {
		return "", false
	}
	switch c := p.source[p.at]; c {
	case '*', '+', '?':
		p.at++
		return string(c), false
	case '{':
		rest := string(p.source[p.at+1:])
		body, _, ok := strings.Cut(rest, "}")
		low, high, both := strings.Cut(body, ",")
		least, err := strconv.ParseUint(low, 10, 16)
		if low == "" && both && high != "" {
			least, err = 0, nil
		}
		most, err2 := strconv.ParseUint(high, 10, 16)
		if high == "" {
			most, err2 = least, nil
		}
		if !ok || err != nil || err2 != nil || most < least {
			return "", false
		}
		p.at += len(body) + 2
		if !both {
			return fmt.Sprintf("{%d}", least), true
		}
		if high == "" {
			return fmt.Sprintf("{%d,}", least), true
		}
		return fmt.Sprintf("{%d,%d}", least, most), true
	}
	return "", false
}
