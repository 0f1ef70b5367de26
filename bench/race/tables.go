package main

// The tables beside the race's own: the machine's ceilings, evaluation, checkpoints, the curve.

import (
	"fmt"
	"slices"
	"strings"
)

// updateBytes is what an update reads and writes of memory for a parameter in fp32, at least: the norm reads the gradient; AdamW
// reads weight, gradient and two moments, and writes the weight and the moments.
const updateBytes = 4 + 4*4 + 3*4

// ceilingTables say what the machine can do, and how much of a step that leaves unexplained.
func (r *results) ceilingTables(s *strings.Builder) {
	if len(r.Ceilings) == 0 {
		return
	}
	figure := func(of func(ceilings) float64) spread { return spreadOf(ceilingsOf(r.Ceilings, of)) }
	write := func(name string, x spread, format string) {
		fmt.Fprintf(s, "| %s | "+format+" ("+format+"–"+format+") |\n", name, x.median, x.low, x.high)
	}
	s.WriteString("\n### The machine's ceilings\n\n| measured once a round, the best of three | |\n|---|---|\n")
	write("fp32 product of 4096³ by MKL, GFLOP/s", figure(func(c ceilings) float64 { return c.MKL }), "%.0f")
	write("… by oneDNN", figure(func(c ceilings) float64 { return c.OneDNN }), "%.0f")
	write("bf16 product of 4096³", figure(func(c ceilings) float64 { return c.BF16 }), "%.0f")
	write("memory, reading, GB/s", figure(func(c ceilings) float64 { return c.Read }), "%.1f")
	write("memory, z = x + 3·y, GB/s", figure(func(c ceilings) float64 { return c.Triad }), "%.1f")
	s.WriteString("\nA step of ours beside them, in ms. The products: 6·N + 12·L·C·T operations a token, as nanoGPT estimates them, at the GEMM ceiling; N are the " +
		"weights in products, L layers of width C, T the sequence, its causal half not discounted. The update: 32 bytes a parameter, once through memory. " +
		"The rest: products below the ceiling, and everything else.\n\n| | a step | products | update | the rest | waiting for data |\n|---|---|---|---|---|---|\n")
	triad := figure(func(c ceilings) float64 { return c.Triad }).median
	for _, c := range r.Cases {
		ours := c.ours()
		if len(ours) == 0 {
			continue
		}
		tokens := float64(c.Shape.tokens())
		step := 1e3 * tokens / median(of(ours, speed))
		products := 1e3 * tokens * c.Shape.flopsPerToken() / 1e9 / r.ceiling(c.Precision)
		update := 1e3 * float64(c.Shape.parameters()*updateBytes) / 1e9 / triad
		rest := step - products - update
		fmt.Fprintf(s, "| %s %s | %.0f | %.0f (%.0f%%) | %.0f (%.0f%%) | %.0f (%.0f%%) | %s |\n", c.Model, c.Precision, step,
			products, 100*products/step, update, 100*update/step, rest, 100*rest/step, waited(ours))
	}
}

// waited is the largest share of the steps in which they waited for data.
func waited(runs []run) string {
	most := -1.0
	for _, r := range runs {
		if r.Waited != nil {
			most = max(most, *r.Waited)
		}
	}
	if most < 0 {
		return "not told"
	}
	return fmt.Sprintf("%.2f%%", 100*most)
}

func (r *results) evaluationTable(s *strings.Builder) {
	if len(r.Evaluations) == 0 {
		return
	}
	s.WriteString("\n### Evaluation\n\nTokens a second, forward pass and loss. PyTorch's batch is the training's; ours is what the program takes.\n\n" +
		"| | ours | of the GEMM ceiling")
	for _, p := range evaluators() {
		fmt.Fprintf(s, " | %s | ours ÷ theirs", p.title)
	}
	s.WriteString(" | losses apart |\n|---|---|---|---|---|---|---|---|\n")
	for _, e := range r.Evaluations {
		share := ""
		if len(r.Ceilings) > 0 {
			share = fmt.Sprintf("%.0f%%", 100*median(e.Ours)*e.Shape.evaluationFlopsPerToken()/1e9/r.ceiling(e.Precision))
		}
		fmt.Fprintf(s, "| %s %s | **%s** | %s", e.Model, e.Precision, count(e.Ours), share)
		for _, p := range evaluators() {
			theirs := e.Theirs[p.title]
			var list []float64
			for i, x := range theirs {
				list = append(list, e.Ours[i]/x)
			}
			fmt.Fprintf(s, " | %s | %s", count(theirs), ratio(list))
		}
		fmt.Fprintf(s, " | %.0e |\n", e.Difference)
	}
}

func (r *results) checkpointTable(s *strings.Builder) {
	if len(r.Checkpoints) == 0 {
		return
	}
	s.WriteString("\n### Checkpoints\n\nWeights and AdamW's moments in fp32, GB/s. Writing ends when the files are on the disk; before reading, the system is told to " +
		"forget them. Ours verifies what it reads by its SHA-256.\n\n| | | MB | write | read |\n|---|---|---|---|---|\n")
	for _, c := range r.Checkpoints {
		name := c.Model
		for _, w := range ways {
			x := c.Ways[w.name]
			if x == nil || len(x.Write) == 0 || len(x.Read) == 0 {
				continue
			}
			fmt.Fprintf(s, "| %s | %s | %s | %s | %s |\n", name, w.title, thousands(x.Bytes/1e6), ratio(x.Write), ratio(x.Read))
			name = ""
		}
	}
}

func (r *results) curveTable(s *strings.Builder) {
	if len(r.Curve) == 0 {
		return
	}
	fmt.Fprintf(s, "\n### A step by its tokens\n\n%s, ours.\n\n![A step's time by the tokens in it, and the straight line through it](step-cost.png)\n\n| | tokens | a step, ms | µs a token | off the line | waiting for data |\n|---|---|---|---|---|---|\n", curveModel)
	var lines []string
	for _, precision := range r.curvePrecisions() {
		batches, sequences := r.curves(precision)
		points := batches
		for _, p := range sequences {
			if !slices.Contains(batches, p) { // one row of the batches' length is both
				points = append(points, p)
			}
		}
		var l line
		off := func(*curvePoint) string { return "" }
		if len(batches) > 2 {
			l = fit(batches)
			off = func(p *curvePoint) string {
				y := median(p.step())
				return fmt.Sprintf("%+.1f%%", 100*(y-l.at(float64(p.Shape.tokens())))/y)
			}
		}
		for _, p := range points {
			step := spreadOf(p.step())
			fmt.Fprintf(s, "| %s, %d × %d | %s | %.1f (%.1f–%.1f) | %.0f | %s | %s |\n", precision, p.Shape.Batch, p.Shape.Sequence, thousands(float64(p.Shape.tokens())),
				1e3*step.median, 1e3*step.low, 1e3*step.high, 1e6*step.median/float64(p.Shape.tokens()), off(p), waited(p.Runs))
		}
		if len(batches) > 2 {
			lines = append(lines, fmt.Sprintf("%s: %.0f ms and %.0f µs a token, every point within %.0f%%", precision, 1e3*l.fixed, 1e6*l.each, 100*l.off))
		}
	}
	if len(lines) > 0 {
		fmt.Fprintf(s, "\nThe line through the batches of %d: %s.\n", curveSequence, strings.Join(lines, "; "))
	}
}
