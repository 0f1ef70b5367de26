package gpt2

import (
	"fmt"
	"math/rand/v2"
	"testing"

	"frugal/torch"
)

// presetConfig is the model of the 6gb preset.
var presetConfig = Config{VocabSize: 50257, HiddenSize: 384, NumLayers: 6, NumHeads: 6, IntermediateSize: 1536, MaxPositionEmbeddings: 1024, LayerNormEpsilon: 1e-5}

// BenchmarkForwardBackward is the work of one micro-batch of 4 rows of 256, with two threads.
func BenchmarkForwardBackward(b *testing.B) {
	for _, dtype := range []torch.DType{torch.Float32, torch.BFloat16} {
		for _, rows := range []int{0, 128, 256, 1024} {
			for _, checkpointing := range []bool{false, true} {
				if checkpointing && rows > 0 {
					continue
				}
				b.Run(fmt.Sprintf("%s/head rows %d/checkpointing %v", dtype, rows, checkpointing), func(b *testing.B) {
					benchmark(b, Pass{Precision: dtype, Checkpointing: checkpointing}, rows)
				})
			}
		}
	}
}

func benchmark(b *testing.B, p Pass, headRows int) {
	onThread(b, func() {
		torch.SetNumThreads(2)
		const B, T = 4, 256
		m := New(presetConfig, torch.CPU)
		defer m.Free()
		m.Init(1)
		m.HeadRows = headRows
		ids, targets := randomIDs(B*T, m.VocabSize, 1), randomIDs(B*T, m.VocabSize, 2)
		x, y := torch.FromInt64s(ids, []int64{B, T}, torch.CPU), torch.FromInt64s(targets, []int64{B, T}, torch.CPU)
		p.Weight, p.LossSum = torch.Full(nil, 1.0/(B*T), torch.Float32, torch.CPU), torch.Zeros(nil, torch.Float64, torch.CPU)
		m.ForwardBackward(x, y, p) // the gradients' memory
		for b.Loop() {
			m.ForwardBackward(x, y, p)
		}
		b.ReportMetric(float64(b.N)*B*T/b.Elapsed().Seconds(), "tokens/s")
	})
}

func randomIDs(n, vocabSize int, seed uint64) []int64 {
	r := rand.New(rand.NewPCG(seed, 0))
	ids := make([]int64, n)
	for i := range ids {
		ids[i] = r.Int64N(int64(vocabSize))
	}
	return ids
}
