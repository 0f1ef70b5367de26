// The page itself, and the list of runs.

package live

import (
	"bytes"
	"crypto/sha256"
	"embed"
	"encoding/json"
	"fmt"
	"net/http"
	"time"

	"frugal/trainer/monitor/web"
)

//go:embed page
var files embed.FS

// asset is one file of the page.
type asset struct {
	kind, tag string // content type, entity tag
	content   []byte
}

// loadAssets are the page's files by path. There are no others: no path of a request reaches a file system.
func loadAssets() map[string]asset {
	assets := map[string]asset{}
	add := func(path, kind, content string) {
		assets[path] = asset{kind, fmt.Sprintf(`"%x"`, sha256.Sum256([]byte(content))), []byte(content)}
	}
	add("/", "text/html; charset=utf-8", read("index.html"))
	add("/style.css", "text/css; charset=utf-8", web.Style()+read("live.css"))
	add("/script.js", "text/javascript; charset=utf-8", web.Script()+read("panels.js")+read("live.js"))
	add("/icon.svg", "image/svg+xml", read("icon.svg"))
	return assets
}

func read(name string) string {
	content, err := files.ReadFile("page/" + name)
	if err != nil {
		panic(err) // it is part of the program: a test reads them all
	}
	return string(content)
}

func (s *Server) routes() http.Handler {
	return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		switch r.URL.Path {
		case "/events":
			s.serveEvents(w, r)
		case "/runs":
			s.serveRuns(w)
		default:
			s.serveAsset(w, r)
		}
	})
}

func (s *Server) serveAsset(w http.ResponseWriter, r *http.Request) {
	a, ok := s.assets[r.URL.Path]
	if !ok {
		http.NotFound(w, r)
		return
	}
	w.Header().Set("Content-Type", a.kind)
	w.Header().Set("ETag", a.tag)
	http.ServeContent(w, r, "", time.Time{}, bytes.NewReader(a.content))
}

// serveRuns answers with {"now": milliseconds since 1970, "runs": […]}, this run first.
func (s *Server) serveRuns(w http.ResponseWriter) {
	w.Header().Set("Content-Type", "application/json")
	w.Header().Set("Cache-Control", "no-store")
	json.NewEncoder(w).Encode(map[string]any{"now": time.Now().UnixMilli(), "runs": s.shelf.list()}) // an error is the client's
}
