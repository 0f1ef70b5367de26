package trainer

import (
	"bytes"
	"context"
	"errors"
	"math"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"syscall"
	"testing"

	"github.com/google/go-cmp/cmp"

	"frugal/torch"
	"frugal/trainer/config"
	"frugal/trainer/internal/vfs"
	"frugal/trainer/monitor"
)

// teacherOf trains a teacher of the small model's corpus and tokenizer, wider than the student.
func teacherOf(t *testing.T, settings ...string) string {
	t.Helper()
	o := smallRun(t, t.TempDir(), append([]string{"hidden_size=24", "num_layers=1", "num_heads=3", "max_position_embeddings=40", "max_steps=12"}, settings...)...)
	mustRun(t, o)
	return filepath.Join(o.Config.OutputDir, "final_model")
}

// distilled are a student's settings.
func distilled(teacher string, more ...string) []string {
	return append([]string{"distillation.enabled=true", "distillation.teacher=" + teacher}, more...)
}

// TestDistilledResumeEqualsTheUndisturbedRun interrupts after every step: weights and everything logged are those of the run
// that was left alone, to the last bit, with the teacher in memory and from its cache.
func TestDistilledResumeEqualsTheUndisturbedRun(t *testing.T) {
	teacher := teacherOf(t)
	everything := []string{"dropout=0.1", "gradient_accumulation_steps=7", "gradient_checkpointing=true", "logging_steps=4", "eval_steps=5", "max_steps=11"}
	for name, settings := range map[string][]string{
		"exact in bf16":           append(slices.Clone(everything), "precision=bf16"),
		"cached in bf16":          append(slices.Clone(everything), "precision=bf16", "distillation.cache_top_k=8", "distillation.cache=CACHE"),
		"cached with padded rows": {"data.packing=false", "distillation.cache_top_k=300", "distillation.cache=CACHE", "max_steps=0", "num_epochs=2", "dropout=0.1", "logging_steps=2"},
		"exact with loss scaling": {"precision=fp16", "max_steps=5", "batch_size=1", "logging_steps=2", "dropout=0.1", "distillation.alpha=0.9", "distillation.temperature=4"},
		"the teacher alone":       {"distillation.alpha=1", "logging_steps=3", "max_steps=5"},
		"exact with padded rows":  {"data.packing=false", "distillation.alpha=0.25", "logging_steps=3", "max_steps=5"},
	} {
		t.Run(name, func(t *testing.T) {
			reference, _ := endsLikeTheUndisturbed(t, func(dir string) Options {
				set := distilled(teacher, settings...)
				for i, s := range set {
					set[i] = strings.Replace(s, "=CACHE", "="+filepath.Join(dir, "teacher"), 1)
				}
				return smallRun(t, dir, set...)
			})
			checkParts(t, reference)
		})
	}
}

// checkParts: every train and epoch event has the objective and both its parts, which make it.
func checkParts(t *testing.T, o Options) {
	t.Helper()
	alpha := o.Config.Distillation.Alpha
	for _, e := range append(events(t, o, "train"), events(t, o, "epoch")...) {
		loss, ok := e["loss"].(float64)
		task, hasTask := e["task_loss"].(float64)
		distillation, hasDistillation := e["distillation_loss"].(float64)
		if !ok || !hasTask || !hasDistillation || distillation <= 0 {
			t.Fatalf("event %v", e)
		}
		if want := alpha*distillation + (1-alpha)*task; math.Abs(loss-want) > 1e-9 {
			t.Errorf("step %v: loss %v, of its parts %v", e["step"], loss, want)
		}
	}
}

// With alpha 0 the teacher is not even looked for, and nothing at all is different from plain training.
func TestAlphaZeroIsPlainTraining(t *testing.T) {
	settings := []string{"dropout=0.1", "precision=bf16", "eval_steps=4"}
	plain := smallRun(t, t.TempDir(), settings...)
	mustRun(t, plain)
	o := smallRun(t, t.TempDir(), append(settings, distilled("/no/such/teacher", "distillation.alpha=0")...)...)
	var log strings.Builder
	o.Stderr = &log
	o.Config.Monitoring.Progress = "plain"
	mustRun(t, o)
	if !strings.Contains(log.String(), "the teacher is not loaded") {
		t.Errorf("the log does not say so:\n%s", log.String())
	}
	isTheSame(t, plain, o)
}

// Accumulation equals the big batch, also where micro-batches are padded and of unequal numbers of targets.
func TestDistilledAccumulationEqualsTheBigBatch(t *testing.T) {
	teacher := teacherOf(t)
	var results [2][]float64
	for i, batches := range [][]string{{"batch_size=6", "gradient_accumulation_steps=1"}, {"batch_size=1", "gradient_accumulation_steps=6"}} {
		o := smallRun(t, t.TempDir(), distilled(teacher, append(batches, "data.packing=false", "max_steps=6")...)...)
		mustRun(t, o)
		results[i] = losses(t, o)
	}
	for i, want := range results[0] {
		if d := math.Abs(results[1][i]/want - 1); d > 1e-5 {
			t.Errorf("step %d: losses %v and %v", i+1, want, results[1][i])
		}
	}
}

// What is kept of everything is, but for its 16 bits, the exact loss; of less it is less, and every loss of both is finite.
func TestTheCacheFollowsTheExactLoss(t *testing.T) {
	teacher := teacherOf(t)
	run := func(settings ...string) []map[string]any {
		dir := t.TempDir()
		for i, s := range settings {
			settings[i] = strings.Replace(s, "=CACHE", "="+filepath.Join(dir, "teacher"), 1)
		}
		o := smallRun(t, dir, distilled(teacher, settings...)...)
		mustRun(t, o)
		return events(t, o, "train")
	}
	exact := run("data.packing=false")
	for k, tolerance := range map[string]float64{"257": 1e-4, "60": 0.05} {
		cached := run("data.packing=false", "distillation.cache=CACHE", "distillation.cache_top_k="+k)
		for i, e := range exact {
			want, got := e["loss"].(float64), cached[i]["loss"].(float64)
			if d := math.Abs(got/want - 1); d > tolerance {
				t.Errorf("top %s, step %d: loss %v, exactly %v", k, i+1, got, want)
			}
		}
	}
}

// A finished cache needs no teacher; another temperature, k or text is not in it.
func TestACacheOutlivesItsTeacher(t *testing.T) {
	teacher := teacherOf(t)
	dir := t.TempDir()
	answers := filepath.Join(t.TempDir(), "answers")
	first := smallRun(t, dir, distilled(teacher, "distillation.cache="+answers, "max_steps=3")...)
	mustRun(t, first)
	want := finalWeights(t, first)
	gone := teacher + ".gone"
	if err := os.Rename(teacher, gone); err != nil {
		t.Fatal(err)
	}
	second := smallRun(t, t.TempDir(), distilled(teacher, "distillation.cache="+answers, "max_steps=3")...)
	mustRun(t, second)
	if !bytes.Equal(want, finalWeights(t, second)) {
		t.Error("with the teacher gone the same cache gives other weights")
	}
	mustRun(t, smallRun(t, dir, distilled(teacher, "distillation.cache="+answers, "max_steps=5")...)) // the checkpoint knows the teacher by the cache
	for _, other := range []string{"distillation.temperature=3", "distillation.cache_top_k=5", "max_position_embeddings=30"} {
		err := Run(context.Background(), smallRun(t, t.TempDir(), distilled(teacher, "distillation.cache="+answers, other)...))
		wantProblem(t, err, "distillation.cache", "there is no teacher")
	}
	files, err := filepath.Glob(filepath.Join(answers, "*.cache"))
	if err != nil || len(files) != 1 {
		t.Fatal(files, err)
	}
	damage(t, files[0])
	err = Run(context.Background(), smallRun(t, t.TempDir(), distilled(teacher, "distillation.cache="+answers)...))
	wantProblem(t, err, "distillation.cache", "damaged")

	if err := os.Rename(gone, teacher); err != nil {
		t.Fatal(err)
	}
	var log strings.Builder
	mended := smallRun(t, t.TempDir(), distilled(teacher, "distillation.cache="+answers, "max_steps=3")...)
	mended.Stderr = &log
	mended.Config.Monitoring.Progress = "plain"
	mustRun(t, mended)
	if !strings.Contains(log.String(), "its checksum does not match; it is made again") {
		t.Errorf("the log does not say what was wrong:\n%s", log.String())
	}
	if !bytes.Equal(want, finalWeights(t, mended)) {
		t.Error("the mended cache gives other weights")
	}
}

// damage turns a bit of a file's last bytes.
func damage(t *testing.T, path string) {
	t.Helper()
	b, err := os.ReadFile(path)
	if err != nil {
		t.Fatal(err)
	}
	b[len(b)-9] ^= 4
	if err := os.WriteFile(path, b, 0o666); err != nil {
		t.Fatal(err)
	}
}

// wantProblem: an error of the configuration, in one line that names the key and says what.
func wantProblem(t *testing.T, err error, key, what string) {
	t.Helper()
	var e *config.Error
	if !errors.As(err, &e) || !strings.Contains(err.Error(), key) || !strings.Contains(err.Error(), what) || strings.Contains(err.Error(), "\n") {
		t.Errorf("error %v, want a line with %q and %q", err, key, what)
	}
	if n := torch.LiveTensors(); n != 0 {
		t.Errorf("%d tensors are alive after the error", n)
	}
}

func TestATeacherThatDoesNotFitIsRefused(t *testing.T) {
	teacher := teacherOf(t)
	bytesTeacher := filepath.Join(teacher, "tokenizer.json")
	empty := t.TempDir()
	broken := t.TempDir()
	for _, name := range []string{"config.json", "tokenizer.json", "tokenizer_config.json"} {
		text, err := os.ReadFile(filepath.Join(teacher, name))
		if err != nil {
			t.Fatal(err)
		}
		if err := os.WriteFile(filepath.Join(broken, name), text, 0o666); err != nil {
			t.Fatal(err)
		}
	}
	weights, err := os.ReadFile(filepath.Join(teacher, "model.safetensors"))
	if err != nil {
		t.Fatal(err)
	}
	copy(weights[len(weights)-4:], "\xff\xff\xff\xff") // NaN
	if err := os.WriteFile(filepath.Join(broken, "model.safetensors"), weights, 0o666); err != nil {
		t.Fatal(err)
	}
	for name, c := range map[string]struct {
		teacher  string
		settings []string
		what     string
	}{
		"no directory":    {"/no/such/teacher", nil, "/no/such/teacher: no such directory"},
		"not a model":     {empty, nil, "no model to learn from: " + empty},
		"damaged weights": {broken, nil, "not finite"},
		"tokenizer":       {teacher, []string{"tokenizer.type=gpt2", "vocab_size=50257"}, "set tokenizer.path to " + bytesTeacher},
		"rows":            {teacher, []string{"vocab_size=300"}, "set vocab_size to 257"},
		"positions":       {teacher, []string{"max_position_embeddings=41"}, "at most 40"},
	} {
		t.Run(name, func(t *testing.T) {
			err := Run(context.Background(), smallRun(t, t.TempDir(), distilled(c.teacher, c.settings...)...))
			wantProblem(t, err, "distillation.teacher", c.what)
		})
	}
}

// Another teacher is refused at a resume; none, or one where there was none, is a change that is logged.
func TestTheTeacherMayComeAndGoAtAResumeButNotChange(t *testing.T) {
	first, second := teacherOf(t), teacherOf(t, "seed=7")
	dir := t.TempDir()
	run := func(steps string, settings ...string) (string, Options, error) {
		o := smallRun(t, dir, append(settings, "max_steps="+steps, "lr_schedule=constant", "logging_steps=4")...)
		var log strings.Builder
		o.Stderr = &log
		o.Config.Monitoring.Progress = "plain"
		err := Run(context.Background(), o)
		return log.String(), o, err
	}
	if _, _, err := run("2", distilled(first)...); err != nil {
		t.Fatal(err)
	}
	if _, _, err := run("4", distilled(second)...); err == nil || !strings.Contains(err.Error(), "its teacher is another than the configuration's") {
		t.Errorf("error %v", err)
	}
	log, _, err := run("4")
	if err != nil || !strings.Contains(log, "distillation.enabled: true → false") {
		t.Errorf("error %v, log:\n%s", err, log)
	}
	log, o, err := run("6", distilled(second, "distillation.alpha=0.9")...)
	if err != nil || !strings.Contains(log, "distillation.enabled: false → true") {
		t.Errorf("error %v, log:\n%s", err, log)
	}
	last := events(t, o, "train")
	if e := last[len(last)-1]; e["task_loss"] == nil || e["distillation_loss"] == nil {
		t.Errorf("event %v", e)
	}
}

// An interval in which distillation began or ended has means over the targets that each loss was computed for.
func TestPendingLossesOfAnotherKindAreSettled(t *testing.T) {
	teacher := teacherOf(t)
	dir := t.TempDir()
	settings := []string{"logging_steps=100", "lr_schedule=constant", "batch_size=2"}
	if err := runOneStep(smallRun(t, dir, append(settings, "max_steps=2")...)); err == nil {
		t.Fatal("it was not interrupted")
	}
	o := smallRun(t, dir, distilled(teacher, append(settings, "max_steps=2")...)...)
	mustRun(t, o)
	plain := smallRun(t, t.TempDir(), append(settings, "max_steps=1")...)
	mustRun(t, plain)
	exact := smallRun(t, t.TempDir(), distilled(teacher, append(settings, "max_steps=2", "distillation.alpha=1", "logging_steps=1")...)...)
	mustRun(t, exact)
	e := events(t, o, "train")[0]
	one := losses(t, plain)[0]
	task, distillation, loss := e["task_loss"].(float64), e["distillation_loss"].(float64), e["loss"].(float64)
	second := 2*task - one // windows are of one size here
	if want := (one + 0.5*second + 0.5*distillation) / 2; math.Abs(loss-want) > 1e-9 {
		t.Errorf("loss %v, want %v", loss, want)
	}
	// The first update has rate 0: the second window meets the same weights in both runs.
	if want := events(t, exact, "train")[1]["distillation_loss"].(float64); math.Abs(distillation-want) > 1e-9 {
		t.Errorf("distillation loss %v, want %v", distillation, want)
	}
}

// A cache that does not fit on the disk ends with what exit code 5 stands for; with space the same run goes on from there.
func TestACacheOnAFullDisk(t *testing.T) {
	teacher := teacherOf(t)
	dir := t.TempDir()
	at := func() Options {
		return smallRun(t, dir, distilled(teacher, "distillation.cache="+filepath.Join(dir, "answers"), "distillation.cache_top_k=257", "max_steps=2")...)
	}
	o := at()
	o.FS = fullFor{vfs.OS, "answers", vfs.DiskFull(vfs.OS, 100_000)}
	err := Run(context.Background(), o)
	var output *OutputError
	if !errors.As(err, &output) || !errors.Is(err, syscall.ENOSPC) || !strings.Contains(err.Error(), "distillation.cache") {
		t.Fatalf("error %v", err)
	}
	if n := torch.LiveTensors(); n != 0 {
		t.Errorf("%d tensors are alive after the error", n)
	}
	mustRun(t, at())
}

// fullFor is a disk that is full for files whose path has a word in it.
type fullFor struct {
	vfs.FS
	word string
	full vfs.FS
}

func (f fullFor) Create(name string) (vfs.File, error) {
	if strings.Contains(name, f.word) {
		return f.full.Create(name)
	}
	return f.FS.Create(name)
}

// With loss scaling a window that is skipped for an overflow leaves its three losses out together.
func TestSkippedWindowsLeaveAllLossesOut(t *testing.T) {
	teacher := teacherOf(t)
	o := smallRun(t, t.TempDir(), distilled(teacher, "precision=fp16")...)
	inRun(t, o, func(r *run) {
		inf := torch.Full(nil, math.Inf(1), torch.Float64, torch.CPU)
		one, two := torch.Full(nil, 1, torch.Float64, torch.CPU), torch.Full(nil, 2, torch.Float64, torch.CPU)
		r.countLosses(windowLosses{one, inf}, 10, torch.Full(nil, 1, torch.Float32, torch.CPU))()
		r.countLosses(windowLosses{one, two}, 10, torch.Full(nil, 0, torch.Float32, torch.CPU))()
		r.done.PendingTargets = 20
		if err := r.read(); err != nil {
			t.Fatal(err)
		}
		want := tally{Loss: 1.5, Targets: 10, Task: 1, Distillation: 2, Distilled: 10}
		if r.done.Interval != want {
			t.Errorf("tally %+v, want %+v", r.done.Interval, want)
		}
		if d := cmp.Diff([]monitor.Field{{Name: "loss", Value: 0.15}, {Name: "task_loss", Value: 0.1}, {Name: "distillation_loss", Value: 0.2}}, want.fields()); d != "" {
			t.Error(d)
		}
	})
}

// -dry-run leaves nothing behind, times a distilled step, and says what memory the teacher and what disk its cache take.
func TestDryRunPlansTheTeacher(t *testing.T) {
	teacher := teacherOf(t)
	dir := t.TempDir()
	answers := filepath.Join(dir, "answers")
	for _, c := range []struct {
		settings []string
		want     []string
	}{
		{nil, []string{"memory: teacher's weights", "memory: teacher's part of a batch", "a step"}},
		{[]string{"distillation.cache=" + answers, "distillation.cache_top_k=8"}, []string{"memory: teacher's probabilities", "would be made first, with the teacher alone in memory", "a step"}},
	} {
		var out bytes.Buffer
		if err := DryRun(context.Background(), smallRun(t, dir, distilled(teacher, c.settings...)...), &out); err != nil {
			t.Fatal(err)
		}
		for _, want := range c.want {
			if !strings.Contains(out.String(), want) {
				t.Errorf("%q is missing:\n%s", want, out.String())
			}
		}
		if n := torch.LiveTensors(); n != 0 {
			t.Errorf("%d tensors are alive", n)
		}
	}
	if _, err := os.Stat(answers); err == nil {
		t.Error("a dry run made the cache's directory")
	}
}

// A run that has ended needs its teacher no more.
func TestACompleteRunNeedsNoTeacher(t *testing.T) {
	teacher := teacherOf(t)
	dir := t.TempDir()
	mustRun(t, smallRun(t, dir, distilled(teacher, "max_steps=2")...))
	if err := os.Rename(teacher, teacher+".gone"); err != nil {
		t.Fatal(err)
	}
	mustRun(t, smallRun(t, dir, distilled(teacher, "max_steps=2")...))
	err := Run(context.Background(), smallRun(t, dir, distilled(teacher, "max_steps=3")...))
	wantProblem(t, err, "distillation.teacher", "no such directory")
}

func TestATeacherInTheRunsOwnOutputIsRefused(t *testing.T) {
	dir := t.TempDir()
	o := smallRun(t, dir, "max_steps=2")
	mustRun(t, o)
	err := Run(context.Background(), smallRun(t, dir, distilled(filepath.Join(o.Config.OutputDir, "final_model"), "max_steps=3")...))
	wantProblem(t, err, "distillation.teacher", "this run's own output_dir")
}

// A cache that was made again in another precision gives other weights, which the log says.
func TestACacheThatWasMadeAnewIsSaidAtAResume(t *testing.T) {
	teacher := teacherOf(t)
	dir, answers := t.TempDir(), filepath.Join(t.TempDir(), "answers")
	mustRun(t, smallRun(t, dir, distilled(teacher, "distillation.cache="+answers, "precision=fp32", "max_steps=2")...))
	resumed := func(settings ...string) string {
		var log strings.Builder
		o := smallRun(t, dir, distilled(teacher, append(settings, "distillation.cache="+answers, "precision=fp32")...)...)
		o.Stderr, o.Config.Monitoring.Progress = &log, "plain"
		mustRun(t, o)
		return log.String()
	}
	const said = "distillation.cache holds something else than at the checkpoint"
	if log := resumed("max_steps=3"); strings.Contains(log, said) || !strings.Contains(log, "computed in fp32") {
		t.Errorf("the same cache:\n%s", log)
	}
	if err := os.RemoveAll(answers); err != nil {
		t.Fatal(err)
	}
	mustRun(t, smallRun(t, t.TempDir(), distilled(teacher, "distillation.cache="+answers, "precision=bf16", "max_steps=2")...))
	if log := resumed("max_steps=4"); !strings.Contains(log, said) || !strings.Contains(log, "computed in bf16") {
		t.Errorf("another cache:\n%s", log)
	}
}

func TestACacheThatIsNoDirectoryIsRefused(t *testing.T) {
	file := filepath.Join(t.TempDir(), "file")
	if err := os.WriteFile(file, []byte("x"), 0o666); err != nil {
		t.Fatal(err)
	}
	err := Run(context.Background(), smallRun(t, t.TempDir(), distilled(teacherOf(t), "distillation.cache="+file)...))
	wantProblem(t, err, "distillation.cache", "want a directory")
}

// Whoever cuts the cache short while a run reads it ends the run with an error, not the process.
func TestACacheThatIsCutShortInUseIsAnError(t *testing.T) {
	answers := filepath.Join(t.TempDir(), "answers")
	o := smallRun(t, t.TempDir(), distilled(teacherOf(t), "distillation.cache="+answers, "max_steps=6")...)
	inRun(t, o, func(r *run) {
		w, err := r.window(0, nil)
		if err != nil {
			t.Fatal(err)
		}
		files, err := filepath.Glob(filepath.Join(answers, "*.cache"))
		if err != nil || len(files) != 1 {
			t.Fatal(files, err)
		}
		if err := os.Truncate(files[0], 0); err != nil {
			t.Fatal(err)
		}
		if err := r.step(w); !errors.Is(err, vfs.ErrCutShort) {
			t.Errorf("%v", err)
		}
	})
}
