package config

// The automatic choice of precision.

// CPUBF16 is what a CPU makes of products in bf16.
type CPUBF16 int

// What it makes of them. Some processors have the instructions and are slower with them than in fp32: a Xeon whose matrix unit the
// machine's host keeps to itself takes twice as long.
const (
	NoBF16 CPUBF16 = iota
	SlowBF16
	FastBF16
)

// ResolvePrecision is the precision to compute in (fp32, fp16 or bf16) on a device of type cpu or cuda, and why. cpu is asked only
// where it decides.
func ResolvePrecision(c *TrainingConfig, deviceType string, cpu func() CPUBF16) (precision, reason string) {
	switch {
	case c.Precision != "auto":
		return c.Precision, "precision is set"
	case !c.FP16:
		return "fp32", "fp16 is false"
	case deviceType == "cuda":
		return "fp16", "fp16 is true and the device is a CUDA card; the loss is scaled"
	case deviceType != "cpu":
		return "fp32", "fp16 is true, but mixed precision is not known on a device of type " + deviceType
	}
	switch cpu() {
	case FastBF16:
		return "bf16", "fp16 is true and this CPU has bf16 instructions, which need no loss scaling"
	case SlowBF16:
		return "fp32", "fp16 is true, but this CPU was measured to multiply more slowly in bf16"
	}
	return "fp32", "fp16 is true, but this CPU has no bf16 instructions and is slow in fp16"
}
