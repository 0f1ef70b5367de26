package main

// The tables, in Markdown: of each side the median with the lowest and the highest, and ratios of runs that followed each other.

import (
	"fmt"
	"strconv"
	"strings"
)

// markdown is everything that was measured.
func (r *results) markdown() string {
	var s strings.Builder
	fmt.Fprintf(&s, "%s, %s. Threads of each side: %d.\nOurs: %s. Peers: %s.\n\n    %s\n", r.Date, r.Machine, r.Threads, r.Ours, r.Peers,
		strings.ReplaceAll(r.Command, "\n", "\n    "))
	fmt.Fprintf(&s, "\nRounds: %d. Cells are medians, with the lowest and the highest in brackets. %s\n", r.Rounds, disturbance(r.others()))
	r.stepTables(&s)
	r.ceilingTables(&s)
	r.profileTable(&s)
	r.evaluationTable(&s)
	r.checkpointTable(&s)
	r.curveTable(&s)
	if r.Generation != "" {
		fmt.Fprintf(&s, "\n### Generation\n\n%s", r.Generation)
	}
	if r.Tokenizer != "" {
		fmt.Fprintf(&s, "\n### Tokenizer\n\nOne core, CPU time:\n\n%s", indented(r.Tokenizer))
	}
	return s.String()
}

// disturbance says how much else was running.
func disturbance(others float64) string {
	if others > quiet {
		return fmt.Sprintf("**Everything else on the machine kept up to %.2f processors busy during a run: too much for these figures to mean anything.**", others)
	}
	return fmt.Sprintf("Everything else on the machine kept up to %.2f processors busy during a run.", others)
}

// stepTables are the race: a table a model.
func (r *results) stepTables(s *strings.Builder) {
	if len(r.blocks()) > 0 {
		s.WriteString("\n![Tokens per second of ours and of each peer](race.png)\n")
	}
	described := ""
	for _, c := range r.Cases {
		if c.Model != described {
			described = c.Model
			fmt.Fprintf(s, "\n### %v\n\n%s%s", c.Shape,
				"| | | tokens/s | ours ÷ theirs | peak memory, MB | ours ÷ theirs | first step ends after, s | ours ÷ theirs | GEMM ceiling |\n",
				"|---|---|---|---|---|---|---|---|---|\n")
		}
		r.stepRows(s, c)
	}
	if len(r.Cases) == 0 {
		return
	}
	fmt.Fprintf(s, "\n%d steps a run, of which the first %d are not timed. Peak memory: the highest that the system saw; ours, as the program counts it itself, in the brackets. "+
		"The first step of what is compiled: with everything compiled before, and the first time. Largest relative differences of a peer's losses, "+
		"and of the norms of its gradients in the steps that are not timed, from ours: ", r.Steps, r.Dropped)
	var differences []string
	for _, c := range r.Cases {
		if len(c.ours()) == 0 {
			continue
		}
		var most apart
		for _, l := range c.Lanes {
			most = apart{max(most.loss, l.Difference), max(most.gradNorm, l.NormDifference)}
		}
		differences = append(differences, fmt.Sprintf("%.0e, %.0e (%s %s)", most.loss, most.gradNorm, c.Model, c.Precision))
	}
	fmt.Fprintf(s, "%s.\n", strings.Join(differences, ", "))
}

func (r *results) stepRows(s *strings.Builder, c *caseResults) {
	ours := c.ours()
	if len(ours) > 0 {
		mem := thousands(spreadOf(of(ours, memory)).median)
		if own := spreadOf(of(ours, counted)).median; own > 0 {
			mem += " (" + thousands(own) + ")"
		}
		fmt.Fprintf(s, "| %s | **ours** | **%s** | | %s | | %.1f | | %s |\n", c.Precision, count(of(ours, speed)), mem, median(of(ours, firstStep)), r.share(c, ours))
	}
	for _, l := range c.Lanes {
		if len(l.Theirs) == 0 {
			if l.Problem == "" { // interrupted before its turn
				continue
			}
			fmt.Fprintf(s, "| | %s | %s | | | | | | |\n", l.Title, oneCell(l.Problem))
			continue
		}
		title := l.Title
		if l.Problem != "" {
			title += " (then: " + oneCell(l.Problem) + ")"
		}
		fmt.Fprintf(s, "| | %s | %s | %s | %s | %s | %s | %s | %s |\n", title, count(of(l.Theirs, speed)), ratio(ratios(l.Ours, l.Theirs, speed)),
			thousands(median(of(l.Theirs, memory))), ratio(ratios(l.Ours, l.Theirs, memory)), l.firstStep(), ratio(ratios(l.Ours, l.Theirs, firstStep)), r.share(c, l.Theirs))
	}
}

// firstStep of a lane: for what is compiled, with everything compiled before, and the first time.
func (l *lane) firstStep() string {
	text := fmt.Sprintf("%.1f", median(of(l.Theirs, firstStep)))
	if l.Compiled {
		text += fmt.Sprintf("; %.0f the first time", l.FirstStart)
	}
	return text
}

// share of the ceiling that runs reached, by the medians of both.
func (r *results) share(c *caseResults, runs []run) string {
	if len(r.Ceilings) == 0 {
		return ""
	}
	return fmt.Sprintf("%.0f%%", 100*median(of(runs, speed))*c.Shape.flopsPerToken()/1e9/r.ceiling(c.Precision))
}

// ceiling is the median of the rounds', in GFLOP/s.
func (r *results) ceiling(precision string) float64 {
	return median(ceilingsOf(r.Ceilings, func(c ceilings) float64 { return c.of(precision) }))
}

func ceilingsOf(all []ceilings, figure func(ceilings) float64) (list []float64) {
	for _, c := range all {
		list = append(list, figure(c))
	}
	return list
}

// count writes a spread of whole numbers.
func count(list []float64) string {
	x := spreadOf(list)
	return fmt.Sprintf("%s (%s–%s)", thousands(x.median), thousands(x.low), thousands(x.high))
}

// ratio writes a spread of ratios.
func ratio(list []float64) string {
	x := spreadOf(list)
	return fmt.Sprintf("%.2f (%.2f–%.2f)", x.median, x.low, x.high)
}

// thousands writes a whole number with a comma at each.
func thousands(x float64) string {
	text := strconv.FormatFloat(x, 'f', 0, 64)
	for at := len(text) - 3; at > 0; at -= 3 {
		text = text[:at] + "," + text[at:]
	}
	return text
}

// oneCell is a text that cannot end its cell.
func oneCell(text string) string {
	return strings.NewReplacer("|", "\\|", "\n", " ").Replace(text)
}

// indented is text as a block of code.
func indented(text string) string {
	var s strings.Builder
	for line := range strings.Lines(strings.TrimRight(text, "\n") + "\n") {
		s.WriteString("    " + line)
	}
	return s.String()
}
