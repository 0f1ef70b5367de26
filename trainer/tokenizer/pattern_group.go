// Reading a regular expression's (groups) and repeats*.

package tokenizer

import (
	"fmt"
	"slices"
	"strconv"
	"strings"
	"unicode"
)

// group reads ( … ).
func (p *parser) group(f flags) (takes, error) {
	open, looks := "(?:", false
	inside := f
	switch {
	case p.take("(?:"), p.take("(?>"):
		open = string(p.source[p.at-3 : p.at])
	case p.take("(?="), p.take("(?!"):
		open, looks = string(p.source[p.at-3:p.at]), true
	case p.take("(?<="), p.take("(?<!"):
		open, looks = string(p.source[p.at-4:p.at]), true
	case p.named():
	case p.peek("(?"):
		end := p.at + 2
		for end < len(p.source) && (unicode.IsLetter(p.source[end]) || p.source[end] == '-') {
			end++
		}
		name := string(p.source[p.at:min(end+1, len(p.source))])
		if !inside.set(strings.TrimRight(name[2:], ":)")) || !strings.ContainsAny(name[len(name)-1:], ":)") {
			return noText, p.unsupported(quote(name))
		}
		p.at = end + 1
		if strings.HasSuffix(name, ")") { // up to the end of the group it stands in
			p.write(open)
			text, err := p.alternatives(inside)
			p.write(")")
			return text, err
		}
	default:
		p.at++ // what a group captures is not asked for
	}
	p.asserts = p.asserts || looks
	p.write(open)
	if p.depth++; p.depth > maxNesting {
		return noText, p.unsupported("a group this deep in others")
	}
	text, err := p.alternatives(inside)
	if err != nil {
		return noText, err
	}
	p.depth--
	if !p.take(")") {
		return noText, fmt.Errorf("character %d: a group has no end", p.at+1)
	}
	p.write(")")
	p.folded = 0
	if looks {
		text = noText
	}
	return text, nil
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

// repeat reads the quantifier of what stands in out from start on, if there is one, and returns what the whole takes.
func (p *parser) repeat(start int, once takes) (takes, error) {
	text, interval := p.quantifier()
	switch {
	case text == "":
		return once, nil
	case once == noText:
		return once, p.unsupported("a repeat of what takes no text")
	case once == mayTakeText && text != "?":
		return once, p.unsupported("a repeat of what may take no text")
	case text != "?" && slices.Contains(p.out[start:], piece{"(?>", -1}):
		return once, p.unsupported("a repeat of (?>…) or of what is possessive") // regexp2 2.5.1 would go back into it
	}
	all := takesText
	if text == "*" || text == "?" || strings.HasPrefix(text, "{0") {
		all = mayTakeText
	}
	p.folded = 0
	open, end := "", text
	switch {
	case interval && p.take("+"): // Ruby repeats the interval
		if all == mayTakeText {
			return all, p.unsupported("a repeat of what may take no text")
		}
		open, end = "(?:", text+")+"
	case p.take("+"):
		open, end = "(?>", text+")"
	case interval && !strings.Contains(text, ",") && p.peek("?"):
		return all, p.unsupported("{n}?")
	case p.take("?"):
		end = text + "?"
	}
	if open != "" {
		p.out = append(p.out[:start], append([]piece{{open, -1}}, p.out[start:]...)...)
	}
	p.write(end)
	if again, _ := p.quantifier(); again != "" {
		return all, p.unsupported("a repeat of a repeat")
	}
	return all, nil
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
