// The runs that can be shown: this one, and those of the same directory.

package live

import (
	"bytes"
	"crypto/sha256"
	"encoding/hex"
	"encoding/json"
	"io/fs"
	"path/filepath"
	"sync"
	"time"
	"unicode/utf8"

	"frugal/trainer/internal/vfs"
)

const (
	metricsName = "metrics.jsonl"

	// What a look around may cost, wherever output_dir lies: a sweep's directories are few, a home directory's are not.
	maxDepth       = 3 // below the parent of output_dir
	maxDirectories = 2000
	maxRuns        = 500
	maxAge         = 2 * time.Second // of what the last look found
)

// runInfo is a run of the list that the page asks for.
type runInfo struct {
	ID       string `json:"id"`
	Name     string `json:"name"`     // the directory, from the parent of output_dir
	Own      bool   `json:"own"`      // the run that serves the page
	Status   string `json:"status"`   // complete, stopped, or "": it has not ended, as far as its file knows
	Modified int64  `json:"modified"` // when its file last grew, milliseconds since 1970
	path     string
}

// shelf knows the runs by an id that says nothing of where they lie: no request names a path.
type shelf struct {
	fs   vfs.FS
	own  string // the run's directory
	root string

	mu     sync.Mutex
	runs   []runInfo
	looked time.Time
}

func newShelf(fsys vfs.FS, own string) *shelf {
	return &shelf{fs: fsys, own: own, root: filepath.Dir(own)}
}

// list returns the runs, this one first, the others in the order of depth and name.
func (l *shelf) list() []runInfo {
	l.mu.Lock()
	defer l.mu.Unlock()
	if l.runs == nil || time.Since(l.looked) > maxAge {
		l.runs = append([]runInfo{l.info(l.own)}, l.others()...)
		l.looked = time.Now()
	}
	return l.runs
}

// find returns the path of the metrics.jsonl of the run of this id.
func (l *shelf) find(id string) (path string, ok bool) {
	for _, run := range l.list() {
		if run.ID == id {
			return run.path, true
		}
	}
	return "", false
}

// others walks the directories below root, the near ones first. Symbolic links are not followed: they lead anywhere.
func (l *shelf) others() []runInfo {
	var runs []runInfo
	type place struct {
		dir   string
		depth int
	}
	queue := []place{{l.root, 0}}
	for visited := 0; len(queue) > 0 && visited < maxDirectories && len(runs) < maxRuns; visited++ {
		here := queue[0]
		queue = queue[1:]
		entries, err := l.fs.ReadDir(here.dir)
		if err != nil {
			continue // not ours to read
		}
		for _, entry := range entries {
			name := entry.Name()
			switch {
			case entry.Type().IsRegular() && name == metricsName && here.dir != l.own && utf8.ValidString(here.dir):
				runs = append(runs, l.info(here.dir))
			case entry.IsDir() && name[0] != '.' && here.depth < maxDepth && len(queue) < maxDirectories:
				queue = append(queue, place{filepath.Join(here.dir, name), here.depth + 1})
			}
		}
	}
	return runs
}

func (l *shelf) info(dir string) runInfo {
	id := sha256.Sum256([]byte(dir))
	run := runInfo{ID: hex.EncodeToString(id[:8]), Own: dir == l.own, path: filepath.Join(dir, metricsName)}
	if name, err := filepath.Rel(l.root, dir); err == nil {
		run.Name = filepath.ToSlash(name)
	}
	if run.Name == "." {
		run.Name = filepath.Base(dir)
	}
	if file, err := openRegular(l.fs, run.path); err == nil {
		defer file.Close()
		if info, err := file.Stat(); err == nil {
			run.Modified = info.ModTime().UnixMilli()
			run.Status = endStatus(file, info)
		}
	}
	return run
}

// endStatus is the status with which the file says that the run has ended: its last line's, if that is a run's.
func endStatus(file vfs.File, info fs.FileInfo) string {
	const enough = 4 << 10 // such a line is short
	tail := make([]byte, min(enough, info.Size()))
	n, _ := file.ReadAt(tail, info.Size()-int64(len(tail))) // the file may be cut meanwhile: then there is less to look at
	tail = bytes.TrimSuffix(tail[:n], []byte("\n"))
	var line struct{ Event, Status string }
	if json.Unmarshal(tail[bytes.LastIndexByte(tail, '\n')+1:], &line) != nil || line.Event != "run" || line.Status == "started" {
		return ""
	}
	return line.Status
}
