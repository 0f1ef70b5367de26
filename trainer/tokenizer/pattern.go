// Matching the regular expression of a Split with the regexp2 module. The text is given to it as symbols: characters that no
// set of the expression tells apart are one symbol. So the sets are small whatever they hold, and nothing depends on the
// Unicode tables of Go or of regexp2.

package tokenizer

import (
	"errors"
	"fmt"
	"slices"
	"strings"
	"sync"
	"sync/atomic"
	"time"
	"unicode/utf8"

	"github.com/dlclark/regexp2/v2"
)

const (
	// matchTimeout is how long one match may take; a sound pattern takes microseconds.
	matchTimeout = 2 * time.Second
	// matchTries: a process that was stopped and goes on finds the time over for no fault of the pattern.
	matchTries = 3
	// maxBacktracking is regexp2's stack, in places of 8 bytes: a loop over a group takes some for each round.
	maxBacktracking = 4 << 20
	maxSymbols      = 0xD000
)

// pattern is a compiled regular expression. Any number of goroutines may use it at once.
type pattern struct {
	source   string
	parsed   *parser
	re       *regexp2.Regexp
	symbolOf []uint16 // by code point
	scratch  sync.Pool
	failed   atomic.Pointer[error]
}

// span is a stretch of text, in bytes.
type span struct{ start, end int }

func compilePattern(source string) (*pattern, error) {
	parsed, err := parsePattern(source)
	if err != nil {
		return nil, err
	}
	return newPattern(source, parsed)
}

// newSetPattern matches one character of a set; name is for messages.
func newSetPattern(name string, set codeSet) (*pattern, error) {
	p := &parser{}
	p.writeSet(set)
	return newPattern(name, p)
}

func newPattern(source string, parsed *parser) (*pattern, error) {
	p := &pattern{source: source, parsed: parsed, scratch: sync.Pool{New: func() any { return new([]rune) }}}
	members, err := p.makeSymbols()
	if err != nil {
		return nil, err
	}
	var b strings.Builder
	for _, piece := range parsed.out {
		if piece.set < 0 {
			b.WriteString(piece.text)
		} else {
			writeMembers(&b, members[piece.set])
		}
	}
	p.re, err = regexp2.Compile(b.String(), regexp2.OptionMaxBacktrackingStackSize(maxBacktracking))
	if err != nil {
		return nil, errors.New(strings.ReplaceAll(err.Error(), "\n", " "))
	}
	p.re.MatchTimeout = matchTimeout
	return p, nil
}

// makeSymbols numbers the classes of characters that the sets tell apart, fills symbolOf, and returns the symbols of each set.
func (p *pattern) makeSymbols() (members [][]uint16, err error) {
	var bounds []rune
	for _, set := range p.parsed.sets {
		for _, r := range set {
			bounds = append(bounds, r[0], r[1]+1)
		}
	}
	bounds = append(bounds, 0, invalidByte+1)
	slices.Sort(bounds)
	bounds = slices.Compact(bounds)
	p.symbolOf = make([]uint16, invalidByte+1)
	members = make([][]uint16, len(p.parsed.sets))
	numbers := map[string]uint16{}
	at := make([]int, len(members)) // in each set, the first range that is not wholly behind
	inside := make([]byte, len(members))
	for i, first := range bounds[:len(bounds)-1] {
		for s, set := range p.parsed.sets {
			for at[s] < len(set) && set[at[s]][1] < first {
				at[s]++
			}
			inside[s] = 0
			if at[s] < len(set) && set[at[s]][0] <= first {
				inside[s] = 1
			}
		}
		symbol, known := numbers[string(inside)]
		if !known {
			symbol = uint16(len(numbers) + 1)
			if symbol > maxSymbols {
				return nil, errors.New("it tells too many characters apart")
			}
			numbers[string(inside)] = symbol
			for s, in := range inside {
				if in == 1 {
					members[s] = append(members[s], symbol)
				}
			}
		}
		for c := first; c < bounds[i+1]; c++ {
			p.symbolOf[c] = symbol
		}
	}
	return members, nil
}

func writeMembers(b *strings.Builder, symbols []uint16) {
	if len(symbols) == 0 {
		b.WriteString("(?!)")
		return
	}
	b.WriteByte('[')
	for _, s := range symbols {
		fmt.Fprintf(b, `\u%04x`, s)
	}
	b.WriteByte(']')
}

// find returns the matches in text, in order; false if the search failed. spelled text is what ByteLevel makes of bytes: a
// character for each.
func (p *pattern) find(text []byte, spelled bool) ([]span, bool) {
	scratch := p.scratch.Get().(*[]rune)
	defer p.scratch.Put(scratch)
	symbols := (*scratch)[:0]
	for i := 0; i < len(text); {
		c, n := runeAt(text, i, spelled)
		symbols = append(symbols, rune(p.symbolOf[c]))
		i += n
	}
	*scratch = symbols
	found, err := p.search(symbols)
	if err != nil {
		err = fmt.Errorf("tokenizer: the pre_tokenizer's pattern %s gave up on a text of %d characters: %w", quote(p.source), len(symbols), err)
		p.failed.CompareAndSwap(nil, &err)
		return nil, false
	}
	matches := make([]span, len(found))
	at, count := 0, 0 // a byte and how many characters are before it
	offset := func(characters int) int {
		for ; count < characters; count++ {
			_, n := runeAt(text, at, spelled)
			at += n
		}
		return at
	}
	for i, f := range found {
		start := offset(f[0])
		matches[i] = span{start, offset(f[1])}
	}
	return matches, true
}

func (p *pattern) search(symbols []rune) (found [][]int, err error) {
	for range matchTries {
		found, err = p.re.FindAllRunesIndex(symbols, -1)
		if err == nil || errors.Is(err, regexp2.ErrBacktrackingStackLimit) {
			break
		}
	}
	if err != nil && !errors.Is(err, regexp2.ErrBacktrackingStackLimit) {
		err = fmt.Errorf("a match takes longer than %v", matchTimeout) // regexp2's message holds the text
	}
	return found, err
}

// runeAt returns the character at text[i] and how many bytes it takes.
func runeAt(text []byte, i int, spelled bool) (rune, int) {
	c := text[i]
	if spelled {
		return byteChars[c], 1
	}
	if c < utf8.RuneSelf {
		return rune(c), 1
	}
	r, n := utf8.DecodeRune(text[i:])
	if n == 1 {
		return invalidByte, 1
	}
	return r, n
}
