package trainer

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"io"
	"net"
	"net/http"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"

	"frugal/torch"
	"frugal/trainer/monitor"
)

var watched = []string{"max_steps=6", "dropout=0.1", "monitoring.sample_steps=2", "monitoring.prompts=[\"A maré\", \"\"]", "monitoring.num_return_sequences=2",
	"monitoring.max_length=24", "monitoring.histogram_steps=2", "monitoring.tensorboard=true", "eval_steps=3"}

// Samples come from generators of their own and histograms only look: the training is that of a run that shows nothing.
func TestWatchingChangesNoBit(t *testing.T) {
	plain := smallRun(t, t.TempDir(), "max_steps=6", "dropout=0.1")
	mustRun(t, plain)
	o := smallRun(t, t.TempDir(), watched...)
	mustRun(t, o)
	if !bytes.Equal(finalWeights(t, plain), finalWeights(t, o)) {
		t.Error("the final weights differ")
	}
	samples := events(t, o, "sample")
	if len(samples) != 3*2*2 {
		t.Fatalf("%d samples, want 2 of 2 prompts at 3 steps", len(samples))
	}
	for i, s := range samples {
		want := fmt.Sprint([]string{"A maré", ""}[i/2%2])
		if s["prompt"] != want || !strings.HasPrefix(s["text"].(string), want) || s["step"] != float64(2*(i/4)+2) {
			t.Errorf("sample %d is %v", i, s)
		}
	}
	if samples[0]["text"] == samples[1]["text"] {
		t.Error("two samples of a prompt are the same")
	}
	files, _ := filepath.Glob(filepath.Join(o.Config.LoggingDir, "events.*"))
	if len(files) != 1 {
		t.Fatal(files)
	}
	text, err := os.ReadFile(files[0])
	if err != nil {
		t.Fatal(err)
	}
	for _, tag := range []string{"gradients/transformer.wte.weight", "weights/transformer.h.1.mlp.c_proj.bias", "generation/prompt_1_sample_1"} {
		if n := bytes.Count(text, []byte(tag)); n < 1 {
			t.Errorf("%s is not in the event file", tag)
		}
	}
}

func TestInterruptedSamplesAreThoseOfTheUndisturbedRun(t *testing.T) {
	reference := smallRun(t, t.TempDir(), watched...)
	mustRun(t, reference)
	o := smallRun(t, t.TempDir(), watched...)
	for sessions := 0; ; sessions++ {
		var stop *Interrupted
		err := runOneStep(o)
		if err == nil {
			break
		}
		if !errors.As(err, &stop) || sessions > 20 {
			t.Fatal(err)
		}
	}
	for _, event := range []string{"train", "eval", "sample"} {
		if d := cmp.Diff(events(t, reference, event), events(t, o, event)); d != "" {
			t.Errorf("%s events differ (-undisturbed +interrupted):\n%s", event, d)
		}
	}
}

// The gradients that a histogram sees are the update's: divided by the loss scale, not yet clipped.
func TestGradientsAreObservedUnscaledAndUnclipped(t *testing.T) {
	for _, precision := range []string{"fp32", "fp16"} {
		o := smallRun(t, t.TempDir(), "precision="+precision, "max_grad_norm=0.001", "batch_size=1", "monitoring.histogram_steps=1", "monitoring.tensorboard=true")
		inRun(t, o, func(r *run) {
			w, err := r.data.Window(0, 0)
			if err != nil {
				t.Fatal(err)
			}
			scale := 1.0
			if r.scaler != nil {
				scale = r.scaler.scale.Item()
			}
			norm := 0.0
			r.beforeUpdate = func(r *run) { norm = r.model.Gradients().Norm().Item() / scale }
			if err := r.step(w); err != nil {
				t.Fatal(err)
			}
			squares := 0.0
			for _, row := range r.histograms.fields("", r.histograms.gradients) {
				squares += sumSquares(row.Value)
			}
			if d := squares/(norm*norm) - 1; d > 1e-4 || d < -1e-4 {
				t.Errorf("%s: the observed gradients' squares sum to %g, want %g", precision, squares, norm*norm)
			}
		})
	}
}

func TestAPromptThatLeavesNothingToWriteIsRefusedByName(t *testing.T) {
	o := smallRun(t, t.TempDir(), "monitoring.sample_steps=2", "monitoring.prompts=[\"uma frase longa demais\"]", "monitoring.max_length=10")
	err := Run(context.Background(), o)
	want := `-set: monitoring.prompts: uma frase longa demais: the prompt has 22 tokens, which leaves nothing of 10`
	if err == nil || !strings.Contains(err.Error(), want) {
		t.Errorf("error %v, want %q", err, want)
	}
}

func TestTheLivePageIsServedWhileTrainingAndATakenPortStopsNothing(t *testing.T) {
	taken, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	defer taken.Close()
	mustRun(t, smallRun(t, t.TempDir(), "monitoring.listen="+taken.Addr().String()))

	o := smallRun(t, t.TempDir(), "monitoring.listen=127.0.0.1:0")
	var log bytes.Buffer
	o.Stderr = &log
	thread := torch.StartThread()
	defer thread.Stop()
	err = torch.Call(thread, func() error {
		r := newRun(o)
		defer r.close()
		r.beforeUpdate = func(r *run) {
			if r.done.Step != 5 {
				return
			}
			_, rest, _ := strings.Cut(log.String(), "live page: ")
			address, _, _ := strings.Cut(rest, "\n")
			answer, err := http.Get(address)
			if err != nil {
				t.Error(err)
				return
			}
			defer answer.Body.Close()
			if page, err := io.ReadAll(answer.Body); err != nil || answer.StatusCode != http.StatusOK || !bytes.Contains(page, []byte("<html")) {
				t.Errorf("status %s, error %v", answer.Status, err)
			}
		}
		return r.run(context.Background())
	})
	http.DefaultClient.CloseIdleConnections()
	if err != nil {
		t.Error(err)
	}
}

func sumSquares(histogram any) float64 { return histogram.(monitor.Histogram).SumSquares }

// A session that did what was due, and was killed before it could save, did it for good.
func TestWhatWasDueIsNotRecordedTwice(t *testing.T) {
	dir := t.TempDir()
	o := smallRun(t, dir, append(watched, "eval_steps=1", "monitoring.sample_steps=1")...)
	var stop *Interrupted
	for range 2 { // the second session begins with what the first left, and saves
		if err := runOneStep(o); !errors.As(err, &stop) {
			t.Fatal(err)
		}
	}
	saved := map[string][]byte{}
	metrics := filepath.Join(o.Config.OutputDir, "metrics.jsonl")
	saved[metrics], _ = os.ReadFile(metrics)
	inSession := smallRun(t, dir, append(watched, "eval_steps=1", "monitoring.sample_steps=1")...)
	thread := torch.StartThread()
	err := torch.Call(thread, func() error {
		r := newRun(inSession)
		defer r.close()
		r.beforeUpdate = func(*run) { panic(&torch.Error{Kind: torch.OtherError, Message: "killed"}) } // after what was due
		return r.run(context.Background())
	})
	thread.Stop()
	if err == nil {
		t.Fatal("the session was not killed")
	}
	if now, _ := os.ReadFile(metrics); bytes.Count(now, []byte(`"event":"eval"`)) == bytes.Count(saved[metrics], []byte(`"event":"eval"`)) {
		t.Fatal("the killed session recorded no evaluation: the test shows nothing")
	}
	mustRun(t, smallRun(t, dir, append(watched, "eval_steps=1", "monitoring.sample_steps=1")...))
	reference := smallRun(t, t.TempDir(), append(watched, "eval_steps=1", "monitoring.sample_steps=1")...)
	mustRun(t, reference)
	for _, event := range []string{"eval", "sample"} {
		if d := cmp.Diff(events(t, reference, event), events(t, o, event)); d != "" {
			t.Errorf("%s events differ (-undisturbed +killed):\n%s", event, d)
		}
	}
}
