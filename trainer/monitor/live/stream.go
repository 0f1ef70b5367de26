// The stream of lines, as server-sent events.

package live

import (
	"bytes"
	"fmt"
	"net/http"
	"strings"
	"time"
)

const (
	restTime     = 150 * time.Millisecond // between two looks: a run may log a thousand steps a second
	writeTimeout = 20 * time.Second       // for who does not read
	maxFollowed  = 64
)

// follower is a run of a stream, and where its reader stands.
type follower struct {
	id, path string
	position
}

// stream is one open page.
type stream struct {
	server    *Server
	w         http.ResponseWriter
	control   *http.ResponseController
	followers []follower
}

// serveEvents answers GET /events?run=ID&run=ID2 with the lines of these runs, those that are there and those to come:
//
//	event: lines    data: "ID" or "ID reset", then lines of metrics.jsonl; reset: the lines sent so far no longer hold
//	event: ready    after the lines that were there
//	event: beat     every 15 seconds
//	event: over     the run that serves the page has ended, and all its lines are sent
//
// Each id is the position in all files; after a break, Last-Event-ID (or after=, which a new page can give) goes on there.
func (s *Server) serveEvents(w http.ResponseWriter, r *http.Request) {
	followers, problem := s.followers(r)
	if problem != "" {
		http.Error(w, problem, http.StatusNotFound)
		return
	}
	if !s.beginStream() {
		http.Error(w, "too many pages are open, or the run is over", http.StatusServiceUnavailable)
		return
	}
	defer s.endStream()
	w.Header().Set("Content-Type", "text/event-stream")
	w.Header().Set("Cache-Control", "no-store")
	w.Header().Set("X-Accel-Buffering", "no") // a proxy must not wait for more
	if r.Method == http.MethodHead {
		return
	}
	st := &stream{server: s, w: w, control: http.NewResponseController(w), followers: followers}
	st.run(r.Context().Done()) // an error is the client's: it is gone
}

// beginStream is false where there are too many streams, or Close was called.
func (s *Server) beginStream() bool {
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.isOver() || s.open == maxStreams {
		return false
	}
	s.open++
	s.streams.Add(1)
	return true
}

func (s *Server) endStream() {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.open--
	s.streams.Done()
}

func (s *Server) followers(r *http.Request) (followers []follower, problem string) {
	query := r.URL.Query()
	after := query.Get("after")
	if id := r.Header.Get("Last-Event-ID"); id != "" {
		after = id
	}
	positions := strings.Split(after, ",")
	ids := query["run"]
	if len(ids) == 0 || len(ids) > maxFollowed {
		return nil, fmt.Sprintf("between 1 and %d runs", maxFollowed)
	}
	for i, id := range ids {
		path, ok := s.shelf.find(id)
		if !ok {
			return nil, "there is no such run (any more)"
		}
		f := follower{id: id, path: path}
		if i < len(positions) {
			f.position = parsePosition(positions[i])
		}
		followers = append(followers, f)
	}
	return followers, ""
}

func (st *stream) run(gone <-chan struct{}) error {
	if err := st.send([]byte("retry: 1000\n\n")); err != nil {
		return err
	}
	ready := []byte("event: ready\ndata:\n\n")
	beat := time.NewTicker(st.server.pace.beat)
	defer beat.Stop()
	for {
		growth := st.server.growth() // asked for before the look: what comes after it is seen at the next
		over := st.server.isOver()
		if err := st.catchUp(); err != nil {
			return err
		}
		if over {
			return st.send([]byte("event: over\ndata:\n\n"))
		}
		if len(ready) > 0 {
			if err := st.send(ready); err != nil {
				return err
			}
			ready = nil
		}
		if err := st.wait(gone, growth, beat.C); err != nil {
			return err
		}
	}
}

// isOver is true once Close was called.
func (s *Server) isOver() bool {
	select {
	case <-s.closing:
		return true
	default:
		return false
	}
}

// wait returns when it is time to look again.
func (st *stream) wait(gone, growth <-chan struct{}, beat <-chan time.Time) error {
	rest := time.NewTimer(restTime)
	defer rest.Stop()
	poll := time.NewTimer(st.server.pace.poll)
	defer poll.Stop()
	select {
	case <-gone:
		return http.ErrAbortHandler
	case <-st.server.closing:
		return nil
	case <-rest.C:
	}
	select {
	case <-gone:
		return http.ErrAbortHandler
	case <-beat:
		return st.send([]byte("event: beat\ndata:\n\n"))
	case <-st.server.closing:
	case <-growth:
	case <-poll.C:
	}
	return nil
}

// catchUp sends what the files hold beyond the readers' positions.
func (st *stream) catchUp() error {
	for i := range st.followers {
		for more := true; more; {
			var err error
			if more, err = st.sendPiece(&st.followers[i]); err != nil {
				return err
			}
		}
	}
	return nil
}

// sendPiece sends a file's next lines; more is false where there were none. A file that cannot be read now is one without
// news.
func (st *stream) sendPiece(f *follower) (more bool, err error) {
	piece, err := readLines(st.server.shelf.fs, f.path, f.position)
	if err != nil || piece.next == f.position && !piece.reset {
		return false, nil
	}
	f.position = piece.next
	if len(piece.lines) == 0 && !piece.reset {
		return true, nil
	}
	var event bytes.Buffer
	fmt.Fprintf(&event, "id: %s\nevent: lines\ndata: %s", st.id(), f.id)
	if piece.reset {
		event.WriteString(" reset")
	}
	for line := range bytes.Lines(piece.lines) {
		event.WriteString("\ndata: ")
		event.Write(bytes.TrimSuffix(line, []byte("\n")))
	}
	event.WriteString("\n\n")
	return len(piece.lines) > 0, st.send(event.Bytes())
}

// id is the position in all files.
func (st *stream) id() string {
	var positions []string
	for _, f := range st.followers {
		positions = append(positions, f.position.String())
	}
	return strings.Join(positions, ",")
}

func (st *stream) send(event []byte) error {
	if err := st.control.SetWriteDeadline(time.Now().Add(writeTimeout)); err != nil {
		return err
	}
	if _, err := st.w.Write(event); err != nil {
		return err
	}
	return st.control.Flush()
}
