// The pair vocab.json and merges.txt, in which a GPT-2 tokenizer lies where no tokenizer.json was saved.

package tokenizer

import (
	"cmp"
	"encoding/json"
	"errors"
	"fmt"
	"io/fs"
	"path/filepath"
	"slices"
	"strings"

	"frugal/trainer/internal/vfs"
)

// LoadDir opens the tokenizer of a model's directory: tokenizer.json, or the older vocab.json with merges.txt, which are read as
// GPT-2's are. found is the file; where there is neither it is "" and the Tokenizer nil.
func LoadDir(fsys vfs.FS, dir string) (t *Tokenizer, found string, err error) {
	for _, name := range []string{"tokenizer.json", "vocab.json"} {
		path := filepath.Join(dir, name)
		_, err := fsys.Stat(path)
		if errors.Is(err, fs.ErrNotExist) {
			continue
		}
		if name == "vocab.json" {
			t, err = loadPair(fsys, dir)
		} else {
			t, err = Load(fsys, path)
		}
		return t, path, err
	}
	return nil, "", nil
}

// loadPair makes a tokenizer.json of the pair, and of added_tokens.json where that is there, and opens it.
func loadPair(fsys vfs.FS, dir string) (*Tokenizer, error) {
	path := filepath.Join(dir, "vocab.json")
	fail := func(path string, err error) (*Tokenizer, error) {
		return nil, fmt.Errorf("tokenizer: %s: %w", path, err)
	}
	vocab, err := readFile(fsys, path)
	if err != nil {
		return nil, fmt.Errorf("tokenizer: %w", err)
	}
	var ids map[string]int64
	if err := unmarshal(vocab, &ids, false); err != nil {
		return fail(path, err)
	}
	merges, err := readFile(fsys, filepath.Join(dir, "merges.txt"))
	if err != nil {
		return nil, fmt.Errorf("tokenizer: %w", err)
	}
	lines := strings.Split(strings.TrimRight(strings.ReplaceAll(string(merges), "\r\n", "\n"), "\n"), "\n")
	if strings.HasPrefix(lines[0], "#version") {
		lines = lines[1:]
	}
	added, err := addedTokens(fsys, filepath.Join(dir, "added_tokens.json"), ids)
	if err != nil {
		return nil, err
	}
	end, err := loadEndToken(fsys, filepath.Join(dir, configFile))
	if err != nil {
		return nil, err
	}
	text, err := json.Marshal(map[string]any{
		"added_tokens":  added,
		"pre_tokenizer": map[string]any{"type": "ByteLevel", "add_prefix_space": false, "trim_offsets": true, "use_regex": true},
		"decoder":       map[string]any{"type": "ByteLevel", "add_prefix_space": false, "trim_offsets": true, "use_regex": true},
		"model":         map[string]any{"type": "BPE", "vocab": ids, "merges": lines},
	})
	if err != nil {
		return fail(path, err)
	}
	t, err := parse(text, end)
	if err != nil {
		return fail(path, err)
	}
	if end != "" && !t.hasEnd {
		return fail(path, fmt.Errorf("there is no token %s, which %s beside it names as eos_token", quote(end), configFile))
	}
	return t, nil
}

// addedTokens are GPT-2's end token, where the vocabulary has it, and those of added_tokens.json, where there is one.
func addedTokens(fsys vfs.FS, path string, ids map[string]int64) ([]fileToken, error) {
	more := map[string]int64{}
	text, err := readFile(fsys, path)
	if err == nil {
		err = unmarshal(text, &more, false)
	}
	if err != nil && !errors.Is(err, fs.ErrNotExist) {
		return nil, fmt.Errorf("tokenizer: %s: %w", path, err)
	}
	if id, ok := ids[EndOfText]; ok {
		more[EndOfText] = id
	}
	added := []fileToken{}
	for content, id := range more {
		added = append(added, fileToken{ID: &id, Content: &content, Special: true})
	}
	slices.SortFunc(added, func(a, b fileToken) int { return cmp.Compare(*a.ID, *b.ID) })
	return added, nil
}
