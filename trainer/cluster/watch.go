package cluster

// The watch: each process counts up a number in the store once a second. Rank 0 judges the others, they judge rank 0; what is found is
// a verdict that all read. A process that is stopped, or whose link is gone, counts no more; one that fails says so itself.

import (
	"fmt"
	"slices"
	"sync"
	"time"

	"frugal/torch"
)

type watch struct {
	store      *torch.Store // its own
	rank, size int
	onLost     func(*LostError)
	heard      map[int]hearing // of the others; run's until done
	doubted    time.Time       // when rank 0 first read of somebody's doubt; zero: not yet

	mutex    sync.Mutex
	found    *LostError
	why      string    // to be told; "": nothing
	doubt    string    // a connection that failed, though perhaps nobody is gone; "": none
	answered time.Time // the last time that the store did

	known chan struct{} // closed when found is set
	quit  chan struct{}
	done  chan struct{}
}

func startWatch(store *torch.Store, rank, size int, onLost func(*LostError)) *watch {
	w := &watch{store: store, rank: rank, size: size, onLost: onLost, heard: map[int]hearing{}, answered: time.Now(), known: make(chan struct{}), quit: make(chan struct{}), done: make(chan struct{})}
	go w.run()
	go w.guard()
	return w
}

// others are those whom this process judges.
func (w *watch) others() (ranks []int) {
	if w.rank != 0 {
		return []int{0}
	}
	for rank := 1; rank < w.size; rank++ {
		ranks = append(ranks, rank)
	}
	return ranks
}

// run counts and looks, once a beat. A call of the store may hang, where its process is stopped: guard sees to that.
func (w *watch) run() {
	defer close(w.done)
	for {
		if err := w.look(); err != nil {
			w.set("rank 0 is gone: its store does not answer any more")
			return
		}
		select {
		case <-w.quit:
			w.look() // to tell what is left to tell
			return
		case <-w.known:
			w.store.Add(key("known", w.rank), 1)
			return
		case <-time.After(beat):
		}
	}
}

// hearing is what was last heard of a process.
type hearing struct {
	count int64
	at    time.Time
}

func (w *watch) look() error {
	if _, err := w.store.Add(key("beat", w.rank), 1); err != nil {
		return err
	}
	if why := w.told(); why != "" {
		if err := w.store.Set("verdict", []byte(why)); err != nil {
			return err
		}
	}
	if doubt := w.doubts(); doubt != "" {
		if err := w.store.Set("doubt", []byte(doubt)); err != nil {
			return err
		}
	}
	alive := true // everybody has been heard of since the doubt
	for _, rank := range w.others() {
		n, err := w.store.Add(key("beat", rank), 0)
		if err != nil {
			return err
		}
		now := time.Now()
		if h, before := w.heard[rank]; !before || n != h.count {
			w.heard[rank] = hearing{n, now}
		} else if silent := now.Sub(h.at); silent > silence && n > 0 || silent > learning {
			left, err := w.store.Has(key("left", rank))
			if err != nil {
				return err
			}
			if !left {
				if err := w.store.Set("verdict", fmt.Appendf(nil, "rank %d is gone: nothing was heard of it for %.0f s", rank, silent.Seconds())); err != nil {
					return err
				}
			}
		}
		alive = alive && w.heard[rank].at.After(w.doubted.Add(2*beat))
	}
	if err := w.judgeDoubt(alive); err != nil {
		return err
	}
	if is, err := w.store.Has("verdict"); err != nil || !is {
		w.heardStore()
		return err
	}
	verdict, err := w.store.Get("verdict", silence)
	if err == nil {
		w.set(string(verdict))
	}
	return err
}

// judgeDoubt is rank 0's: a connection may fail because who was at its other end is gone, which shows soon, or by itself.
func (w *watch) judgeDoubt(alive bool) error {
	if w.rank != 0 {
		return nil
	}
	is, err := w.store.Has("doubt")
	switch {
	case err != nil || !is:
		return err
	case w.doubted.IsZero():
		w.doubted = time.Now()
		return nil
	case !alive:
		return nil
	}
	doubt, err := w.store.Get("doubt", silence)
	if err != nil {
		return err
	}
	return w.store.Set("verdict", doubt)
}

func (w *watch) heardStore() {
	w.mutex.Lock()
	defer w.mutex.Unlock()
	w.answered = time.Now()
}

// guard finds a store that hangs.
func (w *watch) guard() {
	for {
		select {
		case <-w.done:
			return
		case <-time.After(beat):
		}
		w.mutex.Lock()
		silent := time.Since(w.answered)
		w.mutex.Unlock()
		if silent > silence {
			w.set(fmt.Sprintf("rank 0 is gone: its store has not answered for %.0f s", silent.Seconds()))
			return
		}
	}
}

// set is the first thing found.
func (w *watch) set(why string) {
	w.mutex.Lock()
	defer w.mutex.Unlock()
	if w.found != nil {
		return
	}
	w.found = &LostError{why}
	close(w.known)
	go func() {
		select {
		case <-w.quit:
		case <-time.After(patience):
			w.onLost(w.found)
		}
	}()
}

func (w *watch) lost() error {
	w.mutex.Lock()
	defer w.mutex.Unlock()
	if w.found == nil {
		return nil
	}
	return w.found
}

func (w *watch) waitLost(limit time.Duration) error {
	select {
	case <-w.known:
	case <-time.After(limit):
	}
	return w.lost()
}

// fail has the others told.
func (w *watch) fail(why string) {
	w.mutex.Lock()
	defer w.mutex.Unlock()
	w.why = why
}

// suspect has the others told of a connection that failed, unless somebody turns out to be gone.
func (w *watch) suspect(doubt string) {
	w.mutex.Lock()
	defer w.mutex.Unlock()
	w.doubt = doubt
}

func (w *watch) doubts() string {
	w.mutex.Lock()
	defer w.mutex.Unlock()
	return w.doubt
}

func (w *watch) told() string {
	w.mutex.Lock()
	defer w.mutex.Unlock()
	return w.why
}

// leave ends the watch: the others do not wait for this process any more. Rank 0 waits until they have left or know of a verdict.
func (w *watch) leave() {
	close(w.quit)
	select {
	case <-w.done:
	case <-time.After(2 * beat): // a store that hangs
		return
	}
	if _, err := w.store.Add(key("left", w.rank), 1); err != nil || w.rank != 0 {
		return
	}
	for deadline := time.Now().Add(silence); time.Now().Before(deadline) && slices.ContainsFunc(w.others(), w.uses); time.Sleep(slice) {
	}
}

// uses says whether another process still needs the store, which ends with this one.
func (w *watch) uses(rank int) bool {
	if h, heard := w.heard[rank]; !heard || time.Since(h.at) > silence {
		return false
	}
	for _, what := range []string{"left", "known"} {
		if has, err := w.store.Has(key(what, rank)); err != nil || has {
			return false
		}
	}
	return true
}
