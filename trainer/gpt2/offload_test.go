package gpt2

import (
	"fmt"
	"maps"
	"math/rand/v2"
	"slices"
	"testing"
	"time"

	"frugal/torch"
)

// streams runs f with copies made as late as is allowed, which shows a wait that is missing; as early, which shows one of a place that is
// still in use; and with updates on another thread, as a card has them.
func streams(t *testing.T, f func(t *testing.T)) {
	for name, set := range map[string]func(on bool){"late copies": func(bool) {}, "early copies": torch.CopyAtOnce,
		"updates beside the next pass": func(on bool) { besideOnCPU = on }} {
		t.Run(name, func(t *testing.T) {
			set(true)
			defer set(false)
			f(t)
		})
	}
}

// randomRows are rows of so many ids each.
func randomRows(seed int64, c Config, lengths ...int) (rows [][]int64) {
	r := rand.New(rand.NewPCG(uint64(seed), 1))
	for _, n := range lengths {
		row := make([]int64, n)
		for i := range row {
			row[i] = r.Int64N(int64(c.VocabSize))
		}
		rows = append(rows, row)
	}
	return rows
}

var offloadNames = map[Offload]string{NoOffload: "none", OffloadOptimizer: "optimizer", OffloadFull: "full"}

// updated trains for some windows of two micro-batches and returns what came of it: losses, weights, logits, and a text.
func updated(t *testing.T, c Config, device torch.Device, o Offload, p Pass) (numbers []float32, text []int64) {
	m := NewOffloaded(c, device, o)
	defer m.Free()
	m.Init(7)
	scope := torch.OpenScope()
	defer scope.Close()
	rate, count := torch.Full(nil, 0.01, rateType(m.Home()), m.Home()), torch.Zeros(nil, torch.Float32, m.Home())
	buffers := []*torch.Tensor{nil, nil, m.Buffer(torch.Float32), m.Buffer(torch.Float32)}
	defer buffers[2].Free()
	defer buffers[3].Free()
	for step := range int64(3) {
		r := window(m, p, 64, batchOf(randomRows(step, c, 9, 5)), batchOf(randomRows(step+10, c, 12)))
		numbers = append(numbers, float32(r.loss))
		for _, name := range slices.Sorted(maps.Keys(r.gradients)) {
			numbers = append(numbers, r.gradients[name]...)
		}
		buffers[0], buffers[1] = m.Weights(), m.Gradients() // which settles the update before, so that count may change
		var views [][4][]*torch.Tensor                      // by unit and buffer
		for _, parts := range m.Units() {
			var unit [4][]*torch.Tensor
			for i, buffer := range buffers {
				for _, s := range parts {
					unit[i] = append(unit[i], buffer.Narrow(0, s.Offset, s.Length))
				}
			}
			views = append(views, unit)
		}
		torch.CountUpdate_(count, nil)
		m.Update(func(unit int) {
			v := views[unit]
			if besideOnCPU { // the next pass is there first, and has to wait
				time.Sleep(time.Millisecond)
			}
			torch.NoGrad(func() {
				torch.FusedAdamW_(torch.AdamW{Beta1: 0.9, Beta2: 0.99, Epsilon: 1e-8}, v[0], v[1], v[2], v[3], count, rate, nil, nil)
			})
		})
	}
	ids, targets := batchOf(randomRows(20, c, 7, 12)).tensors(device)
	numbers = append(numbers, m.Logits(ids, p.Precision).To(torch.Float32, torch.CPU).Float32s()...)
	sum := torch.Zeros(nil, torch.Float64, device)
	m.Loss(ids, targets, p.Precision, sum)
	numbers = append(numbers, float32(sum.Item()))
	numbers = append(numbers, m.Weights().Float32s()...)
	sequences, err := m.Generate(t.Context(), []int64{1, 2, 3}, 1, Sampling{Precision: p.Precision, Temperature: 1, TopP: 1, Seed: 3, EndToken: -1, MaxLength: 10}, nil)
	if err != nil {
		t.Fatal(err)
	}
	return numbers, sequences[0]
}

// rateType is that which the fused AdamW of a device reads.
func rateType(d torch.Device) torch.DType {
	if d.Type == torch.CPUType {
		return torch.Float64
	}
	return torch.Float32
}

// TestOffloadChangesNoBit: losses, gradients, weights, evaluation and generation are the same to the bit wherever the weights lie, with
// as many blocks as have places of their own and with more.
func TestOffloadChangesNoBit(t *testing.T) {
	streams(t, func(t *testing.T) {
		for _, layers := range []int{1, 2, 5} {
			for _, precision := range []torch.DType{torch.Float32, torch.BFloat16} {
				for _, checkpointing := range []bool{false, true} {
					c := Config{VocabSize: 61, HiddenSize: 24, NumLayers: layers, NumHeads: 2, IntermediateSize: 56, MaxPositionEmbeddings: 12,
						LayerNormEpsilon: 1e-5, Dropout: 0.1}
					p := Pass{Precision: precision, Checkpointing: checkpointing}
					onThread(t, func() {
						want, wantText := updated(t, c, torch.CPU, NoOffload, p)
						for _, o := range []Offload{OffloadOptimizer, OffloadFull} {
							name := fmt.Sprintf("%d layers %s checkpointing %v offload %s", layers, precision, checkpointing, offloadNames[o])
							got, text := updated(t, c, torch.CPU, o, p)
							if i := firstDifference(got, want); i >= 0 {
								t.Errorf("%s: number %d of %d is %v, want %v", name, i, len(want), got[i], want[i])
							}
							if !slices.Equal(text, wantText) {
								t.Errorf("%s: text %v, want %v", name, text, wantText)
							}
						}
					})
				}
			}
		}
	})
}

func firstDifference(a, b []float32) int {
	if len(a) != len(b) {
		return 0
	}
	for i := range a {
		if a[i] != b[i] {
			return i
		}
	}
	return -1
}

// An update on another thread that fails is told of wherever the weights are needed, and what is left can be freed.
func TestAnUpdateThatFails(t *testing.T) {
	besideOnCPU = true
	defer func() { besideOnCPU = false }()
	c := Config{VocabSize: 61, HiddenSize: 24, NumLayers: 4, NumHeads: 2, IntermediateSize: 56, MaxPositionEmbeddings: 12, LayerNormEpsilon: 1e-5}
	onThread(t, func() {
		m := NewOffloaded(c, torch.CPU, OffloadFull)
		m.Init(7)
		m.Update(func(unit int) {
			if unit == 3 {
				panic(&torch.Error{Kind: torch.OutOfMemory, Message: "a test"})
			}
		})
		if e := panicOf(func() { m.Settle() }); e == nil || e.Kind != torch.OutOfMemory {
			t.Errorf("the failure of an update became %v", e)
		}
		if e := panicOf(func() { m.Weights() }); e == nil {
			t.Error("the weights were to be had after an update that changed a part of them")
		}
		if e := panicOf(func() { m.Finish(); m.Free() }); e != nil {
			t.Errorf("freeing them: %v", e)
		}
	})
}

// An update rounds for the copies on the device: those of another precision are made when it is complete.
func TestAChangeOfPrecisionWaitsForAnUpdate(t *testing.T) {
	besideOnCPU = true
	defer func() { besideOnCPU = false }()
	c := Config{VocabSize: 61, HiddenSize: 24, NumLayers: 4, NumHeads: 2, IntermediateSize: 56, MaxPositionEmbeddings: 12, LayerNormEpsilon: 1e-5}
	onThread(t, func() {
		var want []float32
		for _, o := range []Offload{NoOffload, OffloadOptimizer, OffloadFull} {
			m := NewOffloaded(c, torch.CPU, o)
			m.Init(7)
			window(m, Pass{Precision: torch.BFloat16}, 1, batchOf(randomRows(1, c, 9)))
			m.Update(func(int) { time.Sleep(5 * time.Millisecond) }) // changes nothing
			ids, _ := batchOf(randomRows(2, c, 12)).tensors(torch.CPU)
			got := m.Logits(ids, torch.Float32).Float32s()
			if m.Settle(); o == NoOffload {
				want = got
			}
			if i := firstDifference(got, want); i >= 0 {
				t.Errorf("%s: logit %d is %v, want %v", offloadNames[o], i, got[i], want[i])
			}
			m.Free()
		}
	})
}

// panicOf is the *torch.Error that f panics with.
func panicOf(f func()) (e *torch.Error) {
	defer func() { e, _ = recover().(*torch.Error) }()
	f()
	return nil
}

// TestOffloadedWeightsLeaveTheDevice counts what stays on it: full offload's does not grow with the number of blocks.
func TestOffloadedWeightsLeaveTheDevice(t *testing.T) {
	onThread(t, func() {
		for _, precision := range []torch.DType{torch.Float32, torch.BFloat16} {
			var full []int64
			for _, layers := range []int{3, 6} {
				c := Config{VocabSize: 100, HiddenSize: 64, NumLayers: layers, NumHeads: 2, IntermediateSize: 256, MaxPositionEmbeddings: 16, LayerNormEpsilon: 1e-5}
				for _, o := range []Offload{OffloadOptimizer, OffloadFull} {
					before, _ := torch.MemoryByKind(torch.CPU)
					m := NewOffloaded(c, torch.CPU, o)
					m.Init(1)
					window(m, Pass{Precision: precision, Checkpointing: true}, 1, batchOf(randomRows(1, c, 8)))
					after, _ := torch.MemoryByKind(torch.CPU)
					weights, gradients := c.OffloadBytes(o, precision)
					for kind, planned := range map[torch.MemoryKind][]int64{torch.MemoryWeights: weights, torch.MemoryGradients: gradients} {
						got, want := after[kind]-before[kind], int64(0)
						for _, n := range planned {
							want += n
						}
						if got != want {
							t.Errorf("%s, %d layers, %s: %d bytes of %s, want %d", offloadNames[o], layers, precision, got, kind, want)
						}
						if o == OffloadFull {
							full = append(full, got)
						}
					}
					m.Free()
				}
			}
			slices.Sort(full)
			if len(full) != 4 || full[0] != full[1] || full[2] != full[3] {
				t.Errorf("%s: full offload takes %v bytes for 3 and for 6 blocks", precision, full)
			}
		}
	})
}
