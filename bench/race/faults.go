package main

// -faults: would the race notice? The peer with one thing wrong at a time (faults.py), compared with ours as in the race.

import (
	"fmt"
	"strconv"
	"strings"
)

const faults = "bench/race/faults.py"

// measureFaults prints, for each fault and case, what the comparison says of it.
func (b *bench) measureFaults() error {
	list, err := b.output(b.command(nil, b.python, faults, "list"))
	if err != nil {
		return err
	}
	fmt.Printf("| | %s |\n|---|%s\n", strings.Join(caseNames(b.cases), " | "), strings.Repeat("---|", len(b.cases)))
	ours := make([]run, len(b.cases))
	for i, c := range b.cases {
		if ours[i], err = b.runAlike(c); err != nil {
			return err
		}
	}
	for fault := range strings.FieldsSeq(string(list)) {
		cells := []string{strings.ReplaceAll(fault, "-", " ")}
		for i, c := range b.cases {
			theirs, err := b.time(c, fault, b.command(nil, b.python, faults, fault, "train", c.settings, c.rows, c.output(fault), strconv.Itoa(c.checked), "eager"))
			if b.ctx.Err() != nil {
				return b.ctx.Err()
			}
			cells = append(cells, verdict(ours[i], theirs, err, c.precision))
		}
		fmt.Printf("| %s |\n", strings.Join(cells, " | "))
	}
	return nil
}

func caseNames(cases []*testCase) (names []string) {
	for _, c := range cases {
		names = append(names, c.String())
	}
	return names
}

// verdict says at which step the comparison stopped, and by how many times more than what is allowed.
func verdict(ours, theirs run, failed error, precision string) string {
	if failed != nil {
		return "fails: " + oneCell(failed.Error())
	}
	for i := range ours.steps {
		allowed, is := boundsOfStep(i, tolerances[precision]), differenceOf(ours.steps[i], theirs.steps[i])
		if !is.within(allowed) {
			return fmt.Sprintf("step %d: loss %.2g×, norm %.2g× the bound", i+1, is.loss/allowed.loss, is.gradNorm/allowed.gradNorm)
		}
	}
	is, _ := compare(ours, theirs, tolerances[precision]) // no error: the loop above has seen all steps
	return fmt.Sprintf("not noticed (losses %.0e, norms %.0e)", is.loss, is.gradNorm)
}
