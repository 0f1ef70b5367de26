package vfs

import (
	"os"

	"golang.org/x/sys/unix"
)

// StartWriteback has the system begin to bring a part of a file that was just written to its disk: a later Sync has less to do. It
// waits for nothing but room in the disk's queue. It promises nothing, and on any but the operating system's file system does nothing.
func StartWriteback(f File, offset, length int64) {
	if file, ok := f.(*os.File); ok {
		unix.SyncFileRange(int(file.Fd()), offset, length, unix.SYNC_FILE_RANGE_WRITE) // whatever is wrong, Sync finds it
	}
}
