package trainer

import (
	"strings"
	"testing"

	"frugal/torch"
)

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
		{name: "measured before the resume", settings: large, before: kernelNames{"blas", "composed"}, want: kernelNames{"blas", "composed"},
			says: "linear: blas (as before the resume)|attention: composed (as before the resume)"},
		{name: "set whatever was before", settings: append(large, "linear=onednn", "attention=flash"), before: kernelNames{"blas", "composed"},
			want: kernelNames{"onednn", "flash"}, says: "linear: onednn (linear is onednn)|attention: flash (attention is flash)"},
		{name: "set to the other", settings: append(large, "linear=blas", "attention=composed"), want: kernelNames{"blas", "composed"}},
		{name: "dropout", settings: append(large, "attention=flash", "dropout=0.1"), want: kernelNames{"", "composed"}, says: "attention: composed (flash has no dropout)"},
		{name: "half precision has one library", settings: append(large, "precision=bf16"), want: kernelNames{"onednn", ""}, says: "attention: ", hush: "linear:"},
		{name: "too little to do", want: kernelNames{"onednn", "flash"}, hush: "linear: attention:"},
		{name: "rows so long that composed keeps too much", settings: append(large, "max_position_embeddings=2048", "num_heads=4"), want: kernelNames{"", "flash"},
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
