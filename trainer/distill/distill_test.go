package distill_test

import (
	"fmt"
	"math"
	"slices"
	"testing"

	"golang.org/x/sys/unix"

	"frugal/torch"
	"frugal/trainer/distill"
	"frugal/trainer/gpt2"
)

// Half precisions follow fp32, with fp16's loss scale as well: the measure is the gradient's norm, of which they keep 8 and 11 bits.
func TestHalfPrecisionsFollowFP32(t *testing.T) {
	g := openGolden(t)
	// Seen: 7.5e-3 and 8.6e-4, on processors with AVX-512, AVX2 and without either. Where the last of the k and the next are all but
	// equally probable, rounding picks another, and the losses differ more: with 4 there is no such target.
	for dtype, allowed := range map[torch.DType]float64{torch.BFloat16: 0.01, torch.Float16: 0.00125} {
		for _, topK := range []int{0, 4} {
			t.Run(fmt.Sprintf("%s, top %d", dtype, topK), func(t *testing.T) {
				onThread(t, func() {
					student := open(t, "student")
					defer student.Free()
					run := func(dtype torch.DType, scale float64) result {
						teacher := distill.NewTeacher(open(t, "teacher"), dtype)
						defer teacher.Free()
						return window(student, gpt2.Pass{Precision: dtype, Checkpointing: true}, distill.Loss{Temperature: 2, Alpha: 0.5}, scale, g.MicroBatches,
							func(ids *torch.Tensor, _ int64, l distill.Loss) gpt2.Guide {
								if topK == 0 {
									return teacher.Guide(ids, l)
								}
								return teacher.TopK(ids, topK, l.Temperature).Tensors(torch.CPU).Guide(l)
							})
					}
					want, got := run(torch.Float32, 1), run(dtype, 1024)
					if d := math.Abs(got.distillation/want.distillation - 1); !(d <= allowed) {
						t.Errorf("the distillation loss is off by %.3g", d)
					}
					var difference, norm float64
					for name, w := range want.gradients {
						for i := range w {
							difference += math.Pow(float64(got.gradients[name][i]-w[i]), 2)
							norm += math.Pow(float64(w[i]), 2)
						}
					}
					if d := math.Sqrt(difference / norm); !(d <= allowed) || d == 0 {
						t.Errorf("gradients are off by %.3g", d)
					}
				})
			})
		}
	}
}

// A frozen model says what the same model says in training's evaluation, to the bit.
func TestFreezingChangesNoBit(t *testing.T) {
	g := openGolden(t)
	onThread(t, func() {
		for _, dtype := range []torch.DType{torch.Float32, torch.BFloat16, torch.Float16} {
			m, frozen := open(t, "teacher"), open(t, "teacher")
			ids, _, _ := batch(g.MicroBatches[0])
			want := m.Hidden(ids, dtype).Float32s()
			before := frozen.WeightBytes()
			frozen.Freeze(dtype)
			if got := frozen.Hidden(ids, dtype).Float32s(); !slices.Equal(got, want) {
				t.Errorf("%s: hidden states differ by %.3g", dtype, off(got, want))
			}
			logits := frozen.Output(frozen.Hidden(ids, dtype))
			if d := off(logits.Float32s(), m.Logits(ids, torch.Float32).Float32s()); !(d <= 0.02) || dtype == torch.Float32 && d > 1e-6 {
				t.Errorf("%s: logits differ by %.3g", dtype, d)
			}
			if after := frozen.WeightBytes(); dtype != torch.Float32 && !(after < before*3/4) {
				t.Errorf("%s: %d bytes of weights, %d before", dtype, after, before)
			}
			m.Free()
			frozen.Free()
		}
	})
}

// With every id kept there is no rest, and the loss is the exact one.
func TestKeepingEverythingIsTheExactLoss(t *testing.T) {
	g := openGolden(t)
	onThread(t, func() {
		student := open(t, "student")
		defer student.Free()
		teacher := distill.NewTeacher(open(t, "teacher"), torch.Float32)
		defer teacher.Free()
		l, p := distill.Loss{Temperature: 2, Alpha: 0.7}, gpt2.Pass{Precision: torch.Float32}
		exact := window(student, p, l, 1, g.MicroBatches, func(ids *torch.Tensor, _ int64, l distill.Loss) gpt2.Guide { return teacher.Guide(ids, l) })
		kept := window(student, p, l, 1, g.MicroBatches, func(ids *torch.Tensor, _ int64, l distill.Loss) gpt2.Guide {
			return teacher.TopK(ids, 83, l.Temperature).Tensors(torch.CPU).Guide(l)
		})
		if d := math.Abs(kept.distillation/exact.distillation - 1); !(d <= tolerance) {
			t.Errorf("losses differ by %.3g", d)
		}
		for name, want := range exact.gradients {
			if d := off(kept.gradients[name], want); !(d <= tolerance) {
				t.Errorf("gradients of %s differ by %.3g", name, d)
			}
		}
	})
}

// Rests as small as fp32 holds, and smaller, of the teacher or of the student: nothing overflows, nothing is NaN, and what is not tiny
// is right.
func TestTinyRestsAreSafe(t *testing.T) {
	inf := float32(math.Inf(-1))
	const V = 4
	for _, c := range []struct {
		name     string
		logits   []float32 // the student's
		logProbs []float32 // the teacher's of ids 0 and 1
		rest     float32
		want     float64 // NaN: only finite
		gradient []float32
	}{
		{"the teacher leaves nothing", []float32{0, 0, 0, 0}, []float32{-0.6931472, -0.6931472}, inf, math.Ln2, []float32{-0.25, -0.25, 0.25, 0.25}},
		{"the teacher leaves e^-60", []float32{0, 0, 0, 0}, []float32{-0.6931472, -0.6931472}, -60, math.Ln2, []float32{-0.25, -0.25, 0.25, 0.25}},
		{"the student leaves 1e-26", []float32{60, 60, 0, 0}, []float32{-1.3862944, -1.3862944}, -0.6931472, math.NaN(), []float32{0.25, 0.25, -0.25, -0.25}},
		{"the student leaves nothing", []float32{1000, 1000, 0, 0}, []float32{-1.3862944, -1.3862944}, -0.6931472, math.NaN(), nil},
		{"both leave nothing", []float32{1000, 1000, 0, 0}, []float32{-0.6931472, -0.6931472}, inf, 0, []float32{0, 0, 0, 0}},
		{"rounding has made the masses more than 1", []float32{0, 0, 0, 0}, []float32{-0.2, -0.2}, -0.2, math.NaN(),
			[]float32{0.25 - 1.0/3, 0.25 - 1.0/3, 0.25 - 1.0/6, 0.25 - 1.0/6}},
	} {
		t.Run(c.name, func(t *testing.T) {
			onThread(t, func() {
				kept := distill.Kept{IDs: []int64{0, 1}, LogProbs: c.logProbs, Rest: []float32{c.rest}}.Tensors(torch.CPU)
				one := torch.Full(nil, 1, torch.Float32, torch.CPU)
				l := distill.Loss{Temperature: 1, Alpha: 1, Sum: torch.Zeros(nil, torch.Float64, torch.CPU)}
				gradient := torch.Zeros([]int64{1, V}, torch.Float32, torch.CPU)
				kept.Guide(l).Rows(gpt2.Chunk{Logits: torch.FromFloat32s(c.logits, []int64{1, V}, torch.CPU), Valid: torch.Full([]int64{1}, 1, torch.Float32, torch.CPU),
					Weight: one, Gradient: gradient})
				loss := l.Sum.Item()
				if math.IsNaN(loss) || math.IsInf(loss, 0) || !math.IsNaN(c.want) && math.Abs(loss-c.want) > 1e-6 {
					t.Errorf("loss %v, want %v", loss, c.want)
				}
				for i, got := range gradient.Float32s() {
					if math.IsNaN(float64(got)) || math.IsInf(float64(got), 0) || c.gradient != nil && math.Abs(float64(got-c.gradient[i])) > 1e-6 {
						t.Errorf("gradient %v, want %v", gradient.Float32s(), c.gradient)
						break
					}
				}
			})
		})
	}
}

// The gradient is that of the loss: finite differences of the divergence by every logit.
func TestGradientIsTheLossesSlope(t *testing.T) {
	onThread(t, func() {
		torch.ManualSeed(torch.CPU, 4)
		const n, V = 2, 7
		logits := torch.RandN([]int64{n, V}, torch.CPU).Float32s()
		kept := distill.Kept{IDs: []int64{6, 2, 0, 5}, LogProbs: []float32{-0.5, -2, -1, -1.5}, Rest: []float32{-1.3574, -0.8967}}.Tensors(torch.CPU)
		l := distill.Loss{Temperature: 1.5, Alpha: 0.3}
		at := func(logits []float32, gradient *torch.Tensor) float64 {
			l.Sum = torch.Zeros(nil, torch.Float64, torch.CPU)
			kept.Guide(l).Rows(gpt2.Chunk{Logits: torch.FromFloat32s(logits, []int64{n, V}, torch.CPU), Valid: torch.Full([]int64{n}, 1, torch.Float32, torch.CPU),
				Weight: torch.Full(nil, 1, torch.Float32, torch.CPU), Gradient: gradient})
			return l.Alpha * l.Sum.Item()
		}
		gradient := torch.Zeros([]int64{n, V}, torch.Float32, torch.CPU)
		at(logits, gradient)
		for i, got := range gradient.Float32s() {
			const step = 1.0 / 64 // the error is of the order of its square, and of fp32's rounding over it
			up, down := slices.Clone(logits), slices.Clone(logits)
			up[i], down[i] = up[i]+step, down[i]-step
			if slope := (at(up, nil) - at(down, nil)) / (2 * step); math.Abs(slope-float64(got)) > 5e-5 {
				t.Errorf("logit %d: gradient %v, slope %v", i, got, slope)
			}
		}
	})
}

// Neither model's logits of a whole batch exist: for 2,048 positions and 16,000 ids either would take 125 MiB in fp32.
func TestNoLogitsOfAWholeBatchExist(t *testing.T) {
	config := gpt2.Config{VocabSize: 16000, HiddenSize: 8, NumLayers: 1, NumHeads: 1, IntermediateSize: 8, MaxPositionEmbeddings: 64, LayerNormEpsilon: 1e-5}
	for _, topK := range []int{0, 16} {
		t.Run(fmt.Sprint("top ", topK), func(t *testing.T) {
			onThread(t, func() {
				student := gpt2.New(config, torch.CPU)
				student.Init(1)
				defer student.Free()
				student.HeadRows = 64
				other := gpt2.New(config, torch.CPU)
				other.Init(2)
				other.HeadRows = 64
				teacher := distill.NewTeacher(other, torch.BFloat16)
				defer teacher.Free()
				peak := func(rows int) int64 {
					text := make([][]int64, rows)
					for i := range text {
						for at := range 64 {
							text[i] = append(text[i], int64(i*7919+at*104729)%16000)
						}
					}
					window(student, gpt2.Pass{Precision: torch.BFloat16}, distill.Loss{Temperature: 2, Alpha: 0.5}, 1, [][][]int64{text},
						func(ids *torch.Tensor, _ int64, l distill.Loss) gpt2.Guide {
							if topK == 0 {
								return teacher.Guide(ids, l)
							}
							return teacher.TopK(ids, topK, l.Temperature).Tensors(torch.CPU).Guide(l)
						})
					var u unix.Rusage
					if err := unix.Getrusage(unix.RUSAGE_SELF, &u); err != nil {
						t.Fatal(err)
					}
					return u.Maxrss << 10
				}
				small := peak(1)
				if grown := peak(32) - small; grown > 40<<20 {
					t.Errorf("31 rows more take %d MiB more", grown>>20)
				}
			})
		})
	}
}

func TestFingerprintFollowsWeightsAndArchitecture(t *testing.T) {
	config, err := gpt2.ParseConfig(readFile(t, "teacher", "config.json"))
	if err != nil {
		t.Fatal(err)
	}
	text := readFile(t, "teacher", "model.safetensors")
	base := distill.Fingerprint(config, parse(t, text))
	if again := distill.Fingerprint(config, parse(t, text)); again != base || len(base) != 64 {
		t.Errorf("fingerprints %s and %s", base, again)
	}
	changed := slices.Clone(text)
	changed[len(changed)-1] ^= 1
	if distill.Fingerprint(config, parse(t, changed)) == base {
		t.Error("another weight has the same fingerprint")
	}
	config.NumHeads = 3
	if distill.Fingerprint(config, parse(t, text)) == base {
		t.Error("another architecture has the same fingerprint")
	}
}
