package main

// What is measured: how fast two processes are, what they send, and how a link slows them down.

import (
	"context"
	"fmt"
	"os"
)

func say(format string, a ...any) { fmt.Fprintf(os.Stderr, format+"\n", a...) }

// round is what is measured in turn. It counts when it is complete; after an error nothing more is measured.
type round struct {
	err  error
	kept []func()
}

func (r *round) measure(ctx context.Context, b *bench, jobs []job) (p pace) {
	if r.err == nil {
		p, r.err = b.measure(ctx, jobs...)
	}
	return p
}

func (r *round) keep(to *sample, x float64, format string, a ...any) {
	if r.err == nil {
		say(format, a...)
		r.kept = append(r.kept, func() { *to = append(*to, x) })
	}
}

func (r *round) end() error {
	if r.err != nil {
		return r.err
	}
	for _, keep := range r.kept {
		keep()
	}
	return nil
}

// speeds are tokens a second with one number of micro-batches, by round.
type speeds struct {
	accumulation int
	alone        sample // one process
	apart        sample // two that know nothing of each other, together
	ways         []way
	together     []sample // two that train one model, by way
}

func (b *bench) measureSpeed(ctx context.Context) (list []*speeds, err error) {
	for _, a := range b.accumulation {
		list = append(list, &speeds{accumulation: a, ways: []way{fp32, bf16, shard}, together: make([]sample, 3)})
	}
	for number := range b.rounds {
		r := &round{}
		for _, s := range list {
			measure := func(name string, to *sample, jobs ...job) {
				p := r.measure(ctx, b, jobs)
				r.keep(to, p.tokens, "speed, round %d of %d, accumulation %d, %s: %.0f tokens a second", number+1, b.rounds, s.accumulation, name, p.tokens)
			}
			set := b.settings(s.accumulation, b.steps)
			one := job{set: set}
			measure("one process", &s.alone, one)
			measure("two, each by itself", &s.apart, one, one)
			for i, w := range s.ways {
				measure("two together, "+w.name, &s.together[i], job{nproc: 2, set: append(set[:len(set):len(set)], w.set...)})
			}
		}
		if err := r.end(); err != nil {
			return list, err
		}
	}
	return list, nil
}

// traffic is what a process sends for an update.
type traffic struct {
	processes         int
	way               way
	measured, formula float64 // bytes
}

// Updates of the two runs whose difference is taken.
const fewUpdates, moreUpdates = localSteps, 3 * localSteps

func (b *bench) measureTraffic(ctx context.Context) (list []traffic, err error) {
	h, free, err := newHosts(ctx, 1)
	defer free()
	if err != nil {
		return nil, err
	}
	for _, n := range b.processes {
		for _, w := range []way{fp32, bf16, shard, local} {
			var crossed [2]int64
			for i, updates := range []int{fewUpdates, moreUpdates} {
				if crossed[i], err = b.countRun(ctx, h, n, updates, w); err != nil {
					return list, err
				}
			}
			t := traffic{n, w, float64(crossed[1]-crossed[0]) / (moreUpdates - fewUpdates) / float64(n), w.sent(b.shape.parameters(), n)}
			say("bytes, %d processes, %s: %.2f MB a process and update, by the formula %.2f", n, w.name, t.measured/1e6, t.formula/1e6)
			list = append(list, t)
		}
	}
	return list, nil
}

// countRun is the bytes that cross the loopback device in a run.
func (b *bench) countRun(ctx context.Context, h hosts, processes, updates int, w way) (int64, error) {
	before, err := h.loopback(ctx)
	if err != nil {
		return 0, err
	}
	set := append(b.settings(1, updates), "batch_size=1")
	if _, err := b.run(ctx, job{host: h[0], nproc: processes, set: append(set, w.set...)}); err != nil {
		return 0, err
	}
	after, err := h.loopback(ctx)
	return after - before, err
}

// linked is a step of two hosts by the rate of the link between them.
type linked struct {
	rates    []float64 // Mbit/s
	ways     []way
	apart    [2]sample // seconds of a step of two that know nothing of each other, with the fewest and the most micro-batches
	batches  [2]int    // how many these are
	free     []sample  // by way: with as much as the link carries
	measured [][]sample
}

func (b *bench) measureLink(ctx context.Context) (l *linked, err error) {
	h, free, err := newHosts(ctx, 2)
	defer free()
	if err != nil {
		return nil, err
	}
	few, many := b.accumulation[0], b.accumulation[len(b.accumulation)-1]
	l = &linked{rates: b.rates, ways: []way{fp32, bf16}, batches: [2]int{few, many}, free: make([]sample, 2), measured: make([][]sample, 2)}
	for i := range l.ways {
		l.measured[i] = make([]sample, len(l.rates))
	}
	for number := range b.rounds {
		r := &round{}
		measure := func(name string, to *sample, jobs ...job) {
			p := r.measure(ctx, b, jobs)
			r.keep(to, p.seconds, "link, round %d of %d, %s: %.3f s a step", number+1, b.rounds, name, p.seconds)
		}
		for i, a := range l.batches {
			one := job{set: b.settings(a, b.linkSteps)}
			measure(fmt.Sprintf("each by itself, accumulation %d", a), &l.apart[i], one, one)
		}
		for i, w := range l.ways {
			for at, rate := range append([]float64{0}, l.rates...) {
				if r.err == nil {
					r.err = h.limit(ctx, rate)
				}
				if pair := b.pair(h, few, w); at == 0 {
					measure("no limit, "+w.name, &l.free[i], pair...)
				} else {
					measure(fmt.Sprintf("%g Mbit/s, %s", rate, w.name), &l.measured[i][at-1], pair...)
				}
			}
		}
		if err := r.end(); err != nil {
			return l, err
		}
	}
	return l, nil
}

// pair is a process on each of two hosts.
func (b *bench) pair(h hosts, accumulation int, w way) (jobs []job) {
	for rank, host := range h {
		jobs = append(jobs, job{host: host, set: append(b.settings(accumulation, b.linkSteps), w.set...),
			environ: []string{fmt.Sprint("RANK=", rank), fmt.Sprint("WORLD_SIZE=", len(h)), "LOCAL_RANK=0", "LOCAL_WORLD_SIZE=1", "MASTER_ADDR=" + address(0), "MASTER_PORT=29500"}})
	}
	return jobs
}

// work is what the processes do without a network. A micro-batch's time is the difference that it makes, where that is known.
func (l *linked) work() work {
	w := work{step: l.apart[0].median()}
	w.micro = w.step / float64(l.batches[0])
	if more := l.batches[1] - l.batches[0]; more > 0 {
		w.micro = (l.apart[1].median() - w.step) / float64(more)
	}
	return w
}

// predicted is a step at a rate in Mbit/s.
func (l *linked) predicted(s shape, latency float64, w way, rate float64) float64 {
	own := l.work()
	return own.step + s.cross(own, w, link{rate * 1e6 / 8 * shareOfFrame, latency}, 2).shown
}
