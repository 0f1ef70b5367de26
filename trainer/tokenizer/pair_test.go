package tokenizer

import (
	"context"
	"encoding/json"
	"iter"
	"slices"
	"strings"
	"testing"

	"frugal/trainer/internal/vfs"
)

// pairOf writes the tokenizer's vocabulary and merges as transformers 4's GPT2Tokenizer.save_pretrained does.
func pairOf(t *testing.T, tok *Tokenizer, dir string) vfs.FS {
	t.Helper()
	files, err := tok.Files(1024)
	if err != nil {
		t.Fatal(err)
	}
	var f struct {
		Model struct {
			Vocab  map[string]int64
			Merges []any
		}
	}
	if err := json.Unmarshal(files["tokenizer.json"], &f); err != nil {
		t.Fatal(err)
	}
	vocab, err := json.Marshal(f.Model.Vocab)
	if err != nil {
		t.Fatal(err)
	}
	merges := []string{"#version: 0.2"}
	for _, m := range f.Model.Merges {
		switch m := m.(type) {
		case string:
			merges = append(merges, m)
		case []any:
			merges = append(merges, m[0].(string)+" "+m[1].(string))
		}
	}
	disk := vfs.NewMem()
	disk.MkdirAll(dir, 0o777)
	for name, text := range map[string]string{"vocab.json": string(vocab), "merges.txt": strings.Join(merges, "\n") + "\n"} {
		if err := vfs.WriteFile(disk, dir+"/"+name, []byte(text)); err != nil {
			t.Fatal(err)
		}
	}
	return disk
}

func TestAPairOfFilesGivesTheIdsOfItsTokenizer(t *testing.T) {
	documents := iter.Seq2[[]byte, error](func(yield func([]byte, error) bool) {
		yield([]byte(strings.Repeat("O rato roeu a rolha da garrafa do rei da Rússia. ", 20)), nil)
	})
	trained, err := Train(context.Background(), documents, 300, nil)
	if err != nil {
		t.Fatal(err)
	}
	gpt2, err := GPT2()
	if err != nil {
		t.Fatal(err)
	}
	for name, tok := range map[string]*Tokenizer{"trained": trained, "gpt2": gpt2} {
		disk := pairOf(t, tok, "m")
		got, found, err := LoadDir(disk, "m")
		if err != nil || found != "m/vocab.json" {
			t.Fatalf("%s: %q, %v", name, found, err)
		}
		text := "O rato  roeu 1234 rolhas!\n<|endoftext|>São João\u2028fim"
		if a, b := got.Encode(text), tok.Encode(text); !slices.Equal(a, b) {
			t.Errorf("%s: ids %v, want %v", name, a, b)
		}
		if end, ok := got.EndToken(); !ok || got.VocabSize() != tok.VocabSize() {
			t.Errorf("%s: end token %d %v, %d tokens", name, end, ok, got.VocabSize())
		}
		if err := disk.Remove("m/merges.txt"); err != nil {
			t.Fatal(err)
		}
		if _, _, err := LoadDir(disk, "m"); err == nil || !strings.Contains(err.Error(), "merges.txt") {
			t.Errorf("%s: without merges.txt: %v", name, err)
		}
	}
	if tok, found, err := LoadDir(vfs.NewMem(), "nowhere"); tok != nil || found != "" || err != nil {
		t.Errorf("nothing is %v, %q, %v", tok, found, err)
	}
}
