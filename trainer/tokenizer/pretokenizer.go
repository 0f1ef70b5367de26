// Reading and writing the pre_tokenizer of a tokenizer.json.

package tokenizer

import (
	"encoding/json"
	"errors"
	"fmt"
	"regexp"
	"slices"
	"strings"
)

// gpt2Pattern is what ByteLevel splits by, as encoder.py of openai/gpt-2 and as files that write it out have it.
const gpt2Pattern = `'s|'t|'re|'ve|'m|'ll|'d| ?\p{L}+| ?\p{N}+| ?[^\s\p{L}\p{N}]+|\s+(?!\S)|\s+`

// readSteps reads a pre_tokenizer: the steps, and how it is saved, "" for a ByteLevel alone.
func readSteps(raw json.RawMessage) (steps []step, saved string, err error) {
	list, err := readComponents("", raw)
	if err != nil {
		return nil, "", err
	}
	var lines []string
	spelled := false
	for _, c := range list {
		s, line, err := c.step(spelled)
		if err != nil {
			return nil, "", fmt.Errorf(" %s %w", quote(c.Type), err)
		}
		spelled = spelled || c.Type == "ByteLevel"
		steps, lines = append(steps, s), append(lines, line)
	}
	if !spelled {
		if len(list) == 0 {
			return nil, "", errors.New(": there is none: not a byte-level tokenizer, which has ByteLevel")
		}
		return nil, "", errors.New(": there is no ByteLevel in it: not a byte-level tokenizer")
	}
	if len(list) > 1 {
		saved = "{\"type\": \"Sequence\", \"pretokenizers\": [\n    " + strings.Join(lines, ",\n    ") + "\n  ]}"
	}
	return steps, saved, nil
}

// step makes a step of a component, and the line that it is saved as.
func (c component) step(spelled bool) (s step, line string, err error) {
	s = step{behavior: c.Behavior, invert: c.Invert, spelled: spelled}
	switch c.Type {
	case "ByteLevel":
		if spelled {
			return s, "", errors.New("stands there twice")
		}
		// Both default to true where a file leaves them out.
		orTrue := func(b *bool) bool { return b == nil || *b }
		s = byteLevel(orTrue(c.AddPrefixSpace), orTrue(c.UseRegex))
		return s, s.byteLevelLine(), nil
	case "Digits":
		s.behavior = contiguous
		if c.Individual {
			s.behavior = isolated
		}
		s.pattern, err = newSetPattern(c.Type, digits)
		return s, fmt.Sprintf(`{"type": "Digits", "individual_digits": %t}`, c.Individual), err
	case "Punctuation":
		if s.behavior == "" {
			s.behavior = isolated
		}
		s.pattern, err = newSetPattern(c.Type, punctuation)
		line = fmt.Sprintf(`{"type": "Punctuation", "behavior": %s}`, encodeString(string(s.behavior)))
	case "Split":
		line, err = c.split(&s)
	default:
		return s, "", errors.New("is not supported, only ByteLevel, Split, Digits and Punctuation")
	}
	if err == nil && !slices.Contains(behaviors, s.behavior) {
		err = fmt.Errorf("has the behavior %s, want one of %v", quote(string(s.behavior)), behaviors)
	}
	return s, line, err
}

// split reads the pattern of a Split.
func (c component) split(s *step) (line string, err error) {
	if c.Pattern == nil || (c.Pattern.String == nil) == (c.Pattern.Regex == nil) {
		return "", errors.New(`has no pattern that is {"String": …} or {"Regex": …}`)
	}
	key, source := "Regex", c.Pattern.Regex
	expression := source
	if c.Pattern.String != nil {
		key, source = "String", c.Pattern.String
		quoted := regexp.QuoteMeta(*source)
		expression = &quoted
	}
	if s.pattern, err = compilePattern(*expression); err != nil {
		return "", fmt.Errorf("has a pattern that cannot be used: %s: %w", quote(*source), err)
	}
	keepsAll := s.behavior == isolated || s.behavior == removed && s.invert
	if *expression == gpt2Pattern && keepsAll && !s.spelled {
		s.gpt2, s.pattern = true, nil // it matches everything, one word after the other
	}
	return fmt.Sprintf(`{"type": "Split", "pattern": {%q: %s}, "behavior": %s, "invert": %t}`,
		key, encodeString(*source), encodeString(string(s.behavior)), s.invert), nil
}

// byteLevelAlone is the pre_tokenizer of most files, and of those made here.
func byteLevelAlone(addPrefixSpace, useRegex bool) settings {
	return settings{steps: []step{byteLevel(addPrefixSpace, useRegex)}}
}

// byteLevel is the step that a ByteLevel alone makes.
func byteLevel(addPrefixSpace, useRegex bool) step {
	return step{addPrefixSpace: addPrefixSpace, gpt2: useRegex}
}

func (s *step) byteLevelLine() string {
	return fmt.Sprintf(`{"type": "ByteLevel", "add_prefix_space": %t, "trim_offsets": true, "use_regex": %t}`, s.addPrefixSpace, s.gpt2)
}
