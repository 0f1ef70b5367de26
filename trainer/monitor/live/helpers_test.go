package live

import (
	"bufio"
	"context"
	"fmt"
	"io"
	"net/http"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"frugal/trainer/monitor"
)

// patience is how long something may take that takes milliseconds on a machine with nothing else to do.
const patience = 20 * time.Second

// bench is a server over a run's directory on the disk.
type bench struct {
	*testing.T
	*Server
	dir string // output_dir
}

func serve(t *testing.T, listen string) *bench {
	t.Helper()
	return serveDir(t, listen, filepath.Join(t.TempDir(), "runs", "own"))
}

func serveDir(t *testing.T, listen, dir string) *bench {
	t.Helper()
	if err := os.MkdirAll(dir, 0o777); err != nil {
		t.Fatal(err)
	}
	s, err := Open(Options{Listen: listen, OutputDir: dir})
	return newBench(t, s, err, dir)
}

func newBench(t *testing.T, s *Server, err error, dir string) *bench {
	t.Helper()
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { s.Close() })
	return &bench{t, s, dir}
}

// line is one of metrics.jsonl.
func line(event string, step int, more string) string {
	return fmt.Sprintf(`{"event":%q,"step":%d%s,"time":"2026-01-02T15:04:%06.3fZ"}`+"\n", event, step, more, float64(step)/10)
}

// log appends to the run's metrics.jsonl and tells the server.
func (b *bench) log(text string) {
	b.Helper()
	appendTo(b.T, filepath.Join(b.dir, metricsName), text)
	if err := b.Write(monitor.Record{}); err != nil {
		b.Fatal(err)
	}
}

func appendTo(t *testing.T, path, text string) {
	t.Helper()
	if err := os.MkdirAll(filepath.Dir(path), 0o777); err != nil {
		t.Fatal(err)
	}
	file, err := os.OpenFile(path, os.O_CREATE|os.O_WRONLY|os.O_APPEND, 0o666)
	if err == nil {
		_, err = file.WriteString(text)
	}
	if err == nil {
		err = file.Close()
	}
	if err != nil {
		t.Fatal(err)
	}
}

// base is the server's address without path and token.
func (b *bench) base() string {
	base, _, _ := strings.Cut(b.URL(), "/?")
	return strings.TrimSuffix(base, "/")
}

// client keeps no connections: each request is one.
var client = &http.Client{Transport: &http.Transport{DisableKeepAlives: true}, Timeout: patience}

func (b *bench) do(method, path string, change func(*http.Request)) *http.Response {
	b.Helper()
	r, err := http.NewRequest(method, b.base()+path, nil)
	if err != nil {
		b.Fatal(err)
	}
	if change != nil {
		change(r)
	}
	answer, err := client.Do(r)
	if err != nil {
		b.Fatal(err)
	}
	return answer
}

func (b *bench) get(path string) (body string, answer *http.Response) {
	b.Helper()
	answer = b.do(http.MethodGet, path, nil)
	defer answer.Body.Close()
	content, err := io.ReadAll(answer.Body)
	if err != nil {
		b.Fatal(err)
	}
	return string(content), answer
}

// event is a server-sent event.
type event struct{ id, name, data string }

// page is a reader of a stream.
type page struct {
	t      *testing.T
	events chan event // closed at the stream's end
	close  func()
}

// follow opens a stream of runs by id; lastID is what a browser sends after a break.
func (b *bench) follow(lastID string, ids ...string) *page {
	b.Helper()
	ctx, cancel := context.WithCancel(context.Background())
	r, err := http.NewRequestWithContext(ctx, http.MethodGet, b.base()+"/events?run="+strings.Join(ids, "&run="), nil)
	if err != nil {
		b.Fatal(err)
	}
	if lastID != "" {
		r.Header.Set("Last-Event-ID", lastID)
	}
	answer, err := (&http.Client{Transport: &http.Transport{DisableKeepAlives: true}}).Do(r)
	if err != nil {
		b.Fatal(err)
	}
	if answer.StatusCode != http.StatusOK || answer.Header.Get("Content-Type") != "text/event-stream" {
		b.Fatalf("%s, %s", answer.Status, answer.Header.Get("Content-Type"))
	}
	p := &page{t: b.T, events: make(chan event), close: cancel}
	b.Cleanup(cancel)
	go p.read(ctx, answer.Body)
	return p
}

// read parses as the standard says: https://html.spec.whatwg.org/multipage/server-sent-events.html
func (p *page) read(ctx context.Context, body io.ReadCloser) {
	defer close(p.events)
	defer body.Close()
	var e event
	var data []string
	for lines := bufio.NewReader(body); ; {
		text, err := lines.ReadString('\n')
		if err != nil {
			return
		}
		field, value, _ := strings.Cut(strings.TrimSuffix(text, "\n"), ":")
		value = strings.TrimPrefix(value, " ")
		switch field {
		case "id":
			e.id = value
		case "event":
			e.name = value
		case "data":
			data = append(data, value)
		case "":
			if e.name != "" {
				e.data = strings.Join(data, "\n")
				select {
				case p.events <- e:
				case <-ctx.Done():
					return
				}
			}
			e.name, data = "", nil
		}
	}
}

// until returns the events up to the first that is named so, which must come.
func (p *page) until(name string) []event {
	p.t.Helper()
	var events []event
	for late := time.After(patience); ; { // beats come without end
		select {
		case e, ok := <-p.events:
			if !ok {
				p.t.Fatalf("the stream ended without %s", name)
			}
			events = append(events, e)
			if e.name == name {
				return events
			}
		case <-late:
			p.t.Fatalf("no %s", name)
		}
	}
}

// notebook is what a page knows of each run: it starts anew at a reset.
type notebook map[string]string

func (n notebook) take(events []event) (lastID string) {
	for _, e := range events {
		if e.name != "lines" {
			continue
		}
		head, lines, _ := strings.Cut(e.data, "\n")
		id, reset, _ := strings.Cut(head, " ")
		if reset == "reset" {
			n[id] = ""
		}
		if lines != "" {
			n[id] += lines + "\n"
		}
		lastID = e.id
	}
	return lastID
}

// ownID is the id of the run that serves.
func (b *bench) ownID() string { return b.shelf.list()[0].ID }
