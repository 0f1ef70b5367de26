package main

import (
	"encoding/binary"
	"hash/crc32"
	"math"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	"index/suffixarray"

	"google.golang.org/protobuf/encoding/protowire"
)

func write(t *testing.T, name string, content []byte) string {
	t.Helper()
	path := filepath.Join(t.TempDir(), name)
	if err := os.WriteFile(path, content, 0o666); err != nil {
		t.Fatal(err)
	}
	return path
}

func near(t *testing.T, what string, got, want float64) {
	t.Helper()
	if !(math.Abs(got-want) <= 1e-9*math.Max(1, math.Abs(want))) {
		t.Errorf("%s: %v, want %v", what, got, want)
	}
}

func TestSectionsJoinShortPieces(t *testing.T) {
	long := strings.Repeat("x", minSection)
	got := sectionsOf("head\n" + separator + "\n" + long + "\n" + separator + "\n" + long + "\n" + separator + "\ntail\n" + separator + "\n")
	if want := []string{"head\n\n" + long, long + "\n\ntail"}; !slices.Equal(got, want) {
		t.Errorf("%q", got)
	}
}

func TestSplitHoldsOutEachNth(t *testing.T) {
	var pieces []string
	for _, c := range "abcdefgh" {
		pieces = append(pieces, strings.Repeat(string(c), minSection))
	}
	dir := t.TempDir()
	in, train, eval := write(t, "in.txt", []byte(strings.Join(pieces, separator))), filepath.Join(dir, "train"), filepath.Join(dir, "eval")
	if err := dispatch([]string{"split", "-every", "4", "-train", train, "-eval", eval, in}, nil); err != nil {
		t.Fatal(err)
	}
	held, err := bare(eval)
	if err != nil || string(held) != pieces[2]+"\x00"+pieces[6] {
		t.Errorf("held out %.20q…, %v", held, err)
	}
	kept, err := bare(train)
	if err != nil || len(kept) != 6*minSection+5 {
		t.Errorf("%d bytes to train on, %v", len(kept), err)
	}
}

func TestGramsPredictByWittenBell(t *testing.T) {
	// Of "aab": n = 3, t = 2; P(a) = (2 + 2/256) / 5, and after "a", whose followers are a and b, P(b | a) = (1 + 2 P(b)) / 4.
	a, b := (2+2.0/256)/5, (1+2.0/256)/5
	near(t, "unigrams", newGrams([]byte("aab"), 1).bitsPerByte([]byte("ab")), -(math.Log2(a)+math.Log2(b))/2)
	near(t, "bigrams", newGrams([]byte("aab"), 2).bitsPerByte([]byte("ab")), -(math.Log2(a)+math.Log2((1+2*b)/4))/2)
}

func TestLongestKnownKeepsCharactersWhole(t *testing.T) {
	known := suffixarray.New([]byte("a instalação do sistema"))
	for text, want := range map[string]string{"uma instalação é": "a instalação ", "zzz": "", "sistema": "sistema", "ç": "ç"} {
		if got := longestKnown(text, known); got != want {
			t.Errorf("%q: %q, want %q", text, got, want)
		}
	}
}

func TestSeriesTakesWhatWasDoneAgain(t *testing.T) {
	dir := filepath.Dir(write(t, "metrics.jsonl", []byte(`{"event":"train","step":1,"loss":3}
{"event":"train","step":2,"loss":2}
{"event":"eval","step":2,"loss":9}
{"event":"train","step":2,"loss":"NaN"}
{"event":"train","step":3,"loss":1}
`)))
	run, err := openRun(dir)
	if err != nil {
		t.Fatal(err)
	}
	s := run.series("train/loss")
	if !slices.Equal(s.steps, []int{1, 2, 3}) || s.values[0] != 3 || !math.IsNaN(s.values[1]) || s.values[2] != 1 {
		t.Errorf("%v", s)
	}
	near(t, "mean before step 1", s.before(1, 5), 3)
}

// record frames an event as docs/format.md says.
func record(data []byte) []byte {
	masked := func(b []byte) uint32 {
		crc := crc32.Checksum(b, castagnoli)
		return (crc>>15 | crc<<17) + 0xa282ead8
	}
	out := binary.LittleEndian.AppendUint64(nil, uint64(len(data)))
	out = binary.LittleEndian.AppendUint32(out, masked(out))
	return binary.LittleEndian.AppendUint32(append(out, data...), masked(data))
}

// histogramEvent is of one value: counts below the limits.
func histogramEvent(step int, tag string, limits, counts []float64, sumSquares float64) []byte {
	field := func(b []byte, n protowire.Number, data []byte) []byte {
		return protowire.AppendBytes(protowire.AppendTag(b, n, protowire.BytesType), data)
	}
	double := func(b []byte, n protowire.Number, x float64) []byte {
		return protowire.AppendFixed64(protowire.AppendTag(b, n, protowire.Fixed64Type), math.Float64bits(x))
	}
	packed := func(list []float64) (b []byte) {
		for _, x := range list {
			b = protowire.AppendFixed64(b, math.Float64bits(x))
		}
		return b
	}
	num := 0.0
	for _, n := range counts {
		num += n
	}
	h := double(double(nil, histogramNum, num), histogramSumSquares, sumSquares)
	h = field(field(h, histogramLimit, packed(limits)), histogramN, packed(counts))
	value := field(field(nil, valueTag, []byte(tag)), valueHistogram, h)
	event := protowire.AppendVarint(protowire.AppendTag(nil, eventStep, protowire.VarintType), uint64(step))
	return record(field(event, eventSummary, field(nil, summaryValue, value)))
}

func TestHistogramsAreReadFromEventFiles(t *testing.T) {
	content := histogramEvent(5, "weights/w", []float64{-0.02, -0.01, 0.1, 0.2}, []float64{0, 1, 0, 3}, 16)
	content = append(content, histogramEvent(10, "weights/w", []float64{0, 1}, []float64{0, 1}, 9)...)
	half := histogramEvent(15, "weights/w", []float64{0, 1}, []float64{0, 1}, 1)
	dir := filepath.Dir(write(t, "events.out.tfevents.1", append(content, half[:len(half)-3]...)))
	all, err := readHistories(dir)
	if err != nil {
		t.Fatal(err)
	}
	h := all["weights/w"]
	if h == nil || !slices.Equal(h.steps, []int{5, 10}) {
		t.Fatalf("%+v", h)
	}
	near(t, "root mean square", h.of[0].rms(), 2)
	// |x| 0.015, a quarter of them, and 0.15.
	if got := h.of[0].magnitudes(-2, 0.5, 4); !slices.Equal(got, []float64{0.25, 0, 0.75, 0}) {
		t.Errorf("shares by magnitude: %v", got)
	}
	damaged := slices.Clone(content)
	damaged[20] ^= 1
	if err := readEvents(damaged, map[string]*history{}); err == nil {
		t.Error("a damaged record was read")
	}
}

func TestAlarmsSayWhenARunLeavesItsRange(t *testing.T) {
	var loss, norm series
	for step := 1; step <= 100; step++ {
		loss.steps, norm.steps = append(loss.steps, step), append(norm.steps, step)
		l, n := 3.0, 1.0
		if step >= 80 {
			l, n = 4, 3.5
		}
		loss.values, norm.values = append(loss.values, l), append(norm.values, n)
	}
	if step, ok := risen(loss, 10, 0.35); !ok || step != 83 {
		t.Errorf("loss: step %d, %v; want 83: four of ten values are 1 higher", step, ok)
	}
	if step, ok := leapt(norm, 50, 3); !ok || step != 80 {
		t.Errorf("norm: step %d, %v; want 80", step, ok)
	}
	if _, ok := risen(loss, 10, 1.5); ok {
		t.Error("a loss that rose by 1 rose by 1.5")
	}
	rising := func(values ...float64) *history {
		h := &history{}
		for i, x := range values {
			h.steps, h.of = append(h.steps, 5*(i+1)), append(h.of, histogram{num: 1, sumSquares: x * x})
		}
		return h
	}
	all := map[string]*history{"weights/a.weight": rising(1, 1.2, 1.4, 1.6), "weights/ln_f.weight": rising(1, 9, 9, 9), "gradients/a.weight": rising(1, 9, 9, 9)}
	if step, ok := grown(all, 15, 1.5); !ok || step != 20 {
		t.Errorf("weights: step %d, %v; want 20", step, ok)
	}
	if step, ok := starved(rising(1, 0.001, 1, 0.001, 0.001, 0.001), rising(1, 1, 1, 1, 1, 1), 10, 0.01); !ok || step != 30 {
		t.Errorf("starved: step %d, %v; want 30", step, ok)
	}
}
