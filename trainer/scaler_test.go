package trainer

import (
	"io"
	"math"
	"testing"

	"frugal/torch"
	"frugal/trainer/config"
)

// TestAnInfiniteGradientSkipsExactlyThatUpdate injects one into the third step of eight.
func TestAnInfiniteGradientSkipsExactlyThatUpdate(t *testing.T) {
	o := smallRun(t, t.TempDir(), "precision=fp16", "batch_size=1", "gradient_accumulation_steps=1")
	inRun(t, o, func(r *run) {
		r.beforeUpdate = func(r *run) {
			if r.done.Step == 2 {
				r.model.Parameters()[3].Gradient().Fill_(math.Inf(1))
			}
		}
		var rates []float64
		for step := range 8 {
			w, err := r.data.Window(0, step)
			if err != nil {
				t.Fatal(err)
			}
			before := weights(r)
			scope := torch.OpenScope()
			rates = append(rates, r.rate().Item())
			scope.Close()
			if err := r.step(w); err != nil {
				t.Fatal(err)
			}
			changed := !equalWeights(before, weights(r))
			if want := step != 2 && step != 0; changed != want { // the first rate of a warm-up is 0
				t.Errorf("step %d: weights changed %v, want %v", step, changed, want)
			}
		}
		if scale := r.scaler.scale.Item(); scale != initialScale/2 {
			t.Errorf("scale %g, want %g", scale, initialScale/2.0)
		}
		if n := r.scaler.skipped.Item(); n != 1 {
			t.Errorf("%g updates counted as skipped, want 1", n)
		}
		if n := r.optimizer.groups[0].updates.Item(); n != 7 {
			t.Errorf("AdamW counts %g updates, want 7", n)
		}
		for step, rate := range rates {
			done := int64(step)
			if step > 2 {
				done-- // the skipped update did not advance the schedule
			}
			if want := r.schedule.At(done); rate != want {
				t.Errorf("step %d: rate %g, want %g", step, rate, want)
			}
		}
	})
}

// TestAnInfiniteForwardLeavesTheLoggedLossesFinite makes the third step's activations overflow fp16.
func TestAnInfiniteForwardLeavesTheLoggedLossesFinite(t *testing.T) {
	o := smallRun(t, t.TempDir(), "precision=fp16", "batch_size=1", "gradient_accumulation_steps=1", "logging_steps=2", "max_steps=6")
	inRun(t, o, func(r *run) {
		r.clock = newStopwatch(0)
		embedding := r.model.Parameters()[0].Tensor
		before := embedding.Float32s()
		set := func(values []float32) {
			embedding.Copy_(torch.FromFloat32s(values, embedding.Shape(), torch.CPU))
			r.model.Changed()
		}
		broken := make([]float32, len(before))
		for i := range broken {
			broken[i] = 6e4 * float32(1-2*(i%2))
		}
		targets := int64(0)
		for step := range 4 {
			w, err := r.data.Window(0, step)
			if err != nil {
				t.Fatal(err)
			}
			if step == 2 {
				before = embedding.Float32s()
				set(broken)
			} else {
				targets += w.Targets
			}
			if err := r.step(w); err != nil {
				t.Fatal(err)
			}
			set(before)
		}
		if n := r.scaler.skipped.Item(); n != 1 {
			t.Fatalf("%g updates were skipped, want 1", n)
		}
		if n := r.scaler.lost.Item(); n == 0 {
			t.Fatal("the broken step's loss was finite: the test shows nothing")
		}
		if err := r.read(); err != nil {
			t.Fatal(err)
		}
		if got := r.done.Epoch; !(got.mean() > 4 && got.mean() < 6) || got.Targets != targets {
			t.Errorf("mean loss %g over %d targets, want that of the three other steps, about 5.5, over %d", got.mean(), got.Targets, targets)
		}
		if n := r.scaler.lost.Item(); n != 0 {
			t.Errorf("%g targets are still counted as lost", n)
		}
	})
}

func weights(r *run) (list [][]float32) {
	for _, p := range r.model.Parameters() {
		list = append(list, p.Tensor.Float32s())
	}
	return list
}

func equalWeights(a, b [][]float32) bool {
	for i := range a {
		for j := range a[i] {
			if a[i][j] != b[i][j] {
				return false
			}
		}
	}
	return true
}

// TestLowPrecisionFollowsFP32 trains the same tiny model in each precision: the mean losses of every ten steps are within 2%.
func TestLowPrecisionFollowsFP32(t *testing.T) {
	curve := func(precision string) []float64 {
		o := smallRun(t, t.TempDir(), "precision="+precision, "batch_size=2", "gradient_accumulation_steps=1", "max_steps=60", "logging_steps=10",
			"max_position_embeddings=16", "learning_rate=5e-3")
		mustRun(t, o)
		return losses(t, o)
	}
	reference := curve("fp32")
	if first, last := reference[0], reference[len(reference)-1]; last > 0.8*first {
		t.Fatalf("fp32 does not learn: loss %g, then %g", first, last)
	}
	for _, precision := range []string{"bf16", "fp16"} {
		for i, loss := range curve(precision) {
			if d := math.Abs(loss-reference[i]) / reference[i]; d > 0.02 {
				t.Errorf("%s: loss %g at log %d, fp32 has %g: %.1f%% apart", precision, loss, i, reference[i], 100*d)
			}
		}
	}
}

// TestBF16FollowsFP32OverTheDemo makes 200 updates of configs/demo-pt.yaml, with fewer rows, in bf16 and in fp32.
func TestBF16FollowsFP32OverTheDemo(t *testing.T) {
	if testing.Short() {
		t.Skip("takes some ten seconds; not with -short")
	}
	curve := func(precision string) []float64 {
		dir := t.TempDir()
		c, _, err := config.Load(config.LoadOptions{Path: "../configs/demo-pt.yaml", Set: []string{
			"monitoring.listen=", "monitoring.sample_steps=0", "precision=" + precision, "max_steps=200", "batch_size=2", "threads=1", "device=cpu", "eval_steps=0", "save_steps=0", "monitoring.progress=off",
			"output_dir=" + dir + "/output", "logging_dir=" + dir + "/logs", "data.cache_dir=" + dir + "/cache",
		}})
		if err != nil {
			t.Fatal(err)
		}
		o := Options{Config: c, Version: "test", Stderr: io.Discard}
		mustRun(t, o)
		return losses(t, o)
	}
	reference, low := curve("fp32"), curve("bf16")
	if first, last := reference[0], reference[len(reference)-1]; last > 0.7*first {
		t.Fatalf("fp32 does not learn: loss %g, then %g", first, last)
	}
	worst := 0.0
	for i := range reference {
		worst = max(worst, math.Abs(low[i]-reference[i])/reference[i])
	}
	t.Logf("200 updates: fp32 %.4f, bf16 %.4f at the end; at most %.2f%% apart", reference[len(reference)-1], low[len(low)-1], 100*worst)
	if worst > 0.02 {
		t.Errorf("bf16 is up to %.2f%% from fp32", 100*worst)
	}
}
