package trainer

// The process's peak memory, from the kernel.

import "golang.org/x/sys/unix"

// peakResidentBytes is the most memory that the process has had in RAM; 0 where the kernel does not say.
func peakResidentBytes() int64 {
	var u unix.Rusage
	if unix.Getrusage(unix.RUSAGE_SELF, &u) != nil {
		return 0
	}
	return u.Maxrss * 1024 // Linux counts in KiB
}
