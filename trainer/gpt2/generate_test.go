package gpt2

import (
	"context"
	"errors"
	"fmt"
	"math"
	"slices"
	"strings"
	"testing"

	"frugal/torch"
)

// mustGenerate is Generate where it has to succeed.
func mustGenerate(t testing.TB, m *Model, prompt []int64, n int, s Sampling) [][]int64 {
	t.Helper()
	text, err := m.Generate(t.Context(), prompt, n, s, nil)
	if err != nil {
		t.Fatal(err)
	}
	return text
}

func TestGreedyTextMatchesHuggingFace(t *testing.T) {
	golden := openGenerateGolden(t)
	onThread(t, func() {
		models := map[string]*Model{}
		for _, name := range goldenCases {
			models[name] = openGolden(t, name).model(t, torch.CPU)
			defer models[name].Free()
		}
		tokens := 0
		for _, g := range golden.Greedy {
			s := Sampling{TopP: 1, MaxLength: g.MaxLength, EndToken: g.EndToken, Precision: torch.Float32}
			for i, got := range mustGenerate(t, models[g.Model], g.Prompt, 2, s) {
				if !slices.Equal(got, g.Text) {
					t.Errorf("%s, prompt %v, max_length %d, end token %d, sequence %d: %v, want %v", g.Model, g.Prompt, g.MaxLength, g.EndToken, i, got, g.Text)
				}
			}
			tokens += len(g.Text)
		}
		t.Logf("%d texts, %d tokens", len(golden.Greedy), tokens)
	})
}

// cachedLogits puts a prompt of the given length through the cache at once and what follows one by one. [positions from the
// prompt's last on][rows·V]
func cachedLogits(m *Model, ids *torch.Tensor, prompt int64, precision torch.DType) (logits [][]float32) {
	torch.NoGrad(func() {
		shape := ids.Shape()
		g := m.forGeneration(precision)
		past := m.newCache(shape[0], shape[1], precision)
		logits = append(logits, g.nextLogits(ids.Narrow(1, 0, prompt), past).Float32s())
		for at := prompt; at < shape[1]; at++ {
			logits = append(logits, g.nextLogits(ids.Narrow(1, at, 1), past).Float32s())
		}
	})
	return logits
}

// fp32: the sums are made in another order than BLAS makes them, so the last bits differ. Half precisions round the same values
// at the same places as under autocast, where the last bits of a sum sometimes turn a rounding.
func TestCachedLogitsAreTheUncached(t *testing.T) {
	for _, name := range goldenCases {
		for precision, tolerance := range map[torch.DType]float64{torch.Float32: 1e-5, torch.BFloat16: 5e-2, torch.Float16: 5e-3} {
			t.Run(fmt.Sprintf("%s/%s", name, precision), func(t *testing.T) {
				onThread(t, func() {
					g := openGolden(t, name)
					g.Dropout = 0.5 // generation has none
					m := g.model(t, torch.CPU)
					defer m.Free()
					B, T, V := int64(4), int64(g.MaxPositionEmbeddings), int64(g.VocabSize)
					ids := torch.FromInt64s(randomIDs(int(B*T), g.VocabSize, 7), []int64{B, T}, torch.CPU)
					want := m.Logits(ids, precision).Float32s()
					worst, largest := 0.0, 0.0
					for _, prompt := range []int64{1, 2, T / 2, T} {
						for i, logits := range cachedLogits(m, ids, prompt, precision) {
							for j, got := range logits {
								row, v := int64(j)/V, int64(j)%V
								w := float64(want[(row*T+prompt-1+int64(i))*V+v])
								worst, largest = max(worst, math.Abs(float64(got)-w)), max(largest, math.Abs(w))
							}
						}
					}
					if !(worst <= tolerance*max(1, largest)) {
						t.Errorf("logits differ by %.3g, want at most %v of %.3g", worst, tolerance, largest)
					}
					t.Logf("logits up to %.3g, largest difference %.2g", largest, worst)
				})
			})
		}
	}
}

// What is computed for a sequence depends on nothing beside it, to the bit: else a text would now and then change with n.
func TestLogitsDependNeitherOnOtherSequencesNorOnThreads(t *testing.T) {
	c := Config{VocabSize: 1031, HiddenSize: 96, NumLayers: 3, NumHeads: 4, IntermediateSize: 401, MaxPositionEmbeddings: 90, LayerNormEpsilon: 1e-5}
	for _, precision := range []torch.DType{torch.Float32, torch.BFloat16} {
		t.Run(precision.String(), func(t *testing.T) {
			onThread(t, func() {
				m := New(c, torch.CPU)
				defer m.Free()
				m.Init(3)
				const B, T, prompt = 17, 80, 70
				ids := torch.FromInt64s(randomIDs(B*T, c.VocabSize, 5), []int64{B, T}, torch.CPU)
				want := cachedLogits(m, ids, prompt, precision)
				for _, threads := range []int{1, 2, 3, 5} {
					torch.SetNumThreads(threads)
					for _, n := range []int64{1, 2, 6, B} {
						for i, got := range cachedLogits(m, ids.Narrow(0, 0, n), prompt, precision) {
							if !slices.Equal(got, want[i][:len(got)]) {
								t.Errorf("%d sequences, %d threads: the logits after %d positions have other bits", n, threads, prompt+i)
							}
						}
					}
				}
			})
		})
	}
}

func TestTheSameSeedGivesTheSameText(t *testing.T) {
	onThread(t, func() {
		g := openGolden(t, "odd")
		m := g.model(t, torch.CPU)
		defer m.Free()
		s := Sampling{Temperature: 1, TopK: 50, TopP: 0.95, Seed: 11, EndToken: 3, Precision: torch.Float32}
		prompt := []int64{8, 9}
		want := mustGenerate(t, m, prompt, 6, s)
		torch.ManualSeed(torch.CPU, 99) // what the generators of libtorch did before must not matter
		for _, threads := range []int{1, 3} {
			torch.SetNumThreads(threads)
			for n := 1; n <= 6; n++ {
				for i, got := range mustGenerate(t, m, prompt, n, s) {
					if !slices.Equal(got, want[i]) {
						t.Errorf("sequence %d of %d with %d threads is %v, want %v", i, n, threads, got, want[i])
					}
				}
			}
		}
		for i := range want {
			for j := range i {
				if slices.Equal(want[i], want[j]) {
					t.Errorf("sequences %d and %d are both %v", i, j, want[i])
				}
			}
		}
		if s.Seed++; slices.EqualFunc(mustGenerate(t, m, prompt, 6, s), want, slices.Equal[[]int64]) {
			t.Error("another seed gives the same texts")
		}
	})
}

func TestGenerationEndsWhereItShould(t *testing.T) {
	onThread(t, func() {
		g := openGolden(t, "odd") // 19 positions
		m := g.model(t, torch.CPU)
		defer m.Free()
		base := Sampling{TopP: 1, EndToken: -1, Precision: torch.Float32}
		long := mustGenerate(t, m, []int64{1, 2}, 1, base)[0]
		if len(long) != 17 {
			t.Fatalf("%d tokens after a prompt of 2, want 17 for 19 positions", len(long))
		}
		s := base
		s.MaxLength = 1000
		if got := mustGenerate(t, m, []int64{1, 2}, 1, s)[0]; !slices.Equal(got, long) {
			t.Errorf("a length above the model's positions gives %v, want %v", got, long)
		}
		s.MaxLength = 7
		if got := mustGenerate(t, m, []int64{1, 2}, 1, s)[0]; !slices.Equal(got, long[:5]) {
			t.Errorf("a length of 7 gives %v, want %v", got, long[:5])
		}
		s = base
		s.EndToken = long[4]
		want := long[:slices.Index(long, long[4])]
		if got := mustGenerate(t, m, []int64{1, 2}, 1, s)[0]; !slices.Equal(got, want) {
			t.Errorf("the end token gives %v, want %v", got, want)
		}
		// An empty prompt is the end token.
		if got, want := mustGenerate(t, m, nil, 1, s)[0], mustGenerate(t, m, []int64{s.EndToken}, 1, s)[0]; !slices.Equal(got, want) {
			t.Errorf("an empty prompt gives %v, want %v", got, want)
		}
	})
}

func TestEmitSeesEveryTokenAndStops(t *testing.T) {
	onThread(t, func() {
		m := openGolden(t, "odd").model(t, torch.CPU)
		defer m.Free()
		s := Sampling{Temperature: 1, TopP: 1, Seed: 1, EndToken: 3, Precision: torch.Float32}
		seen := make([][]int64, 3)
		text, err := m.Generate(t.Context(), []int64{4}, 3, s, func(i int, id int64) bool {
			seen[i] = append(seen[i], id)
			return true
		})
		if err != nil || !slices.EqualFunc(seen, text, slices.Equal[[]int64]) {
			t.Errorf("emit saw %v of %v, %v", seen, text, err)
		}
		calls := 0
		part, err := m.Generate(t.Context(), []int64{4}, 3, s, func(int, int64) bool { calls++; return calls < 5 })
		if n := len(part[0]) + len(part[1]) + len(part[2]); err != nil || calls != 5 || n != 5 {
			t.Errorf("%d calls and %d tokens after emit stopped it at the fifth, %v", calls, n, err)
		}
		ctx, cancel := context.WithCancel(t.Context())
		calls = 0
		part, err = m.Generate(ctx, []int64{4}, 1, s, func(int, int64) bool {
			if calls++; calls == 2 {
				cancel()
			}
			return true
		})
		if !errors.Is(err, context.Canceled) || len(part[0]) != 2 {
			t.Errorf("%v, %v after ctx was cancelled at the second token", part, err)
		}
	})
}

// A trainer generates between two steps: nothing of the model may be changed by it, an error or a panic in the middle included.
func TestGenerationLeavesTheModelAsItWas(t *testing.T) {
	onThread(t, func() {
		g := openGolden(t, "odd")
		g.Dropout = 0.2
		m := g.model(t, torch.CPU)
		defer m.Free()
		before := window(m, Pass{Precision: torch.Float32}, 1, g.batch)
		s := Sampling{Temperature: 1, TopP: 1, EndToken: -1, Precision: torch.BFloat16}
		mustGenerate(t, m, []int64{1}, 2, s)
		live := torch.LiveTensors()
		func() {
			defer func() { recover() }()
			m.Generate(t.Context(), []int64{1}, 2, s, func(int, int64) bool { panic("in the middle") })
		}()
		if n := torch.LiveTensors() - live; n != 0 {
			t.Errorf("%d tensors outlive a panic", n)
		}
		if compare(t, "afterwards", window(m, Pass{Precision: torch.Float32}, 1, g.batch), before, 0) != 0 {
			t.Error("gradients changed")
		}
	})
}

func TestGenerateSaysWhatIsWrong(t *testing.T) {
	onThread(t, func() {
		m := openGolden(t, "odd").model(t, torch.CPU) // 211 tokens, 19 positions
		defer m.Free()
		good := Sampling{TopP: 1, EndToken: -1, Precision: torch.Float32}
		short, wrong := good, good
		short.MaxLength, wrong.TopP = 5, 0
		for _, c := range []struct {
			prompt []int64
			n      int
			s      Sampling
			want   string
		}{
			{[]int64{1}, 0, good, "0 sequences, want at least 1"},
			{[]int64{1}, 1, wrong, "top_p is 0"},
			{nil, 1, good, "the prompt is empty, and there is no end token to begin with"},
			{[]int64{1, 211}, 1, good, "the prompt holds the token id 211; the model's vocabulary has 211"},
			{[]int64{-1}, 1, good, "the prompt holds the token id -1"},
			{make([]int64, 19), 1, good, "the prompt has 19 tokens; the model has 19 positions, of which one at least must be left"},
			{make([]int64, 5), 1, short, "the prompt has 5 tokens, which leaves nothing of a length of 5 with the prompt included"},
		} {
			text, err := m.Generate(t.Context(), c.prompt, c.n, c.s, nil)
			if err == nil || !strings.Contains(err.Error(), c.want) {
				t.Errorf("%v, %v, want %q", text, err, c.want)
			}
		}
	})
}
