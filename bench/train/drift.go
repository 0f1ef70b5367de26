package main

// -drift: what rounding alone does to a training. Each side runs at the given rate, and at rates a ten-millionth above and
// below it, and is compared with itself and with the other.

import (
	"encoding/json"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
)

// nudges are relative changes of the rate by about what fp32 rounds it.
var nudges = []float64{0, 1e-7, -1e-7}

// measureDrift runs both sides of every case at every nudged rate and prints how far runs are apart at most.
func (b *bench) measureDrift(rate float64) error {
	fmt.Printf("At a rate of %g, and %g and %g relative to it, %d steps: the largest relative difference of two runs' losses (norms of the gradients)\n\n", rate, nudges[1], nudges[2], b.steps)
	fmt.Println("| | PyTorch and itself | ours and itself | ours and PyTorch |\n|---|---|---|---|")
	for _, c := range b.cases {
		var ours, peer []result
		for _, nudge := range nudges {
			settings := *c
			settings.settings = filepath.Join(c.folder, "drift.json")
			if err := withRate(c.settings, settings.settings, rate*(1+nudge)); err != nil {
				return err
			}
			o, p, err := b.pair(&settings)
			if err != nil {
				return err
			}
			ours, peer = append(ours, o), append(peer, p)
		}
		fmt.Printf("| %s %s | %s | %s | %s |\n", c.model.name, c.precision, apart(peer, peer), apart(ours, ours), apart(ours, peer))
	}
	return nil
}

// withRate copies a file of settings with another learning rate.
func withRate(from, to string, rate float64) error {
	text, err := os.ReadFile(from)
	if err != nil {
		return err
	}
	var settings map[string]any
	if err := json.Unmarshal(text, &settings); err != nil {
		return fmt.Errorf("%s: %w", from, err)
	}
	settings["learning_rate"] = rate
	if text, err = json.Marshal(settings); err != nil {
		return err
	}
	return os.WriteFile(to, text, 0o666)
}

// pair runs our side of a case, then the peer's.
func (b *bench) pair(c *testCase) (ours, peer result, err error) {
	ours, err = b.time(c, "ours", exec.CommandContext(b.ctx, filepath.Join(b.folder, "train"), "-config", c.settings))
	if err != nil {
		return ours, peer, err
	}
	peer, err = b.time(c, "peer", exec.CommandContext(b.ctx, b.python, script, "train", c.settings, c.rows, c.output("peer")))
	return ours, peer, err
}

// apart describes the largest differences between a run of one list and a run of the other.
func apart(list, other []result) string {
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
