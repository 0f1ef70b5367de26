package main

// One line of a metrics.jsonl: docs/format.md says what each event carries.

import (
	"bytes"
	"encoding/json"
	"errors"
	"fmt"
	"strconv"
	"time"
)

// event is a line. Of the rest of it, by its kind, one is set; of a kind that is not here none: a later version may write it.
type event struct {
	event string
	step  int64
	time  time.Time // zero: the line does not say

	numbers map[string]float64 // of train and eval: by field, those of nested objects as field/name
	run     *runEvent
	sample  *sampleEvent
}

// runEvent is the beginning of a session, or its end.
type runEvent struct {
	Status     string          `json:"status"`
	Reason     string          `json:"reason"`
	Version    string          `json:"version"`
	Libtorch   string          `json:"libtorch"`
	Device     string          `json:"device"`
	Precision  string          `json:"precision"`
	Threads    int64           `json:"threads"`
	Parameters int64           `json:"parameters"`
	TotalSteps int64           `json:"total_steps"`
	Config     json.RawMessage `json:"config"`
}

// sampleEvent is a text from the model.
type sampleEvent struct {
	PromptIndex int    `json:"prompt_index"`
	SampleIndex int    `json:"sample_index"`
	Prompt      string `json:"prompt"`
	Text        string `json:"text"`
}

// maxStep is far beyond any run, and small enough for a float64 to hold it exactly.
const maxStep = 1 << 53

// parseEvent reads a line.
func parseEvent(line []byte) (*event, error) {
	if len(bytes.TrimSpace(line)) == 0 {
		return nil, errors.New("empty")
	}
	var fields map[string]json.RawMessage
	if err := json.Unmarshal(line, &fields); err != nil {
		return nil, explain(err)
	}
	e := &event{}
	for _, field := range []struct {
		name string
		into any
	}{{"event", &e.event}, {"step", &e.step}, {"time", &e.time}} {
		value, ok := fields[field.name]
		ok = ok && string(value) != "null"
		if !ok && field.name != "time" {
			return nil, fmt.Errorf("it has no %s", field.name)
		}
		if ok && json.Unmarshal(value, field.into) != nil {
			return nil, fmt.Errorf("%s is of the wrong type", field.name)
		}
	}
	if e.step < 0 || e.step > maxStep {
		return nil, fmt.Errorf("step %d is out of range", e.step)
	}
	var err error
	switch e.event {
	case "train", "eval":
		e.numbers = numbersOf(fields)
	case "run":
		e.run = &runEvent{}
		err = json.Unmarshal(line, e.run)
	case "sample":
		e.sample = &sampleEvent{}
		err = json.Unmarshal(line, e.sample)
	}
	if err != nil {
		return nil, explain(err)
	}
	return e, nil
}

// explain puts an error of encoding/json, which names Go's types, in the words of the file.
func explain(err error) error {
	var wrong *json.UnmarshalTypeError
	var syntax *json.SyntaxError
	switch {
	case errors.As(err, &wrong) && wrong.Field != "":
		return fmt.Errorf("%s is of the wrong type (%s)", wrong.Field, wrong.Value)
	case errors.As(err, &wrong):
		return errors.New("not a JSON object")
	case errors.As(err, &syntax):
		return fmt.Errorf("not JSON: %w", err)
	}
	return err
}

// numbersOf collects a line's numbers.
func numbersOf(fields map[string]json.RawMessage) map[string]float64 {
	delete(fields, "step")
	numbers := make(map[string]float64, len(fields))
	for name, value := range fields {
		if x, ok := parseNumber(value); ok {
			numbers[name] = x
			continue
		}
		var inner map[string]json.RawMessage
		if value[0] != '{' || json.Unmarshal(value, &inner) != nil {
			continue
		}
		for key, value := range inner {
			if x, ok := parseNumber(value); ok {
				numbers[name+"/"+key] = x
			}
		}
	}
	return numbers
}

// parseNumber reads a number as metrics.jsonl writes it: NaN and the infinities are strings.
func parseNumber(value []byte) (float64, bool) {
	text := string(value)
	switch text {
	case `"NaN"`, `"Infinity"`, `"-Infinity"`:
		text = text[1 : len(text)-1]
	default:
		if text[0] != '-' && (text[0] < '0' || text[0] > '9') {
			return 0, false
		}
	}
	x, err := strconv.ParseFloat(text, 64)
	return x, err == nil || errors.Is(err, strconv.ErrRange)
}
