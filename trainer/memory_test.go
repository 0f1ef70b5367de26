package trainer

// Running out of memory: a step is repeated with smaller micro-batches, and nothing else changes.

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"math"
	"strings"
	"testing"

	"frugal/torch"
	"frugal/trainer/data"
)

// TestAStepSurvivesAFailureAtEachAllocation lets each allocation of a step fail once. What comes out is, to the last bit, what smaller
// micro-batches give from the start, and within rounding what the undisturbed step gives: in bf16 each micro-batch's gradient is rounded
// to 8 bits, and the moments hold its square.
func TestAStepSurvivesAFailureAtEachAllocation(t *testing.T) {
	for name, settings := range map[string][]string{"fp32": {"precision=fp32"}, "fp16": {"precision=fp16"},
		"checkpointing in bf16": {"precision=bf16", "gradient_checkpointing=true"},
		"full offload in bf16":  {"precision=bf16", "gradient_checkpointing=true", "cpu_offload=full"}} {
		t.Run(name, func(t *testing.T) {
			o := smallRun(t, t.TempDir(), append(settings, "batch_size=3", "gradient_accumulation_steps=2", "warmup_steps=0", "num_layers=1")...)
			inRun(t, o, func(r *run) {
				w, err := r.data.Window(0, 0)
				if err != nil {
					t.Fatal(err)
				}
				if err := r.step(w); err != nil { // the buffers that a run keeps are there from now on
					t.Fatal(err)
				}
				start := snapshot(r)
				if err := r.step(w); err != nil {
					t.Fatal(err)
				}
				undisturbed := snapshot(r)
				start.restore(r)
				r.done.MicroBatchRows = 2
				if err := r.step(w); err != nil {
					t.Fatal(err)
				}
				want := snapshot(r)
				what, d := undisturbed.differs(want)
				if allowed := map[torch.DType]float64{torch.Float32: 1e-6, torch.Float16: 2e-3, torch.BFloat16: 1e-2}[r.precision]; !(d <= allowed) {
					t.Errorf("with smaller micro-batches %s is off by %.2g, want at most %g", what, d, allowed)
				}
				failures := 0
				for n := int64(1); ; n++ {
					start.restore(r)
					torch.FailAllocation(n)
					err := r.step(w)
					torch.FailAllocation(0)
					if err != nil {
						t.Fatalf("allocation %d: %v", n, err)
					}
					if r.done.MicroBatchRows == 0 { // the step has no so many
						break
					}
					failures++
					if r.done.MicroBatchRows != 2 {
						t.Fatalf("allocation %d: micro-batches of %d rows, want 2", n, r.done.MicroBatchRows)
					}
					if what, d := want.differs(snapshot(r)); d != 0 {
						t.Fatalf("allocation %d: %s is off by %.2g", n, what, d)
					}
				}
				if t.Logf("%d allocations", failures); failures < 50 {
					t.Errorf("only %d allocations failed", failures)
				}
			})
		})
	}
}

// The first step makes what a run keeps, with an offload in two places: one that fails at any of it does the whole of it again.
func TestAFirstStepSurvivesAFailureAtEachAllocation(t *testing.T) {
	for name, settings := range map[string][]string{"bf16": {"precision=bf16"}, "offload in bf16": {"precision=bf16", "cpu_offload=true"},
		"full offload in fp16": {"precision=fp16", "cpu_offload=full"}, "full offload in fp32": {"precision=fp32", "cpu_offload=full"}} {
		t.Run(name, func(t *testing.T) {
			dir := t.TempDir()
			firstStep := func(rows int, failing int64) (s state) {
				inRun(t, smallRun(t, dir, append(settings, "batch_size=3", "warmup_steps=0", "num_layers=1")...), func(r *run) {
					w, err := r.data.Window(0, 0)
					if err != nil {
						t.Fatal(err)
					}
					r.done.MicroBatchRows = rows
					torch.FailAllocation(failing)
					err = r.step(w)
					torch.FailAllocation(0)
					if err != nil {
						t.Fatalf("allocation %d: %v", failing, err)
					}
					s = snapshot(r)
				})
				return s
			}
			want := firstStep(2, 0)
			for n := int64(1); n <= 20; n++ { // the buffers are the first of them
				got := firstStep(0, n)
				if got.done.MicroBatchRows != 2 {
					t.Fatalf("allocation %d: micro-batches of %d rows, want 2", n, got.done.MicroBatchRows)
				}
				if what, d := want.differs(got); d != 0 {
					t.Fatalf("allocation %d: %s is off by %.2g", n, what, d)
				}
			}
		})
	}
}

// state is a run's: the tensors of a checkpoint and its weights, and where it stands.
type state struct {
	tensors map[string][]float32
	done    progress
}

func all(r *run) map[string]*torch.Tensor {
	tensors := r.stateTensors()
	tensors["weights"] = r.model.Weights()
	return tensors
}

func snapshot(r *run) state {
	scope := torch.OpenScope()
	defer scope.Close()
	s := state{map[string][]float32{}, r.done}
	for name, t := range all(r) {
		s.tensors[name] = t.To(torch.Float32, torch.CPU).Float32s()
	}
	return s
}

func (s state) restore(r *run) {
	scope := torch.OpenScope()
	defer scope.Close()
	for name, t := range all(r) {
		t.Copy_(torch.FromFloat32s(s.tensors[name], t.Shape(), torch.CPU))
	}
	r.model.Changed()
	r.done = s.done
}

// differs names the tensor whose difference is the largest, relative to its norm; weights by what an update changes at most.
func (s state) differs(o state) (what string, largest float64) {
	for name, a := range s.tensors {
		var difference, norm float64
		for i, v := range a {
			difference += math.Pow(float64(v)-float64(o.tensors[name][i]), 2)
			norm += math.Pow(float64(v), 2)
		}
		if d := math.Sqrt(difference / max(norm, 1e-30)); d > largest || math.IsNaN(d) {
			what, largest = name, d
		}
	}
	return what, largest
}

// TestOneRowThatDoesNotFitIsAnError: at one row at a time there is nothing left to halve.
func TestOneRowThatDoesNotFitIsAnError(t *testing.T) {
	inRun(t, smallRun(t, t.TempDir(), "batch_size=4"), func(r *run) {
		w, err := r.data.Window(0, 0)
		if err != nil {
			t.Fatal(err)
		}
		if err := r.step(w); err != nil {
			t.Fatal(err)
		}
		m, err := torch.MemoryStats(torch.CPU)
		if err != nil {
			t.Fatal(err)
		}
		if err := torch.SetMemoryLimit(torch.CPU, m.Allocated+64); err != nil {
			t.Fatal(err)
		}
		defer torch.SetMemoryLimit(torch.CPU, 0)
		err = r.step(w)
		var e *torch.Error
		if !errors.As(err, &e) || e.Kind != torch.OutOfMemory || r.done.MicroBatchRows != 1 {
			t.Errorf("error %v at %d rows, want one of memory at one row", err, r.done.MicroBatchRows)
		}
	})
}

// A resumed run keeps the micro-batches, and its losses are those of the run that had enough memory.
func TestSmallerMicroBatchesOutliveTheRun(t *testing.T) {
	settings := []string{"batch_size=4", "gradient_accumulation_steps=1", "precision=fp32", "max_steps=6", "save_steps=3", "logging_steps=1"}
	want := smallRun(t, t.TempDir(), settings...)
	if err := Run(context.Background(), want); err != nil {
		t.Fatal(err)
	}
	o := smallRun(t, t.TempDir(), append(settings, "max_steps=3")...)
	thread := torch.StartThread()
	defer thread.Stop()
	err := torch.Call(thread, func() error {
		r := newRun(o)
		defer r.close()
		r.beforeUpdate = func(r *run) {
			if r.done.Step == 1 && r.done.MicroBatchRows == 0 {
				torch.FailAllocation(1)
			}
		}
		return r.run(context.Background())
	})
	if err != nil {
		t.Fatal(err)
	}
	var log bytes.Buffer
	o.Config.MaxSteps, o.Stderr = 6, &log
	err = torch.Call(thread, func() error {
		r := newRun(o)
		defer r.close()
		r.beforeUpdate = func(r *run) {
			if r.done.MicroBatchRows != 2 {
				t.Errorf("step %d: micro-batches of %d rows after the resume, want 2", r.done.Step, r.done.MicroBatchRows)
			}
		}
		return r.run(context.Background())
	})
	if err != nil {
		t.Fatal(err)
	}
	if said := "memory ran out before the checkpoint: at most 2 of the 4 rows"; !strings.Contains(log.String(), said) {
		t.Errorf("the resume does not say %q:\n%s", said, log.String())
	}
	o.Config.MaxSteps, o.Config.BatchSize, o.Config.GradientAccumulationSteps = 7, 1, 4 // somebody divides the batch otherwise
	err = torch.Call(thread, func() error {
		r := newRun(o)
		defer r.close()
		r.beforeUpdate = func(r *run) {
			if r.done.MicroBatchRows != 0 {
				t.Errorf("micro-batches of %d rows after batch_size was changed, want as it says", r.done.MicroBatchRows)
			}
		}
		return r.run(context.Background())
	})
	if err != nil {
		t.Fatal(err)
	}
	a, b := losses(t, want), losses(t, o)
	if len(a) != 6 || len(b) != 7 {
		t.Fatalf("%d and %d losses, want 6 and 7", len(a), len(b))
	}
	for i := range a {
		if d := math.Abs(a[i]/b[i] - 1); !(d < 1e-6) {
			t.Errorf("step %d: loss %v, undisturbed %v", i+1, b[i], a[i])
		}
	}
}

func TestSplitDividesRowsAndTargets(t *testing.T) {
	b := data.Batch{Rows: 3, Length: 2, InputIDs: []int64{1, 2, 3, 4, 5, 6}, Lengths: []int32{2, 1, 2}, Numbers: []int{7, 8, 9}, Targets: 2}
	parts := b.Split(2)
	if got := fmt.Sprint(parts); got != "[{2 2 [1 2 3 4] [2 1] [7 8] 1 0} {1 2 [5 6] [2] [9] 1 0}]" {
		t.Error(got)
	}
}

// An evaluation that runs out of memory, at whichever allocation, begins again with fewer rows, and its result is theirs to the bit.
func TestAnEvaluationSurvivesAFailureAtEachAllocation(t *testing.T) {
	o := smallRun(t, t.TempDir(), "batch_size=4", "data.eval_fraction=0.1")
	inRun(t, o, func(r *run) {
		rows := r.evaluationRows()
		if rows < 4 {
			t.Fatalf("%d rows at once", rows)
		}
		want, err := r.evaluateBy((rows + 1) / 2)
		if err != nil {
			t.Fatal(err)
		}
		for n := int64(1); ; n++ {
			r.evaluationLimit = 0
			torch.FailAllocation(n)
			e, err := r.evaluate()
			torch.FailAllocation(0)
			if err != nil {
				t.Fatalf("allocation %d: %v", n, err)
			}
			if r.evaluationLimit == 0 { // the evaluation has no so many
				if n < 50 {
					t.Errorf("only %d allocations failed", n-1)
				}
				break
			}
			if e.Loss != want.Loss || e.Targets != want.Targets || e.BitsPerByte != want.BitsPerByte || r.evaluationLimit != (rows+1)/2 {
				t.Fatalf("allocation %d: %v with %d rows at once, want %v", n, e, r.evaluationLimit, want)
			}
		}
	})
}
