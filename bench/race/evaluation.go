package main

// Evaluation: the loss of rows without gradients, ours beside PyTorch's, eager and compiled.

import (
	"encoding/json"
	"fmt"
	"os"
	"path/filepath"
)

// evaluationBatches is how many batches of the training's size are evaluated; our side may divide them otherwise.
const evaluationBatches = 16

// evaluated is one side's, as its metrics.jsonl or its answer has it.
type evaluated struct{ Loss, Tokens, Seconds float64 }

// evaluation is a case's: tokens per second, by round, of ours and of each peer.
type evaluation struct {
	Model, Precision string
	Shape            shape
	Ours             []float64
	Theirs           map[string][]float64 // by the peer's title
	Difference       float64              // the largest relative difference of two losses
}

// evaluators are the peers that evaluate.
func evaluators() []peer { return peers[:2] }

func (b *bench) raceEvaluation() error {
	for _, of := range b.cases {
		c, err := b.newCase(of.name, of.precision, evaluationBatches)
		if err != nil {
			return err
		}
		rows := filepath.Join(c.folder, "tokens.bin")
		once, err := c.with("evaluation", 1, map[string]any{"eval_steps": 1000, "data": map[string]any{"eval": []string{rows}}})
		if err != nil {
			return err
		}
		e := &evaluation{Model: c.name, Precision: c.precision, Shape: c.shape, Theirs: map[string][]float64{}}
		for range b.rounds {
			if err := b.evaluateRound(once, e); err != nil {
				return fmt.Errorf("%v: %w", c, err)
			}
		}
		b.results.Evaluations = append(b.results.Evaluations, e)
	}
	return nil
}

// evaluateRound runs each side once. The losses are those of the first weights; the times those of a second evaluation.
func (b *bench) evaluateRound(c *testCase, e *evaluation) error {
	ours, err := b.evaluateOurs(c)
	if err != nil {
		return err
	}
	// A row of T tokens has T − 1 targets, which is what we log; a token is computed all the same.
	tokens := float64(evaluationBatches * c.shape.tokens())
	e.Ours = append(e.Ours, tokens/ours[1].Seconds)
	for _, p := range evaluators() {
		answer, err := b.output(b.command(p.environment(c), b.python, p.script, "evaluate", c.settings, filepath.Join(c.folder, "rows.bin"), p.mode))
		if err != nil {
			return err
		}
		var theirs evaluated
		if err := json.Unmarshal(answer, &theirs); err != nil {
			return fmt.Errorf("%s: %w", p.script, err)
		}
		difference := relative(theirs.Loss, ours[0].Loss)
		if !(difference <= tolerances[c.precision].later.loss) {
			return fmt.Errorf("%s evaluates to a loss of %.6f, we to %.6f", p.title, theirs.Loss, ours[0].Loss)
		}
		e.Difference = max(e.Difference, difference)
		e.Theirs[p.title] = append(e.Theirs[p.title], tokens/theirs.Seconds)
		b.say("evaluation, %v: ours %.0f tokens/s, %s %.0f; losses equal within %.0e", c, tokens/ours[1].Seconds, p.title, tokens/theirs.Seconds, difference)
	}
	return nil
}

// evaluateOurs trains one step: there is an evaluation before it and one behind it.
func (b *bench) evaluateOurs(c *testCase) (list []evaluated, err error) {
	defer os.RemoveAll(c.output("ours"))
	if _, err := b.output(b.command(nil, b.train(), "-config", c.settings)); err != nil {
		return nil, err
	}
	if list, err = readEvents[evaluated](filepath.Join(c.output("ours"), "metrics.jsonl"), "eval"); err != nil {
		return nil, err
	}
	if len(list) != 2 {
		return nil, fmt.Errorf("ours: %d evaluations logged, want 2", len(list))
	}
	return list, nil
}
