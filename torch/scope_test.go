package torch

import "testing"

func TestAScopeFreesWhatItOwns(t *testing.T) {
	onThread(t, func() {
		before := LiveTensors()
		outer := OpenScope()
		a := values(1)
		inner := OpenScope()
		b, c, d := values(2), values(3), values(4)
		inner.Keep(c, nil, a) // a is not inner's, and stays where it is
		d.Free()
		d.Free() // twice is harmless
		inner.Close()
		inner.Close() // and so is this: outer stays open
		if b.ptr != nil || c.ptr == nil || a.ptr == nil {
			t.Errorf("after the inner scope: a %v, b %v, c %v", a, b, c)
		}
		if n := LiveTensors() - before; n != 2 {
			t.Errorf("%d live tensors, want 2", n)
		}
		outer.Close()
		if n := LiveTensors() - before; n != 0 || a.String() != "tensor(freed)" {
			t.Errorf("%d live tensors after the outer scope, a is %v", n, a)
		}
	})
}

func TestScopedHandsItsResultOn(t *testing.T) {
	onThread(t, func() {
		before := LiveTensors()
		sum := Scoped(func() *Tensor { return values(1, 2).Add(values(3, 4)).Sum() })
		if n := LiveTensors() - before; n != 1 || sum.Item() != 10 {
			t.Errorf("%d live tensors, sum %v", n, sum.Item())
		}
	})
}

func TestATensorKeptBeyondEveryScopeLivesUntilFree(t *testing.T) {
	onThread(t, func() {
		saved := innermost
		innermost = nil // as on a thread with no scope open
		s := OpenScope()
		kept := values(1)
		s.Keep(kept)
		s.Close()
		innermost = saved
		if kept.Item() != 1 {
			t.Error("the kept tensor lost its value")
		}
		kept.Free()
		parameter := values(5).Detached()
		defer parameter.Free()
		if parameter.scope != nil {
			t.Error("a detached tensor has a scope")
		}
	})
}

func TestAPanicLeavesNoTensor(t *testing.T) {
	onThread(t, func() {
		before := LiveTensors()
		func() {
			defer func() { _ = recover() }()
			s := OpenScope()
			defer s.Close()
			values(1)
			OpenScope() // left open by the panic
			values(2)
			Scoped(func() *Tensor { values(3); panic("stop") })
		}()
		if n := LiveTensors() - before; n != 0 {
			t.Errorf("%d tensors survive the panic", n)
		}
	})
}

func TestALongScopeDoesNotGrow(t *testing.T) {
	onThread(t, func() {
		s := OpenScope()
		defer s.Close()
		first := values(1)
		x := values(1)
		for range 1000 { // a chain in which each link outlives the one before
			next := x.MulScalar(1)
			x.Free()
			x = next
		}
		if n := cap(s.tensors); n > 8 {
			t.Errorf("the scope holds places for %d tensors", n)
		}
		if first.Item() != 1 || x.Item() != 1 {
			t.Error("a tensor was freed that is in use")
		}
	})
}
