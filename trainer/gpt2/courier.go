package gpt2

// When the copies are made: ahead of the stage that needs them, beside the one before it.

import (
	"errors"
	"sync/atomic"

	"frugal/torch"
)

// The stages: 0 is the embedding, whose weight is the head's too, then the blocks, then the last LayerNorm.
const embedding = 0

func (w *weights) lastNorm() int { return len(w.stages) - 1 }

// noStage is asked for where nothing is needed after a stage.
const noStage = -1

// arrive has the weights of a stage be there for what is computed from now on.
func (w *weights) arrive(stage int) {
	if c := w.courier; c != nil {
		c.fetch(stage)
		c.places[stage].arrived.Block(nil)
	}
}

// leave says that what uses the weights of a stage has been asked for, and sends those of next on their way. A card computes the one
// while this waits for an update of the other.
func (w *weights) leave(stage, next int) {
	c := w.courier
	if c == nil {
		return
	}
	c.places[stage].used.Record(nil)
	if next != noStage {
		c.fetch(next)
	}
}

// fetch starts the copy of a stage's weights, unless they are there.
func (c *courier) fetch(stage int) {
	c.await(stage)
	p, m := c.places[stage], &c.moves[stage]
	if p.holds == stage && p.version == c.versions[stage] {
		return
	}
	p.used.Block(c.in)
	if m.roundedHere == nil {
		c.in.Copy(m.workingThere, m.mastersHere)
	} else {
		c.round(stage)
		c.in.Copy(m.workingThere, m.roundedHere)
		c.in.Copy(m.restThere, m.restHere)
	}
	p.arrived.Record(c.in)
	p.holds, p.version = stage, c.versions[stage]
}

// round brings a stage's copy in half precision at home up to date.
func (c *courier) round(stage int) {
	if m := &c.moves[stage]; m.roundedHere != nil && c.roundedVersions[stage] != c.versions[stage] {
		torch.NoGrad(func() { m.roundedHere.Copy_(m.mastersHere) })
		c.roundedVersions[stage] = c.versions[stage]
	}
}

func (c *courier) changed() {
	for i := range c.versions {
		c.versions[i]++
	}
}

// gradientArrives has the place of a stage's gradients be free for a backward pass, or hold those of the window so far where it adds
// to them; and that of next soon.
func (w *weights) gradientArrives(stage, next int) {
	c := w.courier
	if c == nil {
		return
	}
	c.fetchGradient(stage)
	p := c.gradientPlaces[stage]
	p.arrived.Block(nil)
	p.left.Block(nil)
	if next != noStage {
		c.fetchGradient(next)
	}
}

func (c *courier) fetchGradient(stage int) {
	p, m := c.gradientPlaces[stage], &c.moves[stage]
	if p.holds == stage {
		return
	}
	if c.accumulate {
		p.left.Block(c.in)
		c.in.Copy(m.gradientsThere, m.gradientsHere)
		p.arrived.Record(c.in)
	}
	p.holds = stage
}

// gradientLeaves sends the gradients of a stage home.
func (w *weights) gradientLeaves(stage int) {
	c := w.courier
	if c == nil {
		return
	}
	p, m := c.gradientPlaces[stage], &c.moves[stage]
	p.made.Record(nil)
	p.made.Block(c.out)
	c.out.Copy(m.gradientsHere, m.gradientsThere)
	p.left.Record(c.out)
}

// gather waits for all gradients that have left the device.
func (c *courier) gather() {
	c.settle()
	for _, p := range c.gradientPlaces {
		p.left.Synchronize()
	}
}

// update is one of all weights, on its way.
type update struct {
	done   []chan struct{} // by stage
	failed atomic.Pointer[error]
	holds  []*torch.Tensor
}

var errUpdate = errors.New("the update on the host ended without a result")

// update changes the stages in the order in which the next pass needs them: beside it, where that is another device's work.
func (c *courier) update(f func(stage int), holds []*torch.Tensor) {
	c.settle()
	u := &update{done: make([]chan struct{}, len(c.stages))}
	for i := range u.done {
		u.done[i] = make(chan struct{})
		c.versions[i]++
	}
	for _, t := range holds {
		if t != nil {
			u.holds = append(u.holds, t.Detached())
		}
	}
	c.pending = u
	if c.device.Type == torch.CPUType && !besideOnCPU {
		c.change(u, f)
		c.settle()
		return
	}
	if c.thread == nil {
		c.thread = torch.StartThread()
	}
	threads := torch.NumThreads()
	go c.thread.Do(func() {
		torch.SetNumThreads(threads)
		c.change(u, f)
	})
}

// besideOnCPU is for tests: updates run beside the next pass on a CPU too, where both would want the same cores.
var besideOnCPU = false

func (c *courier) change(u *update, f func(stage int)) {
	stage := 0
	defer func() {
		if stage == len(u.done) {
			return
		}
		err := errUpdate
		if e, ok := recover().(error); ok { // raised again where it is waited for
			err = e
		}
		u.failed.Store(&err)
		for ; stage < len(u.done); stage++ {
			close(u.done[stage])
		}
	}()
	for ; stage < len(u.done); stage++ {
		f(stage)
		c.round(stage)
		close(u.done[stage])
	}
}

// await waits until a pending update is past a stage.
func (c *courier) await(stage int) {
	if u := c.pending; u != nil {
		<-u.done[stage]
		u.check()
	}
}

// awaitUpdate is for what is used at home.
func (w *weights) awaitUpdate(stage int) {
	if w.courier != nil {
		w.courier.await(stage)
	}
}

func (u *update) check() {
	if err := u.failed.Load(); err != nil {
		panic(*err)
	}
}

func (c *courier) settle() {
	c.finish()
	if c.pending != nil {
		c.pending.check()
	}
}

// finish waits for the end of a pending update. One that failed stays, so that nobody goes on with weights of which it changed a part.
func (c *courier) finish() {
	u := c.pending
	if u == nil {
		return
	}
	<-u.done[len(u.done)-1]
	for _, t := range u.holds {
		t.Free()
	}
	u.holds = nil
	if u.failed.Load() == nil {
		c.pending = nil
	}
}
