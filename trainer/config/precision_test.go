package config

import "testing"

func TestPrecisionIsChosenByDevice(t *testing.T) {
	for _, test := range []struct {
		set        string
		device     string
		cpuHasBF16 bool
		want       string
	}{
		{"fp16=true", "cuda", false, "fp16"},
		{"fp16=true", "cuda", true, "fp16"},
		{"fp16=true", "cpu", true, "bf16"},
		{"fp16=true", "cpu", false, "fp32"},
		{"fp16=true", "xpu", true, "fp32"},
		{"fp16=false", "cuda", true, "fp32"},
		{"fp16=false", "cpu", true, "fp32"},
		{"precision=bf16", "cuda", false, "bf16"},
		{"precision=fp16", "cpu", true, "fp16"},
		{"precision=fp32", "cuda", true, "fp32"},
	} {
		precision, reason := ResolvePrecision(mustLoad(t, LoadOptions{Set: []string{test.set}}), test.device, test.cpuHasBF16)
		if precision != test.want || reason == "" {
			t.Errorf("%s on %s (bf16 %v): %s (%s), want %s", test.set, test.device, test.cpuHasBF16, precision, reason, test.want)
		}
	}
}
