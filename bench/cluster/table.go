package main

// The tables, in Markdown.

import (
	"fmt"
	"runtime"
	"slices"
	"strconv"
	"strings"
	"time"
)

// prediction is what machines and networks it is made for.
type prediction struct {
	tflops               float64
	tokens, microBatches int
	latency              time.Duration
	machines             []int
	networks             []float64 // Gbit/s
}

// results are what there is to show.
type results struct {
	options
	version string // the program's; "": it was not run
	speeds  []*speeds
	traffic []traffic
	linked  *linked
	failed  map[string]error // by part
}

func (r *results) markdown() string {
	var s strings.Builder
	s.WriteString(time.Now().UTC().Format(time.DateOnly))
	if _, libtorch, ok := strings.Cut(r.version, "libtorch "); ok {
		libtorch, _, _ = strings.Cut(libtorch, ",")
		fmt.Fprintf(&s, ", libtorch %s, %s/%s, %d processors", libtorch, runtime.GOOS, runtime.GOARCH, runtime.NumCPU())
	}
	s.WriteString(".\n\n    go run ./bench/cluster" + r.given + "\n")
	if r.version != "" {
		m := r.shape
		fmt.Fprintf(&s, "\nWhat is measured is a model of %d layers of width %d, %s tokens and rows of %d, %s parameters, in fp32, rows of a micro-batch: %d, each process of one thread. "+
			"Medians, with the lowest and the highest of the rounds; a run's is the median of its steps without the first %d.\n", m.layers, m.hidden,
			thousands(int64(m.vocabulary)), m.positions, thousands(m.parameters()), r.batch, r.dropped)
	}
	for _, part := range parts {
		if !slices.Contains(r.parts, part) {
			continue
		}
		var table strings.Builder
		switch {
		case part == speedPart && len(r.speeds) > 0 && len(r.speeds[0].alone) > 0:
			r.speedTable(&table)
		case part == bytesPart && len(r.traffic) > 0:
			r.trafficTable(&table)
		case part == linkPart && r.linked != nil && len(r.linked.free[0]) > 0:
			r.linkTable(&table)
		case part == predictionPart:
			r.predictionTables(&table)
		}
		fmt.Fprintf(&s, "\n### %s\n", titles[part])
		if part == linkPart || part == predictionPart && !slices.Contains(r.parts, linkPart) {
			s.WriteString("\n" + law + "\n")
		}
		if table.Len() > 0 {
			s.WriteString("\n" + table.String())
		}
		if err := r.failed[part]; err != nil {
			fmt.Fprintf(&s, "\n**Not all of it was measured**: %s.\n", strings.NewReplacer("|", `\|`, "\n", " ").Replace(err.Error()))
		} else if table.Len() == 0 {
			s.WriteString("\nNot measured.\n")
		}
	}
	return s.String()
}

var titles = map[string]string{speedPart: "Two processes on one machine", bytesPart: "Bytes of an update", linkPart: "A step's time by the network's rate",
	predictionPart: "Predicted"}

func (r *results) speedTable(s *strings.Builder) {
	fmt.Fprintf(s, "Tokens a second of all processes, each with as many rows as one alone has; rounds: %d. Two that train one model are beside two that know nothing of "+
		"each other, too: what these lose they lose to the machine that they share, and only what is lost beyond that is the price of adding up gradients.\n\n"+
		"| gradient_accumulation_steps | | tokens a second | ÷ two times one alone | ÷ two, each by itself |\n|---|---|---|---|---|\n", len(r.speeds[0].alone))
	for _, m := range r.speeds {
		fmt.Fprintf(s, "| %d | one process | %s | | |\n", m.accumulation, m.alone.cell("%.0f", 1))
		row := func(name string, x sample) {
			fmt.Fprintf(s, "| %d | %s | %s | %s |", m.accumulation, name, x.cell("%.0f", 1), x.by(m.alone).cell("%.2f", 0.5))
		}
		row("two, each by itself", m.apart)
		s.WriteString(" |\n")
		for i, w := range m.ways {
			row("two together, "+w.name, m.together[i])
			fmt.Fprintf(s, " **%s** |\n", m.together[i].by(m.apart).cell("%.2f", 1))
		}
	}
}

func (r *results) trafficTable(s *strings.Builder) {
	fmt.Fprintf(s, "MB of 10⁶ bytes that a process sends for an update, on average: what crosses the loopback device of a network namespace in which there is nothing else, "+
		"headers included, in a run of %d updates less one of %d. The formula: around a ring of W processes the gradients of n weights are 2(W−1)/W·n·b bytes, b = 4 or in bf16 2; "+
		"shard_optimizer adds (W−1)/W·4n; local_steps: H divides by H.\n\n| processes | | measured | formula | measured ÷ formula |\n|---|---|---|---|---|\n", moreUpdates, fewUpdates)
	for _, t := range r.traffic {
		fmt.Fprintf(s, "| %d | %s | %.2f | %.2f | %.3f |\n", t.processes, t.way.name, t.measured/1e6, t.formula/1e6, t.measured/t.formula)
	}
}

// law is the model of a step's time, in a table's words.
const law = "t = t_work + t_late + max(0, t_early − t_overlap). t_work is a machine's own; the n gradients of a stage cross in 2(W−1)/W·n·b/bandwidth + 2(W−1)·latency. t_late is so for " +
	"the embeddings and the first block, whose gradients are complete last and never hidden, t_early for all others, which cross beside the rest of the last micro-batch's backward " +
	"pass, t_overlap: two thirds of a micro-batch's time, times the share of all weights that the blocks but one have."

func (r *results) linkTable(s *strings.Builder) {
	l := r.linked
	own := l.work()
	fmt.Fprintf(s, "Two namespaces on this machine, a process each, joined by a link whose rate `tc … tbf` limits in each direction; gradient_accumulation_steps: %d; rounds: %d. "+
		"Two processes that know nothing of each other take %s s a step here, t_work, and %.3f s for a micro-batch, of which t_overlap is %.3f s. Of a frame of 1514 bytes 1448 are what is sent; "+
		"a message takes %v.\n\n| Mbit/s | reduce_precision | the gradients cross, s | measured, s | predicted, s | measured ÷ predicted |\n|---|---|---|---|---|---|\n",
		l.batches[0], len(l.free[0]), l.apart[0].cell("%.3f", 1), own.micro, r.shape.overlap(own.micro), r.latency)
	for i, w := range l.ways {
		name := strings.TrimPrefix(w.name, "reduce_precision ")
		for at, rate := range l.rates {
			crossing := r.shape.cross(own, w, link{rate * 1e6 / 8 * shareOfFrame, r.latency.Seconds()}, 2).whole
			predicted := l.predicted(r.shape, r.latency.Seconds(), w, rate)
			fmt.Fprintf(s, "| %g | %s | %.3f | %s | %.3f | %.2f |\n", rate, name, crossing, l.measured[i][at].cell("%.3f", 1), predicted, l.measured[i][at].median()/predicted)
		}
		fmt.Fprintf(s, "| no limit | %s | | %s | | |\n", name, l.free[i].cell("%.3f", 1))
	}
}

func (r *results) predictionTables(s *strings.Builder) {
	fmt.Fprintf(s, "Assumed: a machine really does %g TFLOP/s, six operations a weight and token, on %s tokens an update, in %d micro-batches; a message takes %v; %.0f%% of what the network "+
		"carries is gradients. With other machines: what stands under \"cross\" needs only the network, and with t_overlap = 0 a step takes no longer than t_work and that. "+
		"More gradient_accumulation_steps make a step's work longer and not what crosses: \"%.0f%% from\" is the number of such micro-batches from which that share of a step is work. "+
		"With local_steps: H all of what crosses is shown, once in H updates. That the processors of a machine keep up with adding, and one connection with the network, is assumed as well.\n",
		r.tflops, thousands(int64(r.tokens)), r.microBatches, r.latency, 100*shareOfWire, 100*enough)
	for _, m := range []shape{small, large} {
		own := m.assumed(r.tflops, r.tokens, r.microBatches)
		fmt.Fprintf(s, "\nGPT-2 %s: t_work %s s, a micro-batch %s s, t_overlap %s s. Seconds:\n\n| machines | reduce_precision | GB that each sends |", m.million(), figures(own.step), figures(own.micro),
			figures(m.overlap(own.micro)))
		for _, rate := range r.networks {
			fmt.Fprintf(s, " %g Gbit/s: cross | a step | %.0f%% from |", rate, 100*enough)
		}
		s.WriteString("\n|" + strings.Repeat("---|", 3+3*len(r.networks)) + "\n")
		for _, w := range []way{fp32, bf16} {
			for _, n := range r.machines {
				fmt.Fprintf(s, "| %d | %s | %.2f |", n, strings.TrimPrefix(w.name, "reduce_precision "), w.sent(m.parameters(), n)/1e9)
				for _, rate := range r.networks {
					c := m.cross(own, w, link{rate * 1e9 / 8 * shareOfWire, r.latency.Seconds()}, n)
					fmt.Fprintf(s, " %s | %s (%.0f%%) | %d |", figures(c.whole), figures(own.step+c.shown), 100*own.step/(own.step+c.shown), c.hiddenFrom(own.micro))
				}
				s.WriteString("\n")
			}
		}
	}
}

// figures are three of a number.
func figures(x float64) string {
	switch {
	case x >= 100:
		return fmt.Sprintf("%.0f", x)
	case x >= 10:
		return fmt.Sprintf("%.1f", x)
	}
	return fmt.Sprintf("%.2f", x)
}

func thousands(n int64) string {
	text := strconv.FormatInt(n, 10)
	for at := len(text) - 3; at > 0; at -= 3 {
		text = text[:at] + "," + text[at:]
	}
	return text
}
