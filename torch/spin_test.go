package torch_test

import (
	"os"
	"testing"

	"frugal/torch"
)

// SleepSooner makes one team, however often it is asked. Go's scheduler makes and ends some threads meanwhile: the team is of many.
func TestSleepSoonerMakesOneTeam(t *testing.T) {
	onThread(t, func() {
		threads := func() int {
			entries, err := os.ReadDir("/proc/self/task")
			if err != nil {
				t.Fatal(err)
			}
			return len(entries)
		}
		const team, schedulers = 40, 10
		before := threads()
		torch.SleepSooner(team)
		once := threads()
		if once < before+team-schedulers {
			t.Errorf("%d threads before, %d with a team of %d", before, once, team)
		}
		torch.SleepSooner(team)
		if twice := threads(); twice > once+schedulers {
			t.Errorf("%d threads after one call, %d after two", once, twice)
		}
	})
}
