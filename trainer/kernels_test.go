package trainer

import (
	"context"
	"strings"
	"testing"

	"frugal/torch"
)

// TestWhatWasMeasuredOfBF16IsKept: another moment's measurement must not change what a resumed run computes.
func TestWhatWasMeasuredOfBF16IsKept(t *testing.T) {
	if !cpuHasBF16() {
		t.Skip("this CPU has no bf16 instructions, and nothing is measured")
	}
	for found, want := range map[string]torch.DType{slowBF16: torch.Float32, fastBF16: torch.BFloat16} {
		t.Run(found, func(t *testing.T) {
			dir := t.TempDir()
			session := func(steps, found string) (precision torch.DType) {
				thread := torch.StartThread()
				defer thread.Stop()
				thread.Do(func() {
					r := newRun(smallRun(t, dir, "precision=auto", "fp16=true", "max_steps="+steps))
					defer r.close()
					r.measureBF16 = func() string { return found }
					if err := r.run(context.Background()); err != nil {
						t.Fatal(err)
					}
					precision = r.precision
				})
				return precision
			}
			if got := session("2", found); got != want {
				t.Errorf("bf16 was found %s: %v, want %v", found, got, want)
			}
			other := map[string]string{slowBF16: fastBF16, fastBF16: slowBF16}[found]
			if got := session("4", other); got != want {
				t.Errorf("bf16 was found %s, and %s at the resume: %v, want %v", found, other, got, want)
			}
		})
	}
}

// TestBF16IsMeasuredWithoutATrace: neither the threads nor what is counted of memory are others afterwards.
func TestBF16IsMeasuredWithoutATrace(t *testing.T) {
	thread := torch.StartThread()
	defer thread.Stop()
	thread.Do(func() {
		defer torch.SetNumThreads(torch.NumThreads())
		const threads = 2
		torch.SetNumThreads(threads)
		torch.ResetPeakMemory(torch.CPU)
		before, err := torch.MemoryStats(torch.CPU)
		if err != nil {
			t.Fatal(err)
		}
		if found := measureBF16(); found != fastBF16 && found != slowBF16 {
			t.Errorf("%q", found)
		}
		after, err := torch.MemoryStats(torch.CPU)
		if err != nil || after.AllocatedPeak != before.AllocatedPeak || after.Allocated != before.Allocated || torch.NumThreads() != threads {
			t.Errorf("%v: allocated %d, at most %d, %d threads; before %d, %d, %d", err, after.Allocated, after.AllocatedPeak, torch.NumThreads(), before.Allocated,
				before.AllocatedPeak, threads)
		}
	})
}

// What a run computes with, and what it says of it. Which way is the faster one is the machine's business; that it is looked for,
// said, set and kept is ours.
func TestKernelsAreChosenSaidAndKept(t *testing.T) {
	large := []string{"hidden_size=128", "intermediate_size=512", "batch_size=16", "max_position_embeddings=128"} // enough work for it to matter
	for _, test := range []struct {
		name     string
		settings []string
		before   kernelNames // of a checkpoint
		want     kernelNames // "": either
		says     string      // in the log, texts divided by |
		hush     string      // words that are not
	}{
		{name: "measured", settings: large, says: "(some products of a block and the head take |(a block's takes "},
		{name: "measured before the resume", settings: large, before: kernelNames{Linear: "blas", Attention: "composed"}, want: kernelNames{Linear: "blas", Attention: "composed"},
			says: "linear: blas (as before the resume)|attention: composed (as before the resume)"},
		{name: "set whatever was before", settings: append(large, "linear=onednn", "attention=flash"), before: kernelNames{Linear: "blas", Attention: "composed"},
			want: kernelNames{Linear: "onednn", Attention: "flash"}, says: "linear: onednn (linear is onednn)|attention: flash (attention is flash)"},
		{name: "set to the other", settings: append(large, "linear=blas", "attention=composed"), want: kernelNames{Linear: "blas", Attention: "composed"}},
		{name: "dropout", settings: append(large, "attention=flash", "dropout=0.1"), want: kernelNames{Attention: "composed"}, says: "attention: composed (flash has no dropout)"},
		{name: "half precision has one library", settings: append(large, "precision=bf16"), want: kernelNames{Linear: "onednn"}, says: "attention: ", hush: "linear:"},
		{name: "too little to do", want: kernelNames{Linear: "onednn", Attention: "flash"}, hush: "linear: attention:"},
		{name: "rows so long that composed keeps too much", settings: append(large, "max_position_embeddings=2048", "num_heads=4"), want: kernelNames{Attention: "flash"},
			says: "attention: flash (composed would keep too much memory for rows of this length)"},
	} {
		t.Run(test.name, func(t *testing.T) {
			if !torch.HasOneDNN() && test.name != "dropout" {
				t.Skip("this libtorch has no oneDNN")
			}
			o := smallRun(t, t.TempDir(), test.settings...)
			var log strings.Builder
			o.Stderr, o.Config.Monitoring.Progress = &log, "plain"
			inRun(t, o, func(r *run) {
				r.done.Kernels = test.before
				if err := r.chooseKernels(); err != nil {
					t.Fatal(err)
				}
				got := r.done.Kernels
				if test.want.Linear != "" && got.Linear != test.want.Linear || test.want.Attention != "" && got.Attention != test.want.Attention {
					t.Errorf("got %+v, want %+v", got, test.want)
				}
				if libraries[got.Linear] != r.model.Library || attentionKernels[got.Attention] != r.model.Attention {
					t.Errorf("the model computes with %v and %v, the run says %+v", r.model.Library, r.model.Attention, got)
				}
			})
			for _, text := range strings.Split(test.says, "|") {
				if !strings.Contains(log.String(), text) {
					t.Errorf("no %q in the log:\n%s", text, log.String())
				}
			}
			for _, text := range strings.Fields(test.hush) {
				if strings.Contains(log.String(), " "+text+" ") {
					t.Errorf("%q is in the log:\n%s", text, log.String())
				}
			}
		})
	}
}
