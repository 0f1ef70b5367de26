package main

// The machine: what it is, and how busy.

import (
	"context"
	"fmt"
	"os"
	"os/exec"
	"slices"
	"strings"
)

// busySeconds is how long the machine's processors have been busy since it started, added up; 0 where /proc/stat is missing.
func busySeconds() float64 {
	text, err := os.ReadFile("/proc/stat")
	if err != nil {
		return 0
	}
	var user, nice, system, idle, iowait, irq, softirq, steal float64 // in ticks of 1/100 s
	if _, err := fmt.Sscanf(string(text), "cpu %f %f %f %f %f %f %f %f", &user, &nice, &system, &idle, &iowait, &irq, &softirq, &steal); err != nil {
		return 0
	}
	return (user + nice + system + irq + softirq + steal) / 100
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
