// Package nettest has several hosts on one machine: network namespaces whose only link is this test, which forwards their packets and can
// lose, delay, slow down and forge them. It needs root, and runs by `make test-net`.
package nettest

import (
	"encoding/binary"
	"fmt"
	"os"
	"os/exec"
	"runtime"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"golang.org/x/sys/unix"
)

// wire joins hosts 0 to n-1, whose addresses are address(i).
type wire struct {
	hosts []*host

	mutex    sync.Mutex
	delay    time.Duration
	rate     float64      // bytes a second that a host can send; 0: any number
	lost     map[link]int // packets of a link are lost
	resets   bool         // every TCP packet is answered by a reset
	carried  int64        // bytes, of all packets that arrived
	sendable []time.Time  // by host: when what it sent before is on its way
}

type link struct{ from, to int }

type host struct {
	name  string // of its namespace
	tun   *os.File
	queue []chan packet // by sender
}

type packet struct {
	bytes []byte
	due   time.Time
}

const maxPacket = 9000

func address(host int) string { return fmt.Sprintf("10.99.0.%d", host+1) }

var namespaces atomic.Int64 // that there have been

// newWire makes namespaces. They are gone when the test ends.
func newWire(t *testing.T, n int) *wire {
	t.Helper()
	w := &wire{lost: map[link]int{}, sendable: make([]time.Time, n)}
	for i := range n {
		h := &host{name: fmt.Sprintf("frugal-%d-%d", os.Getpid(), namespaces.Add(1))}
		run(t, "ip", "netns", "add", h.name)
		t.Cleanup(func() { exec.Command("ip", "netns", "del", h.name).Run() })
		h.tun = openTun(t, h.name)
		for range n {
			h.queue = append(h.queue, make(chan packet, 1<<14))
		}
		w.hosts = append(w.hosts, h)
		run(t, "ip", "-n", h.name, "link", "set", "lo", "up")
		run(t, "ip", "-n", h.name, "addr", "add", address(i)+"/24", "dev", "wire")
		run(t, "ip", "-n", h.name, "link", "set", "wire", "mtu", fmt.Sprint(maxPacket), "up")
	}
	for i, h := range w.hosts {
		go w.read(i)
		for from := range n {
			go h.deliver(h.queue[from])
		}
		t.Cleanup(func() { h.tun.Close() })
	}
	return w
}

func run(t *testing.T, name string, args ...string) {
	t.Helper()
	if out, err := exec.Command(name, args...).CombinedOutput(); err != nil {
		t.Fatalf("%s %s: %v: %s", name, strings.Join(args, " "), err, out)
	}
}

// openTun makes a device of IP packets (linux/if_tun.h) in a namespace.
func openTun(t *testing.T, namespace string) *os.File {
	t.Helper()
	type result struct {
		file *os.File
		err  error
	}
	done := make(chan result)
	go func() {
		runtime.LockOSThread() // and never unlocked: the thread, which is in another namespace, ends with the goroutine
		done <- func() result {
			ns, err := os.Open("/run/netns/" + namespace)
			if err != nil {
				return result{nil, err}
			}
			defer ns.Close()
			if err := unix.Setns(int(ns.Fd()), unix.CLONE_NEWNET); err != nil {
				return result{nil, err}
			}
			fd, err := unix.Open("/dev/net/tun", unix.O_RDWR|unix.O_CLOEXEC|unix.O_NONBLOCK, 0)
			if err != nil {
				return result{nil, err}
			}
			request, err := unix.NewIfreq("wire")
			if err != nil {
				return result{nil, err}
			}
			request.SetUint16(unix.IFF_TUN | unix.IFF_NO_PI)
			if err := unix.IoctlIfreq(fd, unix.TUNSETIFF, request); err != nil {
				return result{nil, err}
			}
			return result{os.NewFile(uintptr(fd), "/dev/net/tun"), nil}
		}()
	}()
	r := <-done
	if r.err != nil {
		t.Fatalf("a tun device in %s: %v", namespace, r.err)
	}
	return r.file
}

func (w *wire) read(from int) {
	buffer := make([]byte, maxPacket)
	for {
		n, err := w.hosts[from].tun.Read(buffer)
		if err != nil {
			return
		}
		b := append([]byte(nil), buffer[:n]...)
		if n < 20 || b[0]>>4 != 4 {
			continue // IPv6's neighbours, say
		}
		to := int(b[19]) - 1
		if b[16] == 10 && b[17] == 99 && to >= 0 && to < len(w.hosts) && to != from {
			w.carry(from, to, b)
		}
	}
}

// enoughQueued is how much of what a host sends waits at most, where its rate is limited; more is lost, as in a router.
const enoughQueued = 200 * time.Millisecond

func (w *wire) carry(from, to int, b []byte) {
	w.mutex.Lock()
	defer w.mutex.Unlock()
	if w.lost[link{from, to}] > 0 {
		return
	}
	if w.resets {
		if answer := reset(b); answer != nil {
			w.hosts[from].enqueue(to, packet{answer, time.Now()})
		}
		return
	}
	due := time.Now()
	if w.rate > 0 {
		if w.sendable[from].Before(due) {
			w.sendable[from] = due
		}
		if w.sendable[from].Sub(due) > enoughQueued {
			return
		}
		w.sendable[from] = w.sendable[from].Add(time.Duration(float64(len(b)) / w.rate * float64(time.Second)))
		due = w.sendable[from]
	}
	if w.hosts[to].enqueue(from, packet{b, due.Add(w.delay)}) {
		w.carried += int64(len(b))
	}
}

func (h *host) enqueue(from int, p packet) bool {
	select {
	case h.queue[from] <- p:
		return true
	default:
		return false
	}
}

func (h *host) deliver(queue chan packet) {
	for p := range queue {
		time.Sleep(time.Until(p.due))
		if _, err := h.tun.Write(p.bytes); err != nil {
			return
		}
	}
}

// set changes what becomes of packets.
func (w *wire) set(f func(w *wire)) {
	w.mutex.Lock()
	defer w.mutex.Unlock()
	f(w)
}

// isolate loses all that a host sends and is sent.
func (w *wire) isolate(host int) {
	w.set(func(w *wire) {
		for other := range w.hosts {
			w.lost[link{host, other}]++
			w.lost[link{other, host}]++
		}
	})
}

// reset is the TCP reset that answers a segment: nil where that is no TCP, or a reset itself (RFC 9293, 3.5.2).
func reset(b []byte) []byte {
	header := int(b[0]&15) * 4
	if b[9] != unix.IPPROTO_TCP || len(b) < header+20 {
		return nil
	}
	tcp := b[header:]
	const rst, ack = 4, 16
	if tcp[13]&rst != 0 || tcp[13]&ack == 0 {
		return nil
	}
	answer := make([]byte, 40)
	answer[0], answer[8], answer[9] = 0x45, 64, unix.IPPROTO_TCP
	binary.BigEndian.PutUint16(answer[2:], 40)
	copy(answer[12:16], b[16:20])
	copy(answer[16:20], b[12:16])
	binary.BigEndian.PutUint16(answer[10:], checksum(answer[:20], 0))
	copy(answer[20:22], tcp[2:4])
	copy(answer[22:24], tcp[0:2])
	copy(answer[24:28], tcp[8:12]) // its number is what the other expects
	answer[32], answer[33] = 5<<4, rst
	pseudo := uint32(unix.IPPROTO_TCP + 20)
	for i := 12; i < 20; i += 2 {
		pseudo += uint32(binary.BigEndian.Uint16(answer[i:]))
	}
	binary.BigEndian.PutUint16(answer[36:], checksum(answer[20:], pseudo))
	return answer
}

// checksum is the Internet's (RFC 1071), going on from a sum.
func checksum(b []byte, sum uint32) uint16 {
	for i := 0; i+1 < len(b); i += 2 {
		sum += uint32(binary.BigEndian.Uint16(b[i:]))
	}
	for sum > 0xffff {
		sum = sum>>16 + sum&0xffff
	}
	return ^uint16(sum)
}
