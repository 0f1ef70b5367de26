package trainer

// What must not be lost when writing fails, and what must not grow.

import (
	"bytes"
	"context"
	"errors"
	"os"
	"path/filepath"
	"runtime"
	"runtime/pprof"
	"strings"
	"syscall"
	"testing"

	"frugal/torch"
	"frugal/trainer/checkpoint"
	"frugal/trainer/internal/vfs"
	"frugal/trainer/monitor"
)

// TestAFullDiskAtAnyWriteOfASaveLosesNothing fails each write, sync and creation of the second save in turn.
func TestAFullDiskAtAnyWriteOfASaveLosesNothing(t *testing.T) {
	settings := []string{"save_steps=2", "max_steps=4", "num_layers=1", "hidden_size=4", "intermediate_size=4", "max_checkpoints=2"}
	tried := 0
	for index := 0; ; index++ {
		o := smallRun(t, t.TempDir(), settings...)
		first := filepath.Join(o.Config.OutputDir, "model_step_2")
		count, fired := 0, false
		o.FS = vfs.Fault(vfs.OS, func(op vfs.Op) error {
			saving := strings.HasPrefix(op.Path, filepath.Join(o.Config.OutputDir, ".saving-"))
			writes := op.Kind == vfs.OpWrite || op.Kind == vfs.OpSync || op.Kind == vfs.OpCreate || op.Kind == vfs.OpMkdir
			if _, err := os.Stat(first); err != nil || !saving || !writes {
				return nil
			}
			count++
			if count-1 == index {
				fired = true
				return syscall.ENOSPC
			}
			return nil
		})
		err := Run(context.Background(), o)
		if !fired {
			if err != nil {
				t.Fatal(err)
			}
			break
		}
		tried++
		var output *OutputError
		if !errors.As(err, &output) || !errors.Is(err, syscall.ENOSPC) {
			t.Fatalf("write %d: error %v, want an OutputError with ENOSPC", index, err)
		}
		if strings.Contains(err.Error(), "\n") {
			t.Errorf("write %d: the error has several lines: %q", index, err)
		}
		c, passedOver, err := checkpoint.Newest(vfs.OS, o.Config.OutputDir, "model")
		if err != nil || len(passedOver) > 0 || c == nil {
			t.Fatalf("write %d: no checkpoint is left, passed over %v, error %v", index, passedOver, err)
		}
		if _, err := checkpoint.Load(vfs.OS, first); err != nil {
			t.Fatalf("write %d: the checkpoint from before: %v", index, err)
		}
		if torch.LiveTensors() != 0 {
			t.Fatalf("write %d: %d tensors are alive", index, torch.LiveTensors())
		}
	}
	if tried < 20 { // nine files, each created, written and synced
		t.Errorf("only %d writes failed", tried)
	}
}

// TestALongRunHoldsWhatItHolds: over 2,000 steps, evaluations and saves included, tensors, goroutines, descriptors and the
// library's threads stay as many as they were, and resident memory does not grow. Threads of Go's scheduler do not count: it adds
// one whenever a system call takes long, as a sync on a slow disk does, and keeps it for the next; a goroutine that held
// one for good would show among the goroutines.
func TestALongRunHoldsWhatItHolds(t *testing.T) {
	o := smallRun(t, t.TempDir(), "max_steps=2000", "gradient_accumulation_steps=1", "eval_steps=100", "save_steps=250", "logging_steps=10",
		"hidden_size=8", "intermediate_size=16", "num_layers=1", "monitoring.tensorboard=true")
	type holding struct {
		tensors, goroutines, descriptors, threads int64
		resident                                  int64
	}
	take := func() holding {
		runtime.GC()
		fds, err := os.ReadDir("/proc/self/fd")
		if err != nil {
			t.Skip("needs /proc: " + err.Error())
		}
		tasks, err := os.ReadDir("/proc/self/task")
		if err != nil {
			t.Skip("needs /proc: " + err.Error())
		}
		threads := len(tasks) - pprof.Lookup("threadcreate").Count()
		h := holding{torch.LiveTensors(), int64(runtime.NumGoroutine()), int64(len(fds)), int64(threads), 0}
		for _, f := range memoryFields(torch.CPU, monitor.NewSystemStats(vfs.OS)) {
			if f.Name == "resident_memory_bytes" {
				h.resident = f.Value.(int64)
			}
		}
		return h
	}
	var samples []holding
	thread := torch.StartThread()
	defer thread.Stop()
	err := torch.Call(thread, func() error {
		r := newRun(o)
		defer r.close()
		r.beforeUpdate = func(r *run) {
			if r.done.Step%200 == 150 {
				samples = append(samples, take())
			}
		}
		return r.run(context.Background())
	})
	if err != nil {
		t.Fatal(err)
	}
	base, last := samples[1], samples[len(samples)-1]
	t.Logf("at step 351: %+v; at the end: %+v", base, last)
	resident, was := last.resident, base.resident
	last.resident, base.resident = 0, 0
	if last.tensors != base.tensors || last.goroutines != base.goroutines || last.descriptors != base.descriptors {
		t.Errorf("grew from %+v to %+v", base, last)
	}
	if last.threads > base.threads+1 { // one: Go counts a thread shortly before the system does
		t.Errorf("threads of the library grew from %d to %d", base.threads, last.threads)
	}
	if grown := resident - was; grown > 8<<20 { // the heaps of Go and libc breathe by some MB
		t.Errorf("resident memory grew by %d bytes in 1,600 steps", grown)
	}
}

// TestALossThatIsNotFiniteIsNeverSaved lets the weights grow by 1 - 1000·1 a step: the error names the step at which they have
// gone, and what was saved is older.
func TestALossThatIsNotFiniteIsNeverSaved(t *testing.T) {
	o := smallRun(t, t.TempDir(), "learning_rate=1000", "weight_decay=1", "save_steps=1", "warmup_steps=3", "max_grad_norm=0", "lr_schedule=constant", "max_steps=50")
	err := Run(context.Background(), o)
	var notFinite *NotFiniteError
	if !errors.As(err, &notFinite) {
		t.Fatalf("error %v", err)
	}
	c, _, err := checkpoint.Newest(vfs.OS, o.Config.OutputDir, "model")
	if err != nil || c == nil || c.Step >= notFinite.Step {
		t.Fatalf("newest checkpoint %+v, error %v; the loss was lost at step %d", c, err, notFinite.Step)
	}
	weights, err := os.ReadFile(filepath.Join(c.Dir, "model.safetensors"))
	if err != nil || bytes.Contains(weights[len(weights)/2:], []byte{0, 0, 0xc0, 0x7f}) { // a NaN as fp32 arithmetic makes it
		t.Errorf("the checkpoint of step %d holds NaN, or cannot be read: %v", c.Step, err)
	}
}

func TestAnEvaluationThatIsNotFiniteEndsTheRun(t *testing.T) {
	o := smallRun(t, t.TempDir(), "learning_rate=1000", "weight_decay=1", "warmup_steps=3", "max_grad_norm=0", "lr_schedule=constant", "max_steps=200",
		"logging_steps=1000", "eval_steps=2")
	err := Run(context.Background(), o)
	var notFinite *NotFiniteError
	if !errors.As(err, &notFinite) || notFinite.Step == 200 || !strings.Contains(err.Error(), "evaluation") {
		t.Errorf("error %v", err)
	}
}

func TestOutOfMemoryIsAnErrorOfItsKind(t *testing.T) {
	o := smallRun(t, t.TempDir())
	inRun(t, o, func(r *run) {
		w, err := r.data.Window(0, 0)
		if err != nil {
			t.Fatal(err)
		}
		r.beforeUpdate = func(*run) { torch.Empty([]int64{1 << 60}, torch.Float32, torch.CPU) }
		err = r.step(w)
		var e *torch.Error
		if !errors.As(err, &e) || e.Kind != torch.OutOfMemory {
			t.Errorf("error %v", err)
		}
	})
}

// A run whose teacher, model or optimizer finds no memory, at whichever of their tensors, says so and leaves none behind.
func TestARunThatCannotBeginLeavesNothing(t *testing.T) {
	teacher := teacherOf(t)
	for name, settings := range map[string][]string{
		"plain":            nil,
		"offload in fp16":  {"precision=fp16", "cpu_offload=full"},
		"a cached teacher": distilled(teacher, "distillation.cache_top_k=4", "distillation.cache=CACHE"),
		"a teacher":        distilled(teacher, "precision=bf16"),
	} {
		t.Run(name, func(t *testing.T) {
			failures := 0
			for n := int64(1); n <= 40; n += 3 {
				dir := t.TempDir()
				set := append([]string{"max_steps=1"}, settings...)
				for i, s := range set {
					set[i] = strings.Replace(s, "=CACHE", "="+filepath.Join(dir, "teacher"), 1)
				}
				o := smallRun(t, dir, set...)
				torch.FailAllocation(n)
				err := Run(context.Background(), o)
				torch.FailAllocation(0)
				var e *torch.Error
				switch {
				case err == nil: // it was a step's
				case errors.As(err, &e) && e.Kind == torch.OutOfMemory:
					failures++
				default:
					t.Errorf("allocation %d: %v", n, err)
				}
				if alive := torch.LiveTensors(); alive != 0 {
					t.Fatalf("allocation %d: %d tensors are alive after %v", n, alive, err)
				}
			}
			if failures == 0 {
				t.Error("no allocation failed")
			}
		})
	}
}
