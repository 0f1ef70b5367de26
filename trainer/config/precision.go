package config

// The automatic choice of precision.

// ResolvePrecision is the precision to compute in (fp32, fp16 or bf16) on a device of type cpu or cuda, and why.
func ResolvePrecision(c *TrainingConfig, deviceType string, cpuHasBF16 bool) (precision, reason string) {
	switch {
	case c.Precision != "auto":
		return c.Precision, "precision is set"
	case !c.FP16:
		return "fp32", "fp16 is false"
	case deviceType == "cuda":
		return "fp16", "fp16 is true and the device is a CUDA card; the loss is scaled"
	case deviceType == "cpu" && cpuHasBF16:
		return "bf16", "fp16 is true and this CPU has bf16 instructions, which need no loss scaling"
	case deviceType == "cpu":
		return "fp32", "fp16 is true, but this CPU has no bf16 instructions and is slow in fp16"
	default:
		return "fp32", "fp16 is true, but mixed precision is not known on a device of type " + deviceType
	}
}
