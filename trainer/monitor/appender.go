// Growing a file by whole chunks (a line, an event) so that it never holds a piece of one for longer than a fault lasts.

package monitor

import (
	"fmt"

	"frugal/trainer/internal/vfs"
)

// maxPending bounds what is kept in memory while a disk is full: some thousand lines.
const maxPending = 4 << 20

// appender adds chunks to the end of a file opened with O_APPEND, one write call a chunk. Where a write fails, what it left
// of a chunk is cut off again, and the chunk waits in memory for the next call.
type appender struct {
	file    vfs.File
	size    int64 // of the whole chunks in the file
	torn    bool  // the file may hold a piece of a chunk beyond size
	pending []byte
}

func newAppender(file vfs.File) (*appender, error) {
	info, err := file.Stat()
	if err != nil {
		return nil, err
	}
	return &appender{file: file, size: info.Size()}, nil
}

// append writes the chunk after the ones that still wait. An error means that it waits, too, or, when too many do, is lost.
func (a *appender) append(chunk []byte) error {
	fits := len(a.pending)+len(chunk) <= maxPending
	if fits {
		a.pending = append(a.pending, chunk...)
	}
	if err := a.flush(); err != nil {
		return err
	}
	if !fits { // what waited is out: there is room again
		a.pending = append(a.pending, chunk...)
		return a.flush()
	}
	return nil
}

func (a *appender) flush() error {
	if a.torn {
		if err := a.file.Truncate(a.size); err != nil {
			return err
		}
		a.torn = false
	}
	if len(a.pending) == 0 {
		return nil
	}
	n, err := a.file.Write(a.pending)
	if err != nil {
		a.torn = n > 0 && a.file.Truncate(a.size) != nil
		return err
	}
	a.size += int64(n)
	a.pending = a.pending[:0]
	return nil
}

func (a *appender) sync() error {
	if err := a.flush(); err != nil {
		return err
	}
	return a.file.Sync()
}

// close writes what waits, makes the file durable and closes it.
func (a *appender) close() error {
	err := a.sync()
	if err != nil && len(a.pending) > 0 {
		err = fmt.Errorf("%w: the last %d bytes are lost", err, len(a.pending))
	}
	if closeErr := a.file.Close(); err == nil {
		err = closeErr
	}
	return err
}
