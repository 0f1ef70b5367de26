package trainer

// Windows are made ahead of time by a goroutine, so that the step never waits for data.

import (
	"slices"

	"frugal/trainer/data"
)

type windowQueue struct {
	ready   chan windowOrError
	quit    chan struct{}
	stopped chan struct{}
}

type windowOrError struct {
	window *data.Window
	err    error
}

// prefetch begins with the window of the run's next step, which depends on no window before it: a resumed run reads nothing that
// came before.
func (r *run) prefetch() *windowQueue {
	q := &windowQueue{make(chan windowOrError, 2), make(chan struct{}), make(chan struct{})}
	first, total, drawn := r.done.Step, r.totalSteps, slices.Clone(r.done.Drawn)
	go func() {
		defer close(q.stopped)
		for step := first; step < total; step++ {
			w, err := r.window(step, drawn)
			select {
			case q.ready <- windowOrError{w, err}:
			case <-q.quit:
				return
			}
			if err != nil {
				return
			}
			addCounts(drawn, w.Drawn)
		}
	}()
	return q
}

func (q *windowQueue) next() (*data.Window, error) {
	w := <-q.ready
	return w.window, w.err
}

// stop ends the goroutine and waits for it: the data may be closed afterwards.
func (q *windowQueue) stop() {
	close(q.quit)
	<-q.stopped
}
