// Cutting the event files of earlier sessions at the step a run resumes from.

package monitor

import (
	"bytes"
	"encoding/binary"
	"errors"
	"io"
	"os"
	"path/filepath"
	"strings"

	"google.golang.org/protobuf/encoding/protowire"

	"frugal/trainer/internal/vfs"
)

// cutEventFiles drops from the event files of this run in dir what lies past step. START alone would do for TensorBoard's
// reader in Python; the faster one that it uses by default shows a void step until the same tag reaches that step again.
func cutEventFiles(fsys vfs.FS, dir, runID string, step int64) error {
	entries, err := fsys.ReadDir(dir)
	if err != nil {
		return err
	}
	for _, entry := range entries {
		if strings.HasPrefix(entry.Name(), eventFilePrefix) && strings.HasSuffix(entry.Name(), "."+runID) && !entry.IsDir() {
			if err := cutEventFile(fsys, filepath.Join(dir, entry.Name()), step); err != nil {
				return err
			}
		}
	}
	return nil
}

func cutEventFile(fsys vfs.FS, path string, step int64) error {
	file, err := fsys.OpenFile(path, os.O_RDWR, 0)
	if err != nil {
		return err
	}
	defer file.Close()
	info, err := file.Stat()
	if err != nil {
		return err
	}
	size, err := eventsThrough(file, step)
	if err != nil || size == info.Size() {
		return err
	}
	return file.Truncate(size)
}

// eventsThrough returns the length of the part of an event file that a reader gets to see and that lies not past step.
func eventsThrough(file io.Reader, step int64) (size int64, err error) {
	var frame bytes.Buffer
	for {
		event, err := readFramed(file, &frame)
		if errors.Is(err, errNoFrame) {
			return size, nil
		}
		if err != nil {
			return 0, err
		}
		if at, starts := eventPosition(event); at > step && !starts {
			return size, nil
		}
		size += int64(frame.Len())
	}
}

// errNoFrame is the end of what can be read: of the file, or of a record that a kill left half-written.
var errNoFrame = errors.New("no further record")

// readFramed reads one record of appendFramed's into frame and returns its data, which frame holds.
func readFramed(r io.Reader, frame *bytes.Buffer) (data []byte, err error) {
	const header, trailer = 8 + 4, 4
	frame.Reset()
	if err := readFull(r, frame, header); err != nil {
		return nil, err
	}
	length := binary.LittleEndian.Uint64(frame.Bytes())
	if binary.LittleEndian.Uint32(frame.Bytes()[8:]) != maskedCRC(frame.Bytes()[:8]) || length > 1<<31 {
		return nil, errNoFrame
	}
	if err := readFull(r, frame, int64(length)+trailer); err != nil {
		return nil, err
	}
	data = frame.Bytes()[header : header+length]
	if binary.LittleEndian.Uint32(frame.Bytes()[header+length:]) != maskedCRC(data) {
		return nil, errNoFrame
	}
	return data, nil
}

// readFull appends n bytes to frame, taking memory only as they come.
func readFull(r io.Reader, frame *bytes.Buffer, n int64) error {
	if _, err := io.CopyN(frame, r, n); errors.Is(err, io.EOF) {
		return errNoFrame
	} else if err != nil {
		return err
	}
	return nil
}

// eventPosition returns an Event's step, and whether it is a START: that one's step is where its session was to begin.
func eventPosition(event []byte) (step int64, starts bool) {
	for len(event) > 0 {
		field, kind, n := protowire.ConsumeTag(event)
		if n < 0 {
			break
		}
		length := protowire.ConsumeFieldValue(field, kind, event[n:])
		if length < 0 {
			break
		}
		switch {
		case field == eventStep && kind == protowire.VarintType:
			x, _ := protowire.ConsumeVarint(event[n:])
			step = int64(x)
		case field == eventSessionLog:
			starts = true
		}
		event = event[n+length:]
	}
	return step, starts
}
