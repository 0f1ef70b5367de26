package trainer

import (
	"context"
	"errors"
	"fmt"
	"math"
	"path/filepath"
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

func TestABudgetThatNothingFitsIsABadConfiguration(t *testing.T) {
	o := smallRun(t, t.TempDir(), "memory_budget_gb=0.0001")
	var e *config.Error
	if err := Run(context.Background(), o); !errors.As(err, &e) || len(e.Problems) != 1 || e.Problems[0].Key != "memory_budget_gb" ||
		!strings.Contains(err.Error(), "the smallest plan needs 0.001: ") || !strings.Contains(err.Error(), "the largest part") || strings.Contains(err.Error(), "\n") {
		t.Error(err)
	}
}

// A teacher's weights and its pass count.
func TestABudgetKnowsTheTeacher(t *testing.T) {
	teacher := teacherOf(t, "hidden_size=64", "num_layers=2", "num_heads=2", "intermediate_size=256", "max_steps=1")
	for _, cache := range []bool{false, true} {
		dir := t.TempDir()
		settings := append(distilled(teacher), "memory_budget_gb=0.0001")
		want := "teacher's weights"
		if cache {
			settings, want = append(settings, "distillation.cache="+filepath.Join(dir, "answers")), "head"
		}
		err := Run(context.Background(), smallRun(t, dir, settings...))
		if err == nil || strings.Contains(err.Error(), "teacher's weights") == cache {
			t.Errorf("cache %v: want %s in %v", cache, want, err)
		}
	}
}
