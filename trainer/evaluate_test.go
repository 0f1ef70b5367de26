package trainer

import (
	"math"
	"path/filepath"
	"testing"

	"frugal/trainer/gpt2"
	"frugal/trainer/internal/vfs"
)

// Every target counts alike: rows of unequal length in batches of three, the last of which has fewer, give what they give one by
// one. The sums are of float64s of the same float32 losses, whose matrix products round otherwise for another number of rows.
func TestEvaluationIsTheMeanOverAllTargets(t *testing.T) {
	evaluate := func(batch string) (e Evaluation, batches int) {
		o := smallRun(t, t.TempDir(), "data.packing=false", "data.eval_fraction=0.5", "batch_size="+batch, "seed=3")
		inRun(t, o, func(r *run) {
			var err error
			if e, err = r.evaluate(); err != nil {
				t.Fatal(err)
			}
			batches = r.data.EvalBatches()
		})
		return e, batches
	}
	one, rows := evaluate("1")
	three, batches := evaluate("3")
	if rows%3 == 0 || batches != rows/3+1 {
		t.Fatalf("%d rows in %d batches: the last is to be a shorter one", rows, batches)
	}
	if one.Targets != three.Targets || math.Abs(one.Loss/three.Loss-1) > 1e-6 || one.BitsPerByte == 0 {
		t.Errorf("one by one %v, by three %v", one, three)
	}
}

// A checkpoint's config.json stays the model's; the training has a file of its own.
func TestACheckpointsConfigIsTheModels(t *testing.T) {
	o := smallRun(t, t.TempDir(), "max_steps=1", "hidden_size=24")
	mustRun(t, o)
	dirs, err := filepath.Glob(filepath.Join(o.Config.OutputDir, "*_step_1"))
	if err != nil || len(dirs) != 1 {
		t.Fatal(dirs, err)
	}
	text, err := vfs.ReadFile(vfs.OS, filepath.Join(dirs[0], "config.json"))
	if err != nil {
		t.Fatal(err)
	}
	if c, err := gpt2.ParseConfig(text); err != nil || c.HiddenSize != 24 {
		t.Errorf("%+v, %v", c, err)
	}
	if _, err := vfs.ReadFile(vfs.OS, filepath.Join(dirs[0], "training_config.json")); err != nil {
		t.Error(err)
	}
}
