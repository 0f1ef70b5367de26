package safetensors

import (
	"bytes"
	"encoding/binary"
	"errors"
	"fmt"
	"io"
	"math"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"
	"pgregory.net/rapid"
)

// pattern is a source with the bytes of scripts/golden_safetensors.py.
func pattern(name, dtype string, shape ...int64) Source {
	return Source{Name: name, DType: dtype, Shape: shape, Write: func(w io.Writer) error {
		size, err := ByteSize(dtype, shape)
		if err != nil {
			return err
		}
		_, err = w.Write(patternBytes(dtype, size))
		return err
	}}
}

func patternBytes(dtype string, size int64) []byte {
	b := make([]byte, size)
	for i := range b {
		b[i] = byte(7*i + 13)
		if dtype == "BOOL" {
			b[i] %= 2
		}
	}
	return b
}

var goldens = map[string]struct {
	metadata map[string]string
	tensors  []Source
}{
	"every_dtype": {nil, []Source{
		pattern("c", "BOOL", 3), pattern("weight.i8", "I8", 2, 2), pattern("weight.u8", "U8", 5), pattern("b", "F8_E4M3", 3),
		pattern("a", "F8_E5M2", 1, 3), pattern("i16", "I16", 3), pattern("u16", "U16", 1), pattern("f16", "F16", 2, 3),
		pattern("bf16", "BF16", 3, 1, 2), pattern("i32", "I32", 2), pattern("u32", "U32", 1), pattern("z.f32", "F32", 2, 2),
		pattern("a.f32", "F32", 3), pattern("f64", "F64"), pattern("i64", "I64", 2), pattern("u64", "U64", 1),
	}},
	"names": {map[string]string{"format": "pt"}, []Source{
		pattern("", "F32", 1), pattern("no elements", "F32", 0, 4), pattern("transformer.h.0.attn.c_attn.weight", "F32", 2, 6),
		pattern("transformer.h.10.ln_1.bias", "F32", 2), pattern("transformer.h.2.ln_1.bias", "F32", 2),
		pattern("acentuação 漢字 🙂", "F32", 1),
		pattern("quote \" backslash \\ slash / tab \t newline \n escape \x1b delete \x7f", "F32", 1),
		pattern("html <&> separators \u2028\u2029", "F32", 1),
	}},
	"empty":            {nil, nil},
	"empty_metadata":   {map[string]string{}, []Source{pattern("x", "U8", 1)}},
	"metadata_escapes": {map[string]string{"a\"\n\u2028": "<\b\f\r\\>"}, []Source{pattern("x", "U8", 1)}},
}

func golden(t testing.TB, name string) []byte {
	t.Helper()
	b, err := os.ReadFile(filepath.Join("testdata", name+".safetensors"))
	if err != nil {
		t.Fatalf("%v\nthe goldens are made by: python3 scripts/golden_safetensors.py", err)
	}
	return b
}

func TestWriteGivesTheReferenceImplementationsBytes(t *testing.T) {
	for name, g := range goldens {
		t.Run(name, func(t *testing.T) {
			want := golden(t, name)
			for range 2 { // in the given order and in the opposite one
				var got bytes.Buffer
				if err := Write(&got, g.metadata, g.tensors); err != nil {
					t.Fatal(err)
				}
				if diff := cmp.Diff(string(want), got.String()); diff != "" {
					t.Errorf("want -, got +:\n%s", diff)
				}
				slices.Reverse(g.tensors)
			}
		})
	}
}

func TestParseReadsTheReferenceImplementationsFiles(t *testing.T) {
	for name, g := range goldens {
		t.Run(name, func(t *testing.T) {
			b := golden(t, name)
			f, err := Parse(b)
			if err != nil {
				t.Fatal(err)
			}
			if diff := cmp.Diff(g.metadata, f.Metadata()); diff != "" {
				t.Errorf("metadata: want -, got +:\n%s", diff)
			}
			if len(f.Names()) != len(g.tensors) {
				t.Errorf("%d tensors, want %d", len(f.Names()), len(g.tensors))
			}
			for _, s := range g.tensors {
				info, data, ok := f.Tensor(s.Name)
				if !ok {
					t.Errorf("%q is not there", s.Name)
					continue
				}
				if info.Name != s.Name || info.DType != s.DType || !slices.Equal(info.Shape, s.Shape) {
					t.Errorf("%q: got %+v", s.Name, info)
				}
				if want := patternBytes(s.DType, info.Size); !bytes.Equal(data, want) || !bytes.Equal(b[info.Offset:info.Offset+info.Size], want) {
					t.Errorf("%q: wrong bytes", s.Name)
				}
				if info.Offset%dtypes[s.DType].size != 0 {
					t.Errorf("%q is not aligned: offset %d", s.Name, info.Offset)
				}
			}
		})
	}
}

func TestParseAliasesAndBoundsTheData(t *testing.T) {
	b := golden(t, "every_dtype")
	f, err := Parse(b)
	if err != nil {
		t.Fatal(err)
	}
	info, data, _ := f.Tensor("i64")
	if &data[0] != &b[info.Offset] {
		t.Error("the data was copied")
	}
	if cap(data) != len(data) {
		t.Error("an append to the data would overwrite the next tensor")
	}
	if _, _, ok := f.Tensor("nothing"); ok {
		t.Error("found a tensor that is not there")
	}
	if !slices.IsSortedFunc(f.Names(), func(x, y string) int {
		a, _, _ := f.Tensor(x)
		b, _, _ := f.Tensor(y)
		return int(a.Offset - b.Offset)
	}) {
		t.Errorf("names are not in file order: %q", f.Names())
	}
}

// file puts a length before a header and some data behind it.
func file(header string, data int) []byte {
	b := binary.LittleEndian.AppendUint64(nil, uint64(len(header)))
	return append(append(b, header...), make([]byte, data)...)
}

const four = `{"dtype":"F32","shape":[1],"data_offsets":[0,4]}`

func TestParseRefusesDamagedFiles(t *testing.T) {
	length := func(n uint64, rest string) []byte { return append(binary.LittleEndian.AppendUint64(nil, n), rest...) }
	for _, c := range []struct {
		damage string
		file   []byte
		want   string
	}{
		{"empty file", nil, "0 bytes are too short"},
		{"cut in the length", []byte{1, 2, 3}, "3 bytes are too short"},
		{"length past the end", length(100, "{}"), "length is 100, but only 2 bytes follow"},
		{"length past the limit", length(maxHeader+1, "{}"), "above 100000000"},
		{"length that is negative as an int64", length(math.MaxUint64, "{}"), "above 100000000"},
		{"a pickle", []byte("PK\x03\x04pytorch"), "not a safetensors file"},
		{"no header", file("", 0), "header: not a JSON object"},
		{"header is an array", file("[]", 0), "header: not a JSON object"},
		{"header begins with a space", file(" {}", 0), "header: not a JSON object"},
		{"header is cut", file(`{"a":`+four, 4), "header: not valid JSON"},
		{"something after the header", file(`{"a":`+four+`}x`, 4), "header: not valid JSON"},
		{"zeros after the header", file("{\"a\":"+four+"}\x00", 4), "header: not valid JSON"},
		{"invalid UTF-8", file("{\"\xff\":"+four+`}`, 4), "header: not valid UTF-8"},
		{"a name twice", file(`{"a":`+four+`,"a":`+four+`}`, 4), `header: "a" is there twice`},
		{"a name twice, once escaped", file(`{"a":`+four+`,"\u0061":`+four+`}`, 4), `header: "a" is there twice`},
		{"metadata twice", file(`{"__metadata__":{},"__metadata__":{}}`, 0), `"__metadata__" is there twice`},
		{"a metadata key twice", file(`{"__metadata__":{"k":"","k":""}}`, 0), `"k" is there twice`},
		{"metadata that is no text", file(`{"__metadata__":{"k":1}}`, 0), `"k" is not a string`},
		{"metadata that is nested", file(`{"__metadata__":{"k":{}}}`, 0), `"k" is not a string`},
		{"metadata that is no object", file(`{"__metadata__":null}`, 0), "__metadata__ is not an object"},
		{"a tensor that is no object", file(`{"a":[]}`, 0), `tensor "a": the entry is not an object`},
		{"an unknown key", file(`{"a":{"dtype":"F32","shape":[1],"data_offsets":[0,4],"strides":[1]}}`, 4), `tensor "a": key "strides" is not known`},
		{"a key twice", file(`{"a":{"dtype":"F32","dtype":"F32","shape":[1],"data_offsets":[0,4]}}`, 4), `"dtype" is there twice`},
		{"no dtype", file(`{"a":{"shape":[1],"data_offsets":[0,4]}}`, 4), "dtype is missing"},
		{"no shape", file(`{"a":{"dtype":"F32","data_offsets":[0,4]}}`, 4), "shape is missing"},
		{"no offsets", file(`{"a":{"dtype":"F32","shape":[1]}}`, 4), "data_offsets is missing"},
		{"unknown dtype", file(`{"a":{"dtype":"F33","shape":[1],"data_offsets":[0,4]}}`, 4), `dtype "F33" is not known`},
		{"dtype in lower case", file(`{"a":{"dtype":"f32","shape":[1],"data_offsets":[0,4]}}`, 4), `dtype "f32" is not known`},
		{"dtype that is no text", file(`{"a":{"dtype":4,"shape":[1],"data_offsets":[0,4]}}`, 4), "dtype is not a string"},
		{"shape that is no array", file(`{"a":{"dtype":"F32","shape":1,"data_offsets":[0,4]}}`, 4), "shape is not an array"},
		{"shape of text", file(`{"a":{"dtype":"F32","shape":["1"],"data_offsets":[0,4]}}`, 4), "shape holds something that is not a number"},
		{"negative dimension", file(`{"a":{"dtype":"F32","shape":[-1],"data_offsets":[0,4]}}`, 4), "shape holds -1"},
		{"fractional dimension", file(`{"a":{"dtype":"F32","shape":[1.0],"data_offsets":[0,4]}}`, 4), "shape holds 1.0"},
		{"dimension above an int64", file(`{"a":{"dtype":"F32","shape":[9223372036854775808],"data_offsets":[0,4]}}`, 4), "shape holds 9223372036854775808"},
		{"shape that overflows", file(`{"a":{"dtype":"F32","shape":[4294967296,4294967296],"data_offsets":[0,0]}}`, 0), "overflows"},
		{"shape that overflows to the right size", file(`{"a":{"dtype":"U8","shape":[4294967296,4294967296,4],"data_offsets":[0,0]}}`, 0), "overflows"},
		{"shape with the sign bit", file(`{"a":{"dtype":"U16","shape":[4611686018427387904],"data_offsets":[0,0]}}`, 0), "overflows"},
		{"one offset", file(`{"a":{"dtype":"F32","shape":[1],"data_offsets":[0]}}`, 4), "not a begin and an end"},
		{"offsets reversed", file(`{"a":{"dtype":"F32","shape":[1],"data_offsets":[4,0]}}`, 4), "not a begin and an end"},
		{"size and shape disagree", file(`{"a":{"dtype":"F32","shape":[2],"data_offsets":[0,4]}}`, 4), "hold 4 bytes, F32 of shape [2] takes 8"},
		{"a gap before the first", file(`{"a":{"dtype":"F32","shape":[1],"data_offsets":[4,8]}}`, 8), "begins at byte 4 of the data, want 0"},
		{"a gap between", file(`{"a":`+four+`,"b":{"dtype":"U8","shape":[1],"data_offsets":[5,6]}}`, 6), `tensor "b" begins at byte 5 of the data, want 4`},
		{"an overlap", file(`{"a":`+four+`,"b":{"dtype":"U8","shape":[1],"data_offsets":[3,4]}}`, 4), `tensor "b" begins at byte 3 of the data, want 4`},
		{"the same bytes twice", file(`{"a":`+four+`,"b":`+four+`}`, 4), `tensor "b" begins at byte 0 of the data, want 4`},
		{"data is cut", file(`{"a":`+four+`}`, 3), "ends at byte 4 of the data, which has 3"},
		{"offsets far past the end", file(`{"a":{"dtype":"U8","shape":[9223372036854775807],"data_offsets":[0,9223372036854775807]}}`, 3), "which has 3"},
		{"something after the data", file(`{"a":`+four+`}`, 5), "1 bytes after the last tensor"},
		{"data without a tensor", file(`{}`, 1), "1 bytes after the last tensor"},
	} {
		t.Run(c.damage, func(t *testing.T) {
			_, err := Parse(c.file)
			if err == nil || !strings.Contains(err.Error(), c.want) {
				t.Errorf("got %v, want …%s…", err, c.want)
			}
		})
	}
}

func TestParseTakesWhatOtherProgramsWrite(t *testing.T) {
	for name, b := range map[string][]byte{
		"spaces around":            file("{ \"a\" : "+four+" }   \n", 4),
		"no padding":               file(`{"a":`+four+`}`, 4),
		"keys in another order":    file(`{"a":{"data_offsets":[0,4],"shape":[1],"dtype":"F32"}}`, 4),
		"tensors in another order": file(`{"a":{"dtype":"U8","shape":[2],"data_offsets":[4,6]},"b":`+four+`}`, 6),
		"a tensor without bytes":   file(`{"a":`+four+`,"e":{"dtype":"F32","shape":[0],"data_offsets":[4,4]}}`, 4),
		"one without bytes first":  file(`{"a":`+four+`,"e":{"dtype":"F32","shape":[2,0],"data_offsets":[0,0]}}`, 4),
		"metadata last":            file(`{"a":`+four+`,"__metadata__":{"k":"v"}}`, 4),
	} {
		if _, err := Parse(b); err != nil {
			t.Errorf("%s: %v", name, err)
		}
	}
}

func TestWriteRefuses(t *testing.T) {
	broken := errors.New("broken")
	stream := func(pieces ...int) func(io.Writer) error {
		return func(w io.Writer) error {
			for _, n := range pieces {
				if _, err := w.Write(make([]byte, n)); err != nil {
					return err
				}
			}
			return nil
		}
	}
	for _, c := range []struct {
		reason   string
		metadata map[string]string
		tensors  []Source
		want     string
	}{
		{"a name twice", nil, []Source{pattern("a", "F32", 1), pattern("a", "F32", 2)}, `tensor "a" is there twice`},
		{"a name twice, of two types", nil, []Source{pattern("a", "F32", 1), pattern("b", "F32"), pattern("a", "U8", 2)}, `tensor "a" is there twice`},
		{"the metadata's name", nil, []Source{pattern("__metadata__", "F32", 1)}, "reserved"},
		{"a name in Latin-1", nil, []Source{pattern("a\xe7", "F32", 1)}, "not valid UTF-8"},
		{"metadata in Latin-1", map[string]string{"a": "\xe7"}, nil, `metadata "a": not valid UTF-8`},
		{"an unknown type", nil, []Source{pattern("a", "float32", 1)}, `tensor "a": dtype "float32" is not known`},
		{"a negative dimension", nil, []Source{pattern("a", "F32", -1)}, "negative"},
		{"an overflow", nil, []Source{pattern("a", "F32", 1<<31, 1<<31)}, "overflows"},
		{"an overflow of the sum", nil, []Source{pattern("a", "U8", 1<<62), pattern("b", "U8", 1<<62)}, "together overflow"},
		{"a source that stops early", nil, []Source{{"a", "F32", []int64{2}, stream(4, 3)}}, `tensor "a": its source stopped 1 bytes short of 8`},
		{"a source that goes on", nil, []Source{{"a", "F32", []int64{2}, stream(4, 4, 1)}}, `tensor "a": its source streams more bytes than its shape holds (1 too many)`},
		{"a source that fails", nil, []Source{{"a", "F32", []int64{2}, func(io.Writer) error { return broken }}}, `tensor "a": broken`},
	} {
		t.Run(c.reason, func(t *testing.T) {
			err := Write(io.Discard, c.metadata, c.tensors)
			if err == nil || !strings.Contains(err.Error(), c.want) {
				t.Errorf("got %v, want …%s…", err, c.want)
			}
		})
	}
}

// failingWriter fails after so many bytes.
type failingWriter struct {
	left int
	err  error
}

func (f *failingWriter) Write(b []byte) (int, error) {
	n := min(f.left, len(b))
	if f.left -= n; n < len(b) {
		return n, f.err
	}
	return n, nil
}

func TestWriteReportsTheWritersError(t *testing.T) {
	full := errors.New("full")
	size := len(golden(t, "every_dtype"))
	for left := range size {
		if err := Write(&failingWriter{left, full}, nil, goldens["every_dtype"].tensors); !errors.Is(err, full) {
			t.Fatalf("after %d bytes: got %v", left, err)
		}
	}
}

func TestWhatIsWrittenIsRead(t *testing.T) {
	types := slices.Sorted(func(yield func(string) bool) {
		for name := range dtypes {
			if !yield(name) {
				return
			}
		}
	})
	rapid.Check(t, func(t *rapid.T) {
		names := rapid.SliceOfNDistinct(rapid.String(), 0, 6, rapid.ID).Draw(t, "names")
		metadata := rapid.MapOfN(rapid.String(), rapid.String(), 1, 4).Draw(t, "metadata")
		var sources []Source
		for _, name := range names {
			dtype := rapid.SampledFrom(types).Draw(t, "dtype")
			shape := rapid.SliceOfN(rapid.Int64Range(0, 4), 0, 4).Draw(t, "shape")
			sources = append(sources, pattern(name, dtype, shape...))
		}
		var b bytes.Buffer
		if err := Write(&b, metadata, sources); err != nil {
			t.Fatal(err)
		}
		f, err := Parse(b.Bytes())
		if err != nil {
			t.Fatal(err)
		}
		if diff := cmp.Diff(metadata, f.Metadata()); diff != "" {
			t.Fatal(diff)
		}
		for _, s := range sources {
			info, data, ok := f.Tensor(s.Name)
			if !ok || info.DType != s.DType || !slices.Equal(info.Shape, s.Shape) || !bytes.Equal(data, patternBytes(s.DType, info.Size)) {
				t.Fatalf("%q: got %+v %x", s.Name, info, data)
			}
		}
	})
}

// Whatever the bytes, Parse returns; what it accepts is complete, and survives being written and read again.
func FuzzParse(f *testing.F) {
	for name := range goldens {
		f.Add(golden(f, name))
	}
	f.Add(file(`{"a":`+four+`,"__metadata__":{"k":"v"}}`, 4))
	f.Fuzz(func(t *testing.T, b []byte) {
		parsed, err := Parse(b)
		if err != nil {
			return
		}
		var sources []Source
		total := int64(0)
		for _, name := range parsed.Names() {
			info, data, ok := parsed.Tensor(name)
			if !ok || int64(len(data)) != info.Size {
				t.Fatalf("%q: %+v with %d bytes", name, info, len(data))
			}
			total += info.Size
			sources = append(sources, Source{name, info.DType, info.Shape, func(w io.Writer) error { _, err := w.Write(data); return err }})
		}
		if want := int64(len(b)) - 8 - int64(binary.LittleEndian.Uint64(b)); total != want {
			t.Fatalf("the tensors hold %d of %d bytes", total, want)
		}
		var again bytes.Buffer
		if err := Write(&again, parsed.Metadata(), sources); err != nil {
			t.Fatal(err)
		}
		reread, err := Parse(again.Bytes())
		if err != nil {
			t.Fatal(err)
		}
		for _, s := range sources {
			_, before, _ := parsed.Tensor(s.Name)
			info, after, ok := reread.Tensor(s.Name)
			if !ok || !bytes.Equal(before, after) || fmt.Sprint(info.Shape) != fmt.Sprint(s.Shape) {
				t.Fatalf("%q changed", s.Name)
			}
		}
	})
}
