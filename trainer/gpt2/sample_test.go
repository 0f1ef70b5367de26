package gpt2

import (
	"encoding/json"
	"math"
	"math/rand/v2"
	"slices"
	"testing"

	"pgregory.net/rapid"

	"frugal/torch"
)

// generation golden: testdata/generate.json.
type generateGolden struct {
	Greedy []struct {
		Model     string
		Prompt    []int64
		MaxLength int   `json:"max_length"`
		EndToken  int64 `json:"end_token"`
		Text      []int64
	}
	Filters []struct {
		Temperature   float64
		TopK          int     `json:"top_k"`
		TopP          float64 `json:"top_p"`
		Logits        []float32
		Probabilities []float64
	}
}

func openGenerateGolden(t testing.TB) (g generateGolden) {
	t.Helper()
	if err := json.Unmarshal(readFile(t, "generate.json"), &g); err != nil {
		t.Fatal(err)
	}
	if len(g.Greedy) == 0 || len(g.Filters) == 0 {
		t.Fatal("testdata/generate.json is empty: run python3 scripts/golden_generate.py")
	}
	return g
}

// probabilities is what a sampler draws from.
func probabilities(s Sampling, logits []float32) []float64 {
	sampler := newSampler(s, 0)
	total := sampler.distribution(logits, float64(slices.Max(logits)))
	p := slices.Clone(sampler.weights)
	for i := range p {
		p[i] /= total
	}
	return p
}

func TestFilteredProbabilitiesMatchHuggingFace(t *testing.T) {
	for _, f := range openGenerateGolden(t).Filters {
		got := probabilities(Sampling{Temperature: f.Temperature, TopK: f.TopK, TopP: f.TopP}, f.Logits)
		for i, want := range f.Probabilities {
			if (got[i] == 0) != (want == 0) && max(got[i], want) > 1e-30 || math.Abs(got[i]-want) > 1e-6 {
				t.Errorf("temperature %v, top_k %d, top_p %v of %v:\n got %.4v\nwant %.4v", f.Temperature, f.TopK, f.TopP, f.Logits, got, f.Probabilities)
				break
			}
		}
	}
}

// The definition, written the slow way: sorted, and summed until it is enough.
func TestTheFewestTokensWhoseMassReachesTopPAreKept(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		logits := rapid.SliceOfN(rapid.Float32Range(-4, 4), 1, 60).Draw(t, "logits")
		if rapid.Bool().Draw(t, "ties") {
			for i := range logits {
				logits[i] = float32(math.Round(float64(logits[i])))
			}
		}
		s := Sampling{Temperature: rapid.Float64Range(0.2, 3).Draw(t, "temperature"), TopK: rapid.IntRange(0, 70).Draw(t, "top_k"),
			TopP: rapid.Float64Range(0.001, 1).Draw(t, "top_p")}
		order := make([]int, len(logits))
		for i := range order {
			order[i] = i
		}
		slices.SortFunc(order, func(a, b int) int {
			if logits[a] != logits[b] {
				return map[bool]int{true: -1, false: 1}[logits[a] > logits[b]]
			}
			return b - a
		})
		if s.TopK > 0 && s.TopK < len(order) {
			for s.TopK < len(order) && logits[order[len(order)-1]] < logits[order[s.TopK-1]] {
				order = order[:len(order)-1]
			}
		}
		total, mass, kept := 0.0, 0.0, 0
		for _, id := range order {
			total += math.Exp(float64(logits[id]) / s.Temperature)
		}
		for ; kept < len(order) && mass < s.TopP*total; kept++ {
			mass += math.Exp(float64(logits[order[kept]]) / s.Temperature)
		}
		last := math.Exp(float64(logits[order[kept-1]]) / s.Temperature)
		if s.TopP < 1 && min(mass-s.TopP*total, s.TopP*total-mass+last) < 1e-9*total {
			t.Skip("a sum lies at top_p itself, where rounding decides: rapid draws another")
		}
		got := probabilities(s, logits)
		for rank, id := range order {
			want := 0.0
			if rank < kept || s.TopP == 1 {
				want = math.Exp(float64(logits[id])/s.Temperature) / mass
			}
			if math.Abs(got[id]-want) > 1e-9 {
				t.Fatalf("%+v of %v: token %d has probability %v, want %v", s, logits, id, got[id], want)
			}
		}
	})
}

func TestGreedyTakesTheFirstOfTheLikeliest(t *testing.T) {
	got, err := newSampler(Sampling{TopP: 1}, 0).next([]float32{-1, 2, 0, 2})
	if got != 1 || err != nil {
		t.Errorf("%d, %v, want 1", got, err)
	}
}

func TestDrawsFollowTheDistribution(t *testing.T) {
	logits := []float32{0.3, -1, 2, 1.5, 0, 2, -3, 0.9, 1.1, -0.4}
	for _, s := range []Sampling{{Temperature: 1, TopP: 1}, {Temperature: 0.6, TopK: 6, TopP: 0.95}, {Temperature: 2, TopP: 0.8}} {
		want := probabilities(s, logits)
		for seed := range uint64(3) {
			s.Seed = seed
			const draws = 200_000
			counts := make([]float64, len(logits))
			sampler := newSampler(s, 4)
			for range draws {
				id, err := sampler.next(logits)
				if err != nil {
					t.Fatal(err)
				}
				counts[id]++
			}
			chiSquare, freedom := 0.0, -1.0
			for i, p := range want {
				if p == 0 {
					if counts[i] > 0 {
						t.Errorf("%+v draws token %d, which is filtered out", s, i)
					}
					continue
				}
				chiSquare += (counts[i] - draws*p) * (counts[i] - draws*p) / (draws * p)
				freedom++
			}
			// Its mean is freedom and its variance 2·freedom. The seeds are fixed, so this passes always or never.
			if limit := freedom + 4*math.Sqrt(2*freedom); chiSquare > limit {
				t.Errorf("%+v: chi-square %.1f with %v degrees of freedom", s, chiSquare, freedom)
			}
		}
	}
}

func TestSequencesAndSeedsDrawDifferently(t *testing.T) {
	logits := make([]float32, 1000)
	draws := func(seed uint64, sequence int) (ids [8]int64) {
		s := newSampler(Sampling{Temperature: 1, TopP: 1, Seed: seed}, sequence)
		for i := range ids {
			ids[i], _ = s.next(logits)
		}
		return ids
	}
	first := draws(1, 0)
	if again := draws(1, 0); again != first {
		t.Error("the same seed and sequence draw differently")
	}
	if first == draws(2, 0) || first == draws(1, 1) {
		t.Error("another seed or sequence draws the same")
	}
}

func TestLogitsThatAreNotFiniteAreAnError(t *testing.T) {
	for _, bad := range []float64{math.NaN(), math.Inf(1), math.Inf(-1)} {
		for _, temperature := range []float64{0, 1} {
			if id, err := newSampler(Sampling{Temperature: temperature, TopP: 1}, 0).next([]float32{1, float32(bad), 2}); err == nil {
				t.Errorf("%v: token %d, want an error", bad, id)
			}
		}
	}
}

func TestSamplingSaysWhatIsImpossible(t *testing.T) {
	good := Sampling{Temperature: 1, TopP: 1, Precision: torch.Float32}
	for want, change := range map[string]func(*Sampling){
		"temperature is -1, want 0 (always the likeliest token) or more":   func(s *Sampling) { s.Temperature = -1 },
		"temperature is NaN, want 0 (always the likeliest token) or more":  func(s *Sampling) { s.Temperature = math.NaN() },
		"temperature is +Inf, want 0 (always the likeliest token) or more": func(s *Sampling) { s.Temperature = math.Inf(1) },
		"top_k is -1, want 0 (all tokens) or more":                         func(s *Sampling) { s.TopK = -1 },
		"top_p is 0, want above 0, up to 1 (all tokens)":                   func(s *Sampling) { s.TopP = 0 },
		"top_p is 1.5, want above 0, up to 1 (all tokens)":                 func(s *Sampling) { s.TopP = 1.5 },
		"max_length is -2, want 0 (the model's positions) or more":         func(s *Sampling) { s.MaxLength = -2 },
		"precision is int64, want float32, float16 or bfloat16":            func(s *Sampling) { s.Precision = torch.Int64 },
	} {
		s := good
		change(&s)
		if err := s.Check(); err == nil || err.Error() != want {
			t.Errorf("%v, want %s", err, want)
		}
	}
	if err := good.Check(); err != nil {
		t.Error(err)
	}
}

// BenchmarkNext is a draw from GPT-2's vocabulary, with logits as a trained model's.
func BenchmarkNext(b *testing.B) {
	r := rand.New(rand.NewPCG(1, 1))
	logits := make([]float32, 50257)
	for i := range logits {
		logits[i] = float32(r.NormFloat64() * 3)
	}
	for name, s := range map[string]Sampling{"greedy": {TopP: 1}, "all": {Temperature: 1, TopP: 1}, "top_k 50": {Temperature: 1, TopK: 50, TopP: 1},
		"top_p 0.9": {Temperature: 1, TopP: 0.9}} {
		b.Run(name, func(b *testing.B) {
			sampler := newSampler(s, 0)
			for b.Loop() {
				if _, err := sampler.next(logits); err != nil {
					b.Fatal(err)
				}
			}
		})
	}
}
