package trainer

import (
	"fmt"
	"testing"

	"frugal/torch"
	"frugal/trainer/internal/vfs"
)

type fakeCard torch.CardStats

func (f fakeCard) Stats() torch.CardStats { return torch.CardStats(f) }

func TestCardsFiguresAreFieldsWhereTheyAreKnown(t *testing.T) {
	for want, stats := range map[string]fakeCard{
		"[{gpu_memory_used_bytes 3221225472} {gpu_utilization 97} {gpu_temperature_celsius 71} {gpu_power_watts 320.5}]": {97, 71, 320500, 3 << 30},
		"[{gpu_memory_used_bytes 0} {gpu_utilization 0}]":                                                                {0, -1, -1, 0},
		"[]": {-1, -1, -1, -1},
	} {
		if got := fmt.Sprint(joinedStats{cardStats{stats}}.Fields()); got != want {
			t.Errorf("got %s, want %s", got, want)
		}
	}
}

func TestACardThatCannotBeAskedLeavesTheProcesssFigures(t *testing.T) {
	if _, err := systemStats(vfs.OS, torch.CPU); err != nil {
		t.Errorf("on a CPU: %v", err)
	}
	stats, err := systemStats(vfs.OS, torch.CUDA(99))
	if err == nil {
		t.Fatal("a hundred cards")
	}
	if fields := fmt.Sprint(stats.Fields()); len(fields) < len("[{resident_memory_bytes") {
		t.Errorf("got %s because of %v", fields, err)
	}
}
