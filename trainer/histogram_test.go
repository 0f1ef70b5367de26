package trainer

import (
	"encoding/json"
	"math"
	"os"
	"runtime"
	"slices"
	"testing"

	"frugal/torch"
	"frugal/trainer/gpt2"
	"frugal/trainer/monitor"
)

type goldenHistogram struct {
	Name               string
	Values             []byte // base64 in the file
	Min, Max, Num, Sum float64
	SumSquares         float64   `json:"sum_squares"`
	FirstLimit         int       `json:"first_limit"`
	Counts             []float64 `json:"counts"`
}

func readGoldenHistograms(t *testing.T) (bins []float64, cases []goldenHistogram) {
	t.Helper()
	text, err := os.ReadFile("testdata/histograms.json")
	if err != nil {
		t.Fatal(err)
	}
	var golden struct {
		Bins  []float64
		Cases []goldenHistogram
	}
	if err := json.Unmarshal(text, &golden); err != nil || len(golden.Cases) == 0 {
		t.Fatalf("testdata/histograms.json, written by python3 scripts/golden_histograms.py: %v", err)
	}
	return golden.Bins, golden.Cases
}

func TestHistogramsAreThoseOfPyTorchsWriter(t *testing.T) {
	bins, cases := readGoldenHistograms(t)
	if !slices.Equal(monitor.HistogramLimits(), bins) {
		t.Fatal("the limits are not SummaryWriter's")
	}
	every := slices.Concat([]float64{-math.MaxFloat64}, bins, []float64{math.MaxFloat64})
	onThread(t, func() {
		var params []gpt2.Parameter
		for _, c := range cases {
			params = append(params, gpt2.Parameter{Name: c.Name, Tensor: torch.FromBytes(c.Values, []int64{int64(len(c.Values) / 4)}, torch.Float32, torch.CPU)})
		}
		h := newHistograms(params, torch.CPU)
		defer h.free()
		r := h.record(7)
		if r.Event != "histogram" || r.Step != 7 || len(r.Fields) != len(cases) {
			t.Fatalf("got %s at step %d with %d fields", r.Event, r.Step, len(r.Fields))
		}
		for i, c := range cases {
			got := r.Fields[i].Value.(monitor.Histogram)
			limits, counts := got.Buckets()
			if r.Fields[i].Name != "weights/"+c.Name || !slices.Equal(limits, every[c.FirstLimit:c.FirstLimit+len(c.Counts)]) || !slices.Equal(counts, c.Counts) {
				t.Errorf("%s: got %s %v %v\nwant %v from limit %d", c.Name, r.Fields[i].Name, limits, counts, c.Counts, c.FirstLimit)
			}
			near := func(a, b float64) bool { return math.Abs(a-b) <= 1e-12*math.Sqrt(c.SumSquares*c.Num) }
			if got.Min != c.Min || got.Max != c.Max || !near(got.Sum, c.Sum) || math.Abs(got.SumSquares-c.SumSquares) > 1e-12*c.SumSquares {
				t.Errorf("%s: got %v, want %+v", c.Name, got, c)
			}
		}
	})
}

func TestHistogramsLeaveOutWhatIsNotFinite(t *testing.T) {
	onThread(t, func() {
		nan, inf := float32(math.NaN()), float32(math.Inf(1))
		params := []gpt2.Parameter{{Name: "a", Tensor: floats(1, nan, -2, inf, -inf)}, {Name: "b", Tensor: floats(nan)}, {Name: "empty", Tensor: floats()}}
		h := newHistograms(params, torch.CPU)
		defer h.free()
		r := h.record(1)
		_, counts := r.Fields[0].Value.(monitor.Histogram).Buckets()
		if sum(counts) != 2 || r.Fields[0].Value.(monitor.Histogram).Min != -2 {
			t.Errorf("got %v", r.Fields[0].Value)
		}
		for _, f := range r.Fields[1:] {
			if limits, _ := f.Value.(monitor.Histogram).Buckets(); limits != nil {
				t.Errorf("%s has buckets", f.Name)
			}
		}
	})
}

func TestGradientsAreRecordedOnce(t *testing.T) {
	onThread(t, func() {
		h := newHistograms([]gpt2.Parameter{{Name: "w", Tensor: floats(1, 2)}}, torch.CPU)
		defer h.free()
		h.observe(floats(8, 9)) // of an update that nobody recorded
		h.observe(floats(3, 4))
		r := h.record(1)
		if len(r.Fields) != 2 || r.Fields[0].Name != "gradients/w" || r.Fields[0].Value.(monitor.Histogram).Max != 4 || r.Fields[1].Name != "weights/w" {
			t.Errorf("got %+v", r)
		}
		if r := h.record(2); len(r.Fields) != 1 {
			t.Errorf("the gradients came again: %+v", r)
		}
	})
}

func floats(v ...float32) *torch.Tensor {
	return torch.FromFloat32s(v, []int64{int64(len(v))}, torch.CPU)
}

func sum(list []float64) (s float64) {
	for _, x := range list {
		s += x
	}
	return s
}

// onThread runs f on one OS thread, in a scope, and fails the test when a tensor outlives it.
func onThread(t testing.TB, f func()) {
	t.Helper()
	runtime.LockOSThread()
	defer runtime.UnlockOSThread()
	before := torch.LiveTensors()
	scope := torch.OpenScope()
	defer func() {
		scope.Close()
		if n := torch.LiveTensors() - before; n != 0 {
			t.Errorf("%d tensors outlive the test", n)
		}
	}()
	f()
}

// What recording the weights (the gradients take the same again) of a model costs: the demonstration's, and GPT-2's of 124 million parameters.
func BenchmarkHistograms(b *testing.B) {
	demo := gpt2.Config{VocabSize: 257, HiddenSize: 192, NumLayers: 4, NumHeads: 4, IntermediateSize: 768, MaxPositionEmbeddings: 128}
	small := gpt2.Config{VocabSize: 50257, HiddenSize: 768, NumLayers: 12, NumHeads: 12, IntermediateSize: 3072, MaxPositionEmbeddings: 1024}
	for name, config := range map[string]gpt2.Config{"demo": demo, "124M": small} {
		b.Run(name, func(b *testing.B) {
			onThread(b, func() {
				model := gpt2.New(config, torch.CPU)
				defer model.Free()
				model.Init(1)
				h := newHistograms(model.Parameters(), torch.CPU)
				defer h.free()
				for b.Loop() {
					h.record(1)
				}
			})
		})
	}
}

func TestTooLittleMemoryForHistogramsIsAnError(t *testing.T) {
	inRun(t, smallRun(t, t.TempDir(), "monitoring.tensorboard=true", "monitoring.histogram_steps=1"), func(r *run) {
		torch.FailAllocation(1)
		if err := r.buildHistograms(); !outOfMemory(err) {
			t.Errorf("error %v, want one of memory", err)
		}
	})
}
