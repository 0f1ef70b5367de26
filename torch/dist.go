package torch

// Processes that compute together, by libtorch's c10d: a store in which they find each other, and collectives on tensors of all.

/*
#cgo CXXFLAGS: -I${SRCDIR}/include
#include <stdlib.h>
#include "binding.h"
*/
import "C"

import (
	"fmt"
	"os"
	"runtime"
	"time"
	"unsafe"

	"golang.org/x/sys/unix"
)

// Store is keys and values that all processes see: c10d's TCPStore. One of the processes serves it. A call that waits keeps those of
// other goroutines waiting: who waits long has a Store of their own.
type Store struct{ ptr unsafe.Pointer }

// ServeStore serves a store on a listening TCP socket, and connects to it. host and port are where it listens.
func ServeStore(host string, port int, socket *os.File, timeout time.Duration) (*Store, error) {
	own, err := unix.FcntlInt(socket.Fd(), unix.F_DUPFD_CLOEXEC, 0) // which c10d closes
	runtime.KeepAlive(socket)
	if err != nil {
		return nil, err
	}
	return newStore(host, port, own, timeout)
}

// DialStore connects to a store that another process serves, or will within timeout, which every later call has as well.
func DialStore(host string, port int, timeout time.Duration) (*Store, error) {
	return newStore(host, port, -1, timeout)
}

func newStore(host string, port, listening int, timeout time.Duration) (*Store, error) {
	h := C.CString(host)
	defer C.free(unsafe.Pointer(h))
	s := &Store{}
	if err := asError(C.ft_store_new(h, C.int(port), C.int(listening), C.int64_t(timeout.Milliseconds()), &s.ptr)); err != nil {
		return nil, fmt.Errorf("%s:%d: %w", host, port, err)
	}
	return s, nil
}

// WithPrefix is the same store for keys that all begin so. It is freed by itself.
func (s *Store) WithPrefix(prefix string) *Store {
	p := C.CString(prefix)
	defer C.free(unsafe.Pointer(p))
	out := &Store{}
	check(C.ft_store_prefix(s.ptr, p, &out.ptr))
	return out
}

// Set gives key a value.
func (s *Store) Set(key string, value []byte) error {
	k, v := C.CString(key), C.CBytes(value)
	defer C.free(unsafe.Pointer(k))
	defer C.free(v)
	return orNil(C.ft_store_set(s.ptr, k, (*C.char)(v), C.size_t(len(value))))
}

// Get is the value of key, once it has one.
func (s *Store) Get(key string, timeout time.Duration) ([]byte, error) {
	k := C.CString(key)
	defer C.free(unsafe.Pointer(k))
	var value *C.char
	var n C.size_t
	if err := asError(C.ft_store_get(s.ptr, k, C.int64_t(timeout.Milliseconds()), &value, &n)); err != nil {
		return nil, err
	}
	defer C.free(unsafe.Pointer(value))
	return C.GoBytes(unsafe.Pointer(value), C.int(n)), nil
}

// Add adds to the number that key is, 0 at first, and tells the sum.
func (s *Store) Add(key string, by int64) (int64, error) {
	k := C.CString(key)
	defer C.free(unsafe.Pointer(k))
	var sum C.int64_t
	err := orNil(C.ft_store_add(s.ptr, k, C.int64_t(by), &sum))
	return int64(sum), err
}

// Has says whether key has a value.
func (s *Store) Has(key string) (bool, error) {
	k := C.CString(key)
	defer C.free(unsafe.Pointer(k))
	var has C.int
	err := orNil(C.ft_store_check(s.ptr, k, &has))
	return has != 0, err
}

// Free disconnects; whoever serves the store ends it.
func (s *Store) Free() {
	if s != nil && s.ptr != nil {
		check(C.ft_store_free(s.ptr))
		s.ptr = nil
	}
}

// Group is all processes, which call its collectives in the same order. A collective that fails, because a process or a link is gone,
// is an error of its Work; the group is then of no use any more.
type Group struct {
	ptr  unsafe.Pointer
	nccl bool
}

// NewGlooGroup joins the group of size processes that meet in the store, for tensors of a CPU: c10d's ProcessGroupGloo. address is
// this machine's for the others to connect to. A collective fails by itself after timeout.
func NewGlooGroup(s *Store, rank, size int, address string, timeout time.Duration) (*Group, error) {
	a := C.CString(address)
	defer C.free(unsafe.Pointer(a))
	g := &Group{}
	if err := asError(C.ft_group_gloo(s.ptr, C.int(rank), C.int(size), a, C.int64_t(timeout.Milliseconds()), &g.ptr)); err != nil {
		return nil, err
	}
	return g, nil
}

// AllReduce replaces t, contiguous, by its sum over all processes.
func (g *Group) AllReduce(t *Tensor) (*Work, error) {
	w := &Work{}
	return w.begun(C.ft_group_all_reduce(g.ptr, t.p(), &w.ptr))
}

// Broadcast replaces t by the root's.
func (g *Group) Broadcast(t *Tensor, root int) (*Work, error) {
	w := &Work{}
	return w.begun(C.ft_group_broadcast(g.ptr, t.p(), C.int(root), &w.ptr))
}

// Send sends t, contiguous, to another process, which receives it. Wait waits for it without a limit.
func (g *Group) Send(t *Tensor, to int) (*Work, error) {
	w := &Work{unlimited: true}
	return w.begun(C.ft_group_send(g.ptr, t.p(), C.int(to), &w.ptr))
}

// Receive replaces t by what another process sends. Wait waits for it without a limit.
func (g *Group) Receive(t *Tensor, from int) (*Work, error) {
	w := &Work{unlimited: true}
	return w.begun(C.ft_group_receive(g.ptr, t.p(), C.int(from), &w.ptr))
}

// Free leaves the group. No collective may be under way. Of NCCL's all processes leave together.
func (g *Group) Free() {
	if g == nil || g.ptr == nil {
		return
	}
	if !g.nccl || orNil(C.ft_group_shutdown(g.ptr)) == nil { // destroying a group that cannot be left in order could wait forever
		check(C.ft_group_free(g.ptr))
	}
	g.ptr = nil
}

// Work is a collective under way. Its tensors are not touched before Wait has found it done.
type Work struct {
	ptr       unsafe.Pointer
	unlimited bool // Wait has no limit
}

func (w *Work) begun(text *C.char) (*Work, error) {
	if err := asError(text); err != nil {
		return nil, err
	}
	return w, nil
}

// Wait waits until the collective is done or has failed, but no longer than limit: done is false then, and it may be waited for again.
func (w *Work) Wait(limit time.Duration) (done bool, err error) {
	var yes C.int
	milliseconds := limit.Milliseconds()
	if w.unlimited {
		milliseconds = -1
	}
	err = orNil(C.ft_work_wait(w.ptr, C.int64_t(milliseconds), &yes))
	return yes != 0, err
}

// Free forgets the collective, which goes on all the same.
func (w *Work) Free() {
	if w != nil && w.ptr != nil {
		check(C.ft_work_free(w.ptr))
		w.ptr = nil
	}
}

// orNil is asError as an error, so that none is nil.
func orNil(text *C.char) error {
	if err := asError(text); err != nil {
		return err
	}
	return nil
}
