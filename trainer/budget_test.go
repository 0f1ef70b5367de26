package trainer

import (
	"context"
	"errors"
	"fmt"
	"math"
	"path/filepath"
	"strconv"
	"strings"
	"testing"

	"frugal/torch"
	"frugal/trainer/config"
)

// The order of candidates: by the time of a token, checkpointing included, and no offload before any.
func TestCandidatesComeInTheOrderOfTheirSpeed(t *testing.T) {
	for _, test := range []struct {
		name   string
		o      choices
		length int64
		want   string
	}{
		{"long rows: one without checkpointing is faster than any with it", choices{effective: 8, rows: 4}, 1024, "4 2 1 4c 2c 1c"},
		{"rows of 64 tokens: a row at a time is slower than many with checkpointing", choices{effective: 32, rows: 4}, 64,
			"32 16 8 4 2 32c 16c 8c 4c 1 2c 1c"},
		{"one row that is more than enough", choices{effective: 6, rows: 1}, 4096, "1 1c"},
		{"the configured one where all are alike", choices{effective: 6, rows: 6}, 4096, "6 1 2 3 6c 1c 2c 3c"},
		{"nothing that memory did not suffice for", choices{effective: 8, rows: 4, most: 2}, 1024, "2 1 2c 1c"},
	} {
		t.Run(test.name, func(t *testing.T) {
			test.o.divide, test.o.checkpointing, test.o.offload = true, []bool{false, true}, []config.Offload{config.OffloadOff, config.OffloadOptimizer}
			var got []string
			for i, c := range test.o.candidates(test.length, false) {
				text := fmt.Sprint(c.rows)
				if c.checkpointing {
					text += "c"
				}
				if first := i < len(strings.Fields(test.want)); first != (c.offload == config.OffloadOff) {
					t.Errorf("candidate %d has cpu_offload %s", i, c.offload)
				} else if first {
					got = append(got, text)
				}
			}
			if strings.Join(got, " ") != test.want {
				t.Errorf("got %s, want %s", strings.Join(got, " "), test.want)
			}
		})
	}
}

func TestTheSearchTakesTheFirstThatFits(t *testing.T) {
	all := choices{effective: 8, rows: 4, divide: true, checkpointing: []bool{false, true}, offload: offloadLevels}.candidates(1024, false)
	plan := func(c candidate) planned {
		p := planned{candidate: c, activity: activity{name: "training"}}
		if p.memoryPlan[partWeights], p.memoryPlan[partActivations] = 10, 10*c.rows; c.checkpointing {
			p.memoryPlan[partActivations] = 2 * c.rows
		}
		return p
	}
	for budget, want := range map[int64]string{1000: "4 false after none", 49: "2 false after 4", 20: "1 false after 2", 19: "4 true after 1", 13: "1 true after 2"} {
		found, before, ok := search(all, budget, plan)
		after := "none"
		if before != nil {
			after = fmt.Sprint(before.rows)
		}
		if got := fmt.Sprintf("%d %v after %s", found.rows, found.checkpointing, after); got != want || !ok {
			t.Errorf("budget %d: %s, want %s", budget, got, want)
		}
	}
	if found, _, ok := search(all, 11, plan); ok || found.sum() != 12 {
		t.Errorf("nothing fits in 11: got %v of %d", found.candidate, found.sum())
	}
}

// cardRun is a run on a card that there need not be, as far as the choice looks at it.
func cardRun(t *testing.T, free int64, settings ...string) *run {
	t.Helper()
	card := func(string) (float64, bool, string) { return 7.8, true, "" }
	c, _, err := config.Load(config.LoadOptions{Set: append([]string{"vocab_size=50257"}, settings...), CardMemoryGB: card})
	if err != nil {
		t.Fatal(err)
	}
	return &run{config: c, device: torch.CUDA(0), precision: torch.Float16, freeMemory: func() (int64, error) { return free, nil }}
}

// With preset auto the card's free memory is the budget, for the keys that nobody set.
func TestPresetAutoFillsTheCard(t *testing.T) {
	for _, test := range []struct {
		name     string
		free     int64
		settings []string
		want     string // batch_size, accumulation, checkpointing
	}{
		{"8gb preset, all free", 7700 << 20, nil, "16 1 false"},
		{"a gigabyte and a half left", 1500 << 20, nil, "8 2 true"},
		{"batch_size is set", 7700 << 20, []string{"batch_size=2"}, "2 4 false"},
		{"checkpointing is set", 7700 << 20, []string{"gradient_checkpointing=true"}, "16 1 true"},
		{"too little for anything goes on with the smallest", 300 << 20, nil, "1 16 true"},
	} {
		t.Run(test.name, func(t *testing.T) {
			r := cardRun(t, test.free, append([]string{"preset=auto"}, test.settings...)...)
			b, err := r.memoryBudget()
			if err != nil || b.asked || b.bytes <= 0 || b.bytes > test.free*9/10 {
				t.Fatalf("budget %+v of %d, %v", b, test.free, err)
			}
			if err := r.choose(b, workload{evaluates: true}, progress{}); err != nil {
				t.Fatal(err)
			}
			t.Log(r.fitted)
			if got := fmt.Sprint(r.config.BatchSize, r.config.GradientAccumulationSteps, r.config.GradientCheckpointing); got != test.want {
				t.Errorf("got %s, want %s: %s", got, test.want, r.fitted)
			}
		})
	}
	for name, settings := range map[string][]string{"no preset": {"batch_size=2"}, "0 is set": {"preset=auto", "memory_budget_gb=0"}, "another preset": {"preset=8gb"}} {
		if b, err := cardRun(t, 7<<30, settings...).memoryBudget(); err != nil || b.bytes != 0 {
			t.Errorf("%s: budget %+v, %v", name, b, err)
		}
	}
	r := cardRun(t, 7<<30, "preset=auto")
	r.device = torch.CPU
	if b, err := r.memoryBudget(); err != nil || b.bytes != 0 {
		t.Errorf("on a CPU: budget %+v, %v", b, err)
	}
}

// A budget that is asked for decides keys that are set, too; micro-batches that memory once did not suffice for are
// not tried.
func TestABudgetThatIsAskedForDecides(t *testing.T) {
	r := cardRun(t, 0, "preset=8gb", "batch_size=8", "gradient_accumulation_steps=2", "gradient_checkpointing=true", "memory_budget_gb=6")
	b, err := r.memoryBudget()
	if err != nil || !b.asked || b.bytes != 6<<30 {
		t.Fatalf("%+v, %v", b, err)
	}
	if err := r.choose(b, workload{}, progress{MicroBatchRows: 3}); err != nil {
		t.Fatal(err)
	}
	if got := fmt.Sprint(r.config.BatchSize, r.config.GradientAccumulationSteps, r.config.GradientCheckpointing); got != "2 8 false" {
		t.Error(got, r.fitted)
	}
}

// Whatever is chosen, the largest of all plans is within the budget and what is counted is, too; the losses are those of the run that
// has memory enough, and a resume with another budget goes on with the same windows.
func TestARunFitsItsBudget(t *testing.T) {
	settings := []string{"hidden_size=64", "intermediate_size=256", "max_position_embeddings=64", "batch_size=8", "gradient_accumulation_steps=1", "precision=fp32",
		"gradient_checkpointing=false", "max_steps=6", "save_steps=3", "eval_steps=3", "monitoring.sample_steps=3", "monitoring.prompts=[a]"}
	free := smallRun(t, t.TempDir(), settings...)
	torch.ResetPeakMemory(torch.CPU)
	mustRun(t, free)
	dir := t.TempDir()
	for i, mib := range []float64{6, 4} {
		o := smallRun(t, dir, append(settings, fmt.Sprint("max_steps=", 3+3*i), fmt.Sprint("memory_budget_gb=", mib/1024))...)
		var log strings.Builder
		o.Stderr, o.Config.Monitoring.Progress = &log, "plain"
		torch.ResetPeakMemory(torch.CPU)
		mustRun(t, o)
		m, err := torch.MemoryStats(torch.CPU)
		if err != nil {
			t.Fatal(err)
		}
		if budget := int64(mib * (1 << 20)); m.AllocatedPeak > budget+32<<10 {
			t.Errorf("%d bytes at the peak, %d are the budget", m.AllocatedPeak, budget)
		}
		if o.Config.EffectiveBatchSize() != 8 || o.Config.BatchSize == 8 || !strings.Contains(log.String(), "memory_budget_gb ") {
			t.Errorf("%d × %d; log:\n%s", o.Config.BatchSize, o.Config.GradientAccumulationSteps, log.String())
		}
		t.Log(o.Config.BatchSize, o.Config.GradientAccumulationSteps, o.Config.GradientCheckpointing, m.AllocatedPeak)
	}
	a, b := losses(t, free), losses(t, smallRun(t, dir, settings...))
	if len(a) != 6 || len(b) != 6 {
		t.Fatalf("%d and %d losses", len(a), len(b))
	}
	for i := range a {
		if d := math.Abs(a[i]/b[i] - 1); !(d < 1e-6) {
			t.Errorf("step %d: loss %v, with a budget %v", i+1, a[i], b[i])
		}
	}
}

// On a CPU an offload would only move tensors from what is counted to what is not, in the same memory: a budget leaves it as it is. The
// budget is what would suffice for the device's part of cpu_offload true alone.
func TestABudgetOnACPUDoesNotChooseAnOffload(t *testing.T) {
	settings := []string{"hidden_size=64", "intermediate_size=256", "batch_size=1", "gradient_accumulation_steps=1"}
	var offloaded float64
	inRun(t, smallRun(t, t.TempDir(), append(settings, "cpu_offload=true", "gradient_checkpointing=true")...), func(r *run) {
		offloaded = float64(largest(r.plans()).sum()) / (1 << 30)
	})
	var e *config.Error
	if err := Run(context.Background(), smallRun(t, t.TempDir(), append(settings, fmt.Sprint("memory_budget_gb=", offloaded))...)); !errors.As(err, &e) {
		t.Errorf("%v, want that nothing fits", err)
	}
	mustRun(t, smallRun(t, t.TempDir(), append(settings, "max_steps=1", "cpu_offload=true", fmt.Sprint("memory_budget_gb=", offloaded))...))
}

// A budget of less than a byte is one, not none; and the number that a message names is enough.
func TestTheNumberOfABudget(t *testing.T) {
	for gb, want := range map[string]int64{"0": 0, "1e-10": 1, "0.5": 1 << 29, "1e6": 1e6 << 30} {
		if b, err := cardRun(t, 0, "memory_budget_gb="+gb).memoryBudget(); err != nil || b.bytes != want {
			t.Errorf("%s: %+v, %v, want %d bytes", gb, b, err, want)
		}
	}
	for _, bytes := range []int64{1, 66_400_000, 12_344_400_000 * 1074 / 1000, 1_234_567_890_123} {
		b, err := cardRun(t, 0, "memory_budget_gb="+gibibytes(bytes)).memoryBudget()
		if err != nil || b.bytes < bytes || b.bytes > bytes+1<<21 {
			t.Errorf("%d bytes are %s, of which %d come back, %v", bytes, gibibytes(bytes), b.bytes, err)
		}
	}
}

func TestABudgetThatNothingFitsIsABadConfiguration(t *testing.T) {
	o := smallRun(t, t.TempDir(), "memory_budget_gb=0.0001")
	var e *config.Error
	if err := Run(context.Background(), o); !errors.As(err, &e) || len(e.Problems) != 1 || e.Problems[0].Key != "memory_budget_gb" ||
		!strings.Contains(err.Error(), "the smallest plan needs 0.001: ") || !strings.Contains(err.Error(), "the largest part") || strings.Contains(err.Error(), "\n") {
		t.Error(err)
	}
}

// A run's peak may lie before its first step: when the teacher is loaded, and when it fills its cache. With a budget of exactly the largest
// plan, what is counted from start to end is that, but for scalars and what oneDNN works in (see TestThePlansBesideTheStep). With a smaller
// one the teacher is asked about fewer rows at once, and where the cache is there no teacher has to fit.
func TestABudgetKnowsWhatATeacherTakesBeforeTheFirstStep(t *testing.T) {
	teacher := teacherOf(t, "hidden_size=256", "num_layers=2", "num_heads=4", "intermediate_size=1024", "max_position_embeddings=64", "max_steps=1")
	for _, precision := range []string{"fp32", "bf16"} {
		t.Run(precision, func(t *testing.T) {
			settings := append(distilled(teacher), "max_position_embeddings=64", "precision="+precision, "batch_size=32", "gradient_accumulation_steps=1", "attention=flash",
				"gradient_checkpointing=true", "hidden_size=8", "num_layers=1", "intermediate_size=16")
			var loading, filling, fillingFewer int64
			inRun(t, smallRun(t, t.TempDir(), settings...), func(r *run) {
				s := r.stepShape()
				s.filler, s.teacher, s.topK = s.teacher, nil, 4
				loading, filling, fillingFewer = s.loading(*s.filler).sum(), s.filling(32).sum(), s.filling(12).sum()
				if rows := s.fillingRows(fillingFewer); rows != 8 {
					t.Errorf("%d rows at once in what 12 take, want 8", rows)
				}
			})
			inBudget := func(dir string, budget, atLeast int64, more ...string) {
				t.Helper()
				o := smallRun(t, dir, append(settings, append(more, "memory_budget_gb="+strconv.FormatFloat(float64(budget)/(1<<30), 'g', -1, 64))...)...)
				torch.ResetPeakMemory(torch.CPU)
				mustRun(t, o)
				m, err := torch.MemoryStats(torch.CPU)
				if err != nil || m.AllocatedPeak > budget+80<<10 || m.AllocatedPeak < atLeast {
					t.Errorf("%d bytes at the peak, the budget is %d, planned are %d, %v", m.AllocatedPeak, budget, atLeast, err)
				}
			}
			if precision == "bf16" { // in fp32 a step takes more than the loading
				inBudget(t.TempDir(), loading, loading, "max_steps=1")
			}
			dir := t.TempDir()
			cached := []string{"distillation.cache=" + filepath.Join(dir, "answers"), "distillation.cache_top_k=4"}
			inBudget(dir, max(loading, filling), max(loading, filling), append(cached, "max_steps=1")...)
			inBudget(dir, loading/2, 0, append(cached, "max_steps=2")...)
			dir = t.TempDir()
			inBudget(dir, max(loading, fillingFewer), loading, "distillation.cache="+filepath.Join(dir, "answers"), "distillation.cache_top_k=4", "max_steps=1")
		})
	}
}

// A model that measures a curriculum's texts has to fit as well: alone, in fp32, before the student is there. A passage's tokens are fewer
// than planned where tokens have several bytes, or texts are short, as here.
func TestABudgetKnowsTheModelThatMeasures(t *testing.T) {
	model := teacherOf(t, "hidden_size=256", "num_layers=2", "num_heads=4", "intermediate_size=1024", "max_position_embeddings=64", "max_steps=1")
	settings := []string{"curriculum.difficulty=auto", "curriculum.measure=model", "curriculum.model=" + model, "max_steps=1"}
	var p activity
	inRun(t, staged(t, t.TempDir(), settings...), func(r *run) { p = largest(r.plans()) })
	if p.name != measuringTexts {
		t.Fatalf("the most is planned for %s", p.name)
	}
	within := func(bytes int64) error {
		torch.ResetPeakMemory(torch.CPU)
		return Run(context.Background(), staged(t, t.TempDir(), append(settings, "memory_budget_gb="+strconv.FormatFloat(float64(bytes)/(1<<30), 'g', -1, 64))...))
	}
	if err := within(p.sum()); err != nil {
		t.Fatal(err)
	}
	if m, err := torch.MemoryStats(torch.CPU); err != nil || m.AllocatedPeak > p.sum() || m.AllocatedPeak < p.memoryPlan[partWeights] {
		t.Errorf("%d bytes at the peak, planned %d, %v", m.AllocatedPeak, p.sum(), err)
	}
	if err := within(p.sum() - 1); err == nil || !strings.Contains(err.Error(), "the peak of "+measuringTexts) || !strings.Contains(err.Error(), "a smaller curriculum.model") {
		t.Errorf("with a byte less: %v", err)
	}
}

// A teacher's weights count, with a cache while it is filled.
func TestABudgetKnowsTheTeacher(t *testing.T) {
	teacher := teacherOf(t, "hidden_size=64", "num_layers=2", "num_heads=2", "intermediate_size=256", "max_steps=1")
	for _, cache := range []bool{false, true} {
		dir := t.TempDir()
		settings, when := append(distilled(teacher), "memory_budget_gb=0.0001"), "training"
		if cache {
			settings, when = append(settings, "distillation.cache="+filepath.Join(dir, "answers")), "filling the cache"
		}
		err := Run(context.Background(), smallRun(t, dir, settings...))
		if err == nil || !strings.Contains(err.Error(), "the peak of "+when+" ") || !strings.Contains(err.Error(), "the largest part being teacher's weights") ||
			!strings.Contains(err.Error(), "a smaller teacher") {
			t.Errorf("cache %v: %v", cache, err)
		}
	}
}
