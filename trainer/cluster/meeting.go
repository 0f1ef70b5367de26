package cluster

// How processes meet: they find rank 0's machine and the store, which they may reach before rank 0 serves it, and agree who they are. A
// launcher that serves the store keeps it over restarts, and the processes of an earlier start may have left anything there.

import (
	"context"
	"crypto/rand"
	"encoding/json"
	"errors"
	"fmt"
	"net"
	"os"
	"path"
	"strconv"
	"strings"
	"syscall"
	"time"

	"golang.org/x/sys/unix"

	"frugal/torch"
)

const (
	meetingTime = 5 * time.Minute  // until all have come
	dialling    = 4 * time.Second  // one try to connect, which c10d lets take a second or two more; a slow network takes two
	dialled     = 9 * time.Second  // until one has taken too long
	quiet       = 3 * time.Second  // until the first line that says who is waited for
	complaint   = 30 * time.Second // from one such line to the next
)

// peer is what a process tells the others of itself.
type peer struct {
	Nonce      string // of this start of it
	Size       int    // as it was told, as Attempt was
	Attempt    int
	Host       string
	Boot       string // of its machine's kernel, by which containers on one machine know each other
	Processors []int  // that it may run on
}

// meeting is what Join does before the watch begins. A call of the store may hang, where who serves it is stopped: each is waited for
// on another goroutine.
type meeting struct {
	*World
	ctx      context.Context
	deadline time.Time
	complain time.Time // when it is next told who is waited for
}

// call waits for f, one call of the store or two, as long as the watch would.
func (m *meeting) call(f func() error) error {
	done := make(chan error, 1)
	go func() { done <- f() }()
	select {
	case <-m.ctx.Done():
		return context.Cause(m.ctx)
	case err := <-done:
		if err != nil {
			return &LostError{fmt.Sprintf("rank 0 is gone: its store does not answer: %v", err)}
		}
		return nil
	case <-time.After(silence):
		return &LostError{fmt.Sprintf("rank 0 is gone: its store has not answered for %.0f s", silence.Seconds())}
	}
}

// pause comes between two looks at something that is not there yet. who says what that is.
func (m *meeting) pause(d time.Duration, who string) error {
	now := time.Now()
	if now.After(m.deadline) {
		return &LostError{fmt.Sprintf("%s is not there after %.0f minutes", who, meetingTime.Minutes())}
	}
	if now.After(m.complain) {
		m.options.Log("waiting for %s", who)
		m.complain = now.Add(complaint)
	}
	select {
	case <-m.ctx.Done():
		return context.Cause(m.ctx)
	case <-time.After(d):
		return nil
	}
}

// stores connects to the store twice: for the thread that computes and for the watch.
func (m *meeting) stores() (first, second *torch.Store, err error) {
	if err := m.findAddress(); err != nil {
		return nil, nil, err
	}
	if m.Rank == 0 && !m.StoreServed {
		first, err = m.serve()
	} else {
		first, err = m.dial()
	}
	if err != nil {
		return nil, nil, err
	}
	second, err = m.dial()
	return first, second, err
}

// findAddress finds this machine's address on the way to the store: what does not resolve yet may be a machine that is just starting.
func (m *meeting) findAddress() error {
	for {
		c, err := (&net.Dialer{}).DialContext(m.ctx, "udp", net.JoinHostPort(m.Address, strconv.Itoa(m.Port))) // sends nothing
		if err == nil {
			own := c.LocalAddr().(*net.UDPAddr).IP
			c.Close()
			if named := net.ParseIP(m.Address) == nil && m.Address != "localhost"; named && own.IsLoopback() && m.LocalSize < m.Size {
				m.options.Log("MASTER_ADDR: %s is %v on this machine, as /etc/hosts has it perhaps, where no other machine reaches rank 0: give its address in the network", m.Address, own)
			}
			m.address = own.String()
			return nil
		}
		if context.Cause(m.ctx) != nil {
			return context.Cause(m.ctx)
		}
		if err := m.pause(time.Second, fmt.Sprintf("MASTER_ADDR %s (%v)", m.Address, err)); err != nil {
			return err
		}
	}
}

// dial connects to the store, where rank 0 may not serve it yet.
func (m *meeting) dial() (*torch.Store, error) {
	for {
		tried := make(chan *torch.Store, 1)
		go func() {
			s, err := torch.DialStore(m.Address, m.Port, dialling)
			if err != nil {
				s = nil
			}
			tried <- s
		}()
		select {
		case <-m.ctx.Done():
			return nil, context.Cause(m.ctx)
		case store := <-tried:
			if store != nil {
				return store, nil
			}
		case <-time.After(dialled): // who took the connection does not answer, or the network is a strange one
		}
		if err := m.pause(slice, fmt.Sprintf("rank 0 at %s", net.JoinHostPort(m.Address, strconv.Itoa(m.Port)))); err != nil {
			return nil, err
		}
	}
}

// serve serves the store, on the address that the others know and no other, and connects to it.
func (m *meeting) serve() (*torch.Store, error) {
	l, err := net.Listen("tcp", net.JoinHostPort(m.Address, strconv.Itoa(m.Port)))
	if errors.Is(err, syscall.EADDRNOTAVAIL) {
		m.options.Log("%s is not an address of this machine, as behind a Kubernetes service: the store listens on all of them", m.Address)
		l, err = net.Listen("tcp", ":"+strconv.Itoa(m.Port))
	}
	if err != nil {
		return nil, fmt.Errorf("MASTER_ADDR, MASTER_PORT: %w", err)
	}
	defer l.Close()
	socket, err := l.(*net.TCPListener).File()
	if err != nil {
		return nil, err
	}
	defer socket.Close()
	store, err := torch.ServeStore(m.Address, m.Port, socket, dialling)
	if err != nil {
		return nil, fmt.Errorf("MASTER_ADDR: %s is no address of this machine, nor does it lead here", m.Address)
	}
	return store, nil
}

// begun is what rank 0 tells all when everybody has come.
type begun struct {
	Peers    []peer
	Sessions int64  // that began in this store
	Problem  string // why they cannot train together; "": nothing
}

// agree has all come together in a session, which rank 0 opens and whose keys begin with the prefix: everybody says hello in it, and it
// begins when all have. A process that finds that it began without it, or that waits in one that rank 0 has left, goes on to the next.
func (m *meeting) agree(store *torch.Store) (prefix string, err error) {
	own, err := m.self()
	if err != nil {
		return "", err
	}
	hello, err := json.Marshal(own)
	if err != nil {
		return "", err
	}
	var all *begun
	if m.Rank == 0 {
		prefix, all, err = m.open(store, hello)
	} else {
		prefix, all, err = m.follow(store, hello, own.Nonce)
	}
	if err != nil {
		return "", err
	}
	if all.Problem != "" {
		return "", &MismatchError{What: all.Problem}
	}
	m.peers = all.Peers
	m.Attempt = max(m.Attempt, int(all.Sessions)-1)
	for _, p := range m.peers {
		m.Attempt = max(m.Attempt, p.Attempt)
	}
	return prefix, nil
}

func (m *meeting) self() (peer, error) {
	host, err := os.Hostname()
	if err != nil {
		host = "?"
	}
	p := peer{Nonce: rand.Text(), Size: m.Size, Attempt: m.Attempt, Host: host}
	if id, err := os.ReadFile("/proc/sys/kernel/random/boot_id"); err == nil {
		p.Boot = strings.TrimSpace(string(id))
	}
	var set unix.CPUSet
	if err := unix.SchedGetaffinity(0, &set); err != nil {
		return p, fmt.Errorf("which processors there are: %w", err)
	}
	for i := 0; len(p.Processors) < set.Count(); i++ {
		if set.IsSet(i) {
			p.Processors = append(p.Processors, i)
		}
	}
	return p, nil
}

const (
	sessionKey  = "session"  // the prefix of the newest
	sessionsKey = "sessions" // their number
	beganKey    = "began"
)

// root begins all keys. A launcher's store may be that of several runs.
func (m *meeting) root() string {
	if !m.StoreServed {
		return "frugal/"
	}
	return path.Join("frugal", m.Job) + "/"
}

// open is agree at rank 0.
func (m *meeting) open(store *torch.Store, hello []byte) (prefix string, all *begun, err error) {
	all = &begun{Peers: make([]peer, m.Size)}
	prefix = m.root() + rand.Text() + "/"
	session := store.WithPrefix(prefix)
	root := store.WithPrefix(m.root())
	for _, f := range []func() error{
		func() (err error) { all.Sessions, err = root.Add(sessionsKey, 1); return err },
		func() error { return session.Set(key("hello", 0), hello) },
		func() error { return root.Set(sessionKey, []byte(prefix)) },
	} {
		if err := m.call(f); err != nil {
			return "", nil, err
		}
	}
	for rank := range m.Size {
		text, err := m.await(session, key("hello", rank), fmt.Sprintf("rank %d of %d processes", rank, m.Size))
		if err != nil {
			return "", nil, err
		}
		if err := json.Unmarshal(text, &all.Peers[rank]); err != nil {
			return "", nil, &MismatchError{What: fmt.Sprintf("rank %d is another program: %v", rank, err)}
		}
		if p := all.Peers[rank]; p.Size != m.Size && all.Problem == "" {
			all.Problem = fmt.Sprintf("rank %d on %s was told of %d processes, rank 0 on %s of %d", rank, p.Host, p.Size, all.Peers[0].Host, m.Size)
			break // some may never come
		}
	}
	text, err := json.Marshal(all)
	if err != nil {
		return "", nil, err
	}
	if err := m.call(func() error { return session.Set(beganKey, text) }); err != nil {
		return "", nil, err
	}
	if all.Problem != "" {
		time.Sleep(beat) // others read it
	}
	return prefix, all, nil
}

// await waits for a key and gets its value.
func (m *meeting) await(store *torch.Store, key, who string) ([]byte, error) {
	for {
		if value, err := m.find(store, key); err != nil || value != nil {
			return value, err
		}
		if err := m.pause(slice, who); err != nil {
			return nil, err
		}
	}
}

// find is a key's value, nil where it has none.
func (m *meeting) find(store *torch.Store, key string) (value []byte, err error) {
	there := false
	if err := m.call(func() (err error) { there, err = store.Has(key); return err }); err != nil || !there {
		return nil, err
	}
	err = m.call(func() (err error) { value, err = store.Get(key, silence); return err })
	return value, err
}

// follow is agree at the others.
func (m *meeting) follow(store *torch.Store, hello []byte, nonce string) (prefix string, all *begun, err error) {
	root := store.WithPrefix(m.root())
	var session *torch.Store
	var looked, taken time.Time
	for {
		if session == nil || time.Since(looked) > silence/2 { // on a slow network it takes as long as all the rest
			newest, err := m.find(root, sessionKey)
			if err != nil {
				return "", nil, err
			}
			if looked = time.Now(); newest != nil && prefix != string(newest) {
				prefix = string(newest)
				session = store.WithPrefix(prefix)
				if err := m.call(func() error { return session.Set(key("hello", m.Rank), hello) }); err != nil {
					return "", nil, err
				}
			}
		}
		var text []byte
		if session != nil {
			if text, err = m.find(session, beganKey); err != nil {
				return "", nil, err
			}
		}
		if all = new(begun); text != nil {
			if err := json.Unmarshal(text, all); err != nil || len(all.Peers) == 0 {
				return "", nil, &MismatchError{fmt.Sprintf("rank 0 is another program: %v", err), true}
			}
			if m.Rank >= len(all.Peers) {
				return "", nil, &MismatchError{fmt.Sprintf("rank 0 on %s was told of %d processes, rank %d of %d", all.Peers[0].Host, len(all.Peers), m.Rank, m.Size), true}
			}
			switch p := all.Peers[m.Rank]; {
			case p.Nonce == nonce || all.Problem != "":
				return prefix, all, nil
			case m.StoreServed: // by a launcher, which may have started this process again
			case taken.IsZero():
				taken = time.Now()
			case time.Since(taken) > learning+3*beat: // were the other gone, rank 0 would be, too
				return "", nil, &MismatchError{fmt.Sprintf("another process, on %s, is rank %d already", p.Host, m.Rank), true}
			}
		}
		if err := m.pause(slice, fmt.Sprintf("the rest of %d processes", m.Size)); err != nil {
			return "", nil, err
		}
	}
}
