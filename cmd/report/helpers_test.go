package main

// Runs made up for tests.

import (
	"encoding/json"
	"fmt"
	"math"
	"os"
	"path/filepath"
	"strings"
	"testing"
)

// metrics writes a metrics.jsonl.
type metrics struct{ strings.Builder }

// line adds an event; its fields come as name, value, name, value, …
func (m *metrics) line(event string, step int64, fields ...any) {
	fmt.Fprintf(m, `{"event":%q,"step":%d`, event, step)
	for i := 0; i < len(fields); i += 2 {
		value, err := json.Marshal(fields[i+1])
		if x, ok := fields[i+1].(float64); ok && math.IsNaN(x) {
			value, err = []byte(`"NaN"`), nil
		}
		if err != nil {
			panic(err) // a test's own value
		}
		fmt.Fprintf(m, `,%q:%s`, fields[i], value)
	}
	m.WriteString("}\n")
}

// started adds the beginning of a session with that configuration.
func (m *metrics) started(step int64, config map[string]any) {
	m.line("run", step, "status", "started", "version", "v1", "libtorch", "2.11.0", "device", "cpu", "precision", "fp32", "threads", 2,
		"parameters", 1853760, "total_steps", 1000, "config", config, "time", "2026-01-02T15:04:05.678Z")
}

// in puts the file into a directory of that name and opens it.
func (m *metrics) in(t *testing.T, name string) *run {
	t.Helper()
	dir := filepath.Join(t.TempDir(), name)
	if err := os.MkdirAll(dir, 0o777); err != nil {
		t.Fatal(err)
	}
	if err := os.WriteFile(filepath.Join(dir, "metrics.jsonl"), []byte(m.String()), 0o666); err != nil {
		t.Fatal(err)
	}
	return must(openRun(dir))(t)
}

func must[T any](value T, err error) func(*testing.T) T {
	return func(t *testing.T) T {
		t.Helper()
		if err != nil {
			t.Fatal(err)
		}
		return value
	}
}
