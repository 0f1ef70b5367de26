// Opening files: what is refused and how it is said, and the end token.

package tokenizer

import (
	"context"
	"encoding/json"
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"frugal/trainer/internal/vfs"
)

// smallFile is a sound tokenizer.json, for spoiling.
func smallFile(t testing.TB) []byte {
	t.Helper()
	tokenizer, err := Train(context.Background(), documentsOf([]string{"the cat and the hat and the bat"}), 262, nil)
	if err != nil {
		t.Fatal(err)
	}
	return tokenizer.canonical()
}

func writeFile(t testing.TB, dir, name string, content []byte) string {
	t.Helper()
	path := filepath.Join(dir, name)
	if err := os.WriteFile(path, content, 0o666); err != nil {
		t.Fatal(err)
	}
	return path
}

func TestDamagedAndForeignFilesAreRefusedInOneLine(t *testing.T) {
	sound := string(smallFile(t))
	swap := func(old, new string) func(string) string {
		if !strings.Contains(sound, old) {
			t.Fatalf("the sound file has no %q", old)
		}
		return func(s string) string { return strings.Replace(s, old, new, 1) }
	}
	whole := func(s string) func(string) string { return func(string) string { return s } }
	preTokenizer := `{"type": "ByteLevel", "add_prefix_space": false, "trim_offsets": true, "use_regex": true}`
	sequence := func(list string) string { return `{"type": "Sequence", "pretokenizers": [` + list + `]}` }
	split := func(pattern string) string {
		return `{"type": "Split", "pattern": ` + pattern + `, "behavior": "Isolated", "invert": false}`
	}
	tests := []struct {
		name  string
		spoil func(string) string
		want  string
	}{
		{"empty file", whole(""), "the JSON ends before it is complete"},
		{"cut in the middle", func(s string) string { return s[:len(s)/2] }, "the JSON ends before it is complete"},
		{"not JSON", whole("{\n\n\"model\": oops}"), "line 3: not JSON"},
		{"binary", whole("\x00\x01\xff"), "line 1: not JSON"},
		{"a list", whole("[1, 2]"), "the whole is a list, want an object"},
		{"something after the end", func(s string) string { return s + "\n{}" }, "something follows the end"},
		{"no model", whole("{}"), "there is no model: not a tokenizer.json"},
		{"model missing", swap(`"model"`, `"modle"`), "there is no model"},
		{"another model", swap(`"type": "BPE"`, `"type": "WordPiece"`), "only byte-level BPE is supported, this is WordPiece"},
		{"another family altogether", whole(`{"normalizer": {"type": "BertNormalizer"}, "pre_tokenizer": {"type": "BertPreTokenizer"}, "decoder": {"type": "WordPiece"}, "model": {"type": "WordPiece", "vocab": {"a": 0}}}`), "only byte-level BPE is supported, this is WordPiece"},
		{"a vocabulary of another kind", whole(`{"normalizer": {"type": "Precompiled"}, "model": {"type": "Unigram", "vocab": [["a", -1.5]]}}`), "only byte-level BPE is supported, this is Unigram"},
		{"a type that is no name", swap(`"type": "BPE"`, `"type": "Word\nPiece"`), `this is Word\nPiece`},
		{"model is a number", whole(`{"pre_tokenizer": {"type": "ByteLevel"}, "model": 3}`), "model: the whole is a number, want an object"},
		{"unknown key in the model", swap(`"fuse_unk"`, `"fuse_unknown"`), `model: unknown field "fuse_unknown"`},
		{"dropout", swap(`"dropout": null`, `"dropout": 0.1`), "dropout 0.1 is not supported"},
		{"subword prefix", swap(`"continuing_subword_prefix": null`, `"continuing_subword_prefix": "##"`), `continuing_subword_prefix "##"`},
		{"word suffix", swap(`"end_of_word_suffix": null`, `"end_of_word_suffix": "</w>"`), `end_of_word_suffix "</w>"`},
		{"normalizer", swap(`"normalizer": null`, `"normalizer": {"type": "Replace", "pattern": {"String": " "}, "content": "_"}`), `normalizer "Replace" is not supported`},
		{"normalizer in a sequence", swap(`"normalizer": null`, `"normalizer": {"type": "Sequence", "normalizers": [{"type": "NFC"}, {"type": "Lowercase"}]}`), `"Lowercase"`},
		{"another pre-tokenizer", swap(preTokenizer, `{"type": "Metaspace"}`), `pre_tokenizer "Metaspace" is not supported`},
		{"another pre-tokenizer in a sequence", swap(preTokenizer, sequence(`{"type": "Whitespace"}, {"type": "ByteLevel"}`)), `pre_tokenizer "Whitespace" is not supported`},
		{"no pre-tokenizer", swap(preTokenizer, `null`), "pre_tokenizer: there is none"},
		{"an empty sequence", swap(preTokenizer, sequence("")), "pre_tokenizer: there is none"},
		{"no ByteLevel", swap(preTokenizer, split(`{"Regex": "a"}`)), "pre_tokenizer: there is no ByteLevel in it"},
		{"ByteLevel twice", swap(preTokenizer, sequence(`{"type": "ByteLevel"}, {"type": "ByteLevel"}`)), `"ByteLevel" stands there twice`},
		{"no pattern", swap(preTokenizer, `{"type": "Split", "behavior": "Isolated"}`), `"Split" has no pattern`},
		{"a pattern of both kinds", swap(preTokenizer, split(`{"Regex": "a", "String": "a"}`)), `"Split" has no pattern`},
		{"a pattern that is a number", swap(preTokenizer, split(`7`)), "pattern is a number, want an object"},
		{"no behavior", swap(preTokenizer, `{"type": "Split", "pattern": {"Regex": "a"}}`), `has the behavior ""`},
		{"another behavior", swap(preTokenizer, `{"type": "Punctuation", "behavior": "Shuffled"}`), `"Punctuation" has the behavior "Shuffled"`},
		{"a back reference", swap(preTokenizer, split(`{"Regex": "(a)\\1"}`)), `character 4: \1 is not supported`},
		{"an unknown property", swap(preTokenizer, split(`{"Regex": "\\p{Klingon}"}`)), `\p{…} of "Klingon" is not supported`},
		{"a POSIX bracket", swap(preTokenizer, split(`{"Regex": "[[:alpha:]]"}`)), `[:…:] is not supported`},
		{"a group without end", swap(preTokenizer, split(`{"Regex": "(a"}`)), `a group has no end`},
		{"a class without end", swap(preTokenizer, split(`{"Regex": "[a"}`)), `a class has no end`},
		{"a bracket too many", swap(preTokenizer, split(`{"Regex": "a)\n"}`)), `character 2: ) without (`},
		{"a repeat of nothing", swap(preTokenizer, split(`{"Regex": "a|*"}`)), `* without something to repeat`},
		{"a repeat of a repeat", swap(preTokenizer, split(`{"Regex": "a**"}`)), `a repeat of a repeat is not supported`},
		{"a repeat of what may be empty", swap(preTokenizer, split(`{"Regex": "(a*|b)+"}`)), `a repeat of what may take no text`},
		{"a repeat of what is possessive", swap(preTokenizer, split(`{"Regex": "(?:a++b?){2}"}`)), `a repeat of (?>…) or of what is possessive`},
		{"a repeat of an assertion", swap(preTokenizer, split(`{"Regex": "(?=a)*"}`)), `a repeat of what takes no text`},
		{"a range the wrong way", swap(preTokenizer, split(`{"Regex": "[b-a]"}`)), `a range from 'b' to 'a'`},
		{"case beyond ASCII", swap(preTokenizer, split(`{"Regex": "(?i:é)"}`)), `(?i) over letters beyond ASCII`},
		{"case and ligatures", swap(preTokenizer, split(`{"Regex": "(?i:'St)"}`)), `(?i) over st is not supported`},
		{"white space in patterns", swap(preTokenizer, split(`{"Regex": "(?x: a )"}`)), `"(?x:" is not supported`},
		{"groups without end", swap(preTokenizer, split(`{"Regex": "`+strings.Repeat("(", 1<<20)+`"}`)), `a group this deep in others`},
		{"classes without end", swap(preTokenizer, split(`{"Regex": "`+strings.Repeat("[", 1<<20)+`"}`)), `a class this deep in others`},
		{"a template without the text", swap(`"post_processor": {"type": "ByteLevel"`, `"post_processor": {"type": "TemplateProcessing", "single": [{"SpecialToken": {"id": "<s>"}}]`), `has the text 0 times`},
		{"another post-processor", swap(`"post_processor": {"type": "ByteLevel"`, `"post_processor": {"type": "Reverse"`), `post_processor "Reverse" is not supported`},
		{"another decoder", swap(`"decoder": {"type": "ByteLevel"`, `"decoder": {"type": "WordPiece"`), `decoder "WordPiece"`},
		{"no vocabulary", swap(`"vocab"`, `"vocap"`), `unknown field "vocap"`},
		{"vocabulary is a list", whole(`{"pre_tokenizer": {"type": "ByteLevel"}, "model": {"vocab": ["a"], "merges": []}}`), "vocab is not an object"},
		{"empty vocabulary", whole(`{"pre_tokenizer": {"type": "ByteLevel"}, "model": {"vocab": {}, "merges": []}}`), "no token \"Ā\" for the byte 0x00"},
		{"merges missing", whole(`{"pre_tokenizer": {"type": "ByteLevel"}, "model": {"vocab": {}}}`), "there are no merges"},
		{"a byte missing", swap(`      "A": 33,`+"\n", ""), `no token "A" for the byte 0x41`},
		{"token twice", swap(`"A": 33`, `"B": 33`), `"B" stands there twice`},
		{"id twice", swap(`"A": 33`, `"A": 34`), `id 34 belongs to both`},
		{"negative id", swap(`"A": 33`, `"A": -33`), `the id of "A" is -33`},
		{"fractional id", swap(`"A": 33`, `"A": 33.5`), `the id of "A" is 33.5`},
		{"id as a string", swap(`"A": 33`, `"A": "33"`), `the id of "A" is 33`},
		{"huge id", swap(`"A": 33`, `"A": 4000000000`), `the id of "A" is 4000000000`},
		{"enormous id", swap(`"A": 33`, `"A": 1e30`), `the id of "A" is 1e30`},
		{"nested vocabulary", swap(`"A": 33`, `"A": {"id": 33}`), `the id of "A"`},
		{"empty token", swap(`"A": 33`, `"": 33`), "empty token"},
		{"merge of an unknown token", swap(`"h e"`, `"h ex"`), `"ex" is not in the vocabulary`},
		{"merge into an unknown token", swap(`"h e"`, `"h q"`), `"hq" is not in the vocabulary`},
		{"merge of three", swap(`"h e"`, `"h e a"`), "does not have two parts"},
		{"merge of one", swap(`"h e"`, `"he"`), "does not have two parts"},
		{"merge is a number", swap(`"h e"`, `7`), "entry 1 is neither"},
		{"merge is null", swap(`"h e"`, `null`), "does not have two parts"},
		{"merge twice", swap(`"h e"`, `"a t"`), `merge 1 ("a" + "t") stands there twice`},
		{"merges is an object", whole(`{"pre_tokenizer": {"type": "ByteLevel"}, "model": {"vocab": {}, "merges": {}}}`), "merges is not a list"},
		{"added token without content", swap(`"content": "<|endoftext|>", `, ""), "entry 0 has no id or no content"},
		{"added token without id", swap(`{"id": 0, `, `{`), "entry 0 has no id or no content"},
		{"added token with another's id", swap(`{"id": 0, `, `{"id": 7, `), `the id of "<|endoftext|>" is 7, want 0`},
		{"added token with a negative id", swap(`{"id": 0, `, `{"id": -1, `), `is -1`},
		{"added token beyond the next id", swap(`"<|endoftext|>", `, `"<|new|>", `), `the id of "<|new|>" is 0, want 262`},
		{"added token twice", swap(`"added_tokens": [`, `"added_tokens": [{"id": 0, "content": "<|endoftext|>"},`), "stands there twice"},
		{"added token with a wrong type", swap(`"special": true`, `"special": "yes"`), "special is a string, want true or false"},
		{"added_tokens is a string", swap(`"added_tokens": [`, `"added_tokens": "", "x": [`), "added_tokens is a string, want a list"},
	}
	dir := t.TempDir()
	for _, test := range tests {
		t.Run(test.name, func(t *testing.T) {
			path := writeFile(t, dir, "tokenizer.json", []byte(test.spoil(sound)))
			_, err := Load(vfs.OS, path)
			if err == nil {
				t.Fatal("it was opened")
			}
			if text := err.Error(); !strings.Contains(text, test.want) || !strings.HasPrefix(text, "tokenizer: "+path) || strings.Contains(text, "\n") {
				t.Errorf("%s\nwant one line with %q, after the file's name", text, test.want)
			}
		})
	}
	if _, err := Load(vfs.OS, filepath.Join(dir, "none.json")); err == nil || !strings.Contains(err.Error(), "none.json") {
		t.Errorf("a file that is not there: %v", err)
	}
}

func TestTheEndTokenIsTheOneTheConfigNames(t *testing.T) {
	sound := smallFile(t)
	tests := []struct {
		name, config string
		want         string // of the token, or of the error
		ok           bool
	}{
		{"no configuration", "", EndOfText, true},
		{"a string", `{"eos_token": "the"}`, "the", true},
		{"an object", `{"eos_token": {"content": "<|endoftext|>", "lstrip": false}}`, EndOfText, true},
		{"null", `{"eos_token": null}`, EndOfText, true},
		{"unknown", `{"eos_token": "<|end|>"}`, `there is no token "<|end|>"`, false},
		{"neither", `{"eos_token": 3}`, "eos_token is neither", false},
		{"damaged", `{"eos_token": "`, "tokenizer_config.json: the JSON ends", false},
	}
	for _, test := range tests {
		t.Run(test.name, func(t *testing.T) {
			dir := t.TempDir()
			path := writeFile(t, dir, "tokenizer.json", sound)
			if test.config != "" {
				writeFile(t, dir, "tokenizer_config.json", []byte(test.config))
			}
			tokenizer, err := Load(vfs.OS, path)
			if !test.ok {
				if err == nil || !strings.Contains(err.Error(), test.want) {
					t.Fatalf("error %v, want %q", err, test.want)
				}
				return
			}
			if err != nil {
				t.Fatal(err)
			}
			if end, ok := tokenizer.EndToken(); !ok || tokenizer.Decode([]uint32{end}) != test.want {
				t.Errorf("the end token is %d, %t", end, ok)
			}
		})
	}
}

func TestFilesOpenAgainAsTheSameTokenizer(t *testing.T) {
	trained, err := Train(context.Background(), documentsOf([]string{"the cat and the hat, 'tis the bat"}), 262, nil)
	if err != nil {
		t.Fatal(err)
	}
	for name, tokenizer := range map[string]*Tokenizer{"gpt2": mustGPT2(t), "byte": Bytes(), "trained": trained} {
		t.Run(name, func(t *testing.T) {
			files, err := tokenizer.Files(77)
			if err != nil {
				t.Fatal(err)
			}
			dir := t.TempDir()
			for file, content := range files {
				writeFile(t, dir, file, content)
			}
			again, err := Load(vfs.OS, filepath.Join(dir, "tokenizer.json"))
			if err != nil {
				t.Fatal(err)
			}
			if again.Fingerprint() != tokenizer.Fingerprint() || again.VocabSize() != tokenizer.VocabSize() || again.end != tokenizer.end {
				t.Errorf("fingerprint %s, %d ids, end %d", again.Fingerprint(), again.VocabSize(), again.end)
			}
			var config struct {
				Length int    `json:"model_max_length"`
				End    string `json:"eos_token"`
			}
			if err := json.Unmarshal(files["tokenizer_config.json"], &config); err != nil || config.Length != 77 || config.End != EndOfText {
				t.Errorf("tokenizer_config.json: %+v, %v", config, err)
			}
		})
	}
	if _, err := trained.Files(0); err == nil {
		t.Error("a longest sequence of 0 was taken")
	}
}

func TestFingerprintsTellTokenizersApart(t *testing.T) {
	seen := map[string]string{}
	for i, text := range []string{"aa aa ab ab", "ab ab ba ba"} {
		tokenizer, err := Train(context.Background(), documentsOf([]string{text}), 258, nil)
		if err != nil {
			t.Fatal(err)
		}
		seen[tokenizer.Fingerprint()] = fmt.Sprint(i)
	}
	seen[Bytes().Fingerprint()] = "byte"
	seen[mustGPT2(t).Fingerprint()] = "gpt2"
	if len(seen) != 4 {
		t.Errorf("fingerprints: %v", seen)
	}
}

func FuzzLoadNeverPanics(f *testing.F) {
	f.Add(smallFile(f))
	f.Add([]byte(`{"pre_tokenizer": {"type": "Sequence", "pretokenizers": [{"type": "ByteLevel"}]}, "model": {"vocab": {"a": 0}, "merges": ["a a"]}}`))
	f.Add([]byte(strings.Replace(string(smallFile(f)), `"pre_tokenizer": {`, `"normalizer": {"type": "NFKC"}, "pre_tokenizer": {"type": "Sequence", "pretokenizers": [{"type": "Split", "behavior": "Isolated", "pattern": {"Regex": "(?i:'s)|[^\\r\\p{L}&&[^a-c]]?+\\w{1,3}|\\s+(?!\\S)|^.\\x41$"}}, {"type": "ByteLevel"}]}, "x": {`, 1)))
	f.Fuzz(func(t *testing.T, data []byte) {
		tokenizer, err := parse(data, "")
		if err != nil {
			if strings.Contains(err.Error(), "\n") {
				t.Errorf("an error of several lines: %q", err)
			}
			return
		}
		const text = "the cat\xff and <|endoftext|> the hat"
		if got := tokenizer.Decode(tokenizer.Encode(text)); len(tokenizer.normalizers) == 0 && len(tokenizer.steps) == 1 && !tokenizer.steps[0].addPrefixSpace && len(tokenizer.added) == 1 && got != text {
			t.Errorf("%q became %q", text, got)
		}
		if _, err := parse(tokenizer.canonical(), ""); err != nil {
			t.Errorf("saved, it does not open: %v", err)
		}
	})
}
