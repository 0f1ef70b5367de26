// Reading: the header is taken apart token by token, because encoding/json would let a name appear twice.

package safetensors

import (
	"bytes"
	"cmp"
	"encoding/binary"
	"encoding/json"
	"errors"
	"fmt"
	"maps"
	"slices"
	"strconv"
	"unicode/utf8"
)

// File is a parsed file. It aliases the bytes given to Parse.
type File struct {
	bytes    []byte
	tensors  []TensorInfo // by offset
	index    map[string]int
	metadata map[string]string
}

// Parse checks a whole file, usually a mapping, and returns what is in it. It fails unless the header is one JSON object
// with no name twice and no key that the format does not know, each tensor's bytes are as many as its shape and element type
// say, and the tensors fill the data without gap or overlap to the file's last byte. The data is not copied.
func Parse(b []byte) (*File, error) {
	if len(b) < 8 {
		return nil, fmt.Errorf("%d bytes are too short for a safetensors file", len(b))
	}
	length := binary.LittleEndian.Uint64(b)
	if length > maxHeader {
		return nil, fmt.Errorf("the header's length %d is above %d: not a safetensors file", length, maxHeader)
	}
	if length > uint64(len(b)-8) {
		return nil, fmt.Errorf("the header's length is %d, but only %d bytes follow", length, len(b)-8)
	}
	f := &File{bytes: b, index: map[string]int{}}
	if err := f.parseHeader(b[8 : 8+length]); err != nil {
		return nil, fmt.Errorf("header: %w", err)
	}
	if err := f.place(int64(8+length), int64(len(b))); err != nil {
		return nil, err
	}
	return f, nil
}

// Names lists the tensors in the order of their bytes.
func (f *File) Names() []string {
	names := make([]string, len(f.tensors))
	for i, t := range f.tensors {
		names[i] = t.Name
	}
	return names
}

// Tensor returns a tensor's description and its bytes, little-endian, in row-major order; they alias the file's.
func (f *File) Tensor(name string) (TensorInfo, []byte, bool) {
	i, ok := f.index[name]
	if !ok {
		return TensorInfo{}, nil, false
	}
	t := f.tensors[i]
	t.Shape = slices.Clone(t.Shape)
	return t, f.bytes[t.Offset : t.Offset+t.Size : t.Offset+t.Size], true
}

// Metadata returns a copy of the header's free text, by key.
func (f *File) Metadata() map[string]string { return maps.Clone(f.metadata) }

// place turns offsets in the data into offsets in the file, and checks that the tensors fill it.
func (f *File) place(start, end int64) error {
	slices.SortFunc(f.tensors, func(a, b TensorInfo) int {
		return cmp.Or(cmp.Compare(a.Offset, b.Offset), cmp.Compare(a.Size, b.Size), cmp.Compare(a.Name, b.Name))
	})
	at := int64(0)
	for i := range f.tensors {
		t := &f.tensors[i]
		if t.Offset != at {
			return fmt.Errorf("tensor %q begins at byte %d of the data, want %d", t.Name, t.Offset, at)
		}
		if t.Size > end-start-at {
			return fmt.Errorf("tensor %q ends at byte %d of the data, which has %d", t.Name, t.Offset+t.Size, end-start)
		}
		at += t.Size
		t.Offset += start
		f.index[t.Name] = i
	}
	if start+at != end {
		return fmt.Errorf("%d bytes after the last tensor", end-start-at)
	}
	return nil
}

func (f *File) parseHeader(header []byte) error {
	if !utf8.Valid(header) {
		return errors.New("not valid UTF-8")
	}
	if len(header) == 0 || header[0] != '{' {
		return errors.New("not a JSON object")
	}
	if !json.Valid(header) { // from here on the token stream is well-formed
		return errors.New("not valid JSON")
	}
	p := parser{json.NewDecoder(bytes.NewReader(header))}
	p.UseNumber()
	return p.object("header", func(name string) error {
		if name == metadataKey {
			return f.parseMetadata(p)
		}
		t, err := p.tensor()
		if err != nil {
			return fmt.Errorf("tensor %q: %w", name, err)
		}
		t.Name = name
		f.tensors = append(f.tensors, t)
		return nil
	})
}

func (f *File) parseMetadata(p parser) error {
	f.metadata = map[string]string{}
	return p.object(metadataKey, func(key string) error {
		token, err := p.Token()
		if err != nil {
			return err
		}
		text, ok := token.(string)
		if !ok {
			return fmt.Errorf("%s: %q is not a string", metadataKey, key)
		}
		f.metadata[key] = text
		return nil
	})
}

// parser reads from a header that is known to be valid JSON.
type parser struct{ *json.Decoder }

// object calls value for each key, when the value is what comes next.
func (p parser) object(what string, value func(key string) error) error {
	if token, err := p.Token(); err != nil || token != json.Delim('{') {
		return fmt.Errorf("%s is not an object", what)
	}
	seen := map[string]bool{}
	for p.More() {
		token, err := p.Token()
		if err != nil {
			return err
		}
		key := token.(string)
		if seen[key] {
			return fmt.Errorf("%q is there twice", key)
		}
		seen[key] = true
		if err := value(key); err != nil {
			return err
		}
	}
	_, err := p.Token()
	return err
}

func (p parser) tensor() (t TensorInfo, err error) {
	var offsets []int64
	var missing = map[string]bool{"dtype": true, "shape": true, "data_offsets": true}
	err = p.object("the entry", func(key string) (err error) {
		delete(missing, key)
		switch key {
		case "dtype":
			token, err := p.Token()
			text, ok := token.(string)
			if err != nil || !ok {
				return errors.New("dtype is not a string")
			}
			t.DType = text
		case "shape":
			t.Shape, err = p.integers(key)
		case "data_offsets":
			offsets, err = p.integers(key)
		default:
			return fmt.Errorf("key %q is not known", key)
		}
		return err
	})
	if err != nil {
		return t, err
	}
	for _, key := range []string{"dtype", "shape", "data_offsets"} {
		if missing[key] {
			return t, fmt.Errorf("%s is missing", key)
		}
	}
	if len(offsets) != 2 || offsets[0] > offsets[1] {
		return t, fmt.Errorf("data_offsets %v are not a begin and an end", offsets)
	}
	if t.Size, err = ByteSize(t.DType, t.Shape); err != nil {
		return t, err
	}
	if t.Offset = offsets[0]; offsets[1]-offsets[0] != t.Size {
		return t, fmt.Errorf("data_offsets hold %d bytes, %s of shape %v takes %d", offsets[1]-offsets[0], t.DType, t.Shape, t.Size)
	}
	return t, nil
}

// integers reads an array of whole numbers from 0 to 2^63-1, written as such.
func (p parser) integers(what string) ([]int64, error) {
	if token, err := p.Token(); err != nil || token != json.Delim('[') {
		return nil, fmt.Errorf("%s is not an array", what)
	}
	list := []int64{}
	for p.More() {
		token, err := p.Token()
		if err != nil {
			return nil, err
		}
		number, ok := token.(json.Number)
		if !ok {
			return nil, fmt.Errorf("%s holds something that is not a number", what)
		}
		n, err := strconv.ParseUint(number.String(), 10, 63)
		if err != nil {
			return nil, fmt.Errorf("%s holds %s, want a whole number from 0 to 2^63-1", what, number)
		}
		list = append(list, int64(n))
	}
	_, err := p.Token()
	return list, err
}
