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
	for _, packing := range []string{"data.packing=false", "data.packing=true"} {
		inRun(t, smallRun(t, t.TempDir(), packing, "data.eval_fraction=0.5", "seed=3"), func(r *run) {
			var all []Evaluation
			for _, rows := range []int{1, 3, 1000} {
				e, err := r.evaluateBy(rows)
				if err != nil {
					t.Fatal(err)
				}
				all = append(all, e)
			}
			for _, e := range all[1:] {
				if one := all[0]; one.Targets != e.Targets || math.Abs(one.Loss/e.Loss-1) > 1e-6 || math.Abs(one.BitsPerByte/e.BitsPerByte-1) > 1e-6 || one.BitsPerByte == 0 {
					t.Errorf("%s: one by one %v, otherwise %v", packing, one, e)
				}
			}
		})
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
