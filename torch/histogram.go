package torch

// Histograms, binned on the device.

/*
#include "binding.h"
#cgo noescape ft_histogram
#cgo nocallback ft_histogram
*/
import "C"

// HistogramRow is where the counts of a row of Histogram begin; before them come the number of elements that are not finite,
// and min, max, sum and sum of squares of those that are.
const HistogramRow = 5

// Histogram bins the finite elements of each tensor by edges, ascending float32s on the tensors' device, each at least 1% from
// the next: bin i holds the x with edges[i-1] ≤ x < edges[i], the first and the last bin what lies outside. The result has a row for each tensor, float64
// on the device: not finite, min (+∞ where there is none), max (-∞), sum, sum of squares, then len(edges)+1 counts.
func Histogram(tensors []*Tensor, edges *Tensor) *Tensor {
	var out C.ft_tensor
	p, n := pointers(tensors)
	check(C.ft_histogram(p, n, edges.p(), &out))
	return wrap(out)
}
