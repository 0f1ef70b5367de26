// A Record as one line of JSON: fields in the order given, numbers that read back to the same bits.

package monitor

import (
	"bytes"
	"encoding/json"
	"fmt"
	"math"
	"reflect"
	"slices"
	"strconv"
)

// appendLine appends r as one JSON object and a newline: event, step, the fields, time.
func appendLine(dst []byte, r Record) ([]byte, error) {
	fields := append([]Field{{"event", r.Event}, {"step", r.Step}}, r.Fields...)
	if !r.Time.IsZero() {
		fields = append(fields, Field{"time", r.Time.UTC().Format("2006-01-02T15:04:05.000Z")})
	}
	dst, err := appendObject(dst, fields)
	if err != nil {
		return nil, err
	}
	return append(dst, '\n'), nil
}

func appendObject(dst []byte, fields []Field) ([]byte, error) {
	dst = append(dst, '{')
	for i, f := range fields {
		if i > 0 {
			dst = append(dst, ',')
		}
		dst = appendString(dst, f.Name)
		dst = append(dst, ':')
		var err error
		if dst, err = appendValue(dst, f.Value); err != nil {
			return nil, fmt.Errorf("field %s: %w", f.Name, err)
		}
	}
	return append(dst, '}'), nil
}

func appendValue(dst []byte, value any) ([]byte, error) {
	if fields, ok := value.([]Field); ok {
		return appendObject(dst, fields)
	}
	v := reflect.ValueOf(value)
	switch v.Kind() {
	case reflect.Invalid:
		return append(dst, "null"...), nil
	case reflect.Bool:
		return strconv.AppendBool(dst, v.Bool()), nil
	case reflect.String:
		return appendString(dst, v.String()), nil
	case reflect.Int, reflect.Int8, reflect.Int16, reflect.Int32, reflect.Int64:
		return strconv.AppendInt(dst, v.Int(), 10), nil
	case reflect.Uint, reflect.Uint8, reflect.Uint16, reflect.Uint32, reflect.Uint64:
		return strconv.AppendUint(dst, v.Uint(), 10), nil
	case reflect.Float32, reflect.Float64:
		return appendFloat(dst, v.Float(), v.Type().Bits()), nil
	case reflect.Slice, reflect.Array:
		return appendArray(dst, v)
	case reflect.Map:
		if v.Type().Key().Kind() == reflect.String {
			return appendMap(dst, v)
		}
	}
	return nil, fmt.Errorf("a %T cannot be recorded", value)
}

func appendArray(dst []byte, v reflect.Value) ([]byte, error) {
	dst = append(dst, '[')
	for i := range v.Len() {
		if i > 0 {
			dst = append(dst, ',')
		}
		var err error
		if dst, err = appendValue(dst, v.Index(i).Interface()); err != nil {
			return nil, err
		}
	}
	return append(dst, ']'), nil
}

// appendMap sorts the keys: the same values give the same bytes.
func appendMap(dst []byte, v reflect.Value) ([]byte, error) {
	var fields []Field
	for _, key := range v.MapKeys() {
		fields = append(fields, Field{key.String(), v.MapIndex(key).Interface()})
	}
	slices.SortFunc(fields, func(a, b Field) int { return bytes.Compare([]byte(a.Name), []byte(b.Name)) })
	return appendObject(dst, fields)
}

// appendFloat writes the shortest decimal that reads back to the same bits. JSON has no NaN and no infinity: they become
// the strings of protobuf's JSON mapping, which strconv.ParseFloat, Python's float and JavaScript's Number all read.
func appendFloat(dst []byte, x float64, bits int) []byte {
	switch {
	case math.IsNaN(x):
		return append(dst, `"NaN"`...)
	case math.IsInf(x, 1):
		return append(dst, `"Infinity"`...)
	case math.IsInf(x, -1):
		return append(dst, `"-Infinity"`...)
	case x == 0 && math.Signbit(x):
		return append(dst, "-0.0"...) // a reader that takes -0 for an integer loses the sign
	case math.Abs(x) >= 1 && math.Abs(x) < 1e21:
		return strconv.AppendFloat(dst, x, 'f', -1, bits) // 1234567, not 1.234567e+06
	}
	return strconv.AppendFloat(dst, x, 'g', -1, bits)
}

// appendString writes UTF-8 as it is; only what JSON forbids is escaped, and bytes that are not UTF-8 become U+FFFD.
func appendString(dst []byte, s string) []byte {
	var b bytes.Buffer
	encoder := json.NewEncoder(&b)
	encoder.SetEscapeHTML(false)
	if err := encoder.Encode(s); err != nil {
		panic(err) // a string always encodes
	}
	return append(dst, bytes.TrimSuffix(b.Bytes(), []byte("\n"))...)
}
