package trainer

// The trainer's own step against PyTorch: the golden of scripts/golden_gpt2.py, whose files lie beside the model.

import (
	"encoding/json"
	"fmt"
	"math"
	"os"
	"path/filepath"
	"testing"

	"frugal/torch"
	"frugal/trainer/config"
	"frugal/trainer/data"
	"frugal/trainer/gpt2"
)

// goldenUpdates is updates.json: rows of ids by micro-batch and window, and what PyTorch made of them.
type goldenUpdates struct {
	Case          string
	LearningRate  float64   `json:"learning_rate"`
	WarmupSteps   int64     `json:"warmup_steps"`
	WeightDecay   float64   `json:"weight_decay"`
	Beta1, Beta2  float64   // of AdamW
	Epsilon       float64   // of AdamW
	MaxGradNorm   float64   `json:"max_grad_norm"`
	LearningRates []float64 `json:"learning_rates"`
	GradNorms     []float64 `json:"grad_norms"`
	Losses        []float64
	Windows       [][][][]int64
}

// TestFiftyStepsMatchPyTorch takes the golden's windows, of equal and unequal micro-batches with padded rows, through step:
// torch.optim.AdamW in two groups, linear warm-up and decay, clip_grad_norm_.
func TestFiftyStepsMatchPyTorch(t *testing.T) {
	text, err := os.ReadFile("gpt2/testdata/updates.json")
	if err != nil {
		t.Fatal(err)
	}
	var u goldenUpdates
	if err := json.Unmarshal(text, &u); err != nil {
		t.Fatal(err)
	}
	for _, checkpointing := range []bool{false, true} {
		t.Run(fmt.Sprintf("checkpointing %v", checkpointing), func(t *testing.T) {
			thread := torch.StartThread()
			defer thread.Stop()
			thread.Do(func() {
				torch.SetNumThreads(1)
				r := goldenRun(t, u, checkpointing)
				defer r.close()
				replayGolden(t, r, u)
			})
			if n := torch.LiveTensors(); n != 0 {
				t.Errorf("%d tensors are alive", n)
			}
		})
	}
}

// goldenRun is a run that has the golden's weights and settings, without files.
func goldenRun(t *testing.T, u goldenUpdates, checkpointing bool) *run {
	dir := filepath.Join("gpt2/testdata", u.Case)
	text, err := os.ReadFile(filepath.Join(dir, "config.json"))
	if err != nil {
		t.Fatal(err)
	}
	architecture, err := gpt2.ParseConfig(text)
	if err != nil {
		t.Fatal(err)
	}
	architecture.Dropout = 0
	c := config.Default()
	c.GradientCheckpointing, c.MaxGradNorm, c.WeightDecay = checkpointing, u.MaxGradNorm, u.WeightDecay
	c.AdamBeta1, c.AdamBeta2, c.AdamEpsilon = u.Beta1, u.Beta2, u.Epsilon
	r := newRun(Options{Config: c})
	r.device, r.precision = torch.CPU, torch.Float32
	r.schedule = Schedule{Kind: "linear", Rate: u.LearningRate, Warmup: u.WarmupSteps, Total: int64(len(u.Windows))}
	r.model = gpt2.New(architecture, torch.CPU)
	r.onClose(r.model.Free)
	weights, err := os.ReadFile(filepath.Join(dir, "model.safetensors"))
	if err != nil {
		t.Fatal(err)
	}
	if err := loadWeights(r.model, weights); err != nil {
		t.Fatal(err)
	}
	r.optimizer = newOptimizer(c, r.model, nil)
	r.onClose(r.optimizer.free)
	r.lossSum = torch.Zeros(nil, torch.Float64, torch.CPU).Detached()
	r.onClose(r.lossSum.Free)
	return r
}

func replayGolden(t *testing.T, r *run, u goldenUpdates) {
	for i, rows := range u.Windows {
		if rate := r.schedule.At(r.done.Step); math.Abs(rate-u.LearningRates[i]) > 1e-18 {
			t.Fatalf("step %d: learning rate %g, PyTorch has %g", i, rate, u.LearningRates[i])
		}
		w := goldenWindow(rows)
		if err := r.step(w); err != nil {
			t.Fatal(err)
		}
		if err := r.read(); err != nil {
			t.Fatal(err)
		}
		// 50 updates magnify differences of the last place (6e-8) by Adam's division by small second moments.
		if d := math.Abs(r.done.Interval.mean() - u.Losses[i]); !(d <= 1e-4) {
			t.Errorf("step %d: loss %g, PyTorch has %g", i, r.done.Interval.mean(), u.Losses[i])
		}
		if d := math.Abs(r.optimizer.norm.Item() - u.GradNorms[i]); !(d <= 1e-3) {
			t.Errorf("step %d: gradient norm %g, PyTorch has %g", i, r.optimizer.norm.Item(), u.GradNorms[i])
		}
		r.done.Interval = tally{}
	}
}

func goldenWindow(microBatches [][][]int64) *data.Window {
	w := &data.Window{}
	for _, rows := range microBatches {
		b := data.Batch{Rows: len(rows)}
		for _, row := range rows {
			b.Length = max(b.Length, len(row))
			b.Lengths = append(b.Lengths, int32(len(row)))
			b.Targets += int64(len(row) - 1)
		}
		b.InputIDs = make([]int64, b.Rows*b.Length)
		for i, row := range rows {
			copy(b.InputIDs[i*b.Length:], row)
		}
		w.Batches = append(w.Batches, b)
		w.Targets += b.Targets
	}
	return w
}
