package main

// Reading a metrics.jsonl of any length and in any state: what is damaged is passed over by line, with the reason.

import (
	"bufio"
	"bytes"
	"errors"
	"fmt"
	"io"
	"slices"
)

// maxLine bounds the memory for a line. The longest that is written holds a configuration or a sample: far shorter.
const maxLine = 16 << 20

// damage is a line that was passed over.
type damage struct {
	line int // from 1
	err  error
}

// readEvents calls take for each event in order.
func readEvents(r io.Reader, take func(*event)) (damaged []damage, err error) {
	in := bufio.NewReaderSize(r, 1<<16)
	for n := 1; ; n++ {
		line, whole, err := readLine(in)
		if errors.Is(err, io.EOF) && len(line) == 0 && whole {
			return damaged, nil
		}
		if err != nil && !errors.Is(err, io.EOF) {
			return damaged, err
		}
		if !whole {
			damaged = append(damaged, damage{n, fmt.Errorf("longer than %d MB", maxLine>>20)})
		} else if e, bad := parseEvent(line); bad != nil {
			damaged = append(damaged, damage{n, bad})
		} else {
			take(e)
		}
		if err != nil {
			return damaged, nil
		}
	}
}

// readLine returns the next line without its end. whole is false where it is longer than maxLine: then it is passed over.
func readLine(in *bufio.Reader) (line []byte, whole bool, err error) {
	whole = true
	for {
		piece, err := in.ReadSlice('\n')
		if whole = whole && len(line)+len(piece) <= maxLine; whole {
			line = append(line, piece...)
		}
		if !errors.Is(err, bufio.ErrBufferFull) {
			return bytes.TrimSuffix(line, []byte("\n")), whole, err
		}
	}
}

// curve is a quantity over the steps, which rise.
type curve struct {
	steps  []int64
	values []float64
}

// add appends a point. Points of this step and later ones go: a run that went back does them again.
func (c *curve) add(step int64, value float64) {
	keep := len(c.steps)
	for keep > 0 && c.steps[keep-1] >= step {
		keep--
	}
	c.steps = append(c.steps[:keep], step)
	c.values = append(c.values[:keep], value)
}

// last returns the newest value.
func (c *curve) last() (step int64, value float64, ok bool) {
	if c == nil || len(c.steps) == 0 {
		return 0, 0, false
	}
	return c.steps[len(c.steps)-1], c.values[len(c.values)-1], true
}

// lowest returns the smallest value, the first of equals; values that are no numbers do not count.
func (c *curve) lowest() (step int64, value float64, ok bool) {
	if c == nil {
		return 0, 0, false
	}
	for i, v := range c.values {
		if v == v && (!ok || v < value) {
			step, value, ok = c.steps[i], v, true
		}
	}
	return step, value, ok
}

// median is the middle value, or the mean of the two in the middle.
func (c *curve) median() (value float64, ok bool) {
	if c == nil || len(c.values) == 0 {
		return 0, false
	}
	sorted := slices.Sorted(slices.Values(c.values))
	n := len(sorted)
	return (sorted[(n-1)/2] + sorted[n/2]) / 2, true
}

// highest returns the largest value.
func (c *curve) highest() (value float64, ok bool) {
	if c == nil || len(c.values) == 0 {
		return 0, false
	}
	return slices.Max(c.values), true
}
