package cluster

// Processes are goroutines here, each with connections of its own to the store.

import (
	"context"
	"errors"
	"fmt"
	"net"
	"strings"
	"sync"
	"testing"
	"time"

	"frugal/torch"
	"frugal/trainer/launch"
)

// launcher serves a store over several starts of processes, as torchrun does.
func launcher(t *testing.T) launch.Place {
	t.Helper()
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	defer l.Close()
	socket, err := l.(*net.TCPListener).File()
	if err != nil {
		t.Fatal(err)
	}
	defer socket.Close()
	p := launch.Place{Size: 3, LocalSize: 3, Address: "127.0.0.1", Port: l.Addr().(*net.TCPAddr).Port, StoreServed: true, Job: "job"}
	if _, err := torch.ServeStore(p.Address, p.Port, socket, dialling); err != nil { // it lives as long as the process
		t.Fatal(err)
	}
	return p
}

// start joins one process.
func start(ctx context.Context, t *testing.T, p launch.Place, rank int) (*World, error) {
	p.Rank = rank
	return Join(ctx, Options{Place: &p, Log: t.Logf, Lost: func(e *LostError) { t.Errorf("rank %d: %v", rank, e) }})
}

// Ranks 1 and 2 are started again one after the other, rank 0 last: they neither take part in what the others began without them nor
// wait there for ever. Only rank 1's launcher counts the restart.
func TestProcessesMeetAgain(t *testing.T) {
	place := launcher(t)
	meet := func(attempt func(rank int) int, pause time.Duration) []*World {
		t.Helper()
		var running sync.WaitGroup
		worlds, errs := make([]*World, place.Size), make([]error, place.Size)
		for i := range place.Size {
			rank := (i + 1) % place.Size
			p := place
			p.Attempt = attempt(rank)
			running.Go(func() { worlds[rank], errs[rank] = start(t.Context(), t, p, rank) })
			time.Sleep(pause)
		}
		running.Wait()
		if err := errors.Join(errs...); err != nil {
			t.Fatal(err)
		}
		return worlds
	}
	leave := func(worlds []*World) {
		var running sync.WaitGroup
		for _, w := range worlds {
			running.Go(w.Close)
		}
		running.Wait()
	}
	first := meet(func(int) int { return 0 }, 0)
	if n := first[2].Attempt; n != 0 {
		t.Errorf("attempt %d at first", n)
	}
	abandoned, cancel := context.WithTimeout(t.Context(), 500*time.Millisecond)
	defer cancel()
	if _, err := start(abandoned, t, place, 2); !errors.Is(err, context.DeadlineExceeded) { // it says hello, and is gone when rank 0 comes
		t.Errorf("rank 2 joined what had begun without it: %v", err)
	}
	second := meet(func(rank int) int { return rank % 2 * 5 }, 300*time.Millisecond)
	var sums []*Pending // begun by one thread, which all tensors are of
	var numbers []*torch.Tensor
	for rank, w := range second {
		if w.Attempt != 5 {
			t.Errorf("rank %d: attempt %d, want 5", rank, w.Attempt)
		}
		numbers = append(numbers, torch.FromFloat64s([]float64{float64(rank + 1)}, []int64{1}, torch.CPU))
		sums = append(sums, w.AllReduce(numbers[rank]))
	}
	for rank, sum := range sums {
		if err := sum.Wait(); err != nil || numbers[rank].Item() != 6 {
			t.Errorf("rank %d: the sum of 1, 2, 3 is %v, %v", rank, numbers[rank].Item(), err)
		}
	}
	leave(first)
	leave(second)
	third := meet(func(int) int { return 0 }, 0)
	if n := third[1].Attempt; n != 2 {
		t.Errorf("attempt %d of the third start in a store, want 2", n)
	}
	leave(third)
}

func TestProcessesToldOfAnotherNumberAreRefused(t *testing.T) {
	place := launcher(t)
	place.Size = 2
	errs := make([]error, 3)
	var running sync.WaitGroup
	for rank := range errs {
		p := place
		if rank > 0 {
			p.Size = 3
		}
		running.Go(func() { _, errs[rank] = start(t.Context(), t, p, rank) })
	}
	running.Wait()
	for rank, want := range []string{"was told of 3 processes, rank 0 on ", "was told of 3 processes, rank 0 on ", "was told of 2 processes, rank 2 of 3"} {
		if e := (*MismatchError)(nil); !errors.As(errs[rank], &e) || !strings.Contains(e.What, want) {
			t.Errorf("rank %d: %v, want …%s…", rank, errs[rank], want)
		}
	}
}

// What listens may be a process that is stopped, or none of ours: it may yet be rank 0.
func TestAStoreThatDoesNotAnswerIsWaitedFor(t *testing.T) {
	l, err := net.Listen("tcp", "127.0.0.1:0") // its queue takes connections
	if err != nil {
		t.Fatal(err)
	}
	defer l.Close()
	gone := make(chan struct{})
	time.AfterFunc(dialled+dialling, func() { close(gone) })
	place := launch.Place{Rank: 1, Size: 2, LocalSize: 2, Address: "127.0.0.1", Port: l.Addr().(*net.TCPAddr).Port}
	_, err = Join(t.Context(), Options{Place: &place, Log: t.Logf, Gone: gone})
	if e := (*LostError)(nil); !errors.As(err, &e) || err.Error() != "another process on this machine is gone" {
		t.Error(err)
	}
}

// Rank 0's machine may have no name yet, or rank 0 not be there: who waits says so, and a signal ends it.
func TestWhoWaitsCanBeStopped(t *testing.T) {
	for _, address := range []string{"127.0.0.1", "no-such-machine.invalid"} {
		ctx, cancel := context.WithTimeout(t.Context(), 300*time.Millisecond)
		began := time.Now()
		if _, err := start(ctx, t, launch.Place{Size: 2, LocalSize: 1, Address: address, Port: 1}, 1); !errors.Is(err, context.DeadlineExceeded) {
			t.Errorf("%s: %v", address, err)
		}
		if took := time.Since(began); took > 3*time.Second {
			t.Errorf("%s: it took %v", address, took)
		}
		cancel()
	}
	var lines []string
	p := launch.Place{Size: 2, LocalSize: 1, Address: "127.0.0.1", Port: 1}
	ctx, cancel := context.WithTimeout(t.Context(), time.Minute)
	log := func(format string, a ...any) {
		lines = append(lines, fmt.Sprintf(format, a...))
		cancel()
	}
	m := &meeting{World: &World{Place: p, options: Options{Log: log}}, ctx: ctx,
		deadline: time.Now().Add(time.Hour), complain: time.Now()}
	m.dial()
	if len(lines) != 1 || lines[0] != "waiting for rank 0 at 127.0.0.1:1" {
		t.Errorf("it says %q", lines)
	}
}
