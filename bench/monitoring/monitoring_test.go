package main

// What the bench refuses. Its runs take minutes, and are no test.

import "testing"

func TestCheck(t *testing.T) {
	if err := check(1, 1, 0); err != nil {
		t.Error(err)
	}
	for _, c := range []struct{ rounds, steps, threads int }{{0, 1, 0}, {-1, 1, 0}, {1, 0, 0}, {1, 1, -1}} {
		if check(c.rounds, c.steps, c.threads) == nil {
			t.Errorf("%+v was taken", c)
		}
	}
}
