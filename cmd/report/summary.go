package main

// The table of runs: one row a run, each figure as people read it.

import (
	"fmt"
	"math"
	"slices"
	"strconv"
	"strings"
	"time"

	"frugal/trainer/monitor"
)

// cell is what a table shows in one place.
type cell struct {
	Text    string
	Title   string // says more, where the mouse rests; "": nothing
	Number  bool   // set to the right
	Sort    string // the figure to sort a column by, where Text will not do
	Best    bool   // of all runs
	Default bool   // the value that a configuration has when nothing sets it
	Head    bool   // names a row or a column
	Status  string // of a run: its colour
}

// column is a figure of every run.
type column struct {
	title  string
	short  string // for a terminal; "": not shown there
	figure func(r *run) cell
	rank   func(r *run) (float64, bool) // the lowest is the best; nil: none is better than another
	only   string                       // the curve without which in any run the column is left out; "": it never is
}

// absent is a figure that a run does not have.
const absent = "–"

var allColumns = []column{
	{"status", "status", func(r *run) cell { return cell{Text: r.status, Title: r.reason, Status: r.status} }, nil, ""},
	{"steps", "steps", func(r *run) cell { return cell{Text: stepsOf(r), Sort: strconv.FormatInt(r.step, 10), Number: true} }, nil, ""},
	{"training loss", "train loss", func(r *run) cell { return atStep(formatLoss)(r.curves["train/loss"].last()) }, nil, ""},
	{"task loss", "task", func(r *run) cell { return atStep(formatLoss)(r.curves["train/task_loss"].last()) }, nil, "train/task_loss"},
	{"distillation loss", "distillation", func(r *run) cell { return atStep(formatLoss)(r.curves["train/distillation_loss"].last()) }, nil,
		"train/distillation_loss"},
	{"evaluation loss, last", "eval loss", func(r *run) cell { return atStep(formatLoss)(r.curves["eval/loss"].last()) }, rankLast("eval/loss"), ""},
	{"evaluation loss, best", "best", func(r *run) cell { return bestLoss(r) }, rankLowest("eval/loss"), ""},
	{"perplexity", "perplexity", func(r *run) cell { return atStep(formatShort)(r.curves["eval/perplexity"].last()) }, rankLast("eval/perplexity"), ""},
	{"bits per byte", "bits/byte", func(r *run) cell { return atStep(formatBits)(r.curves["eval/bits_per_byte"].last()) }, rankLast("eval/bits_per_byte"), ""},
	{"tokens/s, median", "tokens/s", func(r *run) cell { return figure(formatWhole)(r.curves["train/tokens_per_second"].median()) }, nil, ""},
	{"peak memory", "memory", func(r *run) cell { return figure(formatMemory)(r.curves["train/peak_memory_bytes"].highest()) }, nil, ""},
	{"time", "time", func(r *run) cell { return duration(r.seconds()) }, nil, ""},
	{"tokens", "", func(r *run) cell { _, x, ok := r.curves["train/tokens"].last(); return figure(formatWhole)(x, ok) }, nil, ""},
	{"parameters", "", func(r *run) cell { return count(r.started().Parameters) }, nil, ""},
	{"device", "", func(r *run) cell { return deviceOf(r.started()) }, nil, ""},
}

// columnsOf are those that the runs have something for.
func columnsOf(runs []*run) []column {
	return slices.DeleteFunc(slices.Clone(allColumns), func(c column) bool {
		return c.only != "" && !slices.ContainsFunc(runs, func(r *run) bool { return r.curves[c.only] != nil })
	})
}

// rows are the runs' cells, column by column, the best of several runs marked.
func rows(runs []*run) [][]cell {
	table, columns := make([][]cell, len(runs)), columnsOf(runs)
	for i, r := range runs {
		for _, c := range columns {
			table[i] = append(table[i], c.figure(r))
		}
	}
	for j, c := range columns {
		for _, i := range best(runs, c.rank) {
			table[i][j].Best = true
		}
	}
	return table
}

// best are the runs of the lowest rank. If there is nothing to compare, or all are equal, none is.
func best(runs []*run, rank func(*run) (float64, bool)) (winners []int) {
	if rank == nil {
		return nil
	}
	lowest, ranked := math.Inf(1), 0
	for i, r := range runs {
		x, ok := rank(r)
		if !ok || math.IsNaN(x) {
			continue
		}
		ranked++
		if x < lowest {
			lowest, winners = x, nil
		}
		if x == lowest {
			winners = append(winners, i)
		}
	}
	if len(winners) == ranked {
		return nil
	}
	return winners
}

func rankLast(name string) func(*run) (float64, bool) {
	return func(r *run) (float64, bool) { _, x, ok := r.curves[name].last(); return x, ok }
}

func rankLowest(name string) func(*run) (float64, bool) {
	return func(r *run) (float64, bool) { _, x, ok := r.curves[name].lowest(); return x, ok }
}

func stepsOf(r *run) string {
	if total := r.started().TotalSteps; total > 0 {
		return monitor.FormatCount(r.step) + "/" + monitor.FormatCount(total)
	}
	return monitor.FormatCount(r.step)
}

func bestLoss(r *run) cell {
	step, x, ok := r.curves["eval/loss"].lowest()
	return atStep(formatLoss)(step, x, ok)
}

// text is a cell on the right, where figures stand.
func text(s string) cell { return cell{Text: s, Number: true} }

// deviceOf tells what computed, and in which precision.
func deviceOf(start *runEvent) cell {
	var parts []string
	for _, s := range []string{start.Device, start.Precision} {
		if s != "" {
			parts = append(parts, s)
		}
	}
	if start.Device == "cpu" && start.Threads > 0 {
		unit := "threads"
		if start.Threads == 1 {
			unit = "thread"
		}
		parts = append(parts, fmt.Sprintf("%d %s", start.Threads, unit))
	}
	if len(parts) == 0 {
		return cell{Text: absent}
	}
	return cell{Text: strings.Join(parts, ", ")}
}

func count(n int64) cell {
	if n == 0 {
		return text(absent)
	}
	return cell{Text: monitor.FormatCount(n), Sort: strconv.FormatInt(n, 10), Number: true}
}

func duration(d time.Duration) cell {
	if d <= 0 {
		return text(absent)
	}
	return cell{Text: monitor.FormatDuration(d), Sort: exact(d.Seconds()), Number: true}
}

func figure(format func(float64) string) func(float64, bool) cell {
	return func(x float64, ok bool) cell {
		if !ok {
			return text(absent)
		}
		return cell{Text: format(x), Sort: exact(x), Number: true}
	}
}

// exact is every digit of a figure.
func exact(x float64) string { return strconv.FormatFloat(x, 'g', -1, 64) }

// atStep is a figure whose title tells the step and every digit.
func atStep(format func(float64) string) func(int64, float64, bool) cell {
	return func(step int64, x float64, ok bool) cell {
		c := figure(format)(x, ok)
		if ok {
			c.Title = fmt.Sprintf("%s (step %s)", exact(x), monitor.FormatCount(step))
		}
		return c
	}
}

// The same digits as in the log of the run.

func formatLoss(x float64) string { return strconv.FormatFloat(x, 'f', 4, 64) }
func formatBits(x float64) string { return strconv.FormatFloat(x, 'f', 3, 64) }

func formatWhole(x float64) string {
	if !(math.Abs(x) < 1e15) {
		return strconv.FormatFloat(x, 'g', 4, 64)
	}
	return monitor.FormatCount(int64(math.Round(x)))
}

func formatMemory(x float64) string {
	if !(math.Abs(x) < 1e18) {
		return strconv.FormatFloat(x, 'g', 4, 64)
	}
	return monitor.FormatBytes(int64(x))
}

// formatShort keeps four figures: 67.58, 51,230, 3.1e+08.
func formatShort(x float64) string {
	switch {
	case math.Abs(x) < 1000:
		return strconv.FormatFloat(x, 'g', 4, 64)
	case math.Abs(x) < 1e7:
		return monitor.FormatCount(int64(math.Round(x)))
	}
	return strconv.FormatFloat(x, 'e', 1, 64)
}

// textGrid is the table for a terminal, and which of its columns are numbers.
func textGrid(runs []*run) (grid [][]string, numeric []bool) {
	grid, numeric = [][]string{{"run"}}, []bool{false}
	var shown []int
	for j, c := range columnsOf(runs) {
		if c.short != "" {
			shown = append(shown, j)
			grid[0] = append(grid[0], c.short)
			numeric = append(numeric, c.short != "status")
		}
	}
	table := rows(runs)
	for i, r := range runs {
		line := []string{r.name}
		for _, j := range shown {
			line = append(line, table[i][j].Text)
		}
		grid = append(grid, line)
	}
	return grid, numeric
}

// markdown is the grid as a Markdown table.
func markdown(grid [][]string, numeric []bool) string {
	var out strings.Builder
	row := func(cells []string) { out.WriteString("| " + strings.Join(cells, " | ") + " |\n") }
	escape := strings.NewReplacer("|", `\|`, "_", `\_`, "*", `\*`)
	rule := make([]string, len(numeric))
	for j, right := range numeric {
		if rule[j] = "---"; right {
			rule[j] = "---:"
		}
	}
	for i, line := range grid {
		cells := make([]string, len(line))
		for j, s := range line {
			cells[j] = escape.Replace(s)
		}
		row(cells)
		if i == 0 {
			row(rule)
		}
	}
	return out.String()
}

// align pads the columns, the numeric ones on their left.
func align(grid [][]string, numeric []bool) string {
	widths := make([]int, len(numeric))
	for _, line := range grid {
		for j, s := range line {
			widths[j] = max(widths[j], len([]rune(s)))
		}
	}
	var out strings.Builder
	for _, line := range grid {
		var b strings.Builder
		for j, s := range line {
			padding := strings.Repeat(" ", widths[j]-len([]rune(s)))
			if numeric[j] {
				s = padding + s
			} else {
				s += padding
			}
			b.WriteString(s + "  ")
		}
		out.WriteString(strings.TrimRight(b.String(), " ") + "\n")
	}
	return out.String()
}
