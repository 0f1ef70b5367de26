package live

import (
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	"pgregory.net/rapid"

	"frugal/trainer/internal/vfs"
)

func osFS() vfs.FS { return vfs.OS }

// readAll reads from p on until there is nothing new.
func readAll(t interface{ Fatal(...any) }, path string, p position, known string) (string, position) {
	for {
		piece, err := readLines(vfs.OS, path, p)
		if err != nil {
			t.Fatal(err)
		}
		if piece.reset {
			known = ""
		}
		known += string(piece.lines)
		if piece.next == p {
			return known, p
		}
		p = piece.next
	}
}

// wholePart is what a reader may know of a file: all but a last line that has not ended.
func wholePart(content string) string { return content[:strings.LastIndexByte(content, '\n')+1] }

func TestPositionIsWrittenAndReadBack(t *testing.T) {
	for _, p := range []position{{}, {1, 0}, {1 << 40, 0xffffffff}} {
		if got := parsePosition(p.String()); got != p {
			t.Errorf("%v became %v", p, got)
		}
	}
	for _, s := range []string{"", "0", "-", "12", "12-", "-5-00000000", "x-00000000", "5-100000000", "5-xyz", "9223372036854775808-00000000", "5-00000000-1"} {
		if got := parsePosition(s); got != (position{}) {
			t.Errorf("%q became %v", s, got)
		}
	}
}

// Whatever happens to a file between two looks, a reader that keeps its position ends with what the file holds.
func TestAReaderNeverLosesOrDoublesALine(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		dir, err := os.MkdirTemp("", "lines")
		if err != nil {
			t.Fatal(err)
		}
		defer os.RemoveAll(dir)
		path := filepath.Join(dir, metricsName)
		var content, known string
		var at position
		clock := 0 // each line is unlike all others, as its time makes it
		for range rapid.IntRange(1, 12).Draw(t, "looks") {
			for _, act := range rapid.SliceOfN(rapid.SampledFrom([]string{"line", "line", "half", "cut", "replace", "remove"}), 0, 4).Draw(t, "acts") {
				clock++
				switch act {
				case "line":
					content = wholePart(content) + line("train", clock, `,"loss":`+strings.Repeat("1", rapid.IntRange(1, 700).Draw(t, "digits")))
				case "half":
					content = wholePart(content) + line("eval", clock, "")[:20]
				case "cut":
					lines := slices.Collect(strings.Lines(content))
					content = strings.Join(lines[:rapid.IntRange(0, len(lines)).Draw(t, "kept")], "")
				case "replace":
					content = line("run", clock, "")
				case "remove":
					content = ""
				}
			}
			if content == "" {
				err = os.RemoveAll(path)
			} else {
				err = os.WriteFile(path, []byte(content), 0o666)
			}
			if err != nil {
				t.Fatal(err)
			}
			if known, at = readAll(t, path, parsePosition(at.String()), known); known != wholePart(content) {
				t.Fatalf("the reader knows\n%s\nthe file holds\n%s", known, content)
			}
		}
	})
}

func TestLinesBeyondAChunkComeInPieces(t *testing.T) {
	path := filepath.Join(t.TempDir(), metricsName)
	long := line("sample", 1, `,"text":"`+strings.Repeat("x", 3*chunkSize)+`"`)
	var many strings.Builder
	for step := range 9000 {
		many.WriteString(line("train", step, ""))
	}
	content := many.String() + long + line("train", 9001, "")
	appendTo(t, path, content)
	if known, at := readAll(t, path, position{}, ""); known != content || at.offset != int64(len(content)) {
		t.Errorf("%d bytes, want %d", len(known), len(content))
	}
}

func TestALineWithoutEndIsPassedOver(t *testing.T) {
	path := filepath.Join(t.TempDir(), metricsName)
	first, last := line("train", 1, ""), line("train", 2, "")
	appendTo(t, path, first+strings.Repeat("x", 2*maxLine)+"\n"+last)
	known, _ := readAll(t, path, position{}, "")
	if !strings.HasPrefix(known, first) || !strings.HasSuffix(known, last) || len(known) > maxLine+1000 {
		t.Errorf("%d bytes", len(known))
	}
}

func TestOnlyRegularFilesAreRead(t *testing.T) {
	dir := t.TempDir()
	if _, err := readLines(vfs.OS, dir, position{}); err == nil {
		t.Error("a directory was read")
	}
	if _, err := readLines(vfs.OS, os.DevNull, position{}); err == nil {
		t.Error("a device was read")
	}
}

func FuzzParsePosition(f *testing.F) {
	for _, s := range []string{"", "0", "12-0000abcd", "-1-00000000"} {
		f.Add(s)
	}
	f.Fuzz(func(t *testing.T, s string) {
		p := parsePosition(s)
		if p.offset < 0 || parsePosition(p.String()) != p {
			t.Errorf("%q became %v", s, p)
		}
	})
}
