// Histograms: how the elements of a weight or a gradient are distributed, by TensorBoard's own bucket limits.

package monitor

import (
	"math"
	"slices"

	"google.golang.org/protobuf/encoding/protowire"
)

// Histogram is the value of a field of a histogram Record. It counts the finite elements of a tensor.
type Histogram struct {
	Min, Max, Sum, SumSquares float64
	// Counts has one number more than HistogramLimits: Counts[i] elements x have limit[i-1] ≤ x < limit[i], and the first and
	// the last are those outside all limits.
	Counts []float64
}

// HistogramLimits are the limits between buckets that TensorFlow's and PyTorch's writers use: ±1e-12·1.1^k below 1e20, and 0.
func HistogramLimits() []float64 {
	var positive []float64
	for v := 1e-12; v < 1e20; v *= 1.1 {
		positive = append(positive, v)
	}
	limits := []float64{0}
	for _, v := range positive {
		limits = append(limits, -v)
	}
	slices.Reverse(limits)
	return append(limits, positive...)
}

// Buckets are the buckets that TensorBoard gets, each named by its upper limit: from an empty one below the first that is
// not, whose limit is that one's lower end, to the last that is not. Limits from a Histogram without elements are none.
func (h Histogram) Buckets() (limits, counts []float64) {
	limits = append(HistogramLimits(), math.MaxFloat64)
	first := slices.IndexFunc(h.Counts, func(n float64) bool { return n > 0 })
	if first < 0 || len(h.Counts) != len(limits) {
		return nil, nil
	}
	last := len(h.Counts) - 1
	for h.Counts[last] == 0 {
		last--
	}
	if first == 0 {
		return slices.Concat([]float64{-math.MaxFloat64}, limits[:last+1]), slices.Concat([]float64{0}, h.Counts[:last+1])
	}
	return limits[first-1 : last+1], h.Counts[first-1 : last+1]
}

// HistogramProto's fields, by their numbers.
const (
	histogramMin, histogramMax, histogramNum, histogramSum, histogramSumSquares = 1, 2, 3, 4, 5
	histogramLimit, histogramCount                                              = 6, 7
)

// histogramValue is a Summary.Value for the HISTOGRAMS and DISTRIBUTIONS tabs, nil for a Histogram without elements.
func histogramValue(tag string, h Histogram) []byte {
	limits, counts := h.Buckets()
	if len(limits) == 0 {
		return nil
	}
	var num float64
	for _, n := range counts {
		num += n
	}
	var histogram []byte
	for i, x := range []float64{h.Min, h.Max, num, h.Sum, h.SumSquares} {
		if x != 0 || math.Signbit(x) {
			histogram = appendDouble(histogram, protowire.Number(histogramMin+i), x)
		}
	}
	histogram = appendBytes(histogram, histogramLimit, packed(limits))
	histogram = appendBytes(histogram, histogramCount, packed(counts))
	return appendBytes(appendBytes(nil, valueTag, tag), valueHistogram, histogram)
}

// packed is a repeated double.
func packed(list []float64) (b []byte) {
	for _, x := range list {
		b = protowire.AppendFixed64(b, math.Float64bits(x))
	}
	return b
}

// histogramValues are the histograms of a Record, by their names.
func histogramValues(r Record) (values [][]byte) {
	for _, f := range r.Fields {
		if h, ok := f.Value.(Histogram); ok {
			if value := histogramValue(f.Name, h); value != nil {
				values = append(values, value)
			}
		}
	}
	return values
}
