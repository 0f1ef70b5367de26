package gpt2

// Weights that lie in the host's memory and visit the device stage by stage, as ZeRO-Offload has it (Ren et al., arXiv 2101.06840):
// the device holds copies in the compute precision, gradients leave it as soon as a stage's backward pass is done, and the update
// runs on the host. What is computed is the same, to the bit.

import (
	"frugal/torch"
)

// Offload is what leaves the device's memory for the host's.
type Offload int

const (
	NoOffload        Offload = iota
	OffloadOptimizer         // weights in fp32, moments and gradients; the device keeps the weights in the compute precision
	OffloadFull              // the weights of the blocks as well: the device has room for two of them
)

// place is room on the device for the weights of one stage, or of every other block in turn.
type place struct {
	working int64 // where in courier.working
	rest    int64 // where in courier.rest

	holds   int   // the stage whose weights are here or on their way; -1: none
	version int64 // of them
	arrived *torch.Event
	used    *torch.Event // by the last stage that was here
}

// gradientPlace is room for the gradients of one stage, or of every other block in turn.
type gradientPlace struct {
	at int64 // where in courier.gradients

	holds   int // the stage whose gradients will be or are here, and those of the window so far on their way; -1: none
	arrived *torch.Event
	made    *torch.Event // by the backward pass
	left    *torch.Event // for the host
}

// courier moves weights and gradients of stages between home and the device.
type courier struct {
	*weights
	device   torch.Device
	offload  Offload
	in, out  *torch.Stream
	pageable bool // some of the host's memory could not be pinned

	places         []*place // by stage
	gradientPlaces []*gradientPlace
	working, rest  *torch.Tensor // of the device: copies in the compute precision; in half precision, those in fp32 of what does not decay
	gradientsThere *torch.Tensor // of the device
	moves          []moves       // by stage

	versions        []int64 // by stage: how often its weights changed
	roundedVersions []int64 // of their copies in half precision at home
	pending         *update // nil: none
	thread          *torch.Thread
}

// moves are the parts of the buffers that are copied for a stage: there on the device, here at home.
type moves struct {
	workingThere, restThere, gradientsThere *torch.Tensor
	mastersHere, roundedHere, restHere      *torch.Tensor
	gradientsHere                           *torch.Tensor
}

func newCourier(w *weights, device torch.Device, o Offload) *courier {
	c := &courier{weights: w, device: device, offload: o, in: torch.NewStream(device), out: torch.NewStream(device),
		versions: make([]int64, len(w.stages)), roundedVersions: make([]int64, len(w.stages)), moves: make([]moves, len(w.stages))}
	for i := range c.versions {
		c.versions[i] = 1
	}
	layout := newLayout(w.stages, o)
	for i := range w.stages {
		if other := sharedPlace(i, len(w.stages)); other < i {
			c.gradientPlaces = append(c.gradientPlaces, c.gradientPlaces[other])
			if o == OffloadFull {
				c.places = append(c.places, c.places[other])
				continue
			}
		} else {
			c.gradientPlaces = append(c.gradientPlaces, &gradientPlace{at: layout.gradients[i], holds: -1, arrived: torch.NewEvent(device),
				made: torch.NewEvent(device), left: torch.NewEvent(device)})
		}
		c.places = append(c.places, &place{working: layout.working[i], rest: layout.rest[i], holds: -1, arrived: torch.NewEvent(device),
			used: torch.NewEvent(device)})
	}
	return c
}

// layout is where the stages lie in the device's buffers, and how long these are, in elements.
type layout struct {
	working, rest, gradients                   []int64 // by stage
	workingLength, restLength, gradientsLength int64
}

func newLayout(stages []stage, o Offload) (l layout) {
	for i, s := range stages {
		other := sharedPlace(i, len(stages))
		put := func(shared bool, at *[]int64, length *int64, size int64) {
			if shared && other < i {
				*at = append(*at, (*at)[other])
				return
			}
			*at = append(*at, *length)
			*length += size
		}
		put(o == OffloadFull, &l.working, &l.workingLength, s.length)
		put(o == OffloadFull, &l.rest, &l.restLength, s.rest().Length)
		put(true, &l.gradients, &l.gradientsLength, s.length)
	}
	return l
}

// sharedPlace is the stage whose place stage i of n has: blocks, which stand between the first stage and the last, take turns in two.
func sharedPlace(i, n int) int {
	if i > 2 && i < n-1 {
		return i - 2
	}
	return i
}

// rest is what does not decay; LayerNorms are used in fp32 in any precision.
func (s stage) rest() Slice {
	for _, slice := range s.slices {
		if !slice.Decay {
			return slice
		}
	}
	return Slice{Offset: s.offset}
}

// OffloadBytes is the memory that copies of weights and gradients take on the device, buffer by buffer.
func (c Config) OffloadBytes(o Offload, precision torch.DType) (weights, gradients []int64) {
	m := &Model{Config: c}
	m.declareStages()
	l := newLayout(m.stages, o)
	weights = append(weights, l.workingLength*int64(precision.Size()))
	if precision != torch.Float32 {
		weights = append(weights, 4*l.restLength)
	}
	return weights, []int64{4 * l.gradientsLength}
}

// hostBuffer makes zeros of the host's, for copies.
func (c *courier) hostBuffer(length int64, dtype torch.DType) *torch.Tensor {
	t, pinned := torch.HostZeros([]int64{length}, dtype, c.device)
	c.pageable = c.pageable || !pinned
	return t.Detached()
}

// Pageable says whether memory that an Offload copies from and to could not be pinned, which makes copies slower.
func (w *weights) Pageable() bool {
	return w.courier != nil && w.courier.device.Type != torch.CPUType && w.courier.pageable
}

// prepare has the device's copies be of precision.
func (c *courier) prepare(precision torch.DType) {
	if c.working != nil && c.working.DType() == precision {
		return
	}
	c.settle() // an update rounds for the copies that there are
	c.freeCopies()
	l := newLayout(c.stages, c.offload)
	torch.CountAs(torch.MemoryWeights, func() {
		if precision != torch.Float32 {
			c.rest = torch.Empty([]int64{l.restLength}, torch.Float32, c.device).Detached()
		}
		c.working = torch.Empty([]int64{l.workingLength}, precision, c.device).Detached() // the last: it says that both are there
	})
	for i, s := range c.stages {
		place, m := c.places[i], &c.moves[i]
		place.holds = -1
		m.workingThere, m.mastersHere = part(c.working, place.working, s.length), part(c.masters, s.offset, s.length)
		if precision != torch.Float32 {
			m.roundedHere = part(c.rounded, s.offset, s.length)
			m.restThere, m.restHere = part(c.rest, place.rest, s.rest().Length), part(c.masters, s.rest().Offset, s.rest().Length)
		}
		for _, p := range s.params {
			c.place(p, s, place, precision)
		}
	}
}

// place has a parameter's copies be those of its stage's place.
func (c *courier) place(p Parameter, s stage, at *place, precision torch.DType) {
	w := p.weight
	w.working = w.viewAt(c.working, at.working+w.offset-s.offset)
	switch {
	case precision == torch.Float32:
		w.full = w.working
	case !p.Decay:
		w.full = w.viewAt(c.rest, at.rest+w.offset-s.rest().Offset)
	}
}

func (c *courier) makeGradients() {
	if c.gradientsThere != nil {
		return
	}
	l := newLayout(c.stages, c.offload)
	torch.CountAs(torch.MemoryGradients, func() {
		c.gradientsThere = torch.Empty([]int64{l.gradientsLength}, torch.Float32, c.device).Detached()
	})
	for i, s := range c.stages {
		at := c.gradientPlaces[i].at
		c.moves[i].gradientsThere, c.moves[i].gradientsHere = part(c.gradientsThere, at, s.length), part(c.gradients, s.offset, s.length)
		for _, p := range s.params {
			p.weight.gradient = p.weight.viewAt(c.gradientsThere, at+p.weight.offset-s.offset)
		}
	}
	c.gradientsThere.Fill_(0) // what lies between parameters stays 0
}

// part is a part of a buffer. It belongs to no scope.
func part(buffer *torch.Tensor, offset, length int64) *torch.Tensor {
	return buffer.Narrow(0, offset, length).Detached()
}

// free releases everything on the device, and the views.
func (c *courier) free() {
	c.finish()
	c.freeCopies()
	for i := range c.moves {
		c.moves[i].gradientsThere.Free()
		c.moves[i].gradientsHere.Free()
	}
	for _, p := range c.params {
		if c.gradientsThere != nil {
			p.weight.gradient.Free()
		}
	}
	c.gradientsThere.Free()
	for i, p := range c.places {
		p.arrived.Free()
		p.used.Free()
		c.gradientPlaces[i].arrived.Free()
		c.gradientPlaces[i].made.Free()
		c.gradientPlaces[i].left.Free()
	}
	c.in.Free()
	c.out.Free()
	if c.thread != nil {
		c.thread.Stop()
	}
}

func (c *courier) freeCopies() {
	torch.Synchronize(c.device)
	for i := range c.moves {
		m := &c.moves[i]
		for _, t := range []**torch.Tensor{&m.workingThere, &m.mastersHere, &m.roundedHere, &m.restThere, &m.restHere} {
			(*t).Free()
			*t = nil
		}
	}
	for _, p := range c.params {
		p.weight.working.Free()
		p.weight.full.Free()
		p.weight.working, p.weight.full = nil, nil
	}
	c.working.Free()
	c.rest.Free()
	c.working, c.rest = nil, nil
}
