package monitor

import (
	"encoding/json"
	"math"
	"reflect"
	"strconv"
	"strings"
	"testing"

	"pgregory.net/rapid"
)

func TestLineGolden(t *testing.T) {
	type named string
	tests := []struct {
		name   string
		record Record
		want   string
	}{
		{"fields stand in the order given, event and step before, time behind",
			Record{"train", 10, at, []Field{{"loss", 3.25}, {"epoch", 0.5}}},
			`{"event":"train","step":10,"loss":3.25,"epoch":0.5,"time":"2026-01-02T15:04:05.678Z"}`},
		{"no time, no field", Record{Event: "run"}, `{"event":"run","step":0}`},
		{"small and large numbers", Record{Event: "e", Fields: []Field{
			{"a", 5e-5}, {"b", 0.00012}, {"c", 1234567.0}, {"d", 65536.0}, {"e", 1e21}, {"f", 0.1}, {"g", float32(0.1)},
			{"h", math.Copysign(0, -1)}, {"i", 0.0}, {"j", int64(math.MinInt64)}, {"k", uint64(math.MaxUint64)}}},
			`{"event":"e","step":0,"a":5e-05,"b":0.00012,"c":1234567,"d":65536,"e":1e+21,"f":0.1,"g":0.1,"h":-0.0,"i":0,` +
				`"j":-9223372036854775808,"k":18446744073709551615}`},
		{"what JSON has no number for", Record{Event: "e", Fields: []Field{
			{"a", math.NaN()}, {"b", math.Inf(1)}, {"c", math.Inf(-1)}, {"d", float32(math.Inf(1))}}},
			`{"event":"e","step":0,"a":"NaN","b":"Infinity","c":"-Infinity","d":"Infinity"}`},
		{"text is UTF-8, escaped only where JSON must", Record{Event: "e", Fields: []Field{
			{"a", "ação <b> & 'é' 😀"}, {"b", "\"\\\n\t\x00\x1b"}, {"c", "a\xffb"}, {"ação", named("x")}}},
			`{"event":"e","step":0,"a":"ação <b> & 'é' 😀","b":"\"\\\n\t\u0000\u001b","c":"a` + "\\ufffd" + `b","ação":"x"}`},
		{"objects, arrays, null", Record{Event: "e", Fields: []Field{
			{"weights", []Field{{"zebra", 0.75}, {"ant", 0.25}}}, {"map", map[string]any{"b": 1, "a": nil}},
			{"list", []float64{1, 2.5}}, {"mixed", []any{"x", true, []string{}}}, {"none", nil}, {"empty", []Field{}}}},
			`{"event":"e","step":0,"weights":{"zebra":0.75,"ant":0.25},"map":{"a":null,"b":1},"list":[1,2.5],` +
				`"mixed":["x",true,[]],"none":null,"empty":{}}`},
	}
	for _, test := range tests {
		t.Run(test.name, func(t *testing.T) {
			got, err := appendLine(nil, test.record)
			if err != nil {
				t.Fatal(err)
			}
			if string(got) != test.want+"\n" {
				t.Errorf("got  %swant %s", got, test.want)
			}
			if !json.Valid(got) {
				t.Error("not JSON")
			}
		})
	}
}

func TestLineNamesTheFieldItCannotWrite(t *testing.T) {
	for want, value := range map[string]any{
		"field x: a chan int cannot be recorded":            make(chan int),
		"field x: a map[int]string cannot be recorded":      map[int]string{},
		"field x: field y: a func() cannot be recorded":     []Field{{"y", func() {}}},
		"field x: a struct { A int } cannot be recorded":    []any{struct{ A int }{}},
		"field x: field k: a complex128 cannot be recorded": map[string]any{"k": 1i},
	} {
		_, err := appendLine(nil, Record{Fields: []Field{{"x", value}}})
		if err == nil || err.Error() != want {
			t.Errorf("got %v, want %s", err, want)
		}
	}
}

func TestNumbersReadBackToTheSameBits(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		x := math.Float64frombits(rapid.Uint64().Draw(t, "float64 bits"))
		y := math.Float32frombits(rapid.Uint32().Draw(t, "float32 bits"))
		n := rapid.Int64().Draw(t, "int64")
		line, err := appendLine(nil, Record{Step: n, Fields: []Field{{"x", x}, {"y", y}}})
		if err != nil {
			t.Fatal(err)
		}
		var back struct {
			Step int64
			X, Y any
		}
		decoder := json.NewDecoder(strings.NewReader(string(line)))
		decoder.UseNumber()
		if err := decoder.Decode(&back); err != nil {
			t.Fatalf("%s: %v", line, err)
		}
		if got := parse(t, back.X, 64); math.Float64bits(got) != math.Float64bits(x) && !math.IsNaN(x) {
			t.Fatalf("%s: %x became %x", line, math.Float64bits(x), math.Float64bits(got))
		}
		if got := float32(parse(t, back.Y, 32)); math.Float32bits(got) != math.Float32bits(y) && y == y {
			t.Fatalf("%s: %x became %x", line, math.Float32bits(y), math.Float32bits(got))
		}
		if back.Step != n {
			t.Fatalf("%s: step %d", line, n)
		}
	})
}

// parse reads a number as docs/format.md says: a JSON number, or the string NaN, Infinity or -Infinity.
func parse(t *rapid.T, value any, bits int) float64 {
	x, err := strconv.ParseFloat(reflect.ValueOf(value).String(), bits)
	if err != nil {
		t.Fatal(err)
	}
	return x
}

func TestTextReadsBack(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		name, text := rapid.String().Draw(t, "name"), rapid.String().Draw(t, "text")
		line, err := appendLine(nil, Record{Fields: []Field{{"o", []Field{{name, text}}}}})
		if err != nil {
			t.Fatal(err)
		}
		var back struct{ O map[string]string }
		if err := json.Unmarshal(line, &back); err != nil || len(back.O) != 1 || back.O[name] != text {
			t.Fatalf("%q: %q became %v (%v)", line, text, back.O, err)
		}
		if strings.Count(string(line), "\n") != 1 {
			t.Fatalf("%q is not one line", line)
		}
	})
}
