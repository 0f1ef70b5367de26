package main

// What the bench refuses. Its runs take minutes, and are no test.

import "testing"

func TestCheck(t *testing.T) {
	for name, change := range map[string]func(*bench){
		"no round":                    func(b *bench) { b.rounds = 0 },
		"no thread":                   func(b *bench) { b.threads = 0 },
		"a teacher without an update": func(b *bench) { b.taught = 0 },
		"less than no step dropped":   func(b *bench) { b.dropped = -1 },
		"all steps dropped":           func(b *bench) { b.steps = 4 },
		"fewer steps than dropped":    func(b *bench) { b.steps = 2 },
		"another precision":           func(b *bench) { b.precision = "fp16" },
	} {
		b := &bench{rounds: 1, steps: 5, dropped: 4, taught: 1, threads: 1, precision: "bf16"}
		if err := b.check(); err != nil {
			t.Fatal(err)
		}
		if change(b); b.check() == nil {
			t.Errorf("%s was taken", name)
		}
	}
}
