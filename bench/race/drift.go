package main

// -drift: what rounding alone does to a training. Each side runs at the given rate, and at rates a ten-millionth above and
// below it, and is compared with itself and with the other. The peers are one, eager PyTorch.

import "fmt"

// nudges are relative changes of the rate by about what fp32 rounds it.
var nudges = []float64{0, 1e-7, -1e-7}

// measureDrift runs both sides of every case at every nudged rate and prints how far runs are apart at most.
func (b *bench) measureDrift(rate float64) error {
	fmt.Printf("At a rate of %g, and %g and %g relative to it, %d steps: the largest relative difference of two runs' losses (norms of the gradients)\n\n", rate, nudges[1], nudges[2], b.steps)
	fmt.Println("| | PyTorch and itself | ours and itself | ours and PyTorch |\n|---|---|---|---|")
	for _, c := range b.cases {
		var ours, theirs []run
		for _, nudge := range nudges {
			nudged, err := c.with("drift", c.steps, map[string]any{"learning_rate": rate * (1 + nudge)})
			if err != nil {
				return err
			}
			nudged.checked = nudged.steps
			o, err := b.runOurs(nudged)
			if err != nil {
				return err
			}
			p, err := b.runPeer(nudged, peers[0])
			if err != nil {
				return err
			}
			ours, theirs = append(ours, o), append(theirs, p)
		}
		fmt.Printf("| %v | %s | %s | %s |\n", c, largest(theirs, theirs), largest(ours, ours), largest(ours, theirs))
	}
	return nil
}

// largest describes the largest differences between a run of one list and a run of the other.
func largest(list, other []run) string {
	loss, norm := 0.0, 0.0
	for _, a := range list {
		for _, b := range other {
			for i := range a.steps {
				loss = max(loss, relative(a.steps[i].Loss, b.steps[i].Loss))
				norm = max(norm, relative(a.steps[i].GradNorm, b.steps[i].GradNorm))
			}
		}
	}
	return fmt.Sprintf("%.1e (%.1e)", loss, norm)
}
