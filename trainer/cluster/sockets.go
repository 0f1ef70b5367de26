package cluster

// Connections between processes that do not serve the store: the watch does not see when one of these alone is cut, so the kernel has to.

import (
	"fmt"
	"os"
	"strconv"

	"golang.org/x/sys/unix"
)

// limitSilence has all TCP connections of this process, of which c10d keeps those between processes to itself, fail when for some
// seconds nothing comes back from the other end's kernel: by default the one that sends waits for a quarter of an hour, and one that
// receives for ever (tcp(7)).
func limitSilence() error {
	open, err := os.ReadDir("/proc/self/fd")
	if err != nil {
		return fmt.Errorf("the connections: %w", err)
	}
	for _, entry := range open {
		fd, err := strconv.Atoi(entry.Name())
		if err != nil {
			continue
		}
		if !isTCP(fd) {
			continue
		}
		for _, o := range []struct{ level, name, value int }{
			{unix.SOL_SOCKET, unix.SO_KEEPALIVE, 1},
			{unix.IPPROTO_TCP, unix.TCP_KEEPIDLE, 2},
			{unix.IPPROTO_TCP, unix.TCP_KEEPINTVL, 1},
			{unix.IPPROTO_TCP, unix.TCP_KEEPCNT, 3},
			{unix.IPPROTO_TCP, unix.TCP_USER_TIMEOUT, 5000}, // in ms; it also ends the keepalives
		} {
			if err := unix.SetsockoptInt(fd, o.level, o.name, o.value); err != nil && isTCP(fd) { // else it was closed meanwhile
				return fmt.Errorf("the connections: %w", err)
			}
		}
	}
	return nil
}

func isTCP(fd int) bool {
	protocol, err := unix.GetsockoptInt(fd, unix.SOL_SOCKET, unix.SO_PROTOCOL)
	return err == nil && protocol == unix.IPPROTO_TCP
}
