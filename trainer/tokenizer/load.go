// Opening a tokenizer.json.

package tokenizer

import (
	"bytes"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"path/filepath"
	"slices"
	"strings"

	"frugal/trainer/internal/vfs"
)

const (
	maxFileSize = 256 << 20
	maxID       = 1<<22 - 1 // a damaged id must not make us take all memory
)

// Load opens a byte-level BPE tokenizer.json: GPT-2's, Llama 3's, Qwen's, DeepSeek's, or another that Hugging Face tokenizers or
// Train made. Its pre_tokenizer has ByteLevel and may have Split, Digits and Punctuation, its normalizers are NFC, NFD, NFKC and
// NFKD. A text gets the ids that Hugging Face gives it with add_special_tokens=False: what a post_processor would add is left
// out, and is not in what Files saves. The tokenizer_config.json beside the file, if there is one, names the end token. What
// would make other ids than Hugging Face's is refused by name.
func Load(fsys vfs.FS, path string) (*Tokenizer, error) {
	data, err := readFile(fsys, path)
	if err != nil {
		return nil, fmt.Errorf("tokenizer: %w", err)
	}
	end, err := loadEndToken(fsys, filepath.Join(filepath.Dir(path), configFile))
	if err != nil {
		return nil, err
	}
	t, err := parse(data, end)
	if err != nil {
		return nil, fmt.Errorf("tokenizer: %s: %w", path, err)
	}
	if end != "" && !t.hasEnd {
		return nil, fmt.Errorf("tokenizer: %s: there is no token %s, which %s beside it names as eos_token", path, quote(end), configFile)
	}
	return t, nil
}

func readFile(fsys vfs.FS, path string) ([]byte, error) {
	f, err := fsys.Open(path)
	if err != nil {
		return nil, err
	}
	defer f.Close()
	data, err := io.ReadAll(io.LimitReader(f, maxFileSize+1))
	if err == nil && len(data) > maxFileSize {
		return nil, fmt.Errorf("%s: larger than %d MB", path, maxFileSize>>20)
	}
	return data, err
}

// loadEndToken reads eos_token, a string or an object, from a tokenizer_config.json; "" where there is none.
func loadEndToken(fsys vfs.FS, path string) (string, error) {
	data, err := readFile(fsys, path)
	if errors.Is(err, fs.ErrNotExist) {
		return "", nil
	}
	if err != nil {
		return "", fmt.Errorf("tokenizer: %w", err)
	}
	var config struct {
		End json.RawMessage `json:"eos_token"`
	}
	if err := unmarshal(data, &config, false); err != nil {
		return "", fmt.Errorf("tokenizer: %s: %w", path, err)
	}
	var text string
	var object struct {
		Content string `json:"content"`
	}
	if len(config.End) == 0 || json.Unmarshal(config.End, &text) == nil {
		return text, nil
	}
	if err := json.Unmarshal(config.End, &object); err != nil || object.Content == "" {
		return "", fmt.Errorf("tokenizer: %s: eos_token is neither a string nor an object with content", path)
	}
	return object.Content, nil
}

// file is a tokenizer.json. What is not named here (version, truncation, padding) does not change a text's ids in
// transformers, which sets the latter two call by call.
type file struct {
	Added         []fileToken     `json:"added_tokens"`
	Normalizer    json.RawMessage `json:"normalizer"`
	PreTokenizer  json.RawMessage `json:"pre_tokenizer"`
	PostProcessor json.RawMessage `json:"post_processor"`
	Decoder       json.RawMessage `json:"decoder"`
	Model         json.RawMessage `json:"model"`
}

type fileToken struct {
	ID         *int64  `json:"id"`
	Content    *string `json:"content"`
	SingleWord bool    `json:"single_word"`
	LStrip     bool    `json:"lstrip"`
	RStrip     bool    `json:"rstrip"`
	Normalized bool    `json:"normalized"`
	Special    bool    `json:"special"`
}

type fileModel struct {
	Type         string      `json:"type"`
	Dropout      *float64    `json:"dropout"`
	UnkToken     *string     `json:"unk_token"`
	Prefix       *string     `json:"continuing_subword_prefix"`
	Suffix       *string     `json:"end_of_word_suffix"`
	FuseUnk      bool        `json:"fuse_unk"`
	ByteFallback bool        `json:"byte_fallback"`
	IgnoreMerges bool        `json:"ignore_merges"`
	Vocab        *fileVocab  `json:"vocab"`
	Merges       *fileMerges `json:"merges"`
}

func parse(data []byte, end string) (*Tokenizer, error) {
	var f file
	if err := unmarshal(data, &f, false); err != nil {
		return nil, err
	}
	model, err := f.model() // first: a WordPiece file should hear that it is one, not which normalizer it has
	if err != nil {
		return nil, err
	}
	s, err := f.settings()
	if err != nil {
		return nil, err
	}
	s.ignoreMerges = model.IgnoreMerges
	v, err := readVocab(*model.Vocab)
	if err != nil {
		return nil, err
	}
	added, err := v.add(f.Added)
	if err != nil {
		return nil, err
	}
	merges, err := v.merges(*model.Merges)
	if err != nil {
		return nil, err
	}
	if end == "" {
		end = v.usualEnd()
	}
	return newTokenizer(s, v.tokens, v.literal, merges, added, end)
}

// model reads the model and refuses what a byte-level BPE does not have.
func (f *file) model() (*fileModel, error) {
	if isNull(f.Model) {
		return nil, errors.New("there is no model: not a tokenizer.json")
	}
	var m fileModel
	var kind component
	if err := unmarshal(f.Model, &kind, false); err != nil {
		return nil, fmt.Errorf("model: %w", err)
	}
	if kind.Type != "" && kind.Type != "BPE" {
		return nil, fmt.Errorf("only byte-level BPE is supported, this is %s", strings.Trim(quote(kind.Type), `"`))
	}
	if err := unmarshal(f.Model, &m, true); err != nil {
		return nil, fmt.Errorf("model: %w", err)
	}
	switch {
	case m.Vocab == nil:
		return nil, errors.New("model: there is no vocab")
	case m.Merges == nil:
		return nil, errors.New("model: there are no merges")
	case m.Dropout != nil && *m.Dropout != 0:
		return nil, fmt.Errorf("model: dropout %v is not supported: ids would change from call to call", *m.Dropout)
	case m.Prefix != nil && *m.Prefix != "":
		return nil, fmt.Errorf("model: continuing_subword_prefix %s is not supported", quote(*m.Prefix))
	case m.Suffix != nil && *m.Suffix != "":
		return nil, fmt.Errorf("model: end_of_word_suffix %s is not supported", quote(*m.Suffix))
	}
	return &m, nil
}

// unmarshal is json.Unmarshal with errors that say where: the line, or the key. strict refuses unknown keys.
func unmarshal(data []byte, into any, strict bool) error {
	decoder := json.NewDecoder(bytes.NewReader(data))
	if strict {
		decoder.DisallowUnknownFields()
	}
	err := decoder.Decode(into)
	if err == nil {
		if _, extra := decoder.Token(); extra != io.EOF {
			return fmt.Errorf("line %d: something follows the end of the JSON", line(data, decoder.InputOffset()))
		}
		return nil
	}
	var syntax *json.SyntaxError
	var kind *json.UnmarshalTypeError
	switch {
	case errors.Is(err, io.EOF) || errors.Is(err, io.ErrUnexpectedEOF):
		return errors.New("the JSON ends before it is complete")
	case errors.As(err, &syntax):
		return fmt.Errorf("line %d: not JSON: %w", line(data, syntax.Offset), err)
	case errors.As(err, &kind):
		key := kind.Field
		if key == "" {
			key = "the whole"
		}
		return fmt.Errorf("%s is %s, want %s", key, jsonKind(kind.Value), jsonKind(kind.Type.Kind().String()))
	}
	return errors.New(strings.TrimPrefix(err.Error(), "json: "))
}

func line(data []byte, offset int64) int {
	return 1 + bytes.Count(data[:min(offset, int64(len(data)))], []byte{'\n'})
}

// jsonKind names what a value is to somebody who reads JSON, from encoding/json's word for it or from its kind in Go.
func jsonKind(kind string) string {
	switch kind {
	case "struct", "map", "object":
		return "an object"
	case "slice", "array":
		return "a list"
	case "bool":
		return "true or false"
	case "string":
		return "a string"
	}
	return "a number"
}

func isNull(raw json.RawMessage) bool {
	return len(raw) == 0 || slices.Equal(raw, []byte("null"))
}
