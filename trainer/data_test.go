package trainer

// What holds between the tokenizer and the data layer, which do not know one another.

import (
	"context"
	"fmt"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	"frugal/trainer/data"
	"frugal/trainer/internal/vfs"
	"frugal/trainer/tokenizer"
)

// TestALongTextHasTheIdsOfTheWhole tokenises a text that the data layer cuts into pieces and sections, and reads the rows back.
func TestALongTextHasTheIdsOfTheWhole(t *testing.T) {
	var b strings.Builder
	for i := range 12000 {
		fmt.Fprintf(&b, "A maré %d subiu,  e o barco n.º %d ficou\tna areia's borda. 日本 🙂\n", i, i*i)
		if i%9 == 0 {
			b.WriteString("\n \n")
		}
	}
	text := b.String()
	dir := t.TempDir()
	path := filepath.Join(dir, "long.txt")
	if err := os.WriteFile(path, []byte(text), 0o666); err != nil {
		t.Fatal(err)
	}
	gpt2, err := tokenizer.GPT2()
	if err != nil {
		t.Fatal(err)
	}
	trained, err := tokenizer.Train(context.Background(), func(yield func([]byte, error) bool) { yield([]byte(text[:100000]), nil) }, 600, nil)
	if err != nil {
		t.Fatal(err)
	}
	for name, tok := range map[string]*tokenizer.Tokenizer{"gpt2": gpt2, "byte": tokenizer.Bytes(), "trained": trained} {
		t.Run(name, func(t *testing.T) {
			end, _ := tok.EndToken()
			want := append(tok.Encode(text), end)
			d, err := data.Open(context.Background(), data.Options{
				FS: vfs.OS, Train: []string{path}, Eval: []string{path}, TextField: "text", Packing: true, CacheDir: filepath.Join(dir, "cache"),
				Encoder: tok, EndToken: end, VocabSize: tok.VocabSize(), Positions: 64, BatchSize: 8, Accumulation: 1, Workers: 2,
			})
			if err != nil {
				t.Fatal(err)
			}
			defer d.Close()
			var got []uint32
			var bytes int64
			for _, rows := range d.EvalBatches(8 * 64) { // in order, nothing dropped
				b, err := d.EvalBatch(rows)
				if err != nil {
					t.Fatal(err)
				}
				bytes += b.Bytes
				for row, n := range b.Lengths {
					for _, id := range b.InputIDs[row*b.Length : row*b.Length+int(n)] {
						got = append(got, uint32(id))
					}
				}
			}
			if !slices.Equal(got, want) {
				t.Errorf("%d ids, want the %d of the whole text", len(got), len(want))
			}
			// All bytes but those of each row's first id, which is no target.
			if bytes <= 0 || bytes >= int64(len(text)) {
				t.Errorf("%d bytes of targets in a text of %d", bytes, len(text))
			}
		})
	}
}
