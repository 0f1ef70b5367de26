// The parts of a tokenizer.json around the model: which of them a byte-level tokenizer may have.

package tokenizer

import (
	"encoding/json"
	"errors"
	"fmt"
)

// component is any of them; a Sequence holds others in a list whose name depends on what it is a sequence of.
type component struct {
	Type           string          `json:"type"`
	AddPrefixSpace *bool           `json:"add_prefix_space"`
	UseRegex       *bool           `json:"use_regex"`
	Normalizers    []component     `json:"normalizers"`
	PreTokenizers  []component     `json:"pretokenizers"`
	Processors     []component     `json:"processors"`
	Decoders       []component     `json:"decoders"`
	Single         []templatePiece `json:"single"`
}

// templatePiece is a step of a TemplateProcessing: the text, or a token that it adds.
type templatePiece struct {
	Sequence     json.RawMessage `json:"Sequence"`
	SpecialToken json.RawMessage `json:"SpecialToken"`
}

// read flattens sequences; nothing at all is no component.
func readComponents(raw json.RawMessage) ([]component, error) {
	if isNull(raw) {
		return nil, nil
	}
	var c component
	if err := unmarshal(raw, &c, false); err != nil {
		return nil, err
	}
	return c.flatten(nil), nil
}

func (c component) flatten(list []component) []component {
	if c.Type != "Sequence" {
		return append(list, c)
	}
	for _, parts := range [][]component{c.Normalizers, c.PreTokenizers, c.Processors, c.Decoders} {
		for _, part := range parts {
			list = part.flatten(list)
		}
	}
	return list
}

// settings reads the components and refuses those that would change ids in a way that is not ours.
func (f *file) settings() (settings, error) {
	none := settings{}
	for _, part := range []struct {
		key     string
		raw     json.RawMessage
		allowed func(component) bool
	}{
		{"normalizer", f.Normalizer, func(component) bool { return false }},
		{"post_processor", f.PostProcessor, addsNothing},
		{"decoder", f.Decoder, func(c component) bool { return c.Type == "ByteLevel" }},
	} {
		list, err := readComponents(part.raw)
		if err != nil {
			return none, fmt.Errorf("%s: %w", part.key, err)
		}
		for _, c := range list {
			if !part.allowed(c) {
				return none, fmt.Errorf("%s %s is not supported", part.key, quote(c.Type))
			}
		}
	}
	list, err := readComponents(f.PreTokenizer)
	if err != nil {
		return none, fmt.Errorf("pre_tokenizer: %w", err)
	}
	if len(list) == 0 {
		return none, errors.New("there is no pre_tokenizer: not a byte-level tokenizer, which has ByteLevel")
	}
	for _, c := range list {
		if c.Type != "ByteLevel" || len(list) > 1 {
			return none, fmt.Errorf("pre_tokenizer %s is not supported, only a single ByteLevel", quote(c.Type))
		}
	}
	// Both default to true where a file leaves them out.
	orTrue := func(b *bool) bool { return b == nil || *b }
	return settings{addPrefixSpace: orTrue(list[0].AddPrefixSpace), useRegex: orTrue(list[0].UseRegex)}, nil
}

// addsNothing: ByteLevel moves offsets only, and a template may be the text alone.
func addsNothing(c component) bool {
	switch c.Type {
	case "ByteLevel":
		return true
	case "TemplateProcessing":
		return len(c.Single) == 1 && len(c.Single[0].Sequence) > 0
	}
	return false
}
