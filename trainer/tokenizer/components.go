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
	Pattern        *filePattern    `json:"pattern"`
	Behavior       behavior        `json:"behavior"`
	Invert         bool            `json:"invert"`
	Individual     bool            `json:"individual_digits"`
	Normalizers    []component     `json:"normalizers"`
	PreTokenizers  []component     `json:"pretokenizers"`
	Processors     []component     `json:"processors"`
	Decoders       []component     `json:"decoders"`
	Single         []templatePiece `json:"single"`
}

// filePattern is what a Split looks for: one of the two.
type filePattern struct {
	String *string `json:"String"`
	Regex  *string `json:"Regex"`
}

// templatePiece is a step of a TemplateProcessing: the text, or a token that it adds.
type templatePiece struct {
	Sequence     json.RawMessage `json:"Sequence"`
	SpecialToken json.RawMessage `json:"SpecialToken"`
}

// readComponents flattens sequences; nothing at all is no component.
func readComponents(key string, raw json.RawMessage) ([]component, error) {
	if isNull(raw) {
		return nil, nil
	}
	var c component
	if err := unmarshal(raw, &c, false); err != nil {
		return nil, fmt.Errorf("%s: %w", key, err)
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

// settings reads the components and refuses those that would change ids in a way that is not known here.
func (f *file) settings() (settings, error) {
	var s settings
	list, err := readComponents("normalizer", f.Normalizer)
	if err != nil {
		return s, err
	}
	for _, c := range list {
		if _, ok := forms[c.Type]; !ok {
			return s, fmt.Errorf("normalizer %s is not supported, only NFC, NFD, NFKC and NFKD", quote(c.Type))
		}
		s.normalizers = append(s.normalizers, c.Type)
	}
	if s.steps, s.preTokenizer, err = readSteps(f.PreTokenizer); err != nil {
		return s, fmt.Errorf("pre_tokenizer%w", err)
	}
	if list, err = readComponents("post_processor", f.PostProcessor); err != nil {
		return s, err
	}
	for _, c := range list {
		if err := c.checkPostProcessor(); err != nil {
			return s, fmt.Errorf("post_processor %s %w", quote(c.Type), err)
		}
	}
	if list, err = readComponents("decoder", f.Decoder); err != nil {
		return s, err
	}
	for _, c := range list {
		if c.Type != "ByteLevel" {
			return s, fmt.Errorf("decoder %s is not supported, only ByteLevel", quote(c.Type))
		}
	}
	return s, nil
}

// checkPostProcessor: all that these do to ids is to add special tokens, which encoding here leaves out.
func (c component) checkPostProcessor() error {
	switch c.Type {
	case "ByteLevel", "RobertaProcessing", "BertProcessing":
		return nil
	case "TemplateProcessing":
		texts := 0
		for _, p := range c.Single {
			if len(p.Sequence) > 0 {
				texts++
			}
		}
		if texts != 1 {
			return fmt.Errorf("has the text %d times in its template, want once", texts)
		}
		return nil
	}
	return errors.New("is not supported")
}
