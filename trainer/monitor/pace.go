// How long the rest takes, judged by the last minutes.

package monitor

import "time"

const (
	// paceWindow is how far back the pace looks: far enough to hold evaluations and saves, near enough to notice that the
	// machine became slower.
	paceWindow  = 5 * time.Minute
	paceSamples = 64
)

// pace remembers when how much was done.
type pace struct {
	samples []paceSample // oldest first
}

type paceSample struct {
	at   time.Time
	done int64
}

// add notes that done is reached at the time now. The first one noted is where measuring begins.
func (p *pace) add(now time.Time, done int64) {
	latest := len(p.samples) - 1
	switch {
	case latest >= 0 && p.samples[latest].done == done:
		return
	case latest >= 1 && p.samples[latest].at.Sub(p.samples[latest-1].at) < paceWindow/paceSamples:
		p.samples[latest] = paceSample{now, done} // too close to the one before: move it on
	default:
		p.samples = append(p.samples, paceSample{now, done})
	}
	for len(p.samples) > 2 && now.Sub(p.samples[1].at) > paceWindow {
		p.samples = p.samples[1:]
	}
}

// left is the time from now until total is done; ok is false until two moments are known and once all is done.
func (p *pace) left(now time.Time, total int64) (left time.Duration, ok bool) {
	if len(p.samples) < 2 {
		return 0, false
	}
	first, last := p.samples[0], p.samples[len(p.samples)-1]
	if last.done <= first.done || last.done >= total {
		return 0, false
	}
	each := float64(last.at.Sub(first.at)) / float64(last.done-first.done)
	left = time.Duration(each*float64(total-last.done)) - now.Sub(last.at)
	return max(0, left), true
}

// formatLeft writes the time left; it has no use for fractions of a second.
func formatLeft(left time.Duration) string {
	if left = left.Round(time.Second); left < 10*time.Second {
		return left.String()
	}
	return FormatDuration(left)
}
