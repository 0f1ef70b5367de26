// Package live serves the live page: one page that draws a run while it trains, from the lines of its metrics.jsonl, and
// other runs of the same directory over it. The file is the only memory: each open page is a reader that stands somewhere in
// it, so a slow one costs nothing, and what the page shows is what the file says. Nothing can be written through it.
package live

import (
	"context"
	"crypto/rand"
	"encoding/hex"
	"errors"
	"fmt"
	"io"
	"log"
	"net"
	"net/http"
	"path/filepath"
	"sync"
	"sync/atomic"
	"time"

	"frugal/trainer/internal/vfs"
	"frugal/trainer/monitor"
)

const (
	maxConnections = 128
	maxStreams     = 32 // a page holds one
	closeTime      = 2 * time.Second
)

// Options say what is served, and where.
type Options struct {
	FS vfs.FS // nil: the operating system's

	// Listen is host:port. Port 0 is any free one. On an address that other machines reach, a token is asked for; no host,
	// as in ":6007", is all addresses.
	Listen string

	// OutputDir is the run's directory. The other runs are the directories below its parent that hold a metrics.jsonl.
	OutputDir string
}

// Server is the running page. It is a monitor.Sink, to stand behind the one of metrics.jsonl: Write says that the file grew.
type Server struct {
	shelf  *shelf
	guard  *guard
	assets map[string]asset
	url    string
	pace   pace

	http        *http.Server
	served      chan struct{} // closed when the server has ended
	connections atomic.Int64
	closeOnce   sync.Once

	mu      sync.Mutex
	grown   chan struct{} // closed, and replaced, when the run's metrics.jsonl grew
	closing chan struct{} // closed by Close
	open    int           // streams
	streams sync.WaitGroup
}

// pace is how often something is done without a Write.
type pace struct {
	poll time.Duration // looking at other runs' files
	beat time.Duration // sending a sign of life, so that both sides notice a dead connection
}

// Open listens and serves until Close. An error names the address: it is taken, say, or is not this machine's.
func Open(o Options) (*Server, error) {
	return open(o, pace{poll: time.Second, beat: 15 * time.Second})
}

func open(o Options, p pace) (*Server, error) {
	if o.FS == nil {
		o.FS = vfs.OS
	}
	dir, err := filepath.Abs(o.OutputDir)
	if err != nil {
		return nil, fmt.Errorf("monitoring.listen: %w", err)
	}
	host, _, err := net.SplitHostPort(o.Listen)
	if err != nil {
		return nil, fmt.Errorf("monitoring.listen: %w", err)
	}
	listener, err := net.Listen("tcp", o.Listen)
	if err != nil {
		return nil, listenError(o.Listen, err)
	}
	address := listener.Addr().(*net.TCPAddr)
	s := &Server{
		shelf: newShelf(o.FS, dir), guard: newGuard(host, address), assets: loadAssets(), pace: p,
		served: make(chan struct{}), closing: make(chan struct{}), grown: make(chan struct{}),
	}
	s.url = pageURL(host, address, s.guard.token)
	s.http = &http.Server{
		Handler: s.guard.wrap(s.routes()), ReadHeaderTimeout: 5 * time.Second, WriteTimeout: 30 * time.Second,
		IdleTimeout: time.Minute, MaxHeaderBytes: 16 << 10, ErrorLog: log.New(io.Discard, "", 0), ConnState: s.count,
	}
	go func() {
		defer close(s.served)
		s.http.Serve(listener) // returns when Close closes the listener
	}()
	return s, nil
}

// listenError says the address once, and what is wrong in as few words as the system has.
func listenError(address string, err error) error {
	var operation *net.OpError
	if errors.As(err, &operation) {
		err = operation.Err
	}
	return fmt.Errorf("monitoring.listen: %s: %w", address, err)
}

// count keeps the number of connections below maxConnections.
func (s *Server) count(c net.Conn, state http.ConnState) {
	switch state {
	case http.StateNew:
		if s.connections.Add(1) > maxConnections {
			c.Close()
		}
	case http.StateClosed, http.StateHijacked:
		s.connections.Add(-1)
	}
}

// URL is what a person opens, the token included where there is one.
func (s *Server) URL() string { return s.url }

// Write tells the open pages that metrics.jsonl has a new line. It waits for nobody.
func (s *Server) Write(monitor.Record) error {
	s.mu.Lock()
	defer s.mu.Unlock()
	close(s.grown)
	s.grown = make(chan struct{})
	return nil
}

// growth is closed at the next Write.
func (s *Server) growth() <-chan struct{} {
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.grown
}

// Close sends the open pages what they lack, tells them that the run is over, and ends the server within two seconds. The
// pages stay as they are.
func (s *Server) Close() error {
	s.closeOnce.Do(func() {
		s.mu.Lock()
		close(s.closing)
		s.mu.Unlock()
		ctx, cancel := context.WithTimeout(context.Background(), closeTime)
		defer cancel()
		if s.http.Shutdown(ctx) != nil {
			s.http.Close() // cuts off who does not read
		}
		<-s.served
		s.streams.Wait()
	})
	return nil
}

// newToken is 128 random bits.
func newToken() string {
	var bits [16]byte
	rand.Read(bits[:]) // never fails: it ends the program where the system has no randomness
	return hex.EncodeToString(bits[:])
}

// pageURL is an address that can be opened: for one that stands for all, one of this machine's.
func pageURL(host string, address *net.TCPAddr, token string) string {
	if host == "" || address.IP.IsUnspecified() {
		host = machineAddress()
	}
	url := fmt.Sprintf("http://%s/", net.JoinHostPort(host, fmt.Sprint(address.Port)))
	if token != "" {
		url += "?token=" + token
	}
	return url
}

// machineAddress is the first address under which other machines may reach this one.
func machineAddress() string {
	addresses, err := net.InterfaceAddrs()
	if err != nil {
		return "localhost"
	}
	for _, a := range addresses {
		if n, ok := a.(*net.IPNet); ok && n.IP.To4() != nil && n.IP.IsGlobalUnicast() {
			return n.IP.String()
		}
	}
	return "localhost"
}
