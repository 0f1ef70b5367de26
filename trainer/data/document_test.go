package data

import (
	"encoding/json"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"
	"testing/fstest"

	"github.com/google/go-cmp/cmp"
	"pgregory.net/rapid"

	"frugal/trainer/internal/vfs"
)

type textAt struct {
	At   int64
	Text string
}

// readDocuments joins the sections of each document.
func readDocuments(t testing.TB, fsys vfs.FS, globs ...string) (all []textAt) {
	t.Helper()
	more := false
	for d, err := range Documents(fsys, globs, "text") {
		if err != nil {
			t.Fatal(err)
		}
		if more {
			last := &all[len(all)-1]
			if last.At != d.At {
				t.Fatalf("document %d goes on as %d", last.At, d.At)
			}
			last.Text += string(d.Text)
		} else {
			all = append(all, textAt{d.At, string(d.Text)})
		}
		more = d.More
	}
	if more {
		t.Fatal("the last document does not end")
	}
	return all
}

func TestDocumentsOfEachKindOfFile(t *testing.T) {
	long := strings.Repeat("palavra e outra. ", 10000)
	tests := []struct {
		name, file, contents string
		want                 []textAt
	}{
		{"a whole text file", "a.txt", "um\n\ndois\n", []textAt{{1, "um\n\ndois\n"}}},
		{"line ends stay", "a.txt", "um\r\ndois\r", []textAt{{1, "um\r\ndois\r"}}},
		{"a byte order mark goes", "a.txt", "\ufeffum\ufeff", []textAt{{1, "um\ufeff"}}},
		{"separated pieces", "a.txt", "um<|endoftext|>\ndois\n<|endoftext|>três", []textAt{{1, "um"}, {2, "\ndois\n"}, {3, "três"}}},
		{"a separator at the end", "a.txt", "um<|endoftext|>", []textAt{{1, "um"}}},
		{"blank pieces are passed over", "a.txt", "<|endoftext|> \n<|endoftext|>um<|endoftext|><|endoftext|>\n", []textAt{{3, "um"}}},
		{"part of a separator is text", "a.txt", "um<|endoftext|<|endoftext|>|>", []textAt{{1, "um<|endoftext|"}, {2, "|>"}}},
		{"a long text", "a.txt", long, []textAt{{1, long}}},
		{"long pieces", "a.txt", long + "<|endoftext|>b" + long, []textAt{{1, long}, {2, "b" + long}}},
		{"lines of JSON", "a.jsonl", `{"text":"um\né","n":1}` + "\n\n" + `{"n":[{"text":"x"}],"text":"dois"}` + "\r\n",
			[]textAt{{1, "um\né"}, {3, "dois"}}},
		{"null, empty and blank lines", "a.jsonl", `{"text":null}` + "\n" + `{"text":""}` + "\n" + `{"text":" \u2003"}` + "\n" + `{"text":"a"}`,
			[]textAt{{4, "a"}}},
		{"a byte order mark before JSON", "a.jsonl", "\ufeff" + `{"text":"um"}`, []textAt{{1, "um"}}},
		{"an escaped surrogate pair, and half of one", "a.jsonl", `{"text":"\ud83c\udf03 \ud83c"}`, []textAt{{1, "🌃 \ufffd"}}},
		{"a separator inside JSON is text", "a.jsonl", `{"text":"a<|endoftext|>b"}`, []textAt{{1, "a<|endoftext|>b"}}},
		{"upper case endings", "A.TXT", "um", []textAt{{1, "um"}}},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			fsys := FromFS(fstest.MapFS{tt.file: {Data: []byte(tt.contents)}})
			if diff := cmp.Diff(tt.want, readDocuments(t, fsys, tt.file)); diff != "" {
				t.Error(diff)
			}
		})
	}
}

type golden struct {
	Documents, Wide [][]int64
	Texts           []*string
}

func readGolden(t *testing.T) (g golden) {
	t.Helper()
	b, err := os.ReadFile("testdata/golden/expected.json")
	if err == nil {
		err = json.Unmarshal(b, &g)
	}
	if err != nil {
		t.Fatal(err)
	}
	return g
}

func TestParquetFilesWrittenByPyarrow(t *testing.T) {
	var want []textAt
	for i, text := range readGolden(t).Texts {
		if text != nil && *text != "" {
			want = append(want, textAt{int64(i) + 1, *text})
		}
	}
	files, err := filepath.Glob("testdata/golden/*.parquet")
	if err != nil || len(files) != 8 {
		t.Fatal(files, err)
	}
	for _, name := range files {
		t.Run(filepath.Base(name), func(t *testing.T) {
			if diff := cmp.Diff(want, readDocuments(t, vfs.OS, name)); diff != "" {
				t.Error(diff)
			}
		})
	}
}

func TestTokenFilesAsNanoGPTAndLLMCWriteThem(t *testing.T) {
	g := readGolden(t)
	tests := []struct {
		file      string
		vocabSize int
		want      [][]int64
	}{
		{"nanogpt.bin", 50257, g.Documents},
		{"llmc-gpt2.bin", 50257, g.Documents},
		{"llmc-llama3.bin", 128256, g.Wide},
	}
	for _, tt := range tests {
		t.Run(tt.file, func(t *testing.T) {
			o := testOptions("testdata/golden", tt.file)
			o.CacheDir, o.VocabSize, o.EndToken, o.Packing = t.TempDir(), tt.vocabSize, 50256, false
			d := mustOpen(t, o)
			var want []int64
			for _, document := range tt.want {
				want = append(append(want, document...), 50256)
			}
			if diff := cmp.Diff(want, streamIDs(d.train)); diff != "" {
				t.Error(diff)
			}
			ids := int64(len(want) - len(tt.want))
			if got, want := d.Train(), (Split{int64(len(tt.want)), int64(len(tt.want)), ids + int64(len(tt.want)), ids}); got != want {
				t.Errorf("%+v, want %+v", got, want)
			}
		})
	}
}

func TestATokenizerIsNotTrainedOnTokens(t *testing.T) {
	for _, err := range Documents(vfs.OS, []string{"testdata/golden/nanogpt.bin"}, "text") {
		want := "data: testdata/golden/nanogpt.bin: holds tokens, not text: a tokenizer cannot be trained on it"
		if err == nil || err.Error() != want {
			t.Errorf("%v, want %s", err, want)
		}
	}
}

func TestReadingDocumentsStopsWhenTheReaderHasEnough(t *testing.T) {
	fsys := FromFS(fstest.MapFS{"a.jsonl": {Data: []byte("{\"text\":\"a\"}\n{\"text\":\"b\"}\nnot JSON")}})
	for d, err := range Documents(fsys, []string{"a.jsonl"}, "text") {
		if err != nil || string(d.Text) != "a" {
			t.Fatal(string(d.Text), err)
		}
		break
	}
}

// Documents of tokens of any lengths, around those at which they are divided, come out as they went in.
func TestLongTokenDocumentsAreOnlyDividedForTheSplit(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		lengths := rapid.SliceOfN(rapid.OneOf(rapid.IntRange(1, 20), rapid.IntRange(wholeTokens-2, wholeTokens+2),
			rapid.IntRange(1, 3*wholeTokens)), 1, 4).Draw(t, "lengths")
		var file []byte
		var want []int64
		for i, n := range lengths {
			for k := range n {
				id := (i*31 + k*7) % 250
				file = append(file, byte(id), 0)
				want = append(want, int64(id))
			}
			want = append(want, endToken)
			if i+1 < len(lengths) || rapid.Bool().Draw(t, "end token at the end") {
				file = append(file, 0, 1)
			}
		}
		o := testOptions("", "a.bin")
		disk := vfs.NewMem()
		if err := vfs.WriteFile(disk, "a.bin", file); err != nil {
			t.Fatal(err)
		}
		o.FS, o.CacheDir, o.Packing = disk, "cache", false
		o.Positions = len(want)
		d, err := Open(t.Context(), o)
		if err != nil {
			t.Fatal(err)
		}
		defer d.Close()
		if !slices.Equal(streamIDs(d.train), want) {
			t.Fatal("the ids are not those of the file")
		}
		if d.Train().Documents != int64(len(lengths)) {
			t.Fatalf("%d documents, want %d", d.Train().Documents, len(lengths))
		}
	})
}
