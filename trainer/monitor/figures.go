// What Records look like to a person: the figures of a logging interval, and one line for each other event.

package monitor

import (
	"fmt"
	"math"
	"reflect"
	"strconv"
	"strings"
	"time"
	"unicode"
)

// number returns a field as a float64.
func (r Record) number(name string) (x float64, ok bool) {
	for _, f := range r.Fields {
		if f.Name == name {
			return toFloat(f.Value)
		}
	}
	return 0, false
}

func toFloat(value any) (x float64, ok bool) {
	switch v := reflect.ValueOf(value); {
	case v.CanFloat():
		return v.Float(), true
	case v.CanInt():
		return float64(v.Int()), true
	case v.CanUint():
		return float64(v.Uint()), true
	}
	return 0, false
}

// text returns a field that is a string, "" if there is none.
func (r Record) text(name string) string {
	for _, f := range r.Fields {
		if s, ok := f.Value.(string); ok && f.Name == name {
			return s
		}
	}
	return ""
}

// object returns a field that is an object in order, nil if there is none.
func (r Record) object(name string) []Field {
	for _, f := range r.Fields {
		if fields, ok := f.Value.([]Field); ok && f.Name == name {
			return fields
		}
	}
	return nil
}

// mix is how a curriculum mixes its stages: what the last update's weights planned, and what the interval drew.
type mix struct {
	long   segment // by name, those of hardly any share left out, and what was drawn: stories 67% prose 33%, drawn 70/30
	middle segment // the percents alone, of all stages, and what was drawn: 67/33/0, drawn 70/30/0
	short  segment // the percents that were planned
}

func mixOf(r Record) mix {
	const most = 3 // stages that are named
	planned, drawn := r.object("curriculum_weights"), r.object("curriculum_drawn")
	if len(planned) == 0 {
		return mix{}
	}
	plannedShares, drawnShares := percents(planned), percents(drawn)
	var named, ofNamed []string
	for i, stage := range planned {
		if plannedShares[i] == "0" && (len(drawnShares) <= i || drawnShares[i] == "0") {
			continue
		}
		if len(named) == most {
			named, ofNamed = append(named, "…"), append(ofNamed, "…")
			break
		}
		named = append(named, cutToCells(stage.Name, 20, "…")+" "+plannedShares[i]+"%")
		if i < len(drawnShares) {
			ofNamed = append(ofNamed, drawnShares[i])
		}
	}
	short := strings.Join(plannedShares, "/")
	m := mix{segment{"mix", strings.Join(named, " ")}, segment{"mix", short}, segment{"mix", short}}
	if len(drawnShares) > 0 {
		m.long.value += ", drawn " + strings.Join(ofNamed, "/")
		m.middle.value += ", drawn " + strings.Join(drawnShares, "/")
	}
	return m
}

// percents are the fields' shares of their sum; none where that is 0.
func percents(fields []Field) (list []string) {
	sum := 0.0
	for _, f := range fields {
		x, _ := toFloat(f.Value)
		sum += x
	}
	if !(sum > 0) {
		return nil
	}
	for _, f := range fields {
		x, _ := toFloat(f.Value)
		list = append(list, fmt.Sprintf("%.0f", 100*x/sum))
	}
	return list
}

// figures are what a train Record said, by field name; a field it lacked is not in the map.
type figures map[string]float64

func figuresOf(r Record) figures {
	f := figures{}
	for _, name := range []string{"epoch", "loss", "task_loss", "distillation_loss", "learning_rate", "grad_norm", "tokens_per_second"} {
		if x, ok := r.number(name); ok {
			f[name] = x
		}
	}
	return f
}

// figure is the segment of one field, empty where the Record lacked it.
func (f figures) figure(label, name string, format func(float64) string) segment {
	if x, ok := f[name]; ok {
		return segment{label, format(x)}
	}
	return segment{}
}

func (f figures) loss(format string) segment {
	return f.figure("loss", "loss", func(x float64) string { return fmt.Sprintf(format, x) })
}

// parts are the two losses of a run that learns from a teacher as well, of which its loss is made.
func (f figures) parts(format string) (task, distillation segment) {
	write := func(x float64) string { return fmt.Sprintf(format, x) }
	return f.figure("task", "task_loss", write), f.figure("distillation", "distillation_loss", write)
}

func (f figures) rate() segment {
	return f.figure("lr", "learning_rate", func(x float64) string { return fmt.Sprintf("%.1e", x) })
}

func (f figures) norm() segment {
	return f.figure("grad_norm", "grad_norm", func(x float64) string {
		if x != 0 && math.Abs(x) < 0.01 {
			return fmt.Sprintf("%.1e", x)
		}
		return fmt.Sprintf("%.2f", x)
	})
}

func (f figures) speed(unit string) segment {
	return f.figure("", "tokens_per_second", func(x float64) string {
		if !(math.Abs(x) < 1e15) {
			return fmt.Sprintf("%.0f %s", x, unit)
		}
		return FormatCount(int64(math.Round(x))) + " " + unit
	})
}

// epoch is the running epoch, counted from one: the field epoch says how many are done, a fraction included.
func (f figures) epoch(epochs int) segment {
	return f.figure("epoch", "epoch", func(x float64) string {
		running := max(1, int(math.Ceil(x)))
		if epochs <= 0 {
			return strconv.Itoa(running)
		}
		return fmt.Sprintf("%d/%d", min(running, epochs), epochs)
	})
}

// of is done/total, or done alone where the total is unknown.
func of(done, total int64) string {
	if total <= 0 {
		return FormatCount(done)
	}
	return FormatCount(done) + "/" + FormatCount(total)
}

// ofShort is of without the commas.
func ofShort(done, total int64) string {
	if total <= 0 {
		return strconv.FormatInt(done, 10)
	}
	return fmt.Sprintf("%d/%d", done, total)
}

// eventLine is the log's line for an event other than train, "" for those that have none.
func eventLine(r Record, plan Plan) string {
	step := segment{"step", of(r.Step, plan.TotalSteps)}
	f := figures{}
	for _, field := range r.Fields {
		if x, ok := toFloat(field.Value); ok {
			f[field.Name] = x
		}
	}
	switch r.Event {
	case "eval":
		return joinSegments([]segment{step, f.figure("eval loss", "loss", func(x float64) string { return fmt.Sprintf("%.4f", x) }),
			f.figure("perplexity", "perplexity", shortFloat),
			f.figure("", "bits_per_byte", func(x float64) string { return fmt.Sprintf("%.3f bits/byte", x) }),
			f.took()}, false)
	case "save":
		return joinSegments([]segment{step, {"saved", r.text("path")},
			f.figure("", "bytes", func(x float64) string { return FormatBytes(int64(x)) }), f.took()}, false)
	case "epoch":
		task, distillation := f.parts("%.4f")
		return joinSegments([]segment{step, {f.epoch(plan.Epochs).text(), "done"}, f.loss("%.4f"), task, distillation,
			f.figure("", "tokens", func(x float64) string { return FormatCount(int64(x)) + " tokens" }), f.took()}, false)
	case "sample":
		return joinSegments([]segment{step, {"sample", sampleLine(r.text("prompt"), r.text("text"))}}, false)
	}
	return ""
}

// sampleLine is a sample in one line: with its prompt, line breaks as ↵, and nothing in it that a terminal would obey.
func sampleLine(prompt, text string) string {
	if !strings.HasPrefix(text, prompt) {
		text = prompt + text
	}
	text = strings.ReplaceAll(strings.TrimSpace(strings.ReplaceAll(text, "\r\n", "\n")), "\n", " ↵ ")
	text = strings.Map(func(r rune) rune {
		const zeroWidthNonJoiner, zeroWidthJoiner = 0x200c, 0x200d // parts of words, and of pictures
		switch {
		case unicode.IsSpace(r):
			return ' '
		case unicode.IsPrint(r), r == zeroWidthNonJoiner, r == zeroWidthJoiner:
			return r
		}
		return '\uFFFD'
	}, text)
	return strings.Join(strings.Fields(text), " ")
}

// took is how long the event took.
func (f figures) took() segment {
	return f.figure("", "seconds", func(x float64) string {
		return FormatDuration(time.Duration(x * float64(time.Second)))
	})
}

// shortFloat keeps four figures: 67.58, 51230, 3.1e+08.
func shortFloat(x float64) string {
	switch {
	case math.Abs(x) < 1000:
		return strconv.FormatFloat(x, 'g', 4, 64)
	case math.Abs(x) < 1e7:
		return FormatCount(int64(math.Round(x)))
	}
	return strconv.FormatFloat(x, 'e', 1, 64)
}
