// Package cluster is several processes that train one model: how they meet, what they tell each other, and how each learns that
// another is gone. The engine is libtorch's c10d; this package decides who serves the store, where a process listens, and who is
// waited for how long.
package cluster

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"strconv"
	"time"

	"frugal/torch"
	"frugal/trainer/launch"
)

// LostError says that a process is gone or cannot go on, so that the others cannot either.
type LostError struct{ Why string }

func (e *LostError) Error() string { return e.Why }

// MismatchError says that the processes cannot train together.
type MismatchError struct {
	What string
	Own  bool // this process alone knows
}

func (e *MismatchError) Error() string { return e.What }

// Patience. A process that is not heard of for silence is lost; the others know it within two beats more. Collectives wait as long as
// everybody is alive: an evaluation or a checkpoint may take its time.
const (
	beat       = time.Second
	silence    = 6 * time.Second
	learning   = 9 * time.Second // for the first time, on a slow network: it has to learn that all have come
	collective = 24 * time.Hour  // c10d's own limit, which the watch makes needless
	slice      = 50 * time.Millisecond
	patience   = 2 * time.Second // for a process that has learnt of a loss to come to where it ends by itself
)

// Options of Join.
type Options struct {
	Place *launch.Place
	Log   func(format string, a ...any)
	// Lost is called once, on another goroutine, when a process is lost and this one does not come back from what it does within
	// patience: it ends the program.
	Lost func(*LostError)
	// Gone is closed when another process is known to be gone, perhaps before it has come; it may be nil.
	Gone <-chan struct{}
}

// World is the processes. Its methods are of the thread that computes, and all processes call them in the same order.
type World struct {
	launch.Place // Attempt: the highest that one of the processes was told
	options      Options
	peers        []peer // by rank
	store        *torch.Store
	group        *torch.Group
	cards        *torch.Group // of tensors on cards; nil: those go through the host's memory
	watch        *watch
	address      string // this machine's, on the way to the store
}

// Join meets the other processes. What ends it early is ctx's error, *LostError or *MismatchError.
func Join(ctx context.Context, o Options) (_ *World, err error) {
	w := &World{Place: *o.Place, options: o}
	ctx, cancel := context.WithCancelCause(ctx)
	defer cancel(nil)
	go func() {
		select {
		case <-o.Gone:
			cancel(&LostError{"another process on this machine is gone"})
		case <-ctx.Done():
		}
	}()
	m := &meeting{World: w, ctx: ctx, deadline: time.Now().Add(meetingTime), complain: time.Now().Add(quiet)}
	server, own, err := m.stores()
	if err != nil {
		return nil, err
	}
	prefix, err := m.agree(server)
	if err != nil {
		return nil, err
	}
	w.store = server.WithPrefix(prefix)
	w.watch = startWatch(own.WithPrefix(prefix), w.Rank, w.Size, o.Lost)
	defer func() {
		if err != nil {
			w.Fail(err)
		}
	}()
	if w.group, err = torch.NewGlooGroup(w.store.WithPrefix("gloo/"), w.Rank, w.Size, w.address, collective); err != nil {
		return nil, w.explain(fmt.Errorf("rank %d cannot reach the others: %w", w.Rank, err))
	}
	if err := limitSilence(); err != nil {
		return nil, err
	}
	return w, nil
}

// Host is the name of a process's machine.
func (w *World) Host(rank int) string { return w.peers[rank].Host }

// Processors is this process's share of its machine's: of each that it may run on as much as of those processes that may, too.
func (w *World) Processors() float64 {
	share, own := 0.0, w.peers[w.Rank]
	for _, processor := range own.Processors {
		sharing := 0
		for _, p := range w.peers {
			if p.Boot == own.Boot && slices.Contains(p.Processors, processor) {
				sharing++
			}
		}
		share += 1 / float64(sharing)
	}
	return share
}

func key(what string, rank int) string { return what + "/" + strconv.Itoa(rank) }

// AllGather gives every process what each says, in the order of their ranks. Each what is said once.
func (w *World) AllGather(what string, text []byte) ([][]byte, error) {
	if err := w.store.Set(key(what, w.Rank), text); err != nil {
		return nil, w.explain(err)
	}
	all := make([][]byte, w.Size)
	for rank := range all {
		for {
			there, err := w.store.Has(key(what, rank))
			if err != nil {
				return nil, w.explain(err)
			}
			if there {
				break
			}
			if lost := w.watch.lost(); lost != nil {
				return nil, lost
			}
			time.Sleep(slice)
		}
		var err error
		if all[rank], err = w.store.Get(key(what, rank), silence); err != nil {
			return nil, w.explain(err)
		}
	}
	return all, nil
}

// AllReduceNumbers replaces numbers by their sums over all processes, added up in the same order by all.
func (w *World) AllReduceNumbers(numbers []float64) error {
	t := torch.FromFloat64s(numbers, []int64{int64(len(numbers))}, torch.CPU).Detached()
	if err := w.AllReduce(t).Wait(); err != nil {
		return err
	}
	copy(numbers, t.Float64s())
	t.Free()
	return nil
}

// BroadcastBytes gives every process rank 0's data.
func (w *World) BroadcastBytes(data []byte) ([]byte, error) {
	length := torch.FromInt64s([]int64{int64(len(data))}, []int64{1}, torch.CPU).Detached()
	if err := w.Broadcast(length).Wait(); err != nil {
		return nil, err
	}
	n := length.Int64s()[0]
	length.Free()
	if n == 0 {
		return nil, nil
	}
	padded := make([]byte, (n+7)/8*8) // as whole numbers: any type would do
	if w.Rank == 0 {
		copy(padded, data)
	}
	t := torch.FromBytes(padded, []int64{(n + 7) / 8}, torch.Int64, torch.CPU).Detached()
	if err := w.Broadcast(t).Wait(); err != nil {
		return nil, err
	}
	defer t.Free()
	return t.Bytes()[:n], nil
}

// Pending is a collective, or a message, under way. Its tensor lives until Wait.
type Pending struct {
	world        *World
	work         *torch.Work
	err          error
	target, host *torch.Tensor // on a card, and what stands for it; nil: the tensor itself is sent
	ended        <-chan error  // of a message, whose Work tells nothing but by waiting; nil for a collective
}

// AllReduce begins to replace t, contiguous, fp32 or bf16, by its sum over all processes.
func (w *World) AllReduce(t *torch.Tensor) *Pending {
	return w.begin(t, func(g *torch.Group, t *torch.Tensor) (*torch.Work, error) { return g.AllReduce(t) })
}

// Broadcast begins to replace t by rank 0's.
func (w *World) Broadcast(t *torch.Tensor) *Pending { return w.BroadcastFrom(0, t) }

// BroadcastFrom begins to replace t by the root's.
func (w *World) BroadcastFrom(root int, t *torch.Tensor) *Pending {
	return w.begin(t, func(g *torch.Group, t *torch.Tensor) (*torch.Work, error) { return g.Broadcast(t, root) })
}

// begin has a group do something with t: that of the cards, or the other, in the host's memory.
func (w *World) begin(t *torch.Tensor, collective func(*torch.Group, *torch.Tensor) (*torch.Work, error)) *Pending {
	p := &Pending{world: w}
	switch {
	case t.Device().Type == torch.CPUType:
		p.work, p.err = collective(w.group, t)
	case w.cards != nil:
		p.work, p.err = collective(w.cards, t)
	default:
		torch.NoGrad(func() { p.target, p.host = t, t.To(t.DType(), torch.CPU).Detached() })
		p.work, p.err = collective(w.group, p.host)
	}
	return p
}

// Send begins to send t, contiguous and in the host's memory, to one process, which Receives it.
func (w *World) Send(t *torch.Tensor, to int) *Pending { return w.message(w.group.Send(t, to)) }

// Receive begins to replace t, contiguous and in the host's memory, by what a process Sends.
func (w *World) Receive(t *torch.Tensor, from int) *Pending {
	return w.message(w.group.Receive(t, from))
}

func (w *World) message(work *torch.Work, err error) *Pending {
	p := &Pending{world: w, work: work, err: err}
	if err == nil {
		ended := make(chan error, 1)
		go func() { // it holds the Work, and with it the tensor's memory, for as long as it takes
			_, err := work.Wait(collective)
			work.Free()
			ended <- err
		}()
		p.ended = ended
	}
	return p
}

// look waits a slice.
func (p *Pending) look() (done bool, err error) {
	if p.ended == nil {
		done, err = p.work.Wait(slice)
		if done || err != nil {
			p.work.Free()
		}
		return done, err
	}
	select {
	case err := <-p.ended:
		return true, err
	case <-time.After(slice):
		return false, nil
	}
}

// Wait waits until it is done, or somebody is lost: *LostError. Once.
func (p *Pending) Wait() error {
	for p.err == nil {
		done, err := p.look()
		if done || err != nil {
			p.err = err
			break
		}
		if lost := p.world.watch.lost(); lost != nil {
			return lost
		}
	}
	if p.err != nil {
		return p.world.explain(p.err)
	}
	if p.host != nil {
		torch.NoGrad(func() { p.target.Copy_(p.host) })
		p.host.Free()
	}
	return nil
}

// explain finds out who is behind a collective's or the store's failure: the watch knows soon.
func (w *World) explain(err error) error {
	if w.cards != nil { // a card that waits for another learns nothing of its failure
		err = fmt.Errorf("%w (with %s=0 they train without NCCL)", err, variable)
	}
	w.watch.suspect(fmt.Sprintf("rank %d has lost its connection to another process, though all are alive: %v", w.Rank, err))
	if lost := w.watch.waitLost(2 * silence); lost != nil {
		return lost
	}
	return &LostError{fmt.Sprintf("the processes lost each other: %v", err)}
}

// Fail tells the others why this process cannot go on.
func (w *World) Fail(err error) {
	var lost *LostError
	if !errors.As(err, &lost) {
		w.watch.fail(fmt.Sprintf("rank %d: %v", w.Rank, err))
	}
	w.abortCards()
	w.watch.leave()
}

// Close leaves the others, who have nothing left to do with this process. Rank 0, whose store they use, goes last.
func (w *World) Close() {
	w.cards.Free() // while the watch still ends what hangs
	w.watch.leave()
	w.group.Free()
	w.store.Free()
}
