package torch

import "sync"

// SleepSooner has the threads of operations on the CPU wait for each other asleep instead of spinning, for the rest of the program: for
// processors that other programs want as well, where a thread that spins keeps the one that it waits for from running. With the processors
// to oneself waiting asleep costs a tenth of a step, as measured with GOMP_SPINCOUNT=100.
//
// libgomp spins for long unless it manages more threads than there are processors. So another thread makes it manage a second team, by one
// loop of n threads, and then sleeps. libgomp keeps the team.
func SleepSooner(n int) {
	sleepSooner.Do(func() {
		StartThread().Do(func() {
			SetNumThreads(n)
			const elements = 1 << 18 // enough to be shared out
			Scoped(func() *Tensor { return Zeros([]int64{elements}, Float32, CPU).AddScalar_(1) }).Free()
		})
	})
}

var sleepSooner sync.Once
