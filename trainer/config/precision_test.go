package config

import "testing"

func TestPrecisionIsChosenByDevice(t *testing.T) {
	for _, test := range []struct {
		set    string
		device string
		cpu    CPUBF16
		want   string
	}{
		{"fp16=true", "cuda", NoBF16, "fp16"},
		{"fp16=true", "cuda", FastBF16, "fp16"},
		{"fp16=true", "cpu", FastBF16, "bf16"},
		{"fp16=true", "cpu", NoBF16, "fp32"},
		{"fp16=true", "cpu", SlowBF16, "fp32"},
		{"precision=bf16", "cpu", SlowBF16, "bf16"},
		{"fp16=true", "xpu", FastBF16, "fp32"},
		{"fp16=false", "cuda", FastBF16, "fp32"},
		{"fp16=false", "cpu", FastBF16, "fp32"},
		{"precision=bf16", "cuda", NoBF16, "bf16"},
		{"precision=fp16", "cpu", FastBF16, "fp16"},
		{"precision=fp32", "cuda", FastBF16, "fp32"},
	} {
		precision, reason := ResolvePrecision(mustLoad(t, LoadOptions{Set: []string{test.set}}), test.device, func() CPUBF16 { return test.cpu })
		if precision != test.want || reason == "" {
			t.Errorf("%s on %s (bf16 %v): %s (%s), want %s", test.set, test.device, test.cpu, precision, reason, test.want)
		}
	}
}
