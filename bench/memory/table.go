package main

// The table, in Markdown.

import (
	"errors"
	"fmt"
	"maps"
	"math"
	"runtime"
	"slices"
	"strings"
	"time"

	"frugal/torch"
	"frugal/trainer/config"
)

// parts are the plan's, in the table's order; what else there is stands at the end.
var parts = []string{"weights", "gradients", "optimizer", "activations", "head"}

func markdown(rows []*row, o options) string {
	var s strings.Builder
	fmt.Fprintf(&s, "%s, libtorch %s, %s/%s, %d processors.\n\n    go run ./bench/memory", time.Now().UTC().Format(time.DateOnly), torch.Version, runtime.GOOS, runtime.GOARCH, runtime.NumCPU())
	if o.plan {
		s.WriteString(" -plan")
	}
	if o.sizes != allSizes() {
		s.WriteString(" -sizes " + o.sizes)
	}
	s.WriteString("\n\nGB of 2³⁰ bytes, at the peak of a step; planned")
	if !o.plan {
		s.WriteString(", and below it as counted in an update that ran with the allocator capped at the limit")
	}
	s.WriteString(".\n\n")
	s.WriteString("| | limit | how | " + strings.Join(parts, " | ") + " | peak | a micro-batch, s | host |\n|---|---|---|" + strings.Repeat("---|", len(parts)+3) + "\n")
	for _, r := range rows {
		planned := map[string]int64{}
		for _, p := range r.planned {
			planned[p.Name] = p.Bytes
		}
		fmt.Fprintf(&s, "| GPT-2 %s: %.0f million | %g | %s | %s | %s | | %s |\n", strings.ToUpper(r.name), float64(r.parameters)/1e6, r.limit, r.how(), cells(planned),
			fits(r.plannedBytes(), r.limitBytes()), gib(r.host))
		if r.counted != nil {
			fmt.Fprintf(&s, "| counted | | %d micro-batches, loss %.2f | %s | %s | %.1f | %s |\n", o.accumulation, r.counted.Loss, cells(r.counted.Kinds), fits(r.counted.Peak, r.limitBytes()),
				r.counted.Seconds/float64(o.accumulation), gib(r.resident))
		} else {
			fmt.Fprintf(&s, "| | | %s |%s\n", r.instead(), strings.Repeat(" |", len(parts)+3))
		}
	}
	s.WriteString("\nHost: what the process takes of the machine, which is the device here as well: estimated beside the plan (18 bytes a parameter where they are " +
		"offloaded, the device's peak, 1 GB)")
	if !o.plan {
		s.WriteString(", and below it what the system saw at most")
	}
	s.WriteString(".")
	for _, r := range rows {
		if r.counted != nil {
			fmt.Fprintf(&s, " %s: the plan is %.2f%% off.", strings.ToUpper(r.name), 100*math.Abs(float64(r.plannedBytes())/float64(r.counted.Peak)-1))
		}
	}
	return s.String() + "\n"
}

// how says what it takes to fit.
func (r *row) how() string {
	c := r.settings
	how := fmt.Sprintf("%s (on a card fp16 or bf16), %d × %d", c.Precision, c.BatchSize, c.GradientAccumulationSteps)
	if c.GradientCheckpointing {
		how += ", checkpointing"
	}
	if c.CPUOffload != config.OffloadOff {
		how += ", cpu_offload " + string(c.CPUOffload)
	}
	return how
}

// instead of a run: why there is none, or how it failed.
func (r *row) instead() string {
	if r.failed != nil {
		return "**failed**: " + strings.NewReplacer("|", `\|`, "\n", " ").Replace(r.failed.Error())
	}
	return r.why
}

// cells are a peak's parts, what the table does not name added to the last of them that it does.
func cells(kinds map[string]int64) string {
	var list, more []string
	for _, name := range parts {
		list = append(list, gib(kinds[name]))
	}
	for _, name := range slices.Sorted(maps.Keys(kinds)) {
		if bytes := kinds[name]; !slices.Contains(parts, name) && bytes >= 1<<20 {
			more = append(more, name+" "+gib(bytes))
		}
	}
	if len(more) > 0 {
		list[len(list)-1] += " (" + strings.Join(more, ", ") + ")"
	}
	return strings.Join(list, " | ")
}

func fits(bytes, limit int64) string {
	if bytes > limit {
		return "**" + gib(bytes) + ": too much**"
	}
	return "**" + gib(bytes) + "**"
}

func gib(bytes int64) string { return fmt.Sprintf("%.2f", float64(bytes)/(1<<30)) }

// problems are the sizes that do not do what they are to.
func problems(rows []*row) error {
	var list []error
	for _, r := range rows {
		switch {
		case r.failed != nil:
			list = append(list, fmt.Errorf("%s: %w", r.name, r.failed))
		case r.plannedBytes() > r.limitBytes():
			list = append(list, fmt.Errorf("%s: planned %s GB, the limit is %g", r.name, gib(r.plannedBytes()), r.limit))
		}
	}
	return errors.Join(list...)
}
