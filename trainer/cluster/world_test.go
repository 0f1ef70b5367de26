package cluster

import "testing"

func TestProcessorsAreSharedOut(t *testing.T) {
	for name, test := range map[string]struct {
		peers []peer
		want  []float64
	}{
		"two on one machine":          {[]peer{{Boot: "a", Processors: []int{0, 1, 2, 3}}, {Boot: "a", Processors: []int{0, 1, 2, 3}}}, []float64{2, 2}},
		"two machines":                {[]peer{{Boot: "a", Processors: []int{0, 1}}, {Boot: "b", Processors: []int{0, 1}}}, []float64{2, 2}},
		"bound by the launcher":       {[]peer{{Boot: "a", Processors: []int{0, 1}}, {Boot: "a", Processors: []int{2, 3}}}, []float64{2, 2}},
		"bound to some that overlap":  {[]peer{{Boot: "a", Processors: []int{0, 1}}, {Boot: "a", Processors: []int{1}}}, []float64{1.5, 0.5}},
		"three, of which two share":   {[]peer{{Boot: "a", Processors: []int{0}}, {Boot: "a", Processors: []int{0}}, {Boot: "b", Processors: []int{0}}}, []float64{0.5, 0.5, 1}},
		"more processes than threads": {[]peer{{Boot: "a", Processors: []int{0}}, {Boot: "a", Processors: []int{0}}}, []float64{0.5, 0.5}},
	} {
		for rank, want := range test.want {
			w := &World{peers: test.peers}
			w.Rank = rank
			if got := w.Processors(); got != want {
				t.Errorf("%s: rank %d has %v, want %v", name, rank, got, want)
			}
		}
	}
}
