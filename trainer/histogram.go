package trainer

// Histograms of the weights and their gradients, binned where they lie: a row of counts a tensor is all that crosses to the host.

import (
	"math"
	"slices"

	"frugal/torch"
	"frugal/trainer/gpt2"
	"frugal/trainer/monitor"
)

// histograms bins the parameters of a model.
type histograms struct {
	params    []gpt2.Parameter
	edges     *torch.Tensor // monitor.HistogramLimits, on the device
	gradients *torch.Tensor // rows of the gradients since the last record; nil: none
}

func newHistograms(params []gpt2.Parameter, device torch.Device) *histograms {
	var edges []float32
	for _, limit := range monitor.HistogramLimits() {
		edges = append(edges, roundUp(limit))
	}
	return &histograms{params: params, edges: torch.FromFloat32s(edges, []int64{int64(len(edges))}, device).Detached()}
}

// roundUp is the least float32 that is not below x. A float32 is at or above the one exactly where it is at or above the
// other, so the buckets are those of comparing in float64.
func roundUp(x float64) float32 {
	y := float32(x)
	if float64(y) < x {
		y = math.Nextafter32(y, float32(math.Inf(1)))
	}
	return y
}

// observe bins the gradients, in the order of the parameters. Nothing is read back.
func (h *histograms) observe(gradients ...*torch.Tensor) {
	h.forget()
	h.gradients = torch.Histogram(gradients, h.edges).Detached()
}

func (h *histograms) forget() {
	h.gradients.Free()
	h.gradients = nil
}

// record bins the weights and reads these and the gradients observed. It is the Record of the update that led to step.
func (h *histograms) record(step int64) monitor.Record {
	scope := torch.OpenScope()
	defer scope.Close()
	weights := make([]*torch.Tensor, len(h.params))
	for i, p := range h.params {
		weights[i] = p.Tensor
	}
	r := monitor.Record{Event: "histogram", Step: step, Fields: h.fields("weights/", torch.Histogram(weights, h.edges))}
	if h.gradients != nil {
		r.Fields = append(h.fields("gradients/", h.gradients), r.Fields...)
		h.forget()
	}
	return r
}

// fields reads rows of torch.Histogram, one a parameter.
func (h *histograms) fields(prefix string, rows *torch.Tensor) (fields []monitor.Field) {
	all := rows.Float64s()
	for i, row := range slices.Collect(slices.Chunk(all, len(all)/len(h.params))) {
		fields = append(fields, monitor.Field{Name: prefix + h.params[i].Name, Value: monitor.Histogram{
			Min: row[1], Max: row[2], Sum: row[3], SumSquares: row[4], Counts: row[torch.HistogramRow:]}})
	}
	return fields
}

func (h *histograms) free() {
	h.edges.Free()
	h.forget()
}
