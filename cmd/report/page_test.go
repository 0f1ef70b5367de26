package main

// The page: it agrees with the metrics, stays small, and fetches nothing.

import (
	"encoding/json"
	"fmt"
	"math"
	"os"
	"path/filepath"
	"regexp"
	"slices"
	"strconv"
	"strings"
	"testing"
	"time"
)

// writePage returns the page of these runs.
func writePage(t *testing.T, runs ...*run) string {
	t.Helper()
	nameRuns(runs)
	path := filepath.Join(t.TempDir(), "report.html")
	o := options{html: path, smoothing: 0.6, now: time.Date(2026, 1, 2, 15, 4, 0, 0, time.UTC)}
	if err := writeReport(o, runs, must(compare(runs))(t), nil, &strings.Builder{}); err != nil {
		t.Fatal(err)
	}
	return string(must(os.ReadFile(path))(t))
}

// hostile is a run whose texts would be markup if one was not escaped.
func hostile(t *testing.T) *run {
	t.Helper()
	const markup = `</script><img src="http://example.com/x.png" onerror=alert(1)>`
	var m metrics
	m.started(0, map[string]any{"model_name": markup})
	m.line("train", 10, "loss", 2.5, "curriculum_weights", map[string]any{markup: 1})
	m.line("sample", 10, "prompt", markup, "text", markup+"<!--")
	m.line("run", 10, "status", "stopped", "reason", markup)
	return m.in(t, "<img src=x>")
}

func TestPageFetchesNothing(t *testing.T) {
	page := writePage(t, hostile(t))
	// What a browser takes for elements: scripts and styles end at the first "</", which nothing inside them holds.
	outside := regexp.MustCompile(`(?s)<(script|style)[^>]*>.*?</(script|style)`).ReplaceAllString(page, "<$1></$1")
	elements := regexp.MustCompile(`<[a-zA-Z!][^>]*>`).FindAllString(outside, -1)
	for _, element := range elements {
		name := regexp.MustCompile(`^<[a-zA-Z]*`).FindString(element)
		switch name {
		case "<img", "<iframe", "<object", "<embed", "<audio", "<video", "<base", "<form", "<a":
			t.Errorf("%s is in the page", element)
		}
		names := regexp.MustCompile(`"[^"]*"`).ReplaceAllString(element, "")
		if regexp.MustCompile(`\s(src|href|srcset|action|on\w+)=`).MatchString(names) && element != `<link rel="icon" href="data:,">` {
			t.Errorf("%s is in the page", element)
		}
	}
	if len(elements) < 50 {
		t.Errorf("%d elements: the page was not read", len(elements))
	}
	for _, pattern := range []string{`url\(`, `@import`, `\bfetch\(`, `XMLHttpRequest`, `WebSocket`, `EventSource`, `\bimport\(`, `sendBeacon`} {
		if found := regexp.MustCompile(pattern).FindString(page); found != "" {
			t.Errorf("%q is in the page", found)
		}
	}
	if !strings.Contains(page, `content="default-src 'none'; `) {
		t.Error("no Content-Security-Policy")
	}
}

// embedded is the data in a page.
func embedded(t *testing.T, page string) (data pageDataRead) {
	t.Helper()
	_, text, _ := strings.Cut(page, `id="data">`)
	text, _, _ = strings.Cut(text, "</script>")
	if err := json.Unmarshal([]byte(text), &data); err != nil {
		t.Fatal(err)
	}
	return data
}

// pageDataRead is pageData as a script reads it.
type pageDataRead struct {
	Runs []struct {
		Name   string
		Steps  [][]int64
		Curves []struct {
			Tag    string
			Steps  int
			Values []any
			Means  []any
		}
		Samples []struct{ Text string }
		Memory  []memoryData
	}
}

func TestHostileTextsArriveAsTexts(t *testing.T) {
	data := embedded(t, writePage(t, hostile(t)))
	if got := data.Runs[0]; got.Name != "<img src=x>" || !strings.HasPrefix(got.Samples[0].Text, "</script><img") {
		t.Errorf("%q, %q", got.Name, got.Samples[0].Text)
	}
}

// Each figure of the table is the file's, rounded to the digits that are shown; its title has every digit.
func TestTableAgreesWithTheMetrics(t *testing.T) {
	var m metrics
	m.started(0, nil)
	m.line("train", 990, "loss", 1.9, "tokens", 1013760, "tokens_per_second", 10000.4, "peak_memory_bytes", 268578816)
	m.line("train", 1000, "loss", 1.8046943258428598, "tokens", 1024000, "tokens_per_second", 10001.7, "peak_memory_bytes", 268578816)
	m.line("eval", 1000, "loss", 1.8817284663733451, "perplexity", 6.5648421702282445, "bits_per_byte", 2.716178202951637)
	page := writePage(t, m.in(t, "a"))
	for _, want := range []string{
		`<td class="number" data-sort="1.8046943258428598" title="1.8046943258428598 (step 1,000)">1.8047</td>`,
		`title="1.8817284663733451 (step 1,000)">1.8817</td>`, `title="6.5648421702282445 (step 1,000)">6.565</td>`,
		`title="2.716178202951637 (step 1,000)">2.716</td>`, `data-sort="10001.05">10,001</td>`, `>256.1 MB</td>`, `>1,024,000</td>`,
		`>1,853,760</td>`, `>1,000/1,000</td>`, `>cpu, fp32, 2 threads</td>`,
	} {
		if !strings.Contains(page, want) {
			t.Errorf("%s is not in the page", want)
		}
	}
}

// The parts of a loss have columns where a run has them, and a run without them a dash.
func TestADistilledRunHasItsLossesApart(t *testing.T) {
	var plain, distilled metrics
	plain.started(0, nil)
	plain.line("train", 10, "loss", 2.5)
	distilled.started(0, nil)
	distilled.line("train", 10, "loss", 1.25, "task_loss", 2.25, "distillation_loss", 0.25)
	runs := []*run{plain.in(t, "plain"), distilled.in(t, "distilled")}
	table := align(textGrid(runs))
	for _, want := range []string{"task  distillation", "1.2500  2.2500        0.2500", "2.5000       –             –"} {
		if !strings.Contains(table, want) {
			t.Errorf("%q is missing:\n%s", want, table)
		}
	}
	if alone := align(textGrid(runs[:1])); strings.Contains(alone, "task") {
		t.Errorf("a table without a distilled run:\n%s", alone)
	}
}

// Short curves are there point by point, to nine digits; NaN stays NaN.
func TestCurvesAgreeWithTheMetrics(t *testing.T) {
	var m metrics
	m.started(0, nil)
	losses := []float64{4.885199875695499, math.NaN(), 1.0 / 3, 1e-7, 123456789}
	for i, loss := range losses {
		m.line("train", int64(i+1), "loss", loss)
	}
	data := embedded(t, writePage(t, m.in(t, "a")))
	c := data.Runs[0].Curves[0]
	if c.Tag != "train/loss" || len(c.Values) != len(losses) || c.Means != nil {
		t.Fatalf("%+v", c)
	}
	for i, loss := range losses {
		if math.IsNaN(loss) {
			if c.Values[i] != "NaN" {
				t.Errorf("%v, want NaN", c.Values[i])
			}
			continue
		}
		if got := c.Values[i].(float64); math.Abs(got-loss) > 5e-9*math.Abs(loss) || data.Runs[0].Steps[c.Steps][i] != int64(i+1) {
			t.Errorf("%v, want %v", got, loss)
		}
	}
}

func TestLongRunsMakeASmallPage(t *testing.T) {
	const lines = 40_000
	var m metrics
	m.started(0, nil)
	for i := range lines {
		fmt.Fprintf(&m, `{"event":"train","step":%d,"epoch":%d,"loss":%v,"learning_rate":0.000123456789,"grad_norm":%v,"tokens":%d,`+
			`"tokens_per_second":%v,"step_seconds":0.1,"peak_memory_bytes":268578816,"resident_memory_bytes":%d,"cpu_percent":199.5}`+"\n",
			10*i+10, i, 2+math.Sin(float64(i)), 1+math.Cos(float64(i*i)), 1000*i, 1e4+math.Sin(float64(7*i)), 200_000_000+i)
		if i%100 == 0 {
			fmt.Fprintf(&m, `{"event":"sample","step":%d,"prompt_index":0,"sample_index":0,"prompt":"Era","text":%s}`+"\n",
				10*i+10, strconv.Quote(strings.Repeat("Era uma vez ", 100)))
		}
	}
	start := time.Now()
	r := m.in(t, "a")
	page := writePage(t, r)
	t.Logf("%d lines, %.1f MB, became a page of %.2f MB in %v", lines, float64(m.Len())/1e6, float64(len(page))/1e6, time.Since(start).Round(time.Millisecond))
	if len(page) > 2_000_000 {
		t.Errorf("%d bytes, want at most 2 MB", len(page))
	}
	if !strings.Contains(page, "Long curves are drawn from") {
		t.Error("the page does not say that points were left out")
	}
	if got := len(embedded(t, page).Runs[0].Samples); got != sampleSteps {
		t.Errorf("%d samples, want %d", got, sampleSteps)
	}
}

// A resumed run's sessions have a peak each: the highest one's kinds are shown, and none of them becomes a curve.
func TestPageHasTheKindsOfTheHighestPeak(t *testing.T) {
	var m metrics
	m.started(0, nil)
	m.line("train", 10, "loss", 2.5, "peak_memory_bytes", 700, "peak_memory_by_kind", map[string]any{"weights": 400, "a new kind": 300, "host": 1000})
	m.started(10, nil)
	m.line("train", 20, "loss", 2.4, "peak_memory_bytes", 600, "peak_memory_by_kind", map[string]any{"weights": 400, "a new kind": 200, "host": "NaN"})
	var silent metrics
	silent.started(0, nil)
	silent.line("train", 10, "loss", 2.5)
	data := embedded(t, writePage(t, m.in(t, "a"), silent.in(t, "b")))
	if want := []memoryData{{"a new kind", 300}, {"host", 1000}, {"weights", 400}}; !slices.Equal(data.Runs[0].Memory, want) {
		t.Errorf("got %v, want %v", data.Runs[0].Memory, want)
	}
	if data.Runs[1].Memory != nil {
		t.Errorf("a run that tells no kinds has %v", data.Runs[1].Memory)
	}
	for _, c := range data.Runs[0].Curves {
		if strings.Contains(c.Tag, "by_kind") {
			t.Errorf("%s is a curve", c.Tag)
		}
	}
}
