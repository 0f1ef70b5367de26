package monitor

import (
	"bytes"
	"os"
	"strings"
	"sync"
	"testing"
	"time"
	"unicode/utf8"

	"frugal/trainer/internal/vfs"
)

// training starts a run of 600 steps on the terminal and brings it to step 252, a second a step.
func training(t *testing.T, screen *terminal, mode string) (*Progress, *Console, *clock) {
	console, clock := screen.console(mode)
	progress := NewProgress(console, SetupLog(console, nil))
	t.Cleanup(func() { progress.Close() })
	progress.log.SetFormatter(&consoleFormatter{})
	progress.Start(Plan{TotalSteps: 600, Epochs: 3})
	for step := int64(1); step <= 252; step++ {
		clock.advance(500 * time.Millisecond)
		progress.Step(step)
		if step%10 == 0 {
			progress.Write(trainRecord(step))
		}
	}
	console.redraw()
	return progress, console, clock
}

func TestBarAtEachWidth(t *testing.T) {
	leaksNothing(t)
	for columns, want := range map[int]string{
		200: "  42% █████████████████████░░░░░░░░░░░░░░░░░░░░░░░░░░░░░  step 252/600  epoch 2/3  loss 3.4121  lr 4.2e-04  grad_norm 0.91  8,120 tokens/s  2m54s left",
		120: "  42% ███████░░░░░░░░░░░░  step 252/600  epoch 2/3  loss 3.4121  lr 4.2e-04  grad_norm 0.91  8,120 tokens/s  2m54s left",
		100: "  42% ██████░░░░░░░░░  step 252/600  epoch 2/3  loss 3.4121  lr 4.2e-04  8,120 tokens/s  2m54s left",
		80:  "  42% ███░░░░░░  252/600  epoch 2/3  loss 3.412  lr 4.2e-04  8,120 tok/s  2m54s",
		60:  "  42% █████░░░░░░░░░  252/600  epoch 2/3  loss 3.412  2m54s",
		40:  "  42% ██░░░  252/600  loss 3.412  2m54s",
		20:  "252/600",
		5:   "252/",
		1:   "",
	} {
		screen := newTerminal(columns)
		progress, _, _ := training(t, screen, modeBar)
		got := screen.screen()
		if got != want {
			t.Errorf("%d columns: got\n%s\nwant\n%s", columns, got, want)
		}
		if utf8.RuneCountInString(got) > columns-1 {
			t.Errorf("%d columns: %d cells would wrap", columns, utf8.RuneCountInString(got))
		}
		progress.Close()
	}
}

// A run that learns from a teacher as well shows both losses at every width that has room for them.
func TestBarOfADistilledRun(t *testing.T) {
	leaksNothing(t)
	for columns, want := range map[int]string{
		150: "  42% ██████░░░░░░░░░  step 252/600  epoch 2/3  loss 3.4121  task 4.1000  distillation 2.7242  lr 4.2e-04  grad_norm 0.91  8,120 tokens/s  2m54s left",
		100: "  42% █████░░░░░░░  252/600  loss 3.4121  task 4.1000  distillation 2.7242  8,120 tok/s  2m54s left",
		80:  "  42% █████░░░░░░░░  252/600  loss 3.412  task 4.100  distillation 2.724  2m54s",
		40:  "  42% ██░░░  252/600  loss 3.412  2m54s",
	} {
		screen := newTerminal(columns)
		progress, console, _ := training(t, screen, modeBar)
		r := trainRecord(252)
		r.Fields = append(r.Fields, Field{"task_loss", 4.1}, Field{"distillation_loss", 2.7242})
		progress.Write(r)
		console.redraw()
		if got := screen.screen(); got != want {
			t.Errorf("%d columns: got\n%s\nwant\n%s", columns, got, want)
		}
		progress.Close()
	}
	r := Record{Event: "epoch", Step: 9, Fields: []Field{{"epoch", 1}, {"loss", 1.5}, {"task_loss", 2.0}, {"distillation_loss", 1.0}, {"tokens", 1000}, {"seconds", 2.0}}}
	if got, want := eventLine(r, Plan{TotalSteps: 18, Epochs: 2}), "step 9/18  epoch 1/2 done  loss 1.5000  task 2.0000  distillation 1.0000  1,000 tokens  2.0s"; got != want {
		t.Errorf("got %q, want %q", got, want)
	}
}

// A curriculum's mix stands in the plain line by name, in a narrower bar as percents; beside what was planned, what was drawn.
func TestTheMixOfACurriculumIsShown(t *testing.T) {
	leaksNothing(t)
	for columns, want := range map[int]string{
		200: "grad_norm 0.91  mix histórias 67% artigos 33%, drawn 70/30  8,120 tokens/s",
		125: "lr 4.2e-04  mix 67/33/0, drawn 70/30/0  8,120 tokens/s",
		115: "lr 4.2e-04  mix 67/33/0  8,120 tokens/s",
		80:  "lr 4.2e-04  8,120 tok/s",
	} {
		screen := newTerminal(columns)
		progress, console, _ := training(t, screen, modeBar)
		r := trainRecord(252)
		r.Fields = append(r.Fields, Field{"curriculum_weights", []Field{{"histórias", 2. / 3}, {"artigos", 1. / 3}, {"prosa", 0.001}}},
			Field{"curriculum_drawn", []Field{{"histórias", int64(28)}, {"artigos", int64(12)}, {"prosa", int64(0)}}})
		progress.Write(r)
		console.redraw()
		if got := screen.screen(); !strings.Contains(got, want) {
			t.Errorf("%d columns: %s, want %s", columns, got, want)
		}
		progress.Close()
	}
}

func TestTheMixNamesAFewStages(t *testing.T) {
	weights := []Field{{"a", .3}, {"b", .3}, {"c", 0.}, {"d", .2}, {"a name longer than twenty cells", .2}}
	for name, test := range map[string]struct {
		weights, drawn      []Field
		long, middle, short string
	}{
		"many":          {weights, []Field{{"a", 3}, {"b", 5}, {"c", 0}, {"d", 1}, {"e", 1}}, "mix a 30% b 30% d 20% …, drawn 30/50/10/…", "mix 30/30/0/20/20, drawn 30/50/0/10/10", "mix 30/30/0/20/20"},
		"a long name":   {weights[4:], []Field{{"a", 9}}, "mix a name longer than … 100%, drawn 100", "mix 100, drawn 100", "mix 100"},
		"drawn before":  {[]Field{{"a", 0.}, {"b", 1.}}, []Field{{"a", 1}, {"b", 3}}, "mix a 0% b 100%, drawn 25/75", "mix 0/100, drawn 25/75", "mix 0/100"},
		"nothing drawn": {weights[:2], []Field{{"a", 0}, {"b", 0}}, "mix a 50% b 50%", "mix 50/50", "mix 50/50"},
		"no curriculum": {nil, nil, "", "", ""},
	} {
		m := mixOf(Record{Fields: []Field{{"curriculum_weights", test.weights}, {"curriculum_drawn", test.drawn}}})
		if m.long.text() != test.long || m.middle.text() != test.middle || m.short.text() != test.short {
			t.Errorf("%s: %q, %q, %q", name, m.long.text(), m.middle.text(), m.short.text())
		}
	}
}

func TestBarWithoutUnicodeOrWithColour(t *testing.T) {
	segments := []layout{{[]segment{{"loss", "3.4"}, {"", "x"}, {}}, 10}}
	for want, got := range map[string]string{
		"   0% ....................  loss 3.4  x":                              fit(segments, 1, 600, 40, false, false),
		"  50% =========>..........  loss 3.4  x":                              fit(segments, 300, 600, 40, false, false),
		" 100% ====================  loss 3.4  x":                              fit(segments, 600, 600, 40, false, false),
		" 100% ████████████████████  loss 3.4  x":                              fit(segments, 700, 600, 40, false, true),
		"  50% \x1b[32m██████████░░░░░░░░░░\x1b[0m  \x1b[2mloss\x1b[0m 3.4  x": fit(segments, 300, 600, 40, true, true),
		"loss 3.4  x": fit(segments, 300, 0, 40, false, true),
	} {
		if got != want {
			t.Errorf("got  %q\nwant %q", got, want)
		}
	}
}

func TestLogLinesStandAboveTheBar(t *testing.T) {
	leaksNothing(t)
	screen := newTerminal(80)
	progress, console, clock := training(t, screen, modeBar)
	log := progress.log.WithTime(at)
	log.Info("a line")
	progress.Write(Record{Event: "eval", Step: 252, Fields: []Field{{"loss", 4.2134}, {"perplexity", 67.58}, {"bits_per_byte", 2.311}, {"seconds", 1.3}}})
	log.Warn(strings.Repeat("a line longer than the terminal is wide ", 3) + "\nof two lines")
	clock.advance(500 * time.Millisecond)
	progress.Step(253)
	console.redraw()
	progress.Close()
	log.Info("after the end")
	lines := strings.Split(screen.screen(), "\n")
	for i, prefix := range []string{"15:04:05 a line", "", "15:04:05 warning: a line longer", " terminal is wide a line", "of two lines", "  42% ███", "15:04:05 after the end"} {
		if i >= len(lines) || !strings.HasPrefix(lines[i], prefix) {
			t.Fatalf("line %d is not %q:\n%s", i, prefix, screen.screen())
		}
	}
	if want := "step 252/600  eval loss 4.2134  perplexity 67.58  2.311 bits/byte  1.3s"; lines[1][len("15:04:05 "):] != want {
		t.Errorf("got %s, want %s", lines[1], want)
	}
	if !strings.Contains(lines[5], "253/600") || len(lines) != 7 {
		t.Errorf("the bar was not left where it stopped:\n%s", screen.screen())
	}
}

// One phase begins while another, on its way out, waits for its refreshing goroutine to end: here the test is that goroutine.
func TestAPhaseThatEndsDoesNotTakeTheNextOneAlong(t *testing.T) {
	leaksNothing(t)
	console, _ := newTerminal(80).console(modeBar)
	first, next := &phase{name: "first", total: 2}, &phase{name: "next", total: 2}
	stop, done := make(chan struct{}), make(chan struct{})
	console.live, console.stop, console.done = first, stop, done
	var group sync.WaitGroup
	group.Go(func() { console.hide(first, false) })
	<-stop
	group.Go(func() { console.show(next) })
	time.Sleep(20 * time.Millisecond) // for show to go as far as it can
	close(done)
	group.Wait()
	if console.live != next {
		t.Error("the next phase is not shown")
	}
	console.hide(nil, false)
}

func TestResizeLeavesNoDebris(t *testing.T) {
	leaksNothing(t)
	screen := newTerminal(200)
	progress, console, _ := training(t, screen, modeBar)
	progress.log.WithTime(at).Info("above")
	for _, columns := range []int{80, 30, 200, 12, 79, 78, 160} {
		screen.resize(columns)
		if columns == 30 {
			progress.log.WithTime(at).Info("between") // written before the bar was drawn anew
		}
		console.redraw()
		lines := strings.Split(screen.screen(), "\n")
		last := lines[len(lines)-1]
		if utf8.RuneCountInString(last) >= columns || !strings.Contains(last, "252/600") || strings.Count(screen.screen(), "252/600") != 1 {
			t.Fatalf("%d columns:\n%s", columns, screen.screen())
		}
	}
	progress.Close()
	lines := strings.Split(screen.screen(), "\n")
	if len(lines) != 3 || lines[0] != "15:04:05 above" || lines[1] != "15:04:05 between" {
		t.Errorf("got\n%s", screen.screen())
	}
}

func TestPlainLinesAndTheFileSayTheSame(t *testing.T) {
	for _, test := range []struct {
		mode, console string
	}{
		{modePlain, "step 120/600  epoch 1/3  loss 3.4121  lr 4.2e-04  grad_norm 0.91  8,120 tokens/s  4m00s left\n" +
			"step 120/600  eval loss 4.0000\nstep 120/600  saved output/model_step_120  11.8 MB  0.4s\n" +
			"step 120/600  epoch 1/3 done  loss 3.9000  819,200 tokens  1m41s\nstep 120/600  sample Era ↵ uma\n"},
		{modeOff, "step 120/600  eval loss 4.0000\nstep 120/600  saved output/model_step_120  11.8 MB  0.4s\n" +
			"step 120/600  epoch 1/3 done  loss 3.9000  819,200 tokens  1m41s\nstep 120/600  sample Era ↵ uma\n"},
	} {
		disk := vfs.NewMem()
		screen := newTerminal(200)
		console, clock := screen.console(test.mode)
		progress := NewProgress(console, SetupLog(console, openLog(t, disk)))
		progress.Start(Plan{FirstStep: 100, TotalSteps: 600, Epochs: 3})
		for step := int64(101); step <= 120; step++ {
			progress.Step(step)
			if step < 120 {
				clock.advance(500 * time.Millisecond)
			}
		}
		for _, r := range []Record{
			trainRecord(120),
			{Event: "eval", Step: 120, Fields: []Field{{"loss", 4.0}}},
			{Event: "save", Step: 120, Fields: []Field{{"path", "output/model_step_120"}, {"bytes", 12345678}, {"seconds", 0.42}}},
			{Event: "epoch", Step: 120, Fields: []Field{{"epoch", 1.0}, {"loss", 3.9}, {"tokens", 819200}, {"seconds", 101}}},
			{Event: "sample", Step: 120, Fields: []Field{{"text", "Era\numa"}}},
			{Event: "run", Step: 120, Fields: []Field{{"status", "started"}}},
		} {
			if err := progress.Write(r); err != nil {
				t.Fatal(err)
			}
		}
		progress.Close()
		if got := strings.Join(removeTimes(screen.screen()+"\n"), "\n") + "\n"; got != test.console {
			t.Errorf("%s: got\n%swant\n%s", test.mode, got, test.console)
		}
		if got := read(t, disk, "train.log"); strings.Count(got, "\n") != 5 || !strings.Contains(got, "INFO    step 120/600  epoch 1/3  loss 3.4121") {
			t.Errorf("%s: train.log\n%s", test.mode, got)
		}
	}
}

func TestTrainRecordsAloneMoveTheBar(t *testing.T) {
	screen := newTerminal(200)
	console, clock := screen.console(modePlain)
	progress := NewProgress(console, SetupLog(console, nil)) // neither Start nor Step
	progress.Write(trainRecord(10))
	clock.advance(10 * time.Second)
	progress.Write(Record{Event: "train", Step: 20})
	if got := removeTimes(screen.screen() + "\n")[1]; got != "step 20" {
		t.Errorf("got %q", got)
	}
}

func TestPhaseBarGoesAndLongPhasesLeaveALine(t *testing.T) {
	leaksNothing(t)
	screen := newTerminal(80)
	console, clock := screen.console(modeBar)
	progress := NewProgress(console, SetupLog(console, nil))
	update, finish := progress.Phase("tokenising", 1000)
	for done := int64(0); done <= 250; done += 50 {
		clock.advance(time.Second)
		update(done)
	}
	console.redraw()
	want := "  25% ████████████░░░░░░░░░░░░░░░░░░░░░░░░░░░░░░░░░░░░░░  tokenising  15s left"
	if got := screen.screen(); got != want {
		t.Errorf("got\n%s\nwant\n%s", got, want)
	}
	finish()
	finish() // harmless
	if got := removeTimes(screen.screen() + "\n"); len(got) != 1 || got[0] != "tokenising took 6.0s" {
		t.Errorf("got %q", got)
	}
	update, finish = progress.Phase("counting", 0)
	update(12345)
	console.redraw()
	if got := screen.screen(); !strings.HasSuffix(got, "\ncounting  12,345") {
		t.Errorf("got\n%s", got)
	}
	finish()
	if got := screen.screen(); strings.Contains(got, "counting") {
		t.Errorf("a short phase left\n%s", got)
	}
}

func TestTrainingTakesThePlaceOfAPhase(t *testing.T) {
	leaksNothing(t)
	screen := newTerminal(80)
	console, clock := screen.console(modeBar)
	progress := NewProgress(console, SetupLog(console, nil))
	_, finish := progress.Phase("first", 10)
	progress.Report("second", 1, 10)
	clock.advance(3 * time.Second)
	progress.Start(Plan{TotalSteps: 600}) // ends what was reported
	finish()                              // late: must not take the bar away
	progress.Step(300)
	console.redraw()
	lines := removeTimes(screen.screen() + "\n")
	if len(lines) != 3 || lines[0] != "second took 3.0s" || lines[1] != "first took 3.0s" || !strings.Contains(screen.screen(), "step 300/600") {
		t.Errorf("got\n%s", screen.screen())
	}
	progress.Close()

	_, _ = progress.Phase("broken off", 10)
	progress.Close()
	if strings.Contains(screen.screen(), "broken off") {
		t.Errorf("Close left\n%s", screen.screen())
	}
}

func TestPhaseWithoutATerminalIsALineEveryTenSeconds(t *testing.T) {
	screen := newTerminal(80)
	console, clock := screen.console(modePlain)
	progress := NewProgress(console, SetupLog(console, nil))
	for done := int64(0); done <= 1000; done += 25 {
		progress.Report("tokenising", done, 1000)
		clock.advance(time.Second)
	}
	progress.Report("counting", 0, 10) // ended by the next name
	clock.advance(3 * time.Second)
	progress.Report("sorting", 10, 10)
	want := []string{"tokenising  25%  30s left", "tokenising  50%  20s left", "tokenising  75%  10s left", "tokenising  100%",
		"tokenising took 40s", "counting took 3.0s"}
	if got := removeTimes(screen.screen() + "\n"); strings.Join(got, "|") != strings.Join(want, "|") {
		t.Errorf("got\n%s\nwant\n%s", strings.Join(got, "\n"), strings.Join(want, "\n"))
	}
}

func TestConsoleModes(t *testing.T) {
	var pipe bytes.Buffer
	for mode, want := range map[string]string{"auto": modePlain, "bar": modeBar, "plain": modePlain, "off": modeOff} {
		console, err := NewConsole(&pipe, mode)
		if err != nil || console.mode != want || console.color || console.columns() != 80 {
			t.Errorf("%s: %+v, %v", mode, console, err)
		}
	}
	if _, err := NewConsole(&pipe, "on"); err == nil || err.Error() != `monitoring.progress: "on" is none of auto, bar, plain, off` {
		t.Errorf("got %v", err)
	}
	file, err := os.Create(t.TempDir() + "/stderr")
	if err != nil {
		t.Fatal(err)
	}
	defer file.Close()
	if console, _ := NewConsole(file, "auto"); console.mode != modePlain {
		t.Error("a file was taken for a terminal")
	}
}

func TestBlockCharactersUnlessTheLocaleSaysOtherwise(t *testing.T) {
	for _, test := range []struct {
		all, lang string
		want      bool
	}{{"", "", true}, {"", "pt_BR.UTF-8", true}, {"", "C.utf8", true}, {"", "C", false}, {"POSIX", "pt_BR.UTF-8", false},
		{"pt_BR.ISO-8859-1", "", false}} {
		t.Setenv("LC_ALL", test.all)
		t.Setenv("LC_CTYPE", "")
		t.Setenv("LANG", test.lang)
		if got := unicodeLocale(); got != test.want {
			t.Errorf("LC_ALL=%s LANG=%s: %v", test.all, test.lang, got)
		}
	}
}
