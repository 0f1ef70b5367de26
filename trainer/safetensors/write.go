// Writing: the bytes are those of the reference implementation (safetensors 0.8) for the same tensors.

package safetensors

import (
	"cmp"
	"encoding/binary"
	"errors"
	"fmt"
	"io"
	"maps"
	"slices"
	"strconv"
	"unicode/utf8"
)

// Source is a tensor to be written.
type Source struct {
	Name  string
	DType string  // one of BOOL U8 I8 F8_E5M2 F8_E4M3 I16 U16 F16 BF16 I32 U32 F32 F64 I64 U64
	Shape []int64 // empty for a scalar
	// Write streams the tensor's bytes, little-endian, row-major: as many as Shape and DType say, in pieces of any size.
	Write func(w io.Writer) error
}

// Write writes a file: the header, then each source in turn, those with the widest element type first and by name among
// equals, whatever their order in tensors. The result is a function of the arguments alone: metadata is written by key. It
// fails before the first byte for a name given twice or reserved, text that is not UTF-8, and an impossible shape or element
// type; and while writing where a source fails or streams a wrong number of bytes. w is handed the pieces as they come:
// buffer it.
func Write(w io.Writer, metadata map[string]string, tensors []Source) error {
	sorted, sizes, err := sortSources(tensors)
	if err != nil {
		return err
	}
	header, err := marshalHeader(metadata, sorted, sizes)
	if err != nil {
		return err
	}
	if _, err := w.Write(header); err != nil {
		return fmt.Errorf("header: %w", err)
	}
	for i, t := range sorted {
		counted := &exactWriter{w: w, left: sizes[i]}
		if err := t.Write(counted); err != nil {
			return fmt.Errorf("tensor %q: %w", t.Name, err)
		}
		if counted.left != 0 {
			return fmt.Errorf("tensor %q: its source stopped %d bytes short of %d", t.Name, counted.left, sizes[i])
		}
	}
	return nil
}

// sortSources checks the tensors and returns them in file order with their sizes in bytes.
func sortSources(tensors []Source) ([]Source, []int64, error) {
	sorted := slices.Clone(tensors)
	slices.SortFunc(sorted, func(a, b Source) int {
		return cmp.Or(cmp.Compare(dtypes[b.DType].order, dtypes[a.DType].order), cmp.Compare(a.Name, b.Name))
	})
	sizes := make([]int64, len(sorted))
	seen := make(map[string]bool, len(sorted))
	for i, t := range sorted {
		switch {
		case seen[t.Name]:
			return nil, nil, fmt.Errorf("tensor %q is there twice", t.Name)
		case t.Name == metadataKey:
			return nil, nil, fmt.Errorf("tensor %q: the name is reserved", t.Name)
		case !utf8.ValidString(t.Name):
			return nil, nil, fmt.Errorf("tensor %q: the name is not valid UTF-8", t.Name)
		}
		seen[t.Name] = true
		var err error
		if sizes[i], err = ByteSize(t.DType, t.Shape); err != nil {
			return nil, nil, fmt.Errorf("tensor %q: %w", t.Name, err)
		}
	}
	return sorted, sizes, nil
}

// marshalHeader returns the length and the header, padded with spaces so that the data begins at a multiple of 8.
func marshalHeader(metadata map[string]string, sorted []Source, sizes []int64) ([]byte, error) {
	b := append(make([]byte, 8), '{') // the length comes last
	if metadata != nil {
		b = append(b, `"`+metadataKey+`":{`...)
		for i, key := range slices.Sorted(maps.Keys(metadata)) {
			if !utf8.ValidString(key) || !utf8.ValidString(metadata[key]) {
				return nil, fmt.Errorf("metadata %q: not valid UTF-8", key)
			}
			b = appendSeparator(b, i)
			b = append(appendString(b, key), ':')
			b = appendString(b, metadata[key])
		}
		b = append(b, '}')
	}
	offset := int64(0)
	for i, t := range sorted {
		if i > 0 || metadata != nil {
			b = append(b, ',')
		}
		b = append(appendString(b, t.Name), `:{"dtype":"`...)
		b = append(append(b, t.DType...), `","shape":`...)
		b = append(appendIntegers(b, t.Shape...), `,"data_offsets":`...)
		end := offset + sizes[i]
		if end < offset {
			return nil, errors.New("the tensors together overflow the number of bytes")
		}
		b = append(appendIntegers(b, offset, end), '}')
		offset = end
	}
	b = append(b, '}')
	for len(b)%8 != 0 {
		b = append(b, ' ')
	}
	if len(b)-8 > maxHeader {
		return nil, fmt.Errorf("a header of %d bytes is above the limit of %d", len(b)-8, maxHeader)
	}
	binary.LittleEndian.PutUint64(b, uint64(len(b)-8))
	return b, nil
}

func appendSeparator(b []byte, i int) []byte {
	if i > 0 {
		b = append(b, ',')
	}
	return b
}

func appendIntegers(b []byte, list ...int64) []byte {
	b = append(b, '[')
	for i, n := range list {
		b = strconv.AppendInt(appendSeparator(b, i), n, 10)
	}
	return append(b, ']')
}

// appendString quotes as the reference implementation does: encoding/json would also escape <, >, &, U+2028 and U+2029.
func appendString(b []byte, s string) []byte {
	short := map[byte]byte{'"': '"', '\\': '\\', '\b': 'b', '\f': 'f', '\n': 'n', '\r': 'r', '\t': 't'}
	b = append(b, '"')
	for i := range len(s) {
		switch c := s[i]; {
		case short[c] != 0:
			b = append(b, '\\', short[c])
		case c < ' ':
			b = fmt.Appendf(b, `\u%04x`, c)
		default:
			b = append(b, c)
		}
	}
	return append(b, '"')
}

// exactWriter refuses a write past the expected end, so that no tensor's bytes run into the next one's.
type exactWriter struct {
	w    io.Writer
	left int64
}

func (e *exactWriter) Write(b []byte) (int, error) {
	if int64(len(b)) > e.left {
		return 0, fmt.Errorf("its source streams more bytes than its shape holds (%d too many)", int64(len(b))-e.left)
	}
	n, err := e.w.Write(b)
	e.left -= int64(n)
	return n, err
}
