// Set-up phases on the same console: tokenising the corpus, training the tokenizer.

package monitor

import (
	"slices"
	"strconv"
	"sync"
	"time"
)

const (
	phaseLineEvery  = 10 * time.Second // between the plain lines of a phase
	phaseWorthALine = 2 * time.Second  // a phase that took less leaves no trace
)

// phase is the state behind a phase's bar or lines; the console's lock guards what changes.
type phase struct {
	name           string
	total          int64 // 0 if unknown
	color, unicode bool
	started        time.Time

	done     int64
	pace     pace
	lastLine time.Time
}

// Phase begins a set-up phase of total units (of whatever kind; 0 or less if unknown). update says how many are done, any
// number of times, from any goroutine; finish ends the phase and logs its time if that was long. One live line stands at a
// time: what begins later takes the place of what began before.
func (p *Progress) Phase(name string, total int64) (update func(done int64), finish func()) {
	now := p.console.now()
	ph := &phase{name: name, total: total, color: p.console.color, unicode: p.console.unicode, started: now, lastLine: now}
	p.console.show(ph)
	var once sync.Once
	return func(done int64) { p.updatePhase(ph, done) }, func() { once.Do(func() { p.finishPhase(ph) }) }
}

func (p *Progress) updatePhase(ph *phase, done int64) {
	var line string
	p.console.update(func() {
		now := p.console.now()
		ph.done = done
		ph.pace.add(now, done)
		if p.console.mode == modePlain && now.Sub(ph.lastLine) >= phaseLineEvery {
			ph.lastLine = now
			line = joinSegments(ph.plainSegments(now), false)
		}
	})
	if line != "" {
		p.log.Info(line)
	}
}

func (p *Progress) finishPhase(ph *phase) {
	p.console.hide(ph, false)
	if took := p.console.now().Sub(ph.started); took >= phaseWorthALine {
		p.log.Infof("%s took %s", ph.name, FormatDuration(took))
	}
}

// Report is Phase for a caller that names what it does at each call: the phase begins with the first call that names it and
// ends when done reaches total, with the next name, or when training starts.
func (p *Progress) Report(what string, done, total int64) {
	r := &p.reported
	r.mu.Lock()
	defer r.mu.Unlock()
	if r.finish == nil || r.what != what {
		r.end()
		r.what = what
		r.update, r.finish = p.Phase(what, total)
	}
	r.update(done)
	if total > 0 && done >= total {
		r.end()
	}
}

// reportedPhase is the phase that Report is in.
type reportedPhase struct {
	mu     sync.Mutex
	what   string
	update func(done int64)
	finish func() // nil when there is none
}

// end ends the phase if there is one. The lock is held.
func (r *reportedPhase) end() {
	if r.finish != nil {
		r.finish()
		r.finish = nil
	}
}

// percent is empty where the total is unknown.
func (ph *phase) percent() string {
	if ph.total <= 0 {
		return ""
	}
	return strconv.FormatInt(min(100, 100*ph.done/ph.total), 10) + "%"
}

func (ph *phase) segments(now time.Time) []segment {
	var amount, left segment
	if ph.total <= 0 {
		amount.value = FormatCount(ph.done)
	}
	if time, known := ph.pace.left(now, ph.total); known {
		left.value = formatLeft(time) + " left"
	}
	return []segment{{"", ph.name}, amount, left}
}

// plainSegments has the percentage, which progressbar writes beside a bar.
func (ph *phase) plainSegments(now time.Time) []segment {
	segments := ph.segments(now)
	return slices.Insert(segments, 1, segment{"", ph.percent()})
}

func (ph *phase) render(columns int, now time.Time) string {
	segments := ph.segments(now)
	return fit([]layout{{segments, 10}, {segments[:2], 5}}, ph.done, ph.total, columns, ph.color, ph.unicode)
}
