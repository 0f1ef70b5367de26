package main

// The table: medians of each side, and the ratios of runs that followed each other.

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"os"
	"os/exec"
	"slices"
	"strings"
	"time"
)

// The text between these two lines of a document is ours to replace.
const (
	beginMarker = "<!-- written by bench/train: begin -->\n"
	endMarker   = "<!-- written by bench/train: end -->\n"
)

// measures are the rows of a case.
var measures = []struct {
	name, format string
	of           func(result) float64
}{
	{"tokens per second", "%.0f", func(r result) float64 { return r.speed }},
	{"peak memory, MB", "%.0f", func(r result) float64 { return r.memory }},
	{"start to end of first step, s", "%.2f", func(r result) float64 { return r.firstStep }},
}

// markdown is the whole result.
func (b *bench) markdown(machine string) string {
	var s strings.Builder
	fmt.Fprintf(&s, "%s, %s. %d threads each.\n", time.Now().UTC().Format(time.DateOnly), machine, b.threads)
	fmt.Fprintf(&s, "Ours: %s. Peer: PyTorch %s, Python %s.\n\n    %s\n\n", b.versions.ours, b.versions.Torch, b.versions.Python, b.command())
	s.WriteString("| | | ours | PyTorch | ours ÷ PyTorch (lowest–highest) |\n|---|---|---|---|---|\n")
	for _, c := range b.cases {
		name := c.model.name + " " + c.precision
		for _, m := range measures {
			ours, peer := values(c.ours, m.of), values(c.peer, m.of)
			ratios := ratiosOf(ours, peer)
			fmt.Fprintf(&s, "| %s | %s | "+m.format+" | "+m.format+" | %.2f (%.2f–%.2f) |\n", name, m.name,
				median(ours), median(peer), median(ratios), slices.Min(ratios), slices.Max(ratios))
			name = ""
		}
	}
	b.remarks(&s)
	return s.String()
}

// remarks are the sentences below the table.
func (b *bench) remarks(s *strings.Builder) {
	s.WriteString("\n")
	described := ""
	for _, c := range b.cases {
		if c.model.name != described {
			fmt.Fprintf(s, "%s: %v. ", c.model.name, c.decided)
			described = c.model.name
		}
	}
	fmt.Fprintf(s, "%d rounds of %d steps, of which the first %d are not timed. Largest relative difference between the two sides' losses: ", b.rounds, b.steps, b.dropped)
	var differences []string
	for _, c := range b.cases {
		differences = append(differences, fmt.Sprintf("%.0e (%s %s)", c.difference, c.model.name, c.precision))
	}
	fmt.Fprintf(s, "%s. Everything else on the machine kept up to %.2f processors busy", strings.Join(differences, ", "), b.others())
	if b.others() > quiet {
		s.WriteString(": too much for these figures to mean anything")
	}
	s.WriteString(".\n")
}

// others is what the most disturbed run had to share the machine with.
func (b *bench) others() (most float64) {
	for _, c := range b.cases {
		for _, r := range slices.Concat(c.ours, c.peer) {
			most = max(most, r.others)
		}
	}
	return most
}

// command is how to get the same table again. The interpreter may have any name.
func (b *bench) command() string {
	c := fmt.Sprintf("go run ./bench/train -python python3 -rounds %d -steps %d -dropped %d -threads %d -models %s -precisions %s",
		b.rounds, b.steps, b.dropped, b.threads, b.models, b.precisions)
	if b.environment != "" {
		c += " -env '" + b.environment + "'"
	}
	return c
}

func values(results []result, of func(result) float64) (list []float64) {
	for _, r := range results {
		list = append(list, of(r))
	}
	return list
}

// ratiosOf divides runs that followed each other.
func ratiosOf(ours, peer []float64) (list []float64) {
	for i := range ours {
		list = append(list, ours[i]/peer[i])
	}
	return list
}

// median of a list that is not empty; the mean of the middle two where its length is even.
func median(list []float64) float64 {
	sorted := slices.Sorted(slices.Values(list))
	n := len(sorted)
	return (sorted[(n-1)/2] + sorted[n/2]) / 2
}

// replaceBetweenMarkers puts text in the place that the document keeps for it.
func replaceBetweenMarkers(document []byte, text string) ([]byte, error) {
	before, rest, begins := bytes.Cut(document, []byte(beginMarker))
	_, after, ends := bytes.Cut(rest, []byte(endMarker))
	if !begins || !ends {
		return nil, errors.New("the markers are missing: " + strings.TrimSpace(beginMarker) + " … " + strings.TrimSpace(endMarker))
	}
	return slices.Concat(before, []byte(beginMarker), []byte(text), []byte(endMarker), after), nil
}

// describeMachine is the processor as lscpu has it, the instructions that decide the speed, and the memory.
func describeMachine(ctx context.Context) string {
	c := exec.CommandContext(ctx, "lscpu")
	c.Env = append(os.Environ(), "LC_ALL=C")
	out, err := c.Output()
	if err != nil {
		return "unknown processor (lscpu: " + err.Error() + ")"
	}
	is := map[string]string{}
	for _, line := range strings.Split(string(out), "\n") {
		if key, value, ok := strings.Cut(line, ":"); ok {
			is[strings.TrimSpace(key)] = strings.TrimSpace(value)
		}
	}
	text := fmt.Sprintf("%s (family %s, model %s), %s processors, %s thread(s) a core, L3 cache %s", is["Model name"],
		is["CPU family"], is["Model"], is["CPU(s)"], is["Thread(s) per core"], is["L3 cache"])
	flags := strings.Fields(is["Flags"])
	for _, name := range []string{"avx2", "avx512f", "avx512_bf16", "amx_bf16"} {
		if slices.Contains(flags, name) {
			text += ", " + name
		}
	}
	return text
}
