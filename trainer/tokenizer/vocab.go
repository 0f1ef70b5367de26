// The vocabulary and the merges of a tokenizer.json.

package tokenizer

import (
	"bytes"
	"encoding/json"
	"errors"
	"fmt"
	"slices"
	"strings"
)

// fileVocab is the vocab object in the order of the file, repeated keys included.
type fileVocab []vocabEntry

type vocabEntry struct {
	text string
	id   int64
}

// UnmarshalJSON reads token by token, since a map would keep one of two equal keys in silence.
func (v *fileVocab) UnmarshalJSON(data []byte) error {
	decoder := json.NewDecoder(bytes.NewReader(data))
	decoder.UseNumber()
	if open, err := decoder.Token(); err != nil || open != json.Delim('{') {
		return errors.New("vocab is not an object")
	}
	for decoder.More() {
		key, err := decoder.Token()
		if err != nil {
			return err
		}
		value, err := decoder.Token()
		if err != nil {
			return err
		}
		number, _ := value.(json.Number)
		id, err := number.Int64()
		if err != nil || id < 0 || id > maxID {
			return fmt.Errorf("vocab: the id of %s is %v, want a whole number from 0 to %d", quote(key.(string)), value, maxID)
		}
		*v = append(*v, vocabEntry{key.(string), id})
	}
	return nil
}

// fileMerges is the list of merges, each "a b", as files had it until 2024, or ["a", "b"].
type fileMerges [][2]string

func (m *fileMerges) UnmarshalJSON(data []byte) error {
	var list []json.RawMessage
	if err := json.Unmarshal(data, &list); err != nil {
		return errors.New("merges is not a list")
	}
	*m = make(fileMerges, len(list))
	for i, raw := range list {
		var parts []string
		if raw[0] == '"' {
			var text string
			if err := json.Unmarshal(raw, &text); err != nil {
				return err
			}
			parts = strings.Split(text, " ")
		} else if err := json.Unmarshal(raw, &parts); err != nil {
			return fmt.Errorf("merges: entry %d is neither \"a b\" nor [\"a\", \"b\"]", i)
		}
		if len(parts) != 2 || parts[0] == "" || parts[1] == "" {
			return fmt.Errorf("merges: entry %d (%s) does not have two parts", i, quote(strings.Join(parts, " ")))
		}
		(*m)[i] = [2]string(parts)
	}
	return nil
}

// vocabulary is what the entries come to.
type vocabulary struct {
	size    int               // of the model's part
	ids     map[string]uint32 // by the spelling in the file
	tokens  []string          // by id
	literal map[uint32]bool
}

func readVocab(entries fileVocab) (*vocabulary, error) {
	v := &vocabulary{size: len(entries), ids: make(map[string]uint32, len(entries)), literal: map[uint32]bool{}}
	for _, e := range entries {
		if e.text == "" {
			return nil, fmt.Errorf("model: vocab: id %d has an empty token", e.id)
		}
		if other, ok := v.ids[e.text]; ok {
			return nil, fmt.Errorf("model: vocab: %s stands there twice, with ids %d and %d", quote(e.text), other, e.id)
		}
		bytes, ok := unspell(e.text)
		if !ok { // a special token, or one that no text can reach
			bytes = e.text
			v.literal[uint32(e.id)] = true
		}
		if err := v.put(uint32(e.id), bytes); err != nil {
			return nil, fmt.Errorf("model: vocab: %w", err)
		}
		v.ids[e.text] = uint32(e.id)
	}
	return v, nil
}

func (v *vocabulary) put(id uint32, token string) error {
	if n := int(id) + 1 - len(v.tokens); n > 0 {
		v.tokens = append(v.tokens, make([]string, n)...)
	}
	if v.tokens[id] != "" {
		return fmt.Errorf("id %d belongs to both %s and %s", id, quote(v.tokens[id]), quote(token))
	}
	v.tokens[id] = token
	return nil
}

// add reads added_tokens. A token that the vocabulary lacks must have the id that Hugging Face gives it when it opens the
// file, whatever the file says: the next one.
func (v *vocabulary) add(entries []fileToken) ([]addedToken, error) {
	added := make([]addedToken, 0, len(entries))
	highest := int64(-1)
	for i, e := range entries {
		if e.ID == nil || e.Content == nil || *e.Content == "" {
			return nil, fmt.Errorf("added_tokens: entry %d has no id or no content", i)
		}
		content, id := *e.Content, *e.ID
		if id < 0 || id > maxID {
			return nil, fmt.Errorf("added_tokens: the id of %s is %d, want one from 0 to %d", quote(content), id, maxID)
		}
		if slices.ContainsFunc(added, func(a addedToken) bool { return a.content == content }) {
			return nil, fmt.Errorf("added_tokens: %s stands there twice", quote(content))
		}
		want, inside := int64(v.size), false
		if known, ok := v.ids[content]; ok {
			want, inside = int64(known), true
		} else if highest >= want {
			want = highest + 1
		}
		if id != want {
			return nil, fmt.Errorf("added_tokens: the id of %s is %d, want %d", quote(content), id, want)
		}
		if inside && v.tokens[id] != content {
			return nil, fmt.Errorf("added_tokens: %s is the vocabulary's spelling of other bytes", quote(content))
		}
		if !inside {
			if err := v.put(uint32(id), content); err != nil {
				return nil, fmt.Errorf("added_tokens: %w", err)
			}
		}
		highest = max(highest, id)
		added = append(added, addedToken{id: uint32(id), content: content, singleWord: e.SingleWord, lstrip: e.LStrip,
			rstrip: e.RStrip, normalized: e.Normalized, special: e.Special, outside: !inside})
	}
	slices.SortFunc(added, func(a, b addedToken) int { return int(a.id) - int(b.id) })
	return added, nil
}

// merges looks up what the merges join and what they make.
func (v *vocabulary) merges(entries fileMerges) ([]merge, error) {
	merges := make([]merge, len(entries))
	for rank, e := range entries {
		for i, into := range []*uint32{&merges[rank].left, &merges[rank].right, &merges[rank].result} {
			text := e[0] + e[1]
			if i < 2 {
				text = e[i]
			}
			id, ok := v.ids[text]
			if !ok {
				return nil, fmt.Errorf("model: merges: entry %d (%s %s): %s is not in the vocabulary", rank, quote(e[0]), quote(e[1]), quote(text))
			}
			if v.literal[id] {
				return nil, fmt.Errorf("model: merges: entry %d (%s %s): %s is not spelled in bytes", rank, quote(e[0]), quote(e[1]), quote(text))
			}
			*into = id
		}
	}
	return merges, nil
}

// usualEnd is the end token where nothing names one.
func (v *vocabulary) usualEnd() string {
	for _, name := range []string{EndOfText, "</s>"} {
		if slices.Contains(v.tokens, name) {
			return name
		}
	}
	return ""
}
