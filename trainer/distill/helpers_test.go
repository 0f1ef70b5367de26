package distill_test

import (
	"encoding/json"
	"math"
	"os"
	"path/filepath"
	"runtime"
	"testing"

	"frugal/torch"
	"frugal/trainer/distill"
	"frugal/trainer/gpt2"
	"frugal/trainer/safetensors"
)

// onThread runs f on one OS thread in a scope of its own, and fails the test when a tensor outlives it.
func onThread(t testing.TB, f func()) {
	t.Helper()
	runtime.LockOSThread()
	defer runtime.UnlockOSThread()
	torch.SetNumThreads(1)
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

// golden is what scripts/golden_distill.py writes.
type golden struct {
	MicroBatches [][][]int64 `json:"micro_batches"`
	Cases        []goldenCase
	tensors      *safetensors.File
}

type goldenCase struct {
	Temperature, Alpha float64
	TopK               int     `json:"top_k"`
	TaskLoss           float64 `json:"task_loss"`
	DistillationLoss   float64 `json:"distillation_loss"`
	Loss               float64
}

func readFile(t testing.TB, path ...string) []byte {
	t.Helper()
	b, err := os.ReadFile(filepath.Join(append([]string{"testdata"}, path...)...))
	if err != nil {
		t.Fatalf("%v: run python3 scripts/golden_distill.py", err)
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

func openGolden(t testing.TB) (g golden) {
	t.Helper()
	if err := json.Unmarshal(readFile(t, "golden.json"), &g); err != nil {
		t.Fatal(err)
	}
	g.tensors = parse(t, readFile(t, "golden.safetensors"))
	return g
}

// tensor is one of the golden's, in fp32 or int32.
func (g golden) tensor(t testing.TB, name string, dtype torch.DType) *torch.Tensor {
	t.Helper()
	info, data, ok := g.tensors.Tensor(name)
	if !ok {
		t.Fatalf("%s is missing: run python3 scripts/golden_distill.py", name)
	}
	return torch.FromBytes(data, info.Shape, dtype, torch.CPU)
}

// open is a model of the golden's. The caller frees it, or the Teacher that it becomes.
func open(t testing.TB, name string) *gpt2.Model {
	t.Helper()
	c, err := gpt2.ParseConfig(readFile(t, name, "config.json"))
	if err != nil {
		t.Fatal(err)
	}
	c.Dropout = 0
	m := gpt2.New(c, torch.CPU)
	if err := m.LoadWeights(parse(t, readFile(t, name, "model.safetensors"))); err != nil {
		t.Fatal(err)
	}
	return m
}

// batch pads rows: ids and targets [B, T], -1 where there is none, and how many there are.
func batch(rows [][]int64) (ids, targets *torch.Tensor, count int) {
	length := 0
	for _, row := range rows {
		length = max(length, len(row))
	}
	var i, t []int64
	for _, row := range rows {
		count += len(row) - 1
		for at := range length {
			id, next := int64(0), int64(-1)
			if at < len(row) {
				id = row[at]
			}
			if at+1 < len(row) {
				next = row[at+1]
			}
			i, t = append(i, id), append(t, next)
		}
	}
	shape := []int64{int64(len(rows)), int64(length)}
	return torch.FromInt64s(i, shape, torch.CPU), torch.FromInt64s(t, shape, torch.CPU), count
}

// result is what a window gives: means over its targets, and the objective's gradients.
type result struct {
	task, distillation float64
	gradients          map[string][]float32
}

// guideOf makes a micro-batch's Guide: its ids, and its first position among those of all micro-batches.
type guideOf func(ids *torch.Tensor, first int64, l distill.Loss) gpt2.Guide

// window takes micro-batches through the student.
func window(student *gpt2.Model, p gpt2.Pass, l distill.Loss, scale float64, batches [][][]int64, guide guideOf) result {
	scope := torch.OpenScope()
	defer scope.Close()
	targets := 0
	for _, rows := range batches {
		_, _, n := batch(rows)
		targets += n
	}
	p.Weight = torch.Full(nil, scale/float64(targets), torch.Float32, torch.CPU)
	p.LossSum, l.Sum = torch.Zeros(nil, torch.Float64, torch.CPU), torch.Zeros(nil, torch.Float64, torch.CPU)
	p.Seed = func(stage int) uint64 { return uint64(stage) }
	first := int64(0)
	for _, rows := range batches {
		inner := torch.OpenScope()
		ids, next, _ := batch(rows)
		p.Guide = guide(ids, first, l)
		student.ForwardBackward(ids, next, p)
		first += ids.NumElements()
		inner.Close()
	}
	r := result{p.LossSum.Item() / float64(targets), l.Sum.Item() / float64(targets), map[string][]float32{}}
	for _, p := range student.Parameters() {
		r.gradients[p.Name] = p.Gradient().MulScalar(1 / scale).Float32s()
	}
	student.ClearGradients()
	return r
}

// off is the largest difference over the largest element wanted.
func off(got, want []float32) float64 {
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
