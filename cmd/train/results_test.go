package main

// What two runs of the same training must have in common, whatever happened to them on the way.

import (
	"bytes"
	"crypto/sha256"
	"encoding/hex"
	"encoding/json"
	"fmt"
	"os"
	"path/filepath"
	"slices"
	"testing"

	"github.com/google/go-cmp/cmp"
)

// ofTheMoment are the fields of metrics.jsonl that differ from run to run: clocks, speed and memory (docs/format-metrics.md).
var ofTheMoment = []string{"time", "seconds", "tokens_per_second", "step_seconds", "data_wait_seconds", "peak_memory_bytes", "peak_memory_by_kind", "allocated_memory_by_kind", "resident_memory_bytes", "cpu_percent",
	"allocated_memory_bytes", "reserved_memory_bytes", "gpu_utilization"}

// results returns the train, eval and epoch lines of a metrics.jsonl without the fields of the moment. Numbers keep their
// digits, which stand for all their bits. The lines save and run tell of sessions, of which an interrupted run has several.
func results(path string) ([]string, error) {
	text, err := os.ReadFile(path)
	if err != nil {
		return nil, err
	}
	var lines []string
	for line := range bytes.Lines(text) {
		var fields map[string]json.RawMessage
		if err := json.Unmarshal(line, &fields); err != nil {
			return nil, fmt.Errorf("%s: %q: %w", path, line, err)
		}
		if event := string(fields["event"]); event != `"train"` && event != `"eval"` && event != `"epoch"` {
			continue
		}
		for name := range fields {
			if slices.Contains(ofTheMoment, name) {
				delete(fields, name)
			}
		}
		canonical, err := json.Marshal(fields)
		if err != nil {
			return nil, err
		}
		lines = append(lines, string(canonical))
	}
	if len(lines) == 0 {
		return nil, fmt.Errorf("%s tells nothing of a training", path)
	}
	return lines, nil
}

// sum returns a file's SHA-256.
func sum(path string) (string, error) {
	content, err := os.ReadFile(path)
	if err != nil {
		return "", err
	}
	digest := sha256.Sum256(content)
	return hex.EncodeToString(digest[:]), nil
}

// compareResults fails where the trainings in two directories did not come to the same model and the same metrics.
func compareResults(t *testing.T, want, got string) {
	t.Helper()
	want, got = filepath.Join(want, "output"), filepath.Join(got, "output")
	for _, file := range must(list(filepath.Join(want, "final_model")))(t) {
		if w, g := must(sum(filepath.Join(want, "final_model", file)))(t), must(sum(filepath.Join(got, "final_model", file)))(t); w != g {
			t.Errorf("final_model/%s has another SHA-256: %s, want %s", file, g, w)
		}
	}
	if diff := cmp.Diff(must(results(filepath.Join(want, "metrics.jsonl")))(t), must(results(filepath.Join(got, "metrics.jsonl")))(t)); diff != "" {
		t.Errorf("metrics.jsonl: %s", diff)
	}
}
