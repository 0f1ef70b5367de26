package live

import (
	"bufio"
	"encoding/json"
	"errors"
	"io"
	"net"
	"net/http"
	"os"
	"path/filepath"
	"regexp"
	"runtime"
	"strings"
	"testing"
	"time"

	"frugal/trainer/monitor"
)

var _ monitor.Sink = (*Server)(nil)

func (b *bench) dial() net.Conn {
	b.Helper()
	conn, err := net.Dial("tcp", strings.TrimPrefix(b.base(), "http://"))
	if err != nil {
		b.Fatal(err)
	}
	b.Cleanup(func() { conn.Close() })
	if err := conn.SetDeadline(time.Now().Add(patience)); err != nil {
		b.Fatal(err)
	}
	return conn
}

func firstLine(t *testing.T, r io.Reader) string {
	t.Helper()
	text, err := bufio.NewReader(r).ReadString('\n')
	if err != nil {
		t.Fatal(err)
	}
	return text
}

func TestThePageIsWholeAndFetchesNothingFromElsewhere(t *testing.T) {
	b := serve(t, "127.0.0.1:0")
	html, _ := b.get("/")
	for _, found := range regexp.MustCompile(`(?:href|src)="([^"]*)"`).FindAllStringSubmatch(html, -1) {
		if content, answer := b.get("/" + found[1]); answer.StatusCode != http.StatusOK || content == "" {
			t.Errorf("%s: %s", found[1], answer.Status)
		}
	}
	if regexp.MustCompile(`(?i)<script[^>]*>[^<]|<style| style=| on[a-z]+=`).MatchString(html) {
		t.Error("inline code, which the policy forbids")
	}
	outside := regexp.MustCompile(`(?i)(?:https?:)?//[a-z0-9-]+\.[a-z]+[^ "')]*|@import|url\([^)]*\)`)
	for path, a := range b.assets {
		for _, found := range outside.FindAllString(string(a.content), -1) {
			// The library says where it comes from, in a comment; the picture names its format. Neither is fetched.
			if found != "https://github.com/leeoniya/uPlot" && found != "http://www.w3.org/2000/svg" {
				t.Errorf("%s refers to %s", path, found)
			}
		}
	}
}

func TestUnchangedFilesAreNotSentAgain(t *testing.T) {
	b := serve(t, "127.0.0.1:0")
	_, first := b.get("/script.js")
	again := b.do(http.MethodGet, "/script.js", func(r *http.Request) { r.Header.Set("If-None-Match", first.Header.Get("ETag")) })
	again.Body.Close()
	if again.StatusCode != http.StatusNotModified {
		t.Error(again.Status)
	}
}

func TestNoPathReachesAFile(t *testing.T) {
	b := serve(t, "127.0.0.1:0")
	b.log(line("train", 1, ""))
	for _, path := range []string{"/metrics.jsonl", "/own/metrics.jsonl", "/page/index.html", "/index.html", "/../own/metrics.jsonl",
		"/..%2f..%2f..%2f..%2fetc/passwd", "/%2e%2e/%2e%2e/etc/passwd", "/script.js/../../etc/passwd", "//etc/passwd", "/script.js/",
		"/events?run=../own", "/events?run=" + b.dir, "/events?run=%2e%2e", "/events", "/events?run="} {
		if body, answer := b.get(path); answer.StatusCode != http.StatusNotFound || strings.Contains(body, "root:") {
			t.Errorf("%s: %s", path, answer.Status)
		}
	}
}

func TestTakenPortIsOneClearError(t *testing.T) {
	b := serve(t, "127.0.0.1:0")
	address := strings.TrimPrefix(b.base(), "http://")
	for listen, want := range map[string]string{
		address:            "monitoring.listen: " + address + ": bind: address already in use",
		"192.0.2.1:6007":   "monitoring.listen: 192.0.2.1:6007: bind: cannot assign requested address",
		"127.0.0.1":        "monitoring.listen: address 127.0.0.1: missing port in address",
		"127.0.0.1:999999": "monitoring.listen: 127.0.0.1:999999: ",
	} {
		s, err := Open(Options{Listen: listen, OutputDir: b.dir})
		if err == nil {
			s.Close()
			t.Fatalf("%s opened", listen)
		}
		if !strings.HasPrefix(err.Error(), want) || strings.Contains(err.Error(), "\n") {
			t.Errorf("%s: got %q, want %q", listen, err, want)
		}
	}
}

func TestCloseEndsEverything(t *testing.T) {
	before := runtime.NumGoroutine()
	b := serve(t, "127.0.0.1:0")
	b.log(line("train", 1, ""))
	pages := []*page{b.follow("", b.ownID()), b.follow("", b.ownID())}
	for _, p := range pages {
		p.until("ready")
	}
	start := time.Now()
	for range 2 { // twice does no harm
		if err := b.Close(); err != nil {
			t.Fatal(err)
		}
	}
	if took := time.Since(start); took > closeTime+time.Second {
		t.Errorf("Close took %v", took)
	}
	for _, p := range pages {
		p.until("over")
	}
	if err := b.Write(monitor.Record{}); err != nil {
		t.Errorf("Write after Close: %v", err)
	}
	if conn, err := net.Dial("tcp", strings.TrimPrefix(b.base(), "http://")); err == nil {
		conn.Close()
		t.Error("it still listens")
	}
	for end := time.Now().Add(patience); runtime.NumGoroutine() > before; time.Sleep(10 * time.Millisecond) {
		if time.Now().After(end) {
			stacks := make([]byte, 1<<16)
			t.Fatalf("%d goroutines, %d before\n%s", runtime.NumGoroutine(), before, stacks[:runtime.Stack(stacks, true)])
		}
	}
}

// A page that does not read fills its connection; neither Write nor Close waits for it, and the others get their lines.
func TestAPageThatDoesNotReadDelaysNobody(t *testing.T) {
	b := serve(t, "127.0.0.1:0")
	dead := b.dial()
	if _, err := dead.Write([]byte("GET /events?run=" + b.ownID() + " HTTP/1.1\r\nHost: localhost\r\n\r\n")); err != nil {
		t.Fatal(err)
	}
	firstLine(t, dead)
	padding := strings.Repeat("x", 8000)
	var all strings.Builder
	for step := range 3000 {
		all.WriteString(line("sample", step, `,"text":"`+padding+`"`))
	}
	b.log(all.String())
	reader := b.follow("", b.ownID())
	book := notebook{}
	book.take(reader.until("ready"))
	if book[b.ownID()] != all.String() {
		t.Errorf("%d bytes arrived, want %d", len(book[b.ownID()]), all.Len())
	}
	start := time.Now()
	for range 10000 {
		if err := b.Write(monitor.Record{}); err != nil {
			t.Fatal(err)
		}
	}
	if took := time.Since(start); took > time.Second {
		t.Errorf("10,000 calls of Write took %v", took)
	}
	start = time.Now()
	b.Close()
	if took := time.Since(start); took > closeTime+2*time.Second {
		t.Errorf("Close took %v", took)
	}
}

func TestOpenPagesAreBounded(t *testing.T) {
	b := serve(t, "127.0.0.1:0")
	var pages []*page
	for range maxStreams {
		pages = append(pages, b.follow("", b.ownID()))
	}
	if _, answer := b.get("/events?run=" + b.ownID()); answer.StatusCode != http.StatusServiceUnavailable {
		t.Errorf("one more: %s", answer.Status)
	}
	pages[0].close()
	for end := time.Now().Add(patience); ; time.Sleep(20 * time.Millisecond) {
		answer := b.do(http.MethodHead, "/events?run="+b.ownID(), nil)
		answer.Body.Close()
		if answer.StatusCode == http.StatusOK {
			break
		}
		if time.Now().After(end) {
			t.Fatal("a page that was closed still counts")
		}
	}
}

func TestConnectionsAreBounded(t *testing.T) {
	b := serve(t, "127.0.0.1:0")
	for range maxConnections {
		b.dial()
	}
	for end := time.Now().Add(patience); b.connections.Load() < maxConnections; time.Sleep(10 * time.Millisecond) {
		if time.Now().After(end) {
			t.Fatalf("%d connections", b.connections.Load())
		}
	}
	more := b.dial()
	if err := more.SetDeadline(time.Now().Add(b.http.ReadHeaderTimeout / 2)); err != nil { // which ends any that is silent
		t.Fatal(err)
	}
	if _, err := more.Read(make([]byte, 1)); err == nil || errors.Is(err, os.ErrDeadlineExceeded) {
		t.Errorf("one more was let in: %v", err)
	}
}

func TestRunsOfTheDirectoryAreListed(t *testing.T) {
	root := t.TempDir()
	at := func(parts ...string) string {
		return filepath.Join(append(append([]string{root, "runs"}, parts...), metricsName)...)
	}
	started := line("run", 0, `,"status":"started"`)
	appendTo(t, at("own"), started)
	appendTo(t, at("a done one"), started+line("train", 5, "")+line("run", 9, `,"status":"complete"`))
	appendTo(t, at("<b>x</b>"), started+line("run", 9, `,"status":"stopped","reason":"no space"`))
	appendTo(t, at("sweep", "lr=1e-3"), started+line("train", 5, "")+`{"event":"run","st`)
	appendTo(t, at("own", "nested"), started)
	appendTo(t, at("1", "2", "3", "4"), started)  // too deep
	appendTo(t, at(".hidden"), started)           // hidden
	appendTo(t, at("invalid-\xff-name"), started) // nothing that JSON can name
	appendTo(t, filepath.Join(root, "elsewhere", metricsName), started)
	for name, target := range map[string]string{"link": filepath.Join(root, "elsewhere"), "file/metrics.jsonl": filepath.Join(root, "elsewhere", metricsName)} {
		link := filepath.Join(root, "runs", name)
		if err := os.MkdirAll(filepath.Dir(link), 0o777); err != nil {
			t.Fatal(err)
		}
		if err := os.Symlink(target, link); err != nil {
			t.Fatal(err)
		}
	}
	b := serveDir(t, "127.0.0.1:0", filepath.Join(root, "runs", "own"))
	body, answer := b.get("/runs")
	if kind := answer.Header.Get("Content-Type"); kind != "application/json" || strings.Contains(body, "<") || strings.Contains(body, root) {
		t.Errorf("%s: %s", kind, body)
	}
	var list struct{ Runs []runInfo }
	if err := json.Unmarshal([]byte(body), &list); err != nil {
		t.Fatal(err)
	}
	want := map[string]string{"own": "", "a done one": "complete", "<b>x</b>": "stopped", "sweep/lr=1e-3": "", "own/nested": ""}
	for i, run := range list.Runs {
		status, ok := want[run.Name]
		if !ok || run.Status != status || run.Own != (i == 0) || run.Own != (run.Name == "own") || run.Modified == 0 {
			t.Errorf("%d: %+v", i, run)
		}
		delete(want, run.Name)
	}
	if len(want) > 0 {
		t.Errorf("not listed: %v", want)
	}
}

func TestAHugeDirectoryIsLookedThroughInPart(t *testing.T) {
	root := t.TempDir()
	for i := range maxRuns + 20 {
		appendTo(t, filepath.Join(root, "run", string(rune('a'+i%26))+strings.Repeat("x", i/26), metricsName), line("train", 1, ""))
	}
	l := newShelf(osFS(), filepath.Join(root, "own"))
	if n := len(l.list()); n != 1+maxRuns {
		t.Errorf("%d runs, want %d", n, 1+maxRuns)
	}
}
