package torch_test

import (
	"runtime"
	"testing"

	"frugal/torch"
)

func TestAScopeFreesWhatItOwns(t *testing.T) {
	onThread(t, func() {
		before := torch.LiveTensors()
		outer := torch.OpenScope()
		a := values(1)
		inner := torch.OpenScope()
		b, c, d := values(2), values(3), values(4)
		inner.Keep(c, nil, a) // a is not inner's, and stays where it is
		d.Free()
		d.Free() // twice is harmless
		inner.Close()
		inner.Close() // and so is this: outer stays open
		if !freed(b) || freed(c) || freed(a) {
			t.Errorf("after the inner scope: a %v, b %v, c %v", a, b, c)
		}
		if n := torch.LiveTensors() - before; n != 2 {
			t.Errorf("%d live tensors, want 2", n)
		}
		outer.Close()
		if n := torch.LiveTensors() - before; n != 0 || !freed(a) {
			t.Errorf("%d live tensors after the outer scope, a is %v", n, a)
		}
	})
}

func TestScopedHandsItsResultOn(t *testing.T) {
	onThread(t, func() {
		before := torch.LiveTensors()
		sum := torch.Scoped(func() *torch.Tensor { return values(1, 2).Add(values(3, 4)).Sum() })
		if n := torch.LiveTensors() - before; n != 1 || sum.Item() != 10 {
			t.Errorf("%d live tensors, sum %v", n, sum.Item())
		}
	})
}

func TestATensorKeptBeyondEveryScopeLivesUntilFree(t *testing.T) {
	before := torch.LiveTensors()
	runtime.LockOSThread() // and no scope is open
	defer runtime.UnlockOSThread()
	s := torch.OpenScope()
	kept, detached, owned := values(1), values(5).Detached(), values(7)
	s.Keep(kept)
	s.Close()
	if freed(kept) || freed(detached) || !freed(owned) {
		t.Errorf("after the scope: kept %v, detached %v, owned %v", kept, detached, owned)
	}
	kept.Free()
	detached.Free()
	if n := torch.LiveTensors() - before; n != 0 {
		t.Errorf("%d live tensors", n)
	}
}

func TestAPanicLeavesNoTensor(t *testing.T) {
	onThread(t, func() {
		before := torch.LiveTensors()
		func() {
			defer func() { _ = recover() }()
			s := torch.OpenScope()
			defer s.Close()
			values(1)
			torch.OpenScope() // left open by the panic
			values(2)
			torch.Scoped(func() *torch.Tensor { values(3); panic("stop") })
		}()
		if n := torch.LiveTensors() - before; n != 0 {
			t.Errorf("%d tensors survive the panic", n)
		}
	})
}

func TestALongScopeDoesNotGrow(t *testing.T) {
	onThread(t, func() {
		s := torch.OpenScope()
		defer s.Close()
		first, x := values(1), values(1)
		before := heap()
		const links = 50_000
		for range links { // a chain in which each link outlives the one before
			next := x.Detach()
			x.Free()
			x = next
		}
		if grown := heap() - before; grown > links {
			t.Errorf("%d bytes are held after %d tensors came and went", grown, links)
		}
		if first.Item() != 1 || x.Item() != 1 {
			t.Error("a tensor was freed that is in use")
		}
	})
}

// heap is the number of bytes of Go objects in use.
func heap() int64 {
	var m runtime.MemStats
	runtime.GC()
	runtime.ReadMemStats(&m)
	return int64(m.HeapAlloc)
}

func freed(t *torch.Tensor) bool { return t.String() == "tensor(freed)" }
