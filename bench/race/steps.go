package main

// The race itself: in each round every peer runs once, and ours right before it.

import (
	"encoding/json"
	"fmt"
	"strconv"
	"strings"
)

func (b *bench) raceSteps() error {
	var list []*caseResults
	for _, c := range b.cases {
		list = append(list, b.newCaseResults(c))
	}
	b.results.Cases = append(b.results.Cases, list...)
	for round := range b.rounds {
		if err := b.measureCeilings(); err != nil {
			return err
		}
		for i, c := range b.cases {
			for _, l := range list[i].Lanes {
				if l.Problem != "" {
					continue
				}
				if err := b.raceLane(c, l); err != nil {
					return err
				}
				b.sayLane(round, c, l)
			}
			if err := b.results.save(b.folder); err != nil {
				return err
			}
		}
	}
	return nil
}

func (b *bench) newCaseResults(c *testCase) *caseResults {
	r := &caseResults{Model: c.name, Shape: c.shape, Precision: c.precision}
	for name := range strings.SplitSeq(b.peers, ",") {
		p, err := peerOf(name)
		if err != nil {
			panic(err) // prepare has looked at the names
		}
		r.Lanes = append(r.Lanes, &lane{Peer: p.name, Title: p.title, Compiled: p.compiled})
	}
	return r
}

// raceLane runs ours, then the peer. A peer that fails, or that does not do the same, is out; ours must not fail.
func (b *bench) raceLane(c *testCase, l *lane) error {
	p, err := peerOf(l.Peer)
	if err != nil {
		return err
	}
	if p.compiled && l.FirstStart == 0 { // a run that compiles, out of the race but for its start
		compiling, err := b.timePeer(c, p)
		if b.ctx.Err() != nil {
			return b.ctx.Err()
		}
		if err != nil {
			l.Problem = err.Error()
			return nil
		}
		l.FirstStart = compiling.FirstStep
		b.say("%v: %s compiled: first step after %.0f s", c, l.Title, l.FirstStart)
	}
	ours, err := b.runOurs(c)
	if err != nil {
		return fmt.Errorf("%v: ours: %w", c, err)
	}
	theirs, err := b.runPeer(c, p)
	if b.ctx.Err() != nil {
		return b.ctx.Err()
	}
	if err != nil {
		l.Problem = err.Error()
		return nil
	}
	if c.precision == "bf16" && c.alike.steps == nil {
		if c.alike, err = b.runAlike(c); err != nil {
			return fmt.Errorf("%v: %w", c, err)
		}
	}
	is, err := compare(ours, theirs, p.bounds(c.precision))
	if err == nil && len(l.Ours) == 0 {
		err = b.compareAlike(c, p, theirs)
	}
	if b.ctx.Err() != nil {
		return b.ctx.Err()
	}
	if err != nil {
		l.Problem = "does not do the same: " + err.Error()
		return nil
	}
	l.Ours, l.Theirs = append(l.Ours, ours), append(l.Theirs, theirs)
	l.Difference, l.NormDifference = max(l.Difference, is.loss), max(l.NormDifference, is.gradNorm)
	return nil
}

// compareAlike runs both sides once more in bf16, out of the race, in modes that round where the other does, in which they must agree
// closely: ours with attention by flash, a peer in the mode that it is alike in. What they are allowed as they race is then for
// rounding, and for nothing else.
func (b *bench) compareAlike(c *testCase, p peer, theirs run) error {
	if c.precision != "bf16" || p.compiled {
		return nil
	}
	ours := c.alike
	modes := "ours with flash"
	if p.alike != "" {
		p.mode = p.alike
		var err error
		if theirs, err = b.timePeer(c, p); err != nil {
			return fmt.Errorf("%s: %w", p.mode, err)
		}
		modes = p.mode + ", " + modes
	}
	is, err := compare(ours, theirs, tolerances[c.precision])
	if err != nil {
		return fmt.Errorf("%s: %w", modes, err)
	}
	b.say("%v: %s, rounding alike (%s): losses equal within %.0e, norms within %.0e", c, p.title, modes, is.loss, is.gradNorm)
	return nil
}

// runAlike is ours with attention that rounds as the peers' does.
func (b *bench) runAlike(c *testCase) (run, error) {
	flash, err := c.with("alike", c.steps, map[string]any{"attention": "flash"})
	if err != nil {
		return run{}, err
	}
	r, err := b.time(flash, "ours", b.command(nil, b.train(), "-config", flash.settings))
	if err != nil {
		return run{}, fmt.Errorf("ours with flash: %w", err)
	}
	return r, nil
}

func (b *bench) sayLane(round int, c *testCase, l *lane) {
	if l.Problem != "" {
		b.say("round %d of %d, %v: %s is out: %s", round+1, b.rounds, c, l.Title, l.Problem)
		return
	}
	n := len(l.Ours) - 1
	b.say("round %d of %d, %v: ours %v; %s %v; ratio %.2f, losses equal within %.0e, norms within %.0e", round+1, b.rounds, c, l.Ours[n], l.Title, l.Theirs[n],
		l.Ours[n].Speed/l.Theirs[n].Speed, l.Difference, l.NormDifference)
}

// measureCeilings adds a measurement of what the machine can do.
func (b *bench) measureCeilings() error {
	answer, err := b.output(b.command(nil, b.python, machine, "ceilings", strconv.Itoa(b.threads)))
	if err != nil {
		return err
	}
	var c ceilings
	if err := json.Unmarshal(answer, &c); err != nil {
		return fmt.Errorf("%s: %w", machine, err)
	}
	b.results.Ceilings = append(b.results.Ceilings, c)
	b.say("ceilings: fp32 %.0f GFLOP/s by MKL, %.0f by oneDNN; bf16 %.0f; memory %.1f GB/s read, %.1f triad", c.MKL, c.OneDNN, c.BF16, c.Read, c.Triad)
	return nil
}
