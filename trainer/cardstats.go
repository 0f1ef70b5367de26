package trainer

// What the machine is doing, for train Records: the process's figures and, on a card, the card's own.

import (
	"frugal/torch"
	"frugal/trainer/internal/vfs"
	"frugal/trainer/monitor"
)

// systemStats are the figures of the process and of the card that the device is. why says, on a card, what keeps the driver
// from telling its figures: they are absent then.
func systemStats(fsys vfs.FS, device torch.Device) (stats monitor.SystemStats, why error) {
	process := monitor.NewSystemStats(fsys)
	if device.Type == torch.CPUType {
		return process, nil
	}
	card, err := torch.OpenCard(device)
	if err != nil {
		return process, err
	}
	return joinedStats{process, cardStats{card}}, nil
}

type joinedStats []monitor.SystemStats

func (j joinedStats) Fields() (fields []monitor.Field) {
	for _, stats := range j {
		fields = append(fields, stats.Fields()...)
	}
	return fields
}

// cardStats are a card's figures as fields; what is not known is left out.
type cardStats struct {
	card interface{ Stats() torch.CardStats }
}

func (c cardStats) Fields() (fields []monitor.Field) {
	s := c.card.Stats()
	add := func(name string, x int64, value any) {
		if x >= 0 {
			fields = append(fields, monitor.Field{Name: name, Value: value})
		}
	}
	add("gpu_memory_used_bytes", s.MemoryUsed, s.MemoryUsed)
	add("gpu_utilization", s.Utilization, s.Utilization)
	add("gpu_temperature_celsius", s.Celsius, s.Celsius)
	add("gpu_power_watts", s.Milliwatts, float64(s.Milliwatts)/1000)
	return fields
}
