package trainer

import (
	"bytes"
	"context"
	"errors"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"

	"frugal/torch"
)

// TestResumeEqualsTheUndisturbedRun interrupts a run after each of its steps; the final weights and everything logged are
// those of the run that was left alone, to the last bit.
func TestResumeEqualsTheUndisturbedRun(t *testing.T) {
	for name, settings := range map[string][]string{
		"unfinished epoch":       {"dropout=0.1", "gradient_accumulation_steps=7", "max_steps=15", "logging_steps=4", "eval_steps=5"},
		"padded rows":            {"gradient_checkpointing=true", "data.packing=false", "max_steps=0", "num_epochs=3", "dropout=0.1", "logging_steps=2"},
		"bf16":                   {"precision=bf16", "dropout=0.1", "max_steps=7", "logging_steps=3"},
		"fp16 with loss scaling": {"precision=fp16", "max_steps=5", "batch_size=1", "logging_steps=2", "dropout=0.1"},
	} {
		t.Run(name, func(t *testing.T) {
			endsLikeTheUndisturbed(t, func(dir string) Options { return smallRun(t, dir, settings...) })
		})
	}
}

// endsLikeTheUndisturbed interrupts a run after every step until it ends: weights and everything logged are those of a run that was
// left alone, to the last bit. at makes the same run in a directory; both are returned.
func endsLikeTheUndisturbed(t *testing.T, at func(dir string) Options) (undisturbed, interrupted Options) {
	t.Helper()
	undisturbed, interrupted = at(t.TempDir()), at(t.TempDir())
	mustRun(t, undisturbed)
	sessions := 0
	for ; ; sessions++ {
		var stop *Interrupted
		err := runOneStep(interrupted)
		if err == nil {
			break
		}
		if !errors.As(err, &stop) {
			t.Fatal(err)
		}
		if sessions > 100 {
			t.Fatal("the run does not come to its end")
		}
	}
	if sessions < 3 {
		t.Fatalf("interrupted %d times only", sessions)
	}
	isTheSame(t, undisturbed, interrupted)
	return undisturbed, interrupted
}

// isTheSame compares everything that two runs logged, and their final weights.
func isTheSame(t *testing.T, want, got Options) {
	t.Helper()
	for _, event := range []string{"train", "eval", "epoch"} {
		if d := cmp.Diff(events(t, want, event), events(t, got, event)); d != "" {
			t.Errorf("%s events differ (-want +got):\n%s", event, d)
		}
	}
	if !bytes.Equal(finalWeights(t, want), finalWeights(t, got)) {
		t.Error("the final weights differ")
	}
}

// TestCheckpointingChangesNoBit: choices of memory and time only.
func TestCheckpointingChangesNoBit(t *testing.T) {
	plain := smallRun(t, t.TempDir(), "dropout=0.1")
	mustRun(t, plain)
	recomputed := smallRun(t, t.TempDir(), "dropout=0.1", "gradient_checkpointing=true")
	mustRun(t, recomputed)
	if d := cmp.Diff(losses(t, plain), losses(t, recomputed)); d != "" {
		t.Errorf("losses differ:\n%s", d)
	}
	if !bytes.Equal(finalWeights(t, plain), finalWeights(t, recomputed)) {
		t.Error("the final weights differ")
	}
}

func TestACompleteRunStaysAsItIsAndGoesOnWithMoreSteps(t *testing.T) {
	dir := t.TempDir()
	o := smallRun(t, dir, "lr_schedule=constant")
	mustRun(t, o)
	before := finalWeights(t, o)
	mustRun(t, smallRun(t, dir, "lr_schedule=constant"))
	if !bytes.Equal(before, finalWeights(t, o)) {
		t.Error("a second run of a complete one changed the model")
	}
	mustRun(t, smallRun(t, dir, "lr_schedule=constant", "max_steps=12"))
	longer := smallRun(t, t.TempDir(), "lr_schedule=constant", "max_steps=12")
	mustRun(t, longer)
	if !bytes.Equal(finalWeights(t, o), finalWeights(t, longer)) {
		t.Error("8 steps and 4 more are not 12 steps")
	}
}

func TestResumeRefusesOtherDataByName(t *testing.T) {
	dir := t.TempDir()
	mustRun(t, smallRun(t, dir))
	err := Run(context.Background(), smallRun(t, dir, "seed=7", "max_steps=12"))
	if err == nil || !bytes.Contains([]byte(err.Error()), []byte("its data is another")) {
		t.Errorf("error %v", err)
	}
	if n := torch.LiveTensors(); n != 0 {
		t.Errorf("%d tensors are alive after the error", n)
	}
}

// What a resume from an early checkpoint leaves behind is kept, under another name, whatever max_checkpoints says.
func TestAResumeFromAnEarlyCheckpointRemovesNoLaterOne(t *testing.T) {
	dir := t.TempDir()
	o := smallRun(t, dir, "save_steps=1", "max_steps=5", "max_checkpoints=5")
	mustRun(t, o)
	first := filepath.Join(o.Config.OutputDir, "model_step_1")
	mustRun(t, smallRun(t, dir, "save_steps=1", "max_steps=2", "max_checkpoints=2", "resume="+first))
	for _, name := range []string{"model_step_1", "model_step_2", "model_step_3.superseded", "model_step_4.superseded", "model_step_5.superseded"} {
		if _, err := os.Stat(filepath.Join(o.Config.OutputDir, name)); err != nil {
			t.Error(err)
		}
	}
}

func TestAResumeDoesWithoutInitFrom(t *testing.T) {
	first := smallRun(t, t.TempDir())
	mustRun(t, first)
	from := filepath.Join(first.Config.OutputDir, "final_model")
	dir := t.TempDir()
	settings := []string{"init_from=" + from, "save_steps=4", "max_steps=4", "lr_schedule=constant"}
	mustRun(t, smallRun(t, dir, settings...))
	if err := os.RemoveAll(from); err != nil {
		t.Fatal(err)
	}
	mustRun(t, smallRun(t, dir, append(settings, "max_steps=6")...))
	if err := Run(context.Background(), smallRun(t, t.TempDir(), settings...)); err == nil || !strings.Contains(err.Error(), "init_from") {
		t.Errorf("a fresh start without init_from: error %v", err)
	}
}
