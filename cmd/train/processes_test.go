package main

// Several processes come to what one comes to, and what happens to one of them happens to all.

import (
	"bytes"
	"context"
	"encoding/json"
	"fmt"
	"math/rand/v2"
	"net"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strconv"
	"strings"
	"sync"
	"syscall"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
	"github.com/google/go-cmp/cmp/cmpopts"
	"golang.org/x/sys/unix"

	"frugal/trainer"
	"frugal/trainer/config"
	"frugal/trainer/launch"
)

// with makes arguments of settings.
func with(file string, settings ...string) []string {
	args := []string{"-config", file}
	for _, s := range settings {
		args = append(args, "-set", s)
	}
	return args
}

// by is a training by n processes.
func by(n int, args []string) []string { return append(slices.Clone(args), "-nproc", strconv.Itoa(n)) }

// figures are what a training's metrics.jsonl says of it, as numbers.
func figures(t *testing.T, dir string) (all []map[string]any) {
	t.Helper()
	for _, line := range must(results(filepath.Join(dir, "output", "metrics.jsonl")))(t) {
		var fields map[string]any
		if err := json.Unmarshal([]byte(line), &fields); err != nil {
			t.Fatal(err)
		}
		all = append(all, fields)
	}
	return all
}

// agree fails where a number that two trainings logged differs by more than a part of itself, or by more than margin.
func agree(t *testing.T, want, got string, part, margin float64) {
	t.Helper()
	if diff := cmp.Diff(figures(t, want), figures(t, got), cmpopts.EquateApprox(part, margin)); diff != "" {
		t.Errorf("metrics.jsonl: %s", diff)
	}
}

// alike is how far apart sums of the same fp32 numbers in another order come within some updates: a few times half the last of 24 bits.
const alike = 1e-6

// shared are settings under which an update sees 24 rows, whatever the number of processes. The eighth and last window of an epoch has 2
// of the 170 rows: one micro-batch, so that all processes but one have none.
func shared(processes int, settings ...string) []string {
	return with("tiny.yaml", append([]string{fmt.Sprintf("gradient_accumulation_steps=%d", 12/processes), "max_steps=10", "eval_steps=5"}, settings...)...)
}

func TestTheNumberOfProcessesChangesNoLoss(t *testing.T) {
	for name, test := range map[string]struct {
		numbers  []int
		settings []string
	}{
		"dropout":     {[]int{2, 3, 4}, []string{"dropout=0.1"}},
		"padded rows": {[]int{2}, []string{"dropout=0.1", "data.packing=false", "gradient_checkpointing=true"}},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			alone := workplace(t)
			stderr := mustTrain(t, alone, shared(1, test.settings...)...)
			if rows := "in 170 rows to train on"; name == "dropout" && !strings.Contains(stderr, rows) {
				t.Fatalf("not %q, so the last window is no short one:\n%s", rows, stderr)
			}
			for _, n := range test.numbers {
				dir := workplace(t)
				mustTrain(t, dir, by(n, shared(n, test.settings...))...)
				agree(t, alone, dir, alike, 0)
			}
		})
	}
}

func TestSharedMomentsChangeNoBit(t *testing.T) {
	for precision, test := range map[string]struct {
		processes int
		sessions  []int // after how many steps each ends
	}{
		"fp32": {4, []int{6}}, // of 8,848 parameters, in pieces of 1,024, the last of four processes has none
		"bf16": {2, []int{6}},
		"fp16": {2, []int{3, 6}},
	} {
		t.Run(precision, func(t *testing.T) {
			t.Parallel()
			want, got := workplace(t), workplace(t)
			settings := []string{"precision=" + precision, "dropout=0.1", "lr_schedule=constant"}
			mustTrain(t, want, by(test.processes, with("tiny.yaml", settings...))...)
			for _, steps := range test.sessions {
				mustTrain(t, got, by(test.processes, with("tiny.yaml", append(settings, "shard_optimizer=true", fmt.Sprintf("max_steps=%d", steps))...))...)
			}
			if len(test.sessions) == 1 { // one that ends early evaluates there
				compareResults(t, want, got)
			}
			for _, file := range []string{"final_model/model.safetensors", "model_step_6/training_state.safetensors"} {
				if must(sum(filepath.Join(want, "output", file)))(t) != must(sum(filepath.Join(got, "output", file)))(t) {
					t.Errorf("%s differs", file)
				}
			}
		})
	}
}

func TestReducedPrecisionStaysClose(t *testing.T) {
	t.Parallel()
	want, got := workplace(t), workplace(t)
	mustTrain(t, want, shared(1)...)
	mustTrain(t, got, by(2, shared(2, "reduce_precision=bf16"))...)
	if cmp.Equal(figures(t, want), figures(t, got), cmpopts.EquateApprox(alike, 0)) {
		t.Error("nothing was rounded")
	}
	agree(t, want, got, 1.0/512, 0) // half the last of the 8 bits of a gradient
}

// A run goes on with as many processes as there happen to be, once and again, and sees the same rows.
func TestARunGoesOnWithAnotherNumberOfProcesses(t *testing.T) {
	t.Parallel()
	alone, dir := workplace(t), workplace(t)
	settings := []string{"lr_schedule=constant", "dropout=0.1", "eval_steps=0"} // each session would evaluate at its end
	mustTrain(t, alone, shared(1, append(settings, "max_steps=10")...)...)
	for _, session := range []struct{ processes, steps int }{{4, 3}, {2, 5}, {2, 7}, {3, 9}, {1, 10}} {
		args := shared(4, append(settings, fmt.Sprintf("max_steps=%d", session.steps))...) // the same command but for the number
		stderr := mustTrain(t, dir, by(session.processes, args)...)
		if session.steps > 3 && !strings.Contains(stderr, "resume: going on from ") {
			t.Errorf("it began anew:\n%s", stderr)
		}
	}
	agree(t, alone, dir, alike, 0)
}

func TestLocalStepsGoOnToTheSameBits(t *testing.T) {
	t.Parallel()
	want, got := workplace(t), workplace(t)
	// What is logged at step 6 was learnt before and after the checkpoint of step 4.
	settings := []string{"local_steps=2", "lr_schedule=constant", "dropout=0.1", "eval_steps=8", "save_steps=4", "logging_steps=3"}
	for _, precision := range []string{"bf16", "fp16"} {
		settings := append(settings, "precision="+precision, "output_dir="+precision)
		mustTrain(t, want, by(2, with("tiny.yaml", append(settings, "max_steps=8")...))...)
		mustTrain(t, got, by(2, with("tiny.yaml", append(settings, "max_steps=8")...))...)
		for _, later := range must(filepath.Glob(filepath.Join(got, precision, "model_step_8")))(t) {
			if err := os.RemoveAll(later); err != nil {
				t.Fatal(err)
			}
		}
		if stderr := mustTrain(t, got, by(2, with("tiny.yaml", append(settings, "max_steps=8")...))...); !strings.Contains(stderr, "going on from "+precision+"/model_step_4, step 4") {
			t.Errorf("it began elsewhere:\n%s", stderr)
		}
		for _, dir := range []string{want, got} {
			os.RemoveAll(filepath.Join(dir, "output"))
			if err := os.Rename(filepath.Join(dir, precision), filepath.Join(dir, "output")); err != nil {
				t.Fatal(err)
			}
		}
		compareResults(t, want, got)
	}
}

// Each process evaluates a part of the texts with its own weights, but one alone finds the same to the last bit: they have one model.
func TestProcessesEndWithOneModel(t *testing.T) {
	for name, settings := range map[string][]string{
		"local steps":        {"local_steps=3", "precision=bf16"},
		"shared and reduced": {"shard_optimizer=true", "reduce_precision=bf16"},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			dir := workplace(t)
			mustTrain(t, dir, by(3, with("tiny.yaml", append(settings, "save_steps=3")...))...)
			last := figures(t, dir)
			if err := os.Rename(filepath.Join(dir, "output"), filepath.Join(dir, "trained")); err != nil {
				t.Fatal(err)
			}
			alone := append([]string{"init_from=trained/final_model", "max_steps=1"}, settings...)
			mustTrain(t, dir, with("tiny.yaml", append(alone, "local_steps=0")...)...)
			if want, got := figures(t, dir)[0]["loss"], last[len(last)-1]["loss"]; want != got {
				t.Errorf("loss %v of the three, %v of the model that they left", got, want)
			}
		})
	}
}

// A student asks its teacher, or what is kept of it, and a curriculum draws its rows, as one process does.
func TestProcessesAreTaughtLikeOne(t *testing.T) {
	school := workplace(t)
	mustTrain(t, school, with("tiny.yaml", "hidden_size=24", "num_layers=3")...)
	teacher := "distillation.teacher=" + filepath.Join(school, "output", "final_model")
	for name, settings := range map[string][]string{
		"what is kept": {"distillation.enabled=true", teacher, "distillation.cache=answers", "distillation.cache_top_k=9"},
		"a curriculum": {"curriculum.difficulty=auto", "distillation.enabled=true", teacher},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			k := &killer{stages: name == "a curriculum"}
			file := map[bool]string{false: "tiny.yaml", true: "stages.yaml"}[k.stages]
			alone, two := k.workplace(t), k.workplace(t)
			settings := append(settings, "dropout=0.1", "max_steps=10")
			mustTrain(t, alone, with(file, append(settings, "gradient_accumulation_steps=4")...)...)
			mustTrain(t, two, by(2, with(file, append(settings, "gradient_accumulation_steps=2")...))...)
			agree(t, alone, two, alike, 1e-6) // the teacher's part is a small difference of numbers as large as the loss, 5
		})
	}
}

// rank is a process that somebody has started by hand.
type rank struct {
	*exec.Cmd
	stderr transcript
	done   chan struct{} // closed when it has ended
	ended  time.Time
}

// transcript is what a process that may be running has said.
type transcript struct {
	mutex sync.Mutex
	text  bytes.Buffer
}

func (t *transcript) Write(text []byte) (int, error) {
	t.mutex.Lock()
	defer t.mutex.Unlock()
	return t.text.Write(text)
}

func (t *transcript) String() string {
	t.mutex.Lock()
	defer t.mutex.Unlock()
	return t.text.String()
}

// ranks starts several that are to meet. args are each one's, behind the program's name.
func ranks(t *testing.T, dir string, args ...[]string) (all []*rank) {
	t.Helper()
	l := must(net.Listen("tcp", "127.0.0.1:0"))(t)
	port := l.Addr().(*net.TCPAddr).Port
	l.Close()
	for i, a := range args {
		r := &rank{Cmd: trainCommand(dir, dir, a[1:]...), done: make(chan struct{})}
		r.Path, r.Args[0] = must(exec.LookPath(a[0]))(t), a[0]
		if i > 0 { // so that the caches are another machine's
			r.Env = append(r.Env, "XDG_CACHE_HOME="+t.TempDir())
		}
		r.Env = append(r.Env, fmt.Sprintf("RANK=%d", i), fmt.Sprintf("WORLD_SIZE=%d", len(args)), "MASTER_ADDR=127.0.0.1", fmt.Sprintf("MASTER_PORT=%d", port))
		r.Stderr = &r.stderr
		if err := r.Start(); err != nil {
			t.Fatal(err)
		}
		go func() {
			defer close(r.done)
			r.Wait()
			r.ended = time.Now()
		}()
		t.Cleanup(func() { r.Process.Kill(); <-r.done })
		all = append(all, r)
	}
	return all
}

// code is the exit code that it ends with, within a minute.
func (r *rank) code(t *testing.T) int {
	t.Helper()
	select {
	case <-r.done:
	case <-time.After(time.Minute):
		r.Process.Kill()
		<-r.done
		t.Errorf("it does not end:\n%s", r.stderr.String())
	}
	checkNoStack(t, r.stderr.String())
	return r.ProcessState.ExitCode()
}

// ranked is a problem that a rank has: all but the first say who they are.
func ranked(rank int, problem string) string {
	if rank == 0 {
		return problem
	}
	return fmt.Sprintf("rank %d: %s", rank, problem)
}

// newer is the program in another version.
func newer() {
	place, err := launch.Find(os.Environ())
	if err != nil {
		os.Exit(100)
	}
	c, choices, err := config.Load(config.LoadOptions{Path: "tiny.yaml"})
	if err != nil {
		os.Exit(100)
	}
	stderr := rankWriter(place, os.Stderr)
	os.Exit(report(stderr, trainer.Run(context.Background(), trainer.Options{Config: c, Choices: choices, Version: "v9.9.9", Stderr: stderr, Place: place,
		Lost: func(e *trainer.LostError) { os.Exit(report(stderr, e)) }})))
}

func TestProcessesThatDoNotFitTogetherAreRefusedByName(t *testing.T) {
	usual := append([]string{"train"}, with("tiny.yaml")...)
	set := func(s ...string) []string { return append([]string{"train"}, with("tiny.yaml", s...)...) }
	host := must(os.Hostname())(t)
	for name, test := range map[string]struct {
		other []string // rank 1's command
		want  string
	}{
		"another configuration": {set("learning_rate=0.02", "num_layers=1"),
			"rank 1 on HOST has another configuration than rank 0 on HOST: learning_rate 0.02, rank 0's is 0.01; num_layers 1, rank 0's is 2"},
		"other samples": {set("monitoring.sample_steps=5"),
			"rank 1 on HOST has another configuration than rank 0 on HOST: monitoring.sample_steps 5, rank 0's is 0"},
		"other texts": {set("data.train=[other.txt]"), "rank 1 on HOST: its data is another than that of rank 0 on HOST (the files, the data section, …"},
		"another version": {[]string{"train-newer", "-config", "tiny.yaml"},
			"rank 1 on HOST has another configuration than rank 0 on HOST: frugal v9.9.9, rank 0's is …"},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			dir := workplace(t)
			if err := os.WriteFile(filepath.Join(dir, "other.txt"), []byte(strings.Repeat("Another text. ", 300)), 0o666); err != nil {
				t.Fatal(err)
			}
			before := must(list(dir))(t)
			all := ranks(t, dir, usual, test.other, usual)
			for i, r := range all {
				if code := r.code(t); code != 2 {
					t.Errorf("rank %d: exit code %d, want 2", i, code)
				}
				checkOneProblem(t, r.stderr.String(), ranked(i, strings.ReplaceAll(test.want, "HOST", host)))
			}
			after := slices.DeleteFunc(must(list(dir))(t), func(path string) bool {
				return strings.HasPrefix(path, ".cache/") || path == "output/.lock" || path == "output/train.log"
			})
			if diff := cmp.Diff(before, after); diff != "" {
				t.Errorf("files: %s", diff)
			}
		})
	}
}

// Where things lie and how they are shown may differ from machine to machine.
func TestProcessesMayDifferInWhatIsTheirOwn(t *testing.T) {
	t.Parallel()
	dir := workplace(t)
	copyFile(t, filepath.Join(dir, "corpus.txt"), filepath.Join(dir, "elsewhere.txt"))
	first := append([]string{"train"}, with("tiny.yaml")...)
	other := append([]string{"train"}, with("tiny.yaml", "data.train=[elsewhere.txt]", "output_dir=nowhere", "logging_dir=nowhere", "monitoring.progress=off", "monitoring.prompts=[Once]", "threads=2", "data.cache_dir=own")...)
	for i, r := range ranks(t, dir, first, other) {
		if code := r.code(t); code != 0 {
			t.Errorf("rank %d: exit code %d:\n%s", i, code, r.stderr.String())
		}
	}
	if _, err := os.Stat(filepath.Join(dir, "nowhere")); err == nil {
		t.Error("rank 1 has an output directory")
	}
}

// Paths have 4,095 bytes at most: the output directory leaves so many that the files of step 8 still have names, and those of step 10 do not.
func TestACheckpointThatCannotBeWrittenEndsAll(t *testing.T) {
	t.Parallel()
	dir := workplace(t)
	output := strings.Repeat(strings.Repeat("d", 99)+"/", 41)[:4095-len("/.saving-model_step_8/training_state.safetensors")]
	code, stderr := train(t, dir, append(by(3, with("tiny.yaml", "max_steps=20", "output_dir="+output)), "-max-restarts", "2")...)
	if code != 5 {
		t.Errorf("exit code %d, want 5", code)
	}
	got := problems(strings.ReplaceAll(stderr, output, "OUTPUT"))
	slices.Sort(got)
	want := []string{"train: checkpoint OUTPUT/model_step_10: ", "train: rank 1: rank 0: checkpoint OUTPUT/model_step_10: ", "train: rank 2: rank 0: checkpoint OUTPUT/model_step_10: "}
	if len(got) != 3 || slices.CompareFunc(got, want, func(line, begin string) int { return strings.Compare(line[:min(len(line), len(begin))], begin) }) != 0 {
		t.Errorf("%q, want %q…", got, want)
	}
	if !strings.Contains(stderr, "saved "+output+"/model_step_8 ") {
		t.Errorf("nothing was saved before:\n%s", strings.ReplaceAll(stderr, output, "OUTPUT"))
	}
}

// lost are runs in which something happens to one of three processes: long ones, which save at each step.
func lost(steps int, settings ...string) []string {
	return with("tiny.yaml", append([]string{"dropout=0.1", "save_steps=1", "eval_steps=9", fmt.Sprintf("max_steps=%d", steps)}, settings...)...)
}

// What follows waits most of the time: all of it takes one place among the parallel tests.
func TestWhatHappensToOneHappensToAll(t *testing.T) {
	t.Parallel()
	n, early := 2, false
	if text := os.Getenv("FRUGAL_TEST_RANKS"); text != "" { // so many accidents
		n, early = must(strconv.Atoi(text))(t), true
	}
	want := workplace(t)
	began := time.Now()
	mustTrain(t, want, by(3, lost(25))...)
	longest := time.Since(began)
	stops := max(1, n/3)
	var all sync.WaitGroup
	all.Go(func() { t.Run("who loses a process names it and ends", namesAndEnds) })
	all.Go(func() {
		t.Run("one alone is begun again", func(t *testing.T) {
			want, got := workplace(t), workplace(t)
			mustTrain(t, want, lost(25)...)
			d := &disturber{processes: 1, signal: syscall.SIGKILL, left: 1, longest: longest, random: rand.New(rand.NewPCG(0, 0))}
			d.run(t, got)
			compareResults(t, want, got)
		})
	})
	for signal, times := range map[syscall.Signal]int{syscall.SIGKILL: n - stops, syscall.SIGSTOP: stops} {
		all.Go(func() {
			t.Run("begun again after "+unix.SignalName(signal), func(t *testing.T) {
				seed := uint64(time.Now().UnixNano())
				t.Logf("the moments are drawn from seed %d", seed)
				d := &disturber{processes: 3, signal: signal, left: times, longest: longest, early: early && signal == syscall.SIGKILL, random: rand.New(rand.NewPCG(seed, 0))}
				for d.left > 0 && !t.Failed() {
					dir := workplace(t)
					d.run(t, dir)
					compareResults(t, want, dir)
				}
			})
		})
	}
	all.Wait()
}

func namesAndEnds(t *testing.T) {
	type accident struct {
		rank   int
		signal syscall.Signal
		dir    string
		all    []*rank
		at     time.Time
	}
	accidents := []*accident{{rank: 0, signal: syscall.SIGKILL}, {rank: 1, signal: syscall.SIGKILL}, {rank: 0, signal: syscall.SIGSTOP}, {rank: 2, signal: syscall.SIGSTOP}}
	for i, a := range accidents { // at once: most of the time they wait
		command := append([]string{"train"}, lost(1_000_000, fmt.Sprintf("shard_optimizer=%v", i%2 == 0))...)
		a.dir = workplace(t)
		a.all = ranks(t, a.dir, command, command, command)
	}
	for _, a := range accidents {
		waitForSave(t, a.dir)
		a.at = time.Now()
		a.all[a.rank].Process.Signal(a.signal)
	}
	for _, a := range accidents {
		name := fmt.Sprintf("%s of rank %d", unix.SignalName(a.signal), a.rank)
		for i, r := range a.all {
			if i == a.rank {
				continue
			}
			code, said := r.code(t), r.stderr.String()
			if code != 6 {
				t.Errorf("%s: rank %d: exit code %d, want 6", name, i, code)
			}
			if took := r.ended.Sub(a.at); took > 10*time.Second {
				t.Errorf("%s: rank %d took %v to find it", name, i, took)
			}
			checkOneProblem(t, said, ranked(i, fmt.Sprintf("rank %d is gone: …", a.rank)))
			if way := "; the same command goes on from output/model_step_"; i == 0 && !strings.Contains(said, way) {
				t.Errorf("%s: want %q in:\n%s", name, way, said)
			}
		}
		if left := must(filepath.Glob(filepath.Join(a.dir, "output", ".saving-*")))(t); a.rank != 0 && len(left) > 0 {
			t.Errorf("%s: half-written: %q", name, left)
		}
		a.all[a.rank].Process.Kill()
		a.all[a.rank].code(t) // its lock is free
		if stderr := mustTrain(t, a.dir, lost(1)...); !strings.Contains(stderr, "resume: going on from output/model_step_") || strings.Contains(stderr, "passed over checkpoint") {
			t.Errorf("%s: its checkpoints:\n%s", name, stderr)
		}
	}
}

// waitForSave waits until a run has saved, and some moment of the steps behind that has come.
func waitForSave(t *testing.T, dir string) {
	t.Helper()
	for end := time.Now().Add(3 * time.Minute); ; time.Sleep(time.Millisecond) { // on a busy machine
		if found := must(filepath.Glob(filepath.Join(dir, "output", "model_step_*")))(t); len(found) > 0 {
			break
		}
		if time.Now().After(end) {
			t.Fatal("the run does not begin")
		}
	}
	time.Sleep(rand.N(100 * time.Millisecond))
}

// A launcher of another kind may tell one process alone.
func TestASignalToOneProcessEndsAll(t *testing.T) {
	t.Parallel()
	dir := workplace(t)
	command := append([]string{"train"}, lost(1_000_000)...)
	all := ranks(t, dir, command, command, command)
	waitForSave(t, dir)
	all[1].Process.Signal(syscall.SIGTERM)
	for i, r := range all {
		if code := r.code(t); code != 143 || !strings.Contains(r.stderr.String(), "interrupted by SIGTERM; saved output/model_step_") {
			t.Errorf("rank %d: exit code %d:\n%s", i, code, r.stderr.String())
		}
	}
}

// disturber does something to processes.
type disturber struct {
	processes int
	signal    syscall.Signal
	random    *rand.Rand
	left      int           // to do
	longest   time.Duration // from when the processes have met, or have been started
	// Processes may be killed before they have met. The others learn of that after half a minute, when the launcher ends them; that one is
	// stopped there they would learn after five, as if it came late.
	early bool
}

// run is a run that ends as it should, whatever is done to its processes. That moments are shared out, and that it was told to begin anew,
// make no difference.
func (d *disturber) run(t *testing.T, dir string) {
	t.Helper()
	var stderr bytes.Buffer
	args := append(by(d.processes, lost(25, fmt.Sprintf("shard_optimizer=%v", d.random.IntN(2) == 0))), "-max-restarts", "1000")
	if d.random.IntN(2) == 0 {
		args = append(args, "-resume", "never")
	}
	command := trainCommand(dir, dir, args...)
	command.Stderr = &stderr
	if err := command.Start(); err != nil {
		t.Fatal(err)
	}
	ended := make(chan error, 1)
	go func() { ended <- command.Wait() }()
	var hurt []int // and those that it had to do with
	for timeout := time.After(time.Minute); ; {
		select {
		case err := <-ended:
			if checkNoStack(t, stderr.String()); err != nil {
				t.Errorf("%v:\n%s", err, stderr.String())
			}
			if again := must(filepath.Glob(filepath.Join(dir, "output", "*.superseded")))(t); len(again) > 0 {
				t.Errorf("it began anew, though it had saved: %q", again)
			}
			return
		case <-timeout:
			command.Process.Kill()
			<-ended
			t.Fatalf("it does not go on, with %d accidents left:\n%s", d.left, stderr.String())
		case <-time.After(10 * time.Millisecond):
		}
		processes := children(t, command.Process.Pid)
		old := slices.ContainsFunc(processes, func(pid int) bool { return slices.Contains(hurt, pid) })
		if d.left == 0 || len(processes) < d.processes || old || !d.early && !haveMet(dir, processes) {
			continue
		}
		time.Sleep(time.Duration(d.random.Int64N(int64(d.longest))))
		syscall.Kill(processes[d.random.IntN(len(processes))], d.signal)
		hurt, timeout = processes, time.After(time.Minute)
		d.left--
	}
}

// haveMet says whether rank 0 is one of these, which takes the output directory when all have come.
func haveMet(dir string, processes []int) bool {
	text, _ := os.ReadFile(filepath.Join(dir, "output", ".lock"))
	pid, err := strconv.Atoi(strings.TrimSpace(string(text)))
	return err == nil && slices.Contains(processes, pid)
}

// A launcher that is killed takes its processes with it, in their own time.
func TestProcessesDoNotOutliveTheirLauncher(t *testing.T) {
	t.Parallel()
	dir := workplace(t)
	var stderr bytes.Buffer
	command := trainCommand(dir, dir, by(3, lost(1_000_000))...)
	command.Stderr = &stderr
	if err := command.Start(); err != nil {
		t.Fatal(err)
	}
	waitForSave(t, dir)
	command.Process.Kill()
	command.Wait() // until nobody has its standard error any more
	if got := problems(stderr.String()); len(got) != 1 || !strings.Contains(got[0], "interrupted by SIGTERM; saved output/model_step_") {
		t.Errorf("%q:\n%s", got, stderr.String())
	}
}

// children are the processes that a process has started and that have not ended, as proc(5) tells it: "pid (name) state parent …".
func children(t *testing.T, parent int) (pids []int) {
	t.Helper()
	for _, path := range must(filepath.Glob("/proc/[0-9]*/stat"))(t) {
		text, err := os.ReadFile(path)
		_, rest, _ := strings.Cut(string(text), ") ")
		fields := strings.Fields(rest)
		if err != nil || len(fields) < 2 || fields[0] == "Z" || fields[1] != strconv.Itoa(parent) { // it has ended meanwhile
			continue
		}
		pids = append(pids, must(strconv.Atoi(filepath.Base(filepath.Dir(path))))(t))
	}
	return pids
}

// Who is alone still when a signal comes has nothing to wait for.
func TestASignalEndsWhoWaitsForOthers(t *testing.T) {
	t.Parallel()
	dir := workplace(t)
	command := append([]string{"train"}, with("tiny.yaml")...)
	for missing := range 2 {
		all := ranks(t, dir, command, command, command)
		all[missing].Process.Kill()
		<-all[missing].done
		for i, r := range all {
			if i == missing {
				continue
			}
			for ended := false; !ended && !strings.Contains(r.stderr.String(), "waiting for "); {
				select {
				case <-r.done: // it knows of the other's end
					ended = true
				case <-time.After(10 * time.Millisecond):
				}
			}
			began := time.Now()
			r.Process.Signal(syscall.SIGTERM)
			if code := r.code(t); code != 143 && code != 6 { // who comes to know of the other's end first
				t.Errorf("without rank %d: rank %d: exit code %d", missing, i, code)
			}
			if took := time.Since(began); took > 10*time.Second {
				t.Errorf("without rank %d: rank %d took %v", missing, i, took)
			}
		}
	}
}
