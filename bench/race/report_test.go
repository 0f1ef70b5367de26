package main

// Tables and pictures of made-up results.

import (
	"bytes"
	"image/color"
	"image/png"
	"maps"
	"math"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"frugal/bench/internal/document"
)

// madeUp are results with every part.
func madeUp() *results {
	s := shape{6, 384, 50257, 256, 4}
	runs := func(speeds ...float64) (list []run) {
		for i, x := range speeds {
			list = append(list, run{Speed: x, Memory: 1000, FirstStep: float64(10 - i)})
		}
		return list
	}
	ours := runs(10, 30, 40)
	for i := range ours {
		ours[i].Memory, ours[i].Counted, ours[i].FirstStep = 500, 400, float64(2+i)
	}
	r := &results{Date: "2026-01-02", Machine: "a processor", Ours: "frugal", Peers: "PyTorch", Command: "go run ./bench/race", Threads: 2, Rounds: 3, Steps: 8, Dropped: 2,
		Cases: []*caseResults{{Model: "6x384-v50257-t256", Shape: s, Precision: "fp32", Lanes: []*lane{
			{Peer: "eager", Title: "PyTorch, eager", Ours: ours, Theirs: runs(10, 20, 80), Difference: 2e-7, NormDifference: 3e-6},
			{Peer: "compile", Title: "torch.compile", Compiled: true, FirstStart: 70, Ours: ours, Theirs: runs(20, 20, 20)},
			{Peer: "trainer", Title: "Hugging Face Trainer", Problem: "a | b\nc"},
			{Peer: "eager+kept", Title: "not yet run"},
		}}},
		Ceilings:    []ceilings{{MKL: 8, OneDNN: 11, BF16: 20, Read: 10, Triad: 20}},
		Evaluations: []*evaluation{{Model: "6x384-v50257-t256", Precision: "fp32", Shape: s, Ours: []float64{100}, Theirs: map[string][]float64{"PyTorch, eager": {50}, "torch.compile": {80}}}},
		Checkpoints: []*checkpoints{{Model: "6x384-v50257-t256", Shape: s, Ways: map[string]*rates{
			"ours": {Bytes: 36e7, Write: []float64{1, 2, 3}, Read: []float64{4}}, "disk": {Bytes: 36e7, Write: []float64{2}, Read: []float64{5}}}}},
		Profiles:   []*profile{{"6x384-v50257-t256", "fp32", map[string]float64{"matrix products": 77.77}}},
		Generation: "| a table |\n", Tokenizer: "a line\nanother\n"}
	for _, n := range curveBatches {
		p := &curvePoint{Shape: shape{6, 384, 8192, curveSequence, n}, Precision: "fp32"}
		tokens := float64(p.Shape.tokens())
		p.Runs = []run{{Speed: tokens / (0.03 + 0.001*tokens)}}
		r.Curve = append(r.Curve, p)
	}
	return r
}

func TestTablesHaveMediansAndPairedRatios(t *testing.T) {
	r := madeUp()
	text := r.markdown()
	for _, want := range []string{
		"### 6 × 384, vocabulary 50,257, batch 4 × 256\n",
		"| fp32 | **ours** | **30 (10–40)** | | 500 (400) | | 3.0 | | 51% |\n",
		"| | PyTorch, eager | 20 (10–80) | 1.00 (0.50–1.50) | 1,000 | 0.50 (0.50–0.50) | 9.0 | 0.33 (0.20–0.50) | 34% |\n",
		"| | torch.compile | 20 (20–20) | 1.50 (0.50–2.00) | 1,000 | 0.50 (0.50–0.50) | 9.0; 70 the first time | 0.33 (0.20–0.50) | 34% |\n",
		"| | Hugging Face Trainer | a \\| b c |",
		"from ours: 2e-07, 3e-06 (6x384-v50257-t256 fp32).\n",
		"| … by oneDNN | 11 (11–11) |\n",
		"| 6x384-v50257-t256 fp32 | **100 (100–100)** | 57% | 50 (50–50) | 2.00 (2.00–2.00) | 80 (80–80) | 1.25 (1.25–1.25) | 0e+00 |\n",
		"| 6x384-v50257-t256 | ours | 360 | 2.00 (1.00–3.00) | 4.00 (4.00–4.00) |\n|  | the disk itself | 360 |",
		"| fp32, 32 × 256 | 8,192 | 8222.0 (8222.0–8222.0) | 1004 | +0.0% | not told |\n",
		"fp32: 30 ms and 1000 µs a token, every point within 0%",
		"| 6x384-v50257-t256 fp32 | 0.0 | 0.0 | 77.8 | 0.0 |",
		"### Generation\n\n| a table |\n",
		"    a line\n    another\n",
		"0.00 processors busy during a run.",
	} {
		if !strings.Contains(text, want) {
			t.Errorf("no %q in:\n%s", want, text)
		}
	}
	if n := strings.Count(text, "| fp32, 1 × 256 |"); n != 1 {
		t.Errorf("the point that both curves have is in %d times:\n%s", n, text)
	}
	if strings.Contains(text, "not yet run") {
		t.Errorf("a peer that has not run is in:\n%s", text)
	}
	r.Cases[0].Lanes[0].Theirs[0].Others = 1.5
	if text := r.markdown(); !strings.Contains(text, "1.50 processors busy during a run: too much") {
		t.Errorf("nothing about the other work in:\n%s", text)
	}
}

func TestTablesOfOnePartHaveNoOther(t *testing.T) {
	r := &results{Tokenizer: "a line"}
	if text := r.markdown(); strings.Count(text, "###") != 1 || strings.Contains(text, "|") {
		t.Errorf("got\n%s", text)
	}
}

func TestSharesOfAPerfReport(t *testing.T) {
	report := "# To display the perf.data header info\n\n" +
		"    40.50%  |[JIT] tid 27898    |[.] 0x00007fb318d32265   |-      -\n" +
		"     9.50%  |libtorch_cpu.so    |[.] mkl_blas_def_sgemm_kernel_0_zen\n" +
		"    20.00%  |[kernel.kallsyms]  |[k] clear_page_erms\n" +
		"     5.00%  |libtorch_cpu.so    |[.] at::native::(anonymous namespace)::fused_adam_kernel\n" +
		"     2.00%  |libtorch_cpu.so    |[.] Sleef_finz_tanhf16_u10avx512f\n" +
		"     3.00%  |libtorch_cpu.so    |[.] at::native::AVX2::reduced_float_copy_kernel\n" +
		"    20.00%  |train              |[.] crypto/internal/fips140/sha256.blockSHANI.abi0\n"
	got, err := sharesOf(report)
	if err != nil {
		t.Fatal(err)
	}
	want := map[string]float64{"matrix products": 50, "kernel": 20, "AdamW": 5, "softmax, GELU": 2, "rest of libtorch": 3, "Go, and everything else": 20}
	if !maps.Equal(got, want) {
		t.Errorf("got %v, want %v", got, want)
	}
	for _, report := range []string{"", "# a comment\n", "1.00% libc\n", "much|a|b\n"} {
		if got, err := sharesOf(report); err == nil {
			t.Errorf("%q: got %v, want an error", report, got)
		}
	}
}

func TestFitFindsTheLine(t *testing.T) {
	batches, sequences := madeUp().curves("fp32")
	if len(batches) != len(curveBatches) || len(sequences) != 1 {
		t.Fatalf("%d and %d points", len(batches), len(sequences))
	}
	if l := fit(batches); math.Abs(l.fixed-0.03) > 1e-9 || math.Abs(l.each-0.001) > 1e-12 || l.off > 1e-9 {
		t.Errorf("got %+v, want 30 ms and 1 ms a token", l)
	}
	batches[0].Runs[0].Speed *= 2
	if l := fit(batches); l.off < 0.05 {
		t.Errorf("a point far off the line, but the farthest is %g off", l.off)
	}
}

func TestThousands(t *testing.T) {
	for x, want := range map[float64]string{0: "0", 999.4: "999", 999.5: "1,000", 50257: "50,257", 1234567: "1,234,567"} {
		if got := thousands(x); got != want {
			t.Errorf("%v: got %q, want %q", x, got, want)
		}
	}
}

func TestReportWritesEverythingAndReadsItAgain(t *testing.T) {
	folder, documents := filepath.Join(t.TempDir(), "new"), t.TempDir()
	page, m := filepath.Join(documents, "performance.md"), document.MarkersOf("bench/race")
	if err := os.WriteFile(page, []byte("above\n"+m.Begin+m.End+"below\n"), 0o666); err != nil {
		t.Fatal(err)
	}
	r := madeUp()
	if err := r.report(folder, page); err == nil || !strings.Contains(err.Error(), "Hugging Face Trainer") {
		t.Errorf("error %v, want one about the peer that is out", err)
	}
	if text, err := os.ReadFile(page); err != nil || strings.Contains(string(text), "###") {
		t.Errorf("%v: a race with a peer that is out was written:\n%s", err, text)
	}
	r.Cases[0].Lanes = r.Cases[0].Lanes[:2]
	if err := r.save(folder); err != nil {
		t.Fatal(err)
	}
	again, err := readResults(filepath.Join(folder, "results.json"))
	if err != nil {
		t.Fatal(err)
	}
	if err := again.report(folder, page); err != nil {
		t.Fatal(err)
	}
	text, err := os.ReadFile(page)
	if want := "above\n" + m.Begin + r.markdown() + m.End + "below\n"; err != nil || string(text) != want {
		t.Errorf("%v: the page is\n%s", err, text)
	}
	for _, file := range []string{"race.png", "step-cost.png"} {
		if colours := coloursOf(t, filepath.Join(documents, file)); !colours[oursInk] || len(colours) < 20 {
			t.Errorf("%s: %d colours, want text and bars in ours", file, len(colours))
		}
		svg, err := os.ReadFile(filepath.Join(documents, strings.TrimSuffix(file, ".png")+".svg"))
		if err != nil || !bytes.Contains(svg, []byte("tokens")) || !bytes.Contains(svg, []byte("sans-serif")) {
			t.Errorf("%s as SVG: %v, %d bytes", file, err, len(svg))
		}
	}
	again.Cases[0].Lanes[1].Ours[0].Others = 1
	if err := again.report(folder, page); err == nil || !strings.Contains(err.Error(), "not written") {
		t.Errorf("error %v, want one about the other work", err)
	}
}

// coloursOf are the different colours of a picture.
func coloursOf(t *testing.T, file string) map[color.NRGBA]bool {
	t.Helper()
	f, err := os.Open(file)
	if err != nil {
		t.Fatal(err)
	}
	defer f.Close()
	picture, err := png.Decode(f)
	if err != nil {
		t.Fatal(err)
	}
	found := map[color.NRGBA]bool{}
	for y := range picture.Bounds().Dy() {
		for x := range picture.Bounds().Dx() {
			found[color.NRGBAModel.Convert(picture.At(x, y)).(color.NRGBA)] = true
		}
	}
	return found
}

func TestACommandJoinsAnEarlierOneOfTheSameKind(t *testing.T) {
	earlier, now := madeUp(), madeUp()
	now.Command, now.Date = "another", "2026-01-03"
	if err := now.joins(earlier); err != nil {
		t.Error(err)
	}
	for name, spoil := range map[string]func(*results){
		"machine": func(r *results) { r.Machine = "another" }, "ours": func(r *results) { r.Ours = "another" }, "peers": func(r *results) { r.Peers = "another" },
		"threads": func(r *results) { r.Threads++ }, "rounds": func(r *results) { r.Rounds++ }, "steps": func(r *results) { r.Steps++ }, "dropped": func(r *results) { r.Dropped++ },
	} {
		other := madeUp()
		spoil(other)
		if err := other.joins(earlier); err == nil {
			t.Errorf("another %s joins", name)
		}
	}
	for _, part := range partNames() {
		if !earlier.has(part, "6x384-v50257-t256", "fp32") {
			t.Errorf("%s is not found", part)
		}
		if (&results{}).has(part, "6x384-v50257-t256", "fp32") {
			t.Errorf("%s is found in nothing", part)
		}
	}
	if earlier.has("steps", "6x384-v50257-t256", "bf16") || earlier.has("checkpoints", "12x768-v50257-t256", "fp32") {
		t.Error("something else is found")
	}
	earlier.Command += "\nanother"
	if !strings.Contains(earlier.markdown(), "\n    go run ./bench/race\n    another\n") {
		t.Error("the commands are not both in the table")
	}
}
