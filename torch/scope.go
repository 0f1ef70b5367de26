//go:build cgo

package torch

// Scopes own tensors, so that memory is freed at a known place and never by a finalizer.

import "sync/atomic"

// live counts the tensors that have not been freed.
var live atomic.Int64

// LiveTensors is the number of tensors not yet freed: zero when nothing leaks.
func LiveTensors() int64 { return live.Load() }

// Scope owns the tensors made while it is the innermost one. Scopes nest and, like all tensor work, belong to one thread.
type Scope struct {
	parent  *Scope
	tensors []*Tensor
	closed  bool
}

var innermost *Scope

// OpenScope makes a new innermost scope. Close it with defer, so that it closes in a panic as well.
func OpenScope() *Scope {
	s := &Scope{parent: innermost}
	innermost = s
	return s
}

// Close frees what the scope still owns, and any scope inside it that a panic left open. Closing twice is harmless.
func (s *Scope) Close() {
	if s.closed {
		return
	}
	for innermost != s {
		innermost.Close()
	}
	innermost, s.closed = s.parent, true
	for _, t := range s.tensors {
		t.scope = nil
		t.Free()
	}
	s.tensors = nil
}

// Keep hands tensors of this scope on to the enclosing one; without one they live until Free.
func (s *Scope) Keep(tensors ...*Tensor) {
	for _, t := range tensors {
		if t != nil && t.scope == s {
			t.leaveScope()
			s.parent.adopt(t)
		}
	}
}

// Scoped runs f in a scope of its own and keeps the tensor that f returns.
func Scoped(f func() *Tensor) *Tensor {
	s := OpenScope()
	defer s.Close()
	t := f()
	s.Keep(t)
	return t
}

func (s *Scope) adopt(t *Tensor) {
	if s == nil {
		return
	}
	t.scope, t.slot = s, len(s.tensors)
	s.tensors = append(s.tensors, t)
}

func (t *Tensor) leaveScope() {
	if s := t.scope; s != nil {
		// The last one takes the place, so that a long-lived scope does not grow with what was freed by hand.
		last := len(s.tensors) - 1
		s.tensors[t.slot], s.tensors[last].slot = s.tensors[last], t.slot
		s.tensors[last] = nil
		s.tensors = s.tensors[:last]
		t.scope = nil
	}
}

// Detached takes t out of its scope: it lives until Free. For parameters and state.
func (t *Tensor) Detached() *Tensor {
	t.leaveScope()
	return t
}
