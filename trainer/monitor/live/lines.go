// Reading a growing file from where a reader stands, and noticing that it is no longer the file that the reader knew.

package live

import (
	"bytes"
	"errors"
	"fmt"
	"hash/crc32"
	"io"
	"io/fs"
	"strconv"
	"strings"

	"frugal/trainer/internal/vfs"
)

const (
	chunkSize = 256 << 10 // of lines sent at once
	maxLine   = 16 << 20  // a longer one is passed over
	before    = 512       // bytes before a position that tell whether it is still the same file: at least the last line's time
)

// position is where a reader stands: behind offset bytes, the last of which have the checksum sum. A resumed run cuts the
// file and goes on, a fresh one puts another in its place; the bytes before the position then differ, for each line ends
// with the time at which it was written.
type position struct {
	offset int64
	sum    uint32
}

func (p position) String() string { return fmt.Sprintf("%d-%08x", p.offset, p.sum) }

// parsePosition reads String's form. Anything else is the file's beginning.
func parsePosition(s string) position {
	left, right, _ := strings.Cut(s, "-")
	offset, err := strconv.ParseInt(left, 10, 64)
	sum, sumErr := strconv.ParseUint(right, 16, 32)
	if err != nil || sumErr != nil || offset < 0 {
		return position{}
	}
	return position{offset, uint32(sum)}
}

// piece is what followed a position.
type piece struct {
	lines []byte   // whole lines; empty when there is nothing new
	next  position // behind them
	reset bool     // the reader's lines are no longer the file's: these begin at its beginning
}

// readLines returns the whole lines behind p, about chunkSize bytes of them. A file that is not there (yet) is an empty one.
func readLines(fsys vfs.FS, path string, p position) (piece, error) {
	file, err := openRegular(fsys, path)
	if errors.Is(err, fs.ErrNotExist) {
		return piece{reset: p.offset > 0}, nil
	}
	if err != nil {
		return piece{}, err
	}
	defer file.Close()
	next, same, err := linesBehind(file, p)
	if err == nil && !same {
		next, _, err = linesBehind(file, position{})
		next.reset = true
	}
	return next, err
}

// linesBehind reads what precedes p and what follows it in one call, so that nobody changes the file in between. same is
// false where it is no longer the file in which p is a position. A line beyond maxLine is passed over in pieces, which no
// reader takes for lines.
func linesBehind(file io.ReaderAt, p position) (next piece, same bool, err error) {
	known := int(min(p.offset, before))
	for size := chunkSize; ; size *= 4 {
		buffer := make([]byte, known+size)
		n, err := file.ReadAt(buffer, p.offset-int64(known))
		if err != nil && !errors.Is(err, io.EOF) {
			return piece{}, false, err
		}
		if n < known || known > 0 && crc32.ChecksumIEEE(buffer[:known]) != p.sum {
			return piece{}, false, nil
		}
		end := known + bytes.LastIndexByte(buffer[known:n], '\n') + 1
		lines := buffer[known:end]
		switch {
		case len(lines) > 0:
		case n < len(buffer): // the next line has not ended yet
			return piece{next: p}, true, nil
		case size >= maxLine:
			end = n
		default:
			continue
		}
		offset := p.offset + int64(end-known)
		return piece{lines: lines, next: position{offset, crc32.ChecksumIEEE(buffer[end-int(min(offset, before)) : end])}}, true, nil
	}
}

// openRegular opens a file that can be read to its end: a pipe would wait for who writes into it.
func openRegular(fsys vfs.FS, path string) (vfs.File, error) {
	info, err := fsys.Stat(path)
	if err != nil {
		return nil, err
	}
	if !info.Mode().IsRegular() {
		return nil, fmt.Errorf("%s is not a regular file", path)
	}
	return fsys.Open(path)
}
