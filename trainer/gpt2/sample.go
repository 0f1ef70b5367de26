package gpt2

// From logits to a token: temperature, then top_k, then top_p, then a draw.

import (
	"errors"
	"fmt"
	"math"
	"math/rand/v2"

	"frugal/torch"
)

// Sampling says how text is generated.
type Sampling struct {
	Temperature float64     // divides the logits; 0: the likeliest token always
	TopK        int         // only the k likeliest tokens, and those as likely as the k-th; 0: all
	TopP        float64     // of these the fewest, likeliest first, whose probabilities sum to p at least; 1: all
	Seed        uint64      // the same seed gives the same text
	MaxLength   int         // tokens of a sequence, its prompt included; 0: the model's positions, which are the limit anyway
	EndToken    int64       // ends a sequence; below 0: nothing does
	Precision   torch.DType // to compute in: Float32, or Float16 or BFloat16 as under autocast
}

// Check says what is impossible.
func (s Sampling) Check() error {
	switch {
	case !(s.Temperature >= 0) || math.IsInf(s.Temperature, 0):
		return fmt.Errorf("temperature is %v, want 0 (always the likeliest token) or more", s.Temperature)
	case s.TopK < 0:
		return fmt.Errorf("top_k is %d, want 0 (all tokens) or more", s.TopK)
	case !(s.TopP > 0 && s.TopP <= 1):
		return fmt.Errorf("top_p is %v, want above 0, up to 1 (all tokens)", s.TopP)
	case s.MaxLength < 0:
		return fmt.Errorf("max_length is %d, want 0 (the model's positions) or more", s.MaxLength)
	case s.Precision != torch.Float32 && s.Precision != torch.Float16 && s.Precision != torch.BFloat16:
		return fmt.Errorf("precision is %s, want float32, float16 or bfloat16", s.Precision)
	}
	return nil
}

var errNotFinite = errors.New("the model's logits are not finite: its weights are damaged, or precision fp16 is not enough for it")

// sampler draws one sequence's tokens. The draw is made on the host, from probabilities in float64: the logits have to come
// there anyway to be filtered, and a generator here gives the same numbers whatever the device.
type sampler struct {
	Sampling
	random  *rand.Rand
	weights []float64 // by id
	ids     []int32
}

func newSampler(s Sampling, sequence int) *sampler {
	return &sampler{Sampling: s, random: rand.New(rand.NewPCG(s.Seed, uint64(sequence)))}
}

// next is the token that follows, by the logits of all.
func (s *sampler) next(logits []float32) (int64, error) {
	best := 0
	for i, z := range logits {
		if math.IsNaN(float64(z)) || math.IsInf(float64(z), 0) {
			return 0, errNotFinite
		}
		if z > logits[best] {
			best = i
		}
	}
	if s.Temperature == 0 {
		return int64(best), nil
	}
	total := s.distribution(logits, float64(logits[best]))
	// In the order of ids, so that a last bit that changes elsewhere hardly ever changes a draw.
	left := s.random.Float64() * total
	last := best
	for i, w := range s.weights {
		if w == 0 {
			continue
		}
		if left < w {
			return int64(i), nil
		}
		left -= w
		last = i
	}
	return int64(last), nil // the sum was rounded down
}

// distribution sets weights to what the probabilities of the ids are after temperature, top_k and top_p, but for the common
// factor 1/total. Of the ids that are equally likely where top_p cuts, the highest are kept, as by Hugging Face's warper.
func (s *sampler) distribution(logits []float32, largest float64) (total float64) {
	ids := s.all(len(logits))
	if s.TopK > 0 && s.TopK < len(ids) {
		ids = atLeast(ids, logits, s.TopK)
	}
	for _, id := range ids {
		w := math.Exp((float64(logits[id]) - largest) / s.Temperature)
		s.weights[id] = w
		total += w
	}
	if s.TopP == 1 {
		return total
	}
	kept := likeliest(ids, logits, func(id int32) float64 { return s.weights[id] }, s.TopP*total)
	for _, id := range ids[kept:] {
		s.weights[id] = 0
	}
	total = 0
	for _, w := range s.weights {
		total += w
	}
	return total
}

// all lists the ids and sets their weights to 0.
func (s *sampler) all(n int) []int32 {
	if len(s.weights) != n {
		s.weights, s.ids = make([]float64, n), make([]int32, n)
	}
	clear(s.weights)
	for i := range s.ids {
		s.ids[i] = int32(i)
	}
	return s.ids
}

// atLeast moves the k ids of the highest logits to the front, and behind them those equal to the lowest of these, and returns
// them all.
func atLeast(ids []int32, logits []float32, k int) []int32 {
	likeliest(ids, logits, func(int32) float64 { return 1 }, float64(k))
	lowest := logits[ids[0]]
	for _, id := range ids[:k] {
		lowest = min(lowest, logits[id])
	}
	n := k
	for i := k; i < len(ids); i++ {
		if logits[ids[i]] == lowest {
			ids[n], ids[i] = ids[i], ids[n]
			n++
		}
	}
	return ids[:n]
}

// likeliest moves to the front the fewest ids, from the highest logit and id down, whose weights sum to target at least, and
// returns how many they are: Hoare's selection, which does not sort them.
func likeliest(ids []int32, logits []float32, weight func(id int32) float64, target float64) int {
	low, high := 0, len(ids) // the last of them is in ids[low:high]
	sum := 0.0               // of ids[:low]
	for low < high {
		middle, left := partition(ids[low:high], logits, weight)
		middle += low
		own := weight(ids[middle])
		switch {
		case sum+left >= target && middle > low:
			high = middle
		case sum+left+own >= target:
			return middle + 1
		default:
			sum += left + own
			low = middle + 1
		}
	}
	return max(1, low)
}

// partition moves the ids that come before one of them to its left, and returns where that one then is and the sum of the
// weights on its left.
func partition(ids []int32, logits []float32, weight func(id int32) float64) (middle int, sum float64) {
	last := len(ids) - 1
	ids[len(ids)/2], ids[last] = ids[last], ids[len(ids)/2]
	pivot := ids[last]
	for i, id := range ids[:last] {
		if z := logits[id]; z > logits[pivot] || z == logits[pivot] && id > pivot {
			ids[middle], ids[i] = ids[i], ids[middle]
			sum += weight(id)
			middle++
		}
	}
	ids[middle], ids[last] = ids[last], ids[middle]
	return middle, sum
}
