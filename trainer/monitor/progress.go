// Progress: the sink that a person watches. A bar on a terminal, a line a Record elsewhere, and bars for the set-up phases.

package monitor

import (
	"sync"
	"time"

	"github.com/sirupsen/logrus"
)

// Plan is what the progress of a run is measured against.
type Plan struct {
	FirstStep  int64 // updates done before this session: 0, or the checkpoint's step
	TotalSteps int64 // updates in the whole run; 0 if unknown
	Epochs     int   // 0 if max_steps decides
}

// Progress is a Sink. Its lines go through the log, so that train.log holds them, too: evaluations, saves and epochs in every
// mode, the logging intervals in the file always and on the console in mode plain.
type Progress struct {
	console *Console
	log     *logrus.Logger

	mu  sync.Mutex // of bar
	bar *trainingBar

	reported reportedPhase
}

// NewProgress returns a Progress on the console. log is the one that SetupLog made for it.
func NewProgress(console *Console, log *logrus.Logger) *Progress {
	return &Progress{console: console, log: log}
}

// Start puts the bar on the terminal: training begins.
func (p *Progress) Start(plan Plan) {
	p.reported.mu.Lock()
	p.reported.end()
	p.reported.mu.Unlock()
	bar := &trainingBar{plan: plan, step: plan.FirstStep, color: p.console.color, unicode: p.console.unicode}
	p.mu.Lock()
	p.bar = bar
	p.mu.Unlock()
	p.console.show(bar)
}

// Step moves the bar after each update. It reads nothing from the device, and writes nothing itself.
func (p *Progress) Step(step int64) {
	bar := p.training()
	p.console.update(func() { bar.reach(step, p.console.now()) })
}

// training is the bar's state, also when Start was not called.
func (p *Progress) training() *trainingBar {
	p.mu.Lock()
	defer p.mu.Unlock()
	if p.bar == nil {
		p.bar = &trainingBar{}
	}
	return p.bar
}

// Write shows the Record as its event deserves.
func (p *Progress) Write(r Record) error {
	bar := p.training()
	if r.Event != "train" {
		if line := eventLine(r, bar.plan); line != "" {
			p.event(r, line)
		}
		return nil
	}
	var line string
	p.console.update(func() {
		now := p.console.now()
		bar.reach(r.Step, now)
		bar.latest = figuresOf(r)
		bar.mix = mixOf(r)
		line = bar.plainLine(now)
	})
	if p.console.mode == modePlain {
		p.log.Info(line)
	} else {
		LogToFile(p.log, logrus.InfoLevel, line)
	}
	return nil
}

// event logs the line of an event. A sample is as long as the model cares to write: on a terminal it is cut to one row.
func (p *Progress) event(r Record, line string) {
	if r.Event != "sample" || !p.console.terminal {
		p.log.Info(line)
		return
	}
	p.log.WithField(consoleOnly, true).Info(cutToCells(line, p.console.columns()-1-clockCells, "…"))
	LogToFile(p.log, logrus.InfoLevel, line)
}

// Close leaves the bar as the last line of what is on the terminal, where it stopped. Of a phase nothing is left.
func (p *Progress) Close() error {
	p.console.hide(p.training(), true)
	p.console.hide(nil, false)
	return nil
}

// trainingBar is the state behind the bar; the console's lock guards it.
type trainingBar struct {
	plan           Plan
	color, unicode bool
	step           int64
	pace           pace
	latest         figures
	mix            mix // of a curriculum
}

func (b *trainingBar) reach(step int64, now time.Time) {
	b.step = max(b.step, step)
	b.pace.add(now, b.step)
}

func (b *trainingBar) render(columns int, now time.Time) string {
	return fit(b.layouts(now), b.step, b.plan.TotalSteps, columns, b.color, b.unicode)
}

// layouts are the ways to write the figures, from the one for a wide terminal to the one for a narrow.
func (b *trainingBar) layouts(now time.Time) []layout {
	f := b.latest
	left, known := b.pace.left(now, b.plan.TotalSteps)
	epoch := f.epoch(b.plan.Epochs)
	steps, short := segment{"step", of(b.step, b.plan.TotalSteps)}, segment{"", ofShort(b.step, b.plan.TotalSteps)}
	var long, brief segment // of the time left
	if known {
		long, brief = segment{"", formatLeft(left) + " left"}, segment{"", formatLeft(left)}
	}
	loss, rate, norm := f.loss("%.4f"), f.rate(), f.norm()
	speed, quick := f.speed("tokens/s"), f.speed("tok/s")
	if _, distilled := f["task_loss"]; distilled { // its parts say more than most of the rest
		task, distillation := f.parts("%.4f")
		shortTask, shortDistillation := f.parts("%.3f")
		return []layout{
			{[]segment{steps, epoch, loss, task, distillation, rate, norm, b.mix.long, speed, long}, 12},
			{[]segment{steps, epoch, loss, task, distillation, rate, b.mix.middle, speed, long}, 12},
			{[]segment{steps, epoch, loss, task, distillation, rate, b.mix.short, speed, long}, 12},
			{[]segment{short, loss, task, distillation, quick, long}, 5},
			{[]segment{short, f.loss("%.3f"), shortTask, shortDistillation, brief}, 5},
			{[]segment{short, f.loss("%.3f"), brief}, 5},
			{[]segment{short}, 5},
		}
	}
	return []layout{
		{[]segment{steps, epoch, loss, rate, norm, b.mix.long, speed, long}, 12},
		{[]segment{steps, epoch, loss, rate, b.mix.middle, speed, long}, 12},
		{[]segment{steps, epoch, loss, rate, b.mix.short, speed, long}, 12},
		{[]segment{short, epoch, loss, rate, quick, long}, 5},
		{[]segment{short, epoch, f.loss("%.3f"), rate, quick, brief}, 5},
		{[]segment{short, epoch, f.loss("%.3f"), quick, brief}, 5},
		{[]segment{short, epoch, f.loss("%.3f"), brief}, 5},
		{[]segment{short, f.loss("%.3f"), brief}, 5},
		{[]segment{short}, 5},
	}
}

// plainLine is the line of a logging interval where there is no bar.
func (b *trainingBar) plainLine(now time.Time) string {
	segments := b.layouts(now)[0].segments
	return joinSegments(segments, false)
}
