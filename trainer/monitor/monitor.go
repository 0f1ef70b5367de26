// Package monitor tells people and programs how a run goes: it takes one Record an event and hands it to several sinks
// (metrics.jsonl, the progress bar or plain lines, TensorBoard's event files), and it sets up the log. It knows nothing of
// tensors or models, and nothing in it can stop a run: a sink that fails costs one warning.
package monitor

import (
	"sync"
	"time"

	"github.com/sirupsen/logrus"
)

// Field is one named value of a Record. Value is nil, a bool, a string, an integer, a float, a slice of such values, a map
// with string keys, or a []Field, which is an object that keeps its order.
type Field struct {
	Name  string
	Value any
}

// Record is one thing that happened in a run. Which fields each event carries is written down in docs/format.md.
type Record struct {
	Event  string // train, eval, save, sample, epoch, run or histogram
	Step   int64  // updates done
	Time   time.Time
	Fields []Field
}

// Sink is where Records go. Write keeps nothing of the Record after it returns.
type Sink interface {
	Write(Record) error
	Close() error
}

// histogramSink is a Sink that gets the histogram Records as well, which are too large for the others: each of their fields
// is a Histogram.
type histogramSink interface {
	showsHistograms()
}

// syncer is a Sink that writes to a disk.
type syncer interface {
	Sync() error
}

// Monitor hands each Record to every sink. It is safe for concurrent use.
type Monitor struct {
	mu    sync.Mutex
	log   *logrus.Logger
	sinks []*watchedSink
}

type watchedSink struct {
	Sink
	first    error // of the calls that failed
	failures int
}

// New returns a Monitor over the sinks; it owns them, and Close closes them.
func New(log *logrus.Logger, sinks ...Sink) *Monitor {
	m := &Monitor{log: log}
	for _, s := range sinks {
		m.sinks = append(m.sinks, &watchedSink{Sink: s})
	}
	return m
}

// Record hands r to every sink. A sink that fails is warned about once, and at the end it is said how often it did; the others
// get r all the same. A zero r.Time becomes the present.
func (m *Monitor) Record(r Record) {
	if r.Time.IsZero() {
		r.Time = time.Now()
	}
	m.each(func(s Sink) error {
		if _, ok := s.(histogramSink); r.Event == "histogram" && !ok {
			return nil
		}
		return s.Write(r)
	})
}

// Sync makes what was recorded durable. Called before a checkpoint is committed, it keeps the metrics from lagging behind
// the checkpoint.
func (m *Monitor) Sync() {
	m.each(func(s Sink) error {
		if s, ok := s.(syncer); ok {
			return s.Sync()
		}
		return nil
	})
}

// Close closes every sink.
func (m *Monitor) Close() {
	m.each(Sink.Close)
	for _, s := range m.sinks {
		if s.failures > 1 {
			m.log.Warnf("%v (%d times in this session)", s.first, s.failures)
		}
	}
}

func (m *Monitor) each(do func(Sink) error) {
	m.mu.Lock()
	defer m.mu.Unlock()
	for _, s := range m.sinks {
		if err := do(s.Sink); err != nil {
			if s.failures++; s.failures == 1 {
				s.first = err
				m.log.Warnf("%v (the run goes on)", err)
			}
		}
	}
}
