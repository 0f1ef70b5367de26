package gpt2

import (
	"encoding/json"
	"math"
	"os"
	"path/filepath"
	"testing"

	"frugal/torch"
	"frugal/trainer/safetensors"
)

// batch is padded rows of ids, with the number of ids of each.
type batch struct {
	ids     []int64 // [rows, length]
	lengths []int64
	length  int64
}

// batchOf pads rows to the longest.
func batchOf(rows [][]int64) batch {
	var b batch
	for _, r := range rows {
		b.length = max(b.length, int64(len(r)))
	}
	for _, r := range rows {
		b.lengths = append(b.lengths, int64(len(r)))
		b.ids = append(append(b.ids, r...), make([]int64, b.length-int64(len(r)))...)
	}
	return b
}

func (b batch) row(i int) []int64 {
	start := int64(i) * b.length
	return b.ids[start : start+b.lengths[i]]
}

// split cuts the batch into micro-batches of the given numbers of rows, each padded to its own longest row.
func (b batch) split(counts ...int) (parts []batch) {
	at := 0
	for _, n := range counts {
		var rows [][]int64
		for i := at; i < at+n; i++ {
			rows = append(rows, b.row(i))
		}
		parts = append(parts, batchOf(rows))
		at += n
	}
	return parts
}

// targetCount is the number of next-token targets.
func (b batch) targetCount() (n int64) {
	for _, l := range b.lengths {
		n += l - 1
	}
	return n
}

// tensors are the ids and the next-token targets, -1 at and after each row's last id.
func (b batch) tensors(device torch.Device) (ids, targets *torch.Tensor) {
	t := make([]int64, len(b.ids))
	for i := range t {
		row, at := int64(i)/b.length, int64(i)%b.length
		if t[i] = -1; at+1 < b.lengths[row] {
			t[i] = b.ids[i+1]
		}
	}
	shape := []int64{int64(len(b.lengths)), b.length}
	return torch.FromInt64s(b.ids, shape, device), torch.FromInt64s(t, shape, device)
}

// result is what a window gives.
type result struct {
	loss      float64 // mean over the window's targets
	gradients map[string][]float32
}

// window computes the mean loss over the micro-batches' targets and its gradients. Seed and Weight of p are set here.
func window(m *Model, p Pass, scale float64, parts ...batch) result {
	s := torch.OpenScope()
	defer s.Close()
	targets := int64(0)
	for _, b := range parts {
		targets += b.targetCount()
	}
	p.Weight = torch.Full(nil, scale/float64(targets), torch.Float32, m.Device)
	p.LossSum = torch.Zeros(nil, torch.Float64, m.Device)
	for i, b := range parts {
		ids, next := b.tensors(m.Device)
		p.Seed = func(stage int) uint64 { return uint64(1000*i + stage) }
		m.ForwardBackward(ids, next, p)
	}
	r := result{loss: p.LossSum.Item() / float64(targets), gradients: map[string][]float32{}}
	m.Gradients() // waits for them
	for _, p := range m.Parameters() {
		r.gradients[p.Name] = p.Gradient().MulScalar(1 / scale).Float32s()
	}
	m.ClearGradients()
	return r
}

// relative is max|got - want| / max|want|: an element near zero carries the rounding of the sums it comes from, so the measure
// of a tensor is its largest element.
func relative(got, want []float32) float64 {
	if len(got) != len(want) {
		return math.Inf(1)
	}
	difference, largest := 0.0, 0.0
	for i := range want {
		d := math.Abs(float64(got[i]) - float64(want[i]))
		if math.IsNaN(d) {
			return math.Inf(1)
		}
		difference, largest = max(difference, d), max(largest, math.Abs(float64(want[i])))
	}
	if difference == 0 {
		return 0
	}
	return difference / largest
}

// distance is the Euclidean norm of got - want.
func distance(got, want []float32) float64 {
	if len(got) != len(want) {
		return math.Inf(1)
	}
	sum := 0.0
	for i := range want {
		d := float64(got[i]) - float64(want[i])
		sum += d * d
	}
	return math.Sqrt(sum)
}

// compare reports where a window differs from another by more than tolerance, and returns the largest difference found.
func compare(t testing.TB, what string, got, want result, tolerance float64) (worst float64) {
	t.Helper()
	worst = math.Abs(got.loss-want.loss) / math.Abs(want.loss)
	if !(worst <= tolerance) {
		t.Errorf("%s: loss is %v, want %v: differs by %.3g", what, got.loss, want.loss, worst)
	}
	if len(got.gradients) != len(want.gradients) {
		t.Errorf("%s: %d gradients, want %d", what, len(got.gradients), len(want.gradients))
	}
	for name, g := range want.gradients {
		d := relative(got.gradients[name], g)
		if !(d <= tolerance) {
			t.Errorf("%s: gradient of %s differs by %.3g", what, name, d)
		}
		worst = max(worst, d)
	}
	return worst
}

// golden is a case of scripts/golden_gpt2.py.
type golden struct {
	Config
	batch
	logits []float32 // [B, T, V]
	result
	bf16    result // under autocast
	weights *safetensors.File
}

func readFile(t testing.TB, path ...string) []byte {
	t.Helper()
	b, err := os.ReadFile(filepath.Join(append([]string{"testdata"}, path...)...))
	if err != nil {
		t.Fatalf("%v: run python3 scripts/golden_gpt2.py", err)
	}
	return b
}

func parse(t testing.TB, b []byte) *safetensors.File {
	t.Helper()
	f, err := safetensors.Parse(b)
	if err != nil {
		t.Fatal(err)
	}
	return f
}

// openGolden reads a case. Call it on the tensor thread.
func openGolden(t testing.TB, name string) golden {
	t.Helper()
	s := torch.OpenScope()
	defer s.Close()
	config, err := ParseConfig(readFile(t, name, "config.json"))
	if err != nil {
		t.Fatal(err)
	}
	f := parse(t, readFile(t, name, "golden.safetensors"))
	tensor := func(name string, dtype torch.DType) *torch.Tensor {
		info, data, ok := f.Tensor(name)
		if !ok {
			t.Fatalf("%s is missing: run python3 scripts/golden_gpt2.py", name)
		}
		return torch.FromBytes(data, info.Shape, dtype, torch.CPU)
	}
	ids := tensor("input_ids", torch.Int64)
	g := golden{
		Config:  config,
		batch:   batch{ids.Int64s(), tensor("lengths", torch.Int64).Int64s(), ids.Shape()[1]},
		logits:  tensor("logits", torch.Float32).Float32s(),
		result:  result{tensor("loss", torch.Float32).Item(), map[string][]float32{}},
		bf16:    result{tensor("bf16.loss", torch.Float32).Item(), map[string][]float32{}},
		weights: parse(t, readFile(t, name, "model.safetensors")),
	}
	for _, name := range g.weights.Names() {
		g.gradients[name] = tensor("grad."+name, torch.Float32).Float32s()
		g.bf16.gradients[name] = tensor("bf16.grad."+name, torch.Float32).Float32s()
	}
	return g
}

// model is the case's model with its weights. The caller frees it.
func (g golden) model(t testing.TB, device torch.Device) *Model {
	t.Helper()
	m := New(g.Config, device)
	if err := m.LoadWeights(g.weights); err != nil {
		t.Fatal(err)
	}
	return m
}

// updates is testdata/updates.json.
type updates struct {
	Case          string
	Updates       int
	LearningRate  float64 `json:"learning_rate"`
	WarmupSteps   int     `json:"warmup_steps"`
	WeightDecay   float64 `json:"weight_decay"`
	Beta1, Beta2  float64
	Epsilon       float64
	MaxGradNorm   float64 `json:"max_grad_norm"`
	Losses        []float64
	GradNorms     []float64     `json:"grad_norms"`
	LearningRates []float64     `json:"learning_rates"`
	Windows       [][][][]int64 // updates, micro-batches, rows, ids
}

func openUpdates(t testing.TB) (u updates) {
	t.Helper()
	if err := json.Unmarshal(readFile(t, "updates.json"), &u); err != nil {
		t.Fatal(err)
	}
	return u
}
