package main

// A run that is killed again and again comes to the same end, to the last bit, as one that is left alone.

import (
	"math/rand/v2"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"sync/atomic"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
	"github.com/rogpeppe/go-internal/txtar"
)

// kills is how often each training is killed with SIGKILL: at random moments, among which are many while it saves.
const kills = 20

// All go through epochs whose last window is a short one and end in the middle of one, and save at every step or two, which
// takes most of the time of models as small as these.
var killedTrainings = map[string][]string{
	"dropout": {"dropout=0.1", "max_steps=40", "save_steps=1", "eval_steps=9", "logging_steps=3", "gradient_checkpointing=false"},
	"curriculum": {"dropout=0.1", "max_steps=34", "save_steps=1", "eval_steps=9", "logging_steps=4", "gradient_accumulation_steps=3",
		"distillation.enabled=true", "distillation.teacher=TEACHER"},
	"fp16": {"dropout=0.1", "max_steps=34", "save_steps=2", "eval_steps=11", "logging_steps=3", "precision=fp16", "gradient_checkpointing=true", "data.packing=false"},
	"distilled": {"dropout=0.1", "max_steps=24", "save_steps=2", "eval_steps=11", "logging_steps=3", "precision=bf16", "gradient_checkpointing=true",
		"distillation.enabled=true", "distillation.teacher=TEACHER"},
	"distilled from a cache": {"dropout=0.1", "max_steps=24", "save_steps=2", "eval_steps=11", "logging_steps=3", "precision=bf16", "data.packing=false",
		"distillation.enabled=true", "distillation.teacher=TEACHER", "distillation.cache=answers", "distillation.cache_top_k=9"},
}

func TestKilledRunEndsLikeOneLeftAlone(t *testing.T) {
	school := workplace(t)
	mustTrain(t, school, "-config", "tiny.yaml", "-set", "hidden_size=24", "-set", "num_layers=3")
	teacher := filepath.Join(school, "output", "final_model")
	var inSave atomic.Int64
	t.Cleanup(func() { // when all are done
		if !t.Failed() && inSave.Load() == 0 {
			t.Error("no run was killed in the middle of a save")
		}
	})
	for name, settings := range killedTrainings {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			k := &killer{stages: name == "curriculum", seed: uint64(time.Now().UnixNano()), times: kills}
			k.args = []string{"-config", map[bool]string{false: "tiny.yaml", true: "stages.yaml"}[k.stages]}
			for _, s := range settings {
				k.args = append(k.args, "-set", strings.Replace(s, "TEACHER", teacher, 1))
			}
			if strings.HasPrefix(name, "distilled") { // what is saved is the same
				k.times = kills / 3
			}
			k.want = k.workplace(t)
			began := time.Now()
			mustTrain(t, k.want, k.args...)
			k.longest = time.Since(began) * 3 / 4 // so that most sessions are killed, and most get beyond a save
			k.run(t)
			inSave.Add(int64(k.inSave))
		})
	}
}

// killer kills runs of one training.
type killer struct {
	args    []string
	stages  bool          // the training is of a curriculum
	want    string        // where the training ran undisturbed
	seed    uint64        // of the moments
	times   int           // to kill
	longest time.Duration // that a session is given before it is killed

	kills, inSave, finished int
}

// run kills until it has been often enough, beginning anew whenever a training came to its end in between.
func (k *killer) run(t *testing.T) {
	t.Logf("the moments are drawn from seed %d", k.seed)
	random := rand.New(rand.NewPCG(k.seed, 0))
	for k.kills < k.times {
		dir := k.workplace(t)
		for k.kills < k.times && k.session(t, dir, time.Duration(random.Int64N(int64(k.longest)))) {
			k.kills++
			if left := must(filepath.Glob(filepath.Join(dir, "output", ".saving-*")))(t); len(left) > 0 {
				k.inSave++
			}
		}
		mustTrain(t, dir, k.args...)
		k.finished++
		k.compare(t, dir)
		if t.Failed() {
			return
		}
	}
	t.Logf("%d kills, %d of them in the middle of a save; %d runs finished as the undisturbed one did", k.kills, k.inSave, k.finished)
}

// workplace is one with the files of a curriculum, if that is what is trained with: those of the script about curricula.
func (k *killer) workplace(t *testing.T) string {
	t.Helper()
	dir := workplace(t)
	if k.stages {
		script := must(txtar.ParseFile(filepath.Join("testdata", "script", "curriculum.txtar")))(t)
		for _, f := range script.Files {
			if err := os.WriteFile(filepath.Join(dir, f.Name), f.Data, 0o666); err != nil {
				t.Fatal(err)
			}
		}
	}
	return dir
}

// session starts the program and kills it after that time. killed: it was still running.
func (k *killer) session(t *testing.T, dir string, after time.Duration) (killed bool) {
	t.Helper()
	var stderr strings.Builder
	command := trainCommand(dir, dir, k.args...)
	command.Stderr = &stderr
	if err := command.Start(); err != nil {
		t.Fatal(err)
	}
	_, err := os.Stat(filepath.Join(dir, "output"))
	fresh, began := err != nil, time.Now()
	timer := time.AfterFunc(after, func() { command.Process.Kill() })
	err = command.Wait()
	timer.Stop()
	if fresh && err == nil { // the machine has become faster
		k.longest = min(k.longest, time.Since(began)*3/4)
	}
	checkNoStack(t, stderr.String())
	if code := exitCode(err); code > 0 {
		t.Fatalf("exit code %d:\n%s", code, stderr.String())
	}
	return err != nil
}

// compare fails where the training in dir did not come to what the undisturbed one came to.
func (k *killer) compare(t *testing.T, dir string) {
	t.Helper()
	compareResults(t, k.want, dir)
	k.compareFiles(t, filepath.Join(dir, "output"))
	events := must(filepath.Glob(filepath.Join(dir, "logs", "events.out.tfevents.*")))(t)
	if len(events) == 0 {
		t.Error("there are no TensorBoard events")
	}
}

// compareFiles fails where a file of the undisturbed run is missing, or anything was left half-done. Two things may be there
// besides: metrics of sessions that were killed before their first checkpoint, and the checkpoint that was to make room for the
// last one when the run was killed between the two.
func (k *killer) compareFiles(t *testing.T, output string) {
	t.Helper()
	want := must(list(filepath.Join(k.want, "output")))(t)
	got := slices.DeleteFunc(must(list(output))(t), func(path string) bool {
		besides := strings.HasPrefix(path, "metrics.jsonl.") || strings.HasPrefix(path, "model_step_")
		return besides && !slices.Contains(want, path)
	})
	if diff := cmp.Diff(want, got); diff != "" {
		t.Errorf("files: %s", diff)
	}
	if found := must(filepath.Glob(filepath.Join(output, "model_step_*")))(t); len(found) > 4 {
		t.Errorf("%d checkpoints, want 3 and at most one in the way of the last: %q", len(found), found)
	}
}
