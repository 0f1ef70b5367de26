package trainer

import (
	"testing"

	"frugal/torch"
	"frugal/trainer/cluster"
	"frugal/trainer/config"
	"frugal/trainer/launch"
)

// The plan is of the device's memory: rounded gradients count where they lie there.
func TestPlanHasRoundedGradientsWhereTheyAreSummed(t *testing.T) {
	gloo := &cluster.World{}
	for name, test := range map[string]struct {
		device    torch.Device
		world     *cluster.World
		precision string
		want      int64
	}{
		"CPU":                         {torch.CPU, gloo, "bf16", 2},
		"CPU, as they are":            {torch.CPU, gloo, "fp32", 0},
		"card, through the host":      {torch.CUDA(0), gloo, "bf16", 0},
		"card to card":                {torch.CUDA(0), nil, "bf16", 2}, // as a dry run takes it
		"card to card, as they are":   {torch.CUDA(0), nil, "fp32", 0},
		"CPU, nobody is there to ask": {torch.CPU, nil, "bf16", 2},
	} {
		r := &run{Options: Options{Place: &launch.Place{Size: 2}}, config: &config.TrainingConfig{ReducePrecision: test.precision}, device: test.device, world: test.world}
		s := stepShape{card: test.device.Type != torch.CPUType}
		if r.planCompany(&s); s.reduced != test.want {
			t.Errorf("%s: %d bytes an element, want %d", name, s.reduced, test.want)
		}
	}
}
