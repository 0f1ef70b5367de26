// Writing tokenizer.json and tokenizer_config.json.

package tokenizer

import (
	"bytes"
	"crypto/sha256"
	"encoding/hex"
	"encoding/json"
	"fmt"
	"slices"
	"strings"
)

const (
	tokenizerFile = "tokenizer.json"
	configFile    = "tokenizer_config.json"
)

// Fingerprint is the SHA-256, in hexadecimal, of the tokenizer.json that Files returns: equal for tokenizers that give the
// same ids because they are made of the same parts.
func (t *Tokenizer) Fingerprint() string {
	sum := sha256.Sum256(t.canonical())
	return hex.EncodeToString(sum[:])
}

// Files returns the files, by name, from which transformers' AutoTokenizer.from_pretrained makes the same tokenizer, in a
// directory with the model's config.json. maxLength is the longest sequence, in ids, that the model takes.
func (t *Tokenizer) Files(maxLength int) (map[string][]byte, error) {
	if maxLength < 1 {
		return nil, fmt.Errorf("tokenizer: the longest sequence is %d ids, want at least 1", maxLength)
	}
	config := map[string]any{
		"tokenizer_class":              "PreTrainedTokenizerFast", // the one that takes tokenizer.json as it is
		"model_max_length":             maxLength,
		"clean_up_tokenization_spaces": false,
		"add_prefix_space":             slices.ContainsFunc(t.steps, func(s step) bool { return s.addPrefixSpace }),
	}
	if t.hasEnd {
		end := t.tokens[t.end]
		config["bos_token"], config["eos_token"], config["unk_token"] = end, end, end
	}
	text, err := json.MarshalIndent(config, "", "  ")
	if err != nil {
		return nil, err
	}
	return map[string][]byte{tokenizerFile: bytes.Clone(t.canonical()), configFile: append(text, '\n')}, nil
}

// marshal writes tokenizer.json: keys in Hugging Face's order, one entry of the vocabulary and one merge a line, merges as
// "a b", which all versions of Hugging Face tokenizers read.
func (t *Tokenizer) marshal() []byte {
	var b bytes.Buffer
	b.WriteString("{\n  \"version\": \"1.0\",\n  \"truncation\": null,\n  \"padding\": null,\n  \"added_tokens\": [")
	for i, a := range t.added {
		fmt.Fprintf(&b, "%s\n    {\"id\": %d, \"content\": %s, \"single_word\": %t, \"lstrip\": %t, \"rstrip\": %t, \"normalized\": %t, \"special\": %t}",
			comma(i), a.id, encodeString(a.content), a.singleWord, a.lstrip, a.rstrip, a.normalized, a.special)
	}
	fmt.Fprintf(&b, "\n  ],\n  \"normalizer\": %s,\n  \"pre_tokenizer\": %s,\n", t.normalizerJSON(), t.preTokenizerJSON())
	b.WriteString("  \"post_processor\": {\"type\": \"ByteLevel\", \"add_prefix_space\": true, \"trim_offsets\": false, \"use_regex\": true},\n" +
		"  \"decoder\": {\"type\": \"ByteLevel\", \"add_prefix_space\": true, \"trim_offsets\": true, \"use_regex\": true},\n" +
		"  \"model\": {\n    \"type\": \"BPE\",\n    \"dropout\": null,\n    \"unk_token\": null,\n    \"continuing_subword_prefix\": null,\n" +
		"    \"end_of_word_suffix\": null,\n    \"fuse_unk\": false,\n    \"byte_fallback\": false,\n")
	fmt.Fprintf(&b, "    \"ignore_merges\": %t,\n    \"vocab\": {", t.ignoreMerges)
	written := 0
	for id, token := range t.tokens {
		if token == "" || isOutside(t.added, uint32(id)) {
			continue
		}
		fmt.Fprintf(&b, "%s\n      %s: %d", comma(written), encodeString(t.spelling(uint32(id))), id)
		written++
	}
	b.WriteString("\n    },\n    \"merges\": [")
	for i, m := range t.merges {
		fmt.Fprintf(&b, "%s\n      %s", comma(i), encodeString(t.spelling(m.left)+" "+t.spelling(m.right)))
	}
	b.WriteString("\n    ]\n  }\n}\n")
	return b.Bytes()
}

func (t *Tokenizer) normalizerJSON() string {
	var list []string
	for _, name := range t.normalizers {
		list = append(list, fmt.Sprintf(`{"type": %q}`, name))
	}
	switch len(list) {
	case 0:
		return "null"
	case 1:
		return list[0]
	}
	return `{"type": "Sequence", "normalizers": [` + strings.Join(list, ", ") + "]}"
}

func (t *Tokenizer) preTokenizerJSON() string {
	if t.preTokenizer != "" {
		return t.preTokenizer
	}
	return t.steps[0].byteLevelLine()
}

// spelling is how a token stands in the vocabulary.
func (t *Tokenizer) spelling(id uint32) string {
	if t.literal[id] {
		return t.tokens[id]
	}
	return spell(t.tokens[id])
}

func comma(i int) string {
	if i == 0 {
		return ""
	}
	return ","
}

// encodeString is for the 100,000 strings of a vocabulary: nearly all stand in JSON as they are.
func encodeString(s string) []byte {
	if !strings.ContainsFunc(s, func(c rune) bool { return c < ' ' || c == '"' || c == '\\' }) {
		return append(append(append(make([]byte, 0, len(s)+2), '"'), s...), '"')
	}
	var b bytes.Buffer
	encoder := json.NewEncoder(&b)
	encoder.SetEscapeHTML(false)
	if err := encoder.Encode(s); err != nil {
		panic(err) // strings always encode
	}
	return bytes.TrimSuffix(b.Bytes(), []byte("\n"))
}
