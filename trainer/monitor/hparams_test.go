package monitor

import (
	"bytes"
	"fmt"
	"math"
	"slices"
	"sort"
	"strings"
	"testing"

	"google.golang.org/protobuf/encoding/protowire"

	"frugal/trainer/internal/vfs"
)

func describeHistogram(t *testing.T, histogram []byte) (text string) {
	t.Helper()
	fields(t, histogram, func(field protowire.Number, x uint64, data []byte) {
		if field == histogramNum {
			text = fmt.Sprint(math.Float64frombits(x), " elements")
		}
	})
	return text
}

// describeHParams is what a Value's metadata tell the HPARAMS tab: key:value,… or success or failure.
func describeHParams(t *testing.T, meta []byte) string {
	t.Helper()
	var pairs []string
	visit := func(inside map[protowire.Number]func([]byte)) func(protowire.Number, uint64, []byte) {
		return func(field protowire.Number, _ uint64, data []byte) {
			if next, ok := inside[field]; ok && data != nil {
				next(data)
			}
		}
	}
	start := func(data []byte) {
		fields(t, data, visit(map[protowire.Number]func([]byte){startHParams: func(entry []byte) {
			var key, value string
			fields(t, entry, func(field protowire.Number, _ uint64, data []byte) {
				if field == mapKey {
					key = string(data)
					return
				}
				fields(t, data, func(field protowire.Number, x uint64, data []byte) {
					value = map[protowire.Number]string{numberValue: fmt.Sprint(math.Float64frombits(x)), stringValue: fmt.Sprintf("%q", data), boolean: fmt.Sprint(x == 1)}[field]
				})
			})
			pairs = append(pairs, key+":"+value)
		}}))
	}
	end := func(data []byte) {
		fields(t, data, func(field protowire.Number, x uint64, _ []byte) {
			if field == endStatus {
				pairs = append(pairs, map[uint64]string{statusSuccess: "success", statusFailure: "failure"}[x])
			}
		})
	}
	fields(t, meta, visit(map[protowire.Number]func([]byte){metaPlugin: func(plugin []byte) {
		fields(t, plugin, visit(map[protowire.Number]func([]byte){pluginContent: func(content []byte) {
			fields(t, content, visit(map[protowire.Number]func([]byte){hparamsStart: start, hparamsEnd: end}))
		}}))
	}}))
	return strings.Join(pairs, ",")
}

// histogramOf counts values.
func histogramOf(values ...float64) Histogram {
	limits := HistogramLimits()
	h := Histogram{Min: math.Inf(1), Max: math.Inf(-1), Counts: make([]float64, len(limits)+1)}
	for _, x := range values {
		h.Min, h.Max, h.Sum, h.SumSquares = min(h.Min, x), max(h.Max, x), h.Sum+x, h.SumSquares+x*x
		h.Counts[sort.Search(len(limits), func(i int) bool { return limits[i] > x })]++
	}
	return h
}

// What a session says of its beginning and end lies past the step that it begins or ends at, so that whatever a later session
// goes on from, it stands there once.
func TestResumedRunIsOneSessionWithTheLastOnesEnd(t *testing.T) {
	disk := vfs.NewMem()
	session := func(resume, from, to int64, status string) {
		sink := openBoard(t, disk, resume)
		sink.Write(Record{Event: "run", Step: from, Time: at, Fields: []Field{{"status", "started"}, {"config", map[string]any{"seed": 42}}}})
		sink.Write(Record{Event: "sample", Step: to, Time: at, Fields: []Field{{"prompt", "a"}, {"text", "ab"}}})
		sink.Write(Record{Event: "histogram", Step: to, Time: at, Fields: []Field{{"weights/w", histogramOf(1)}}})
		if status != "" {
			sink.Write(Record{Event: "run", Step: to, Time: at, Fields: []Field{{"status", status}}})
		}
	}
	session(-1, 0, 20, "stopped")
	session(20, 20, 30, "")
	session(20, 20, 40, "")
	session(20, 20, 40, "complete")
	session(40, 40, 50, "complete")
	const config, hparams = `config="    {\n      \"seed\": 42\n    }"`, "_hparams_/session_start_info=seed:42"
	sample, histogram := `generation/prompt_0_sample_0="> a\n\nab"`, "weights/w=1 elements"
	want := []string{
		"0 brain.Event:2", "0 start", "0 " + config + " " + hparams, "20 " + sample, "20 " + histogram,
		"0 brain.Event:2", "21 start", "0 brain.Event:2", "21 start",
		"0 brain.Event:2", "21 start", "21 " + config + " " + hparams, "40 " + sample, "40 " + histogram,
		"0 brain.Event:2", "41 start", "41 " + config + " " + hparams, "50 " + sample, "50 " + histogram, "51 _hparams_/session_end_info=success",
	}
	if got := readEvents(t, disk, "logs"); !slices.Equal(got, want) {
		t.Errorf("got\n%s\nwant\n%s", strings.Join(got, "\n"), strings.Join(want, "\n"))
	}
}

func TestOnlyTensorBoardGetsHistograms(t *testing.T) {
	disk, other := vfs.NewMem(), &fakeSink{}
	m := New(logTo(&bytes.Buffer{}), other, openMetrics(t, disk, -1), openBoard(t, disk, -1))
	m.Record(Record{Event: "histogram", Step: 1, Fields: []Field{{"weights/w", histogramOf(1, 2)}}})
	m.Close()
	if len(other.got) != 0 || read(t, disk, metricsPath) != "" {
		t.Errorf("another sink got %v, metrics.jsonl %q", other.got, read(t, disk, metricsPath))
	}
	if got := readEvents(t, disk, "logs"); !slices.Contains(got, "1 weights/w=2 elements") {
		t.Errorf("TensorBoard got %q", got)
	}
}
