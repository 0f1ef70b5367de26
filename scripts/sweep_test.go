package scripts

// sweep.sh around a program that behaves like train as far as it matters here: it takes its time, stops on a signal with a
// checkpoint, goes on from there, and fails where it is told to.

import (
	"errors"
	"fmt"
	"io/fs"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strings"
	"sync"
	"syscall"
	"testing"
	"time"
)

// fakeTrain takes as many steps as the setting steps says, 0.05 s each, 2 unless set. It notes each call in $CALLS.
const fakeTrain = `#!/usr/bin/env bash
for a in "$@"; do [[ $a == *=* ]] && declare "v_${a%%=*}=${a#*=}"; done
[[ " $* " != *' -print-config '* ]] || { [[ -z ${v_mod-} ]] || { echo 'train: -set: mod: unknown key; did you mean mode?' >&2; exit 2; }; exit 0; }
dir=${v_output_dir#\'} dir=${dir%\'} dir=${dir//\'\'/\'}
printf '%s\n' "$*" >>"$CALLS"
case ${v_mode-} in
bad) echo 'train: mode: bad: not a mode' >&2; exit 2 ;;
once) [[ -e $CALLS.second ]] || { touch "$CALLS.second"; echo 'train: the loss is not finite' >&2; exit 4; } ;;
esac
mkdir -p "$dir"
step=0
[[ ! -e $dir/checkpoint ]] || step=$(<"$dir/checkpoint")
say() { printf '{"event":"run","step":%d,"status":"%s","config":{}}\n' "$step" "$1" >>"$dir/metrics.jsonl"; }
stop() { echo "$step" >"$dir/checkpoint"; say stopped; echo "train: interrupted by SIG$1; saved"; exit $((128 + $2)); }
trap 'stop INT 2' INT
trap 'stop TERM 15' TERM
say started
echo "threads ${OMP_NUM_THREADS-unset}"
while ((step < ${v_steps:-2})); do
	sleep 0.05
	((step++))
	printf '{"event":"train","step":%d,"loss":%d.5}\n' "$step" "$step" >>"$dir/metrics.jsonl"
done
say complete
`

// reportDir is where realReport put the program, "" if it was not asked for.
var reportDir string

// realReport builds cmd/report once: it is pure Go.
var realReport = sync.OnceValues(func() (string, error) {
	dir, err := os.MkdirTemp("", "report")
	if err != nil {
		return "", err
	}
	reportDir = dir
	path := filepath.Join(dir, "report")
	build := exec.Command("go", "build", "-o", path, "./cmd/report")
	build.Dir, build.Env = "..", append(os.Environ(), "CGO_ENABLED=0")
	if out, err := build.CombinedOutput(); err != nil {
		return "", fmt.Errorf("%w: %s", err, out)
	}
	return path, nil
})

// TestMain removes the program that realReport built.
func TestMain(m *testing.M) {
	code := m.Run()
	if reportDir != "" {
		os.RemoveAll(reportDir)
	}
	os.Exit(code)
}

// sweeper is a place to sweep in. Its name has a space and a quote.
type sweeper struct {
	t   *testing.T
	dir string
}

func newSweeper(t *testing.T) *sweeper {
	t.Helper()
	t.Parallel()
	s := &sweeper{t, filepath.Join(t.TempDir(), "a b'c")}
	for name, content := range map[string]string{"train": fakeTrain, "config.yaml": "steps: 2\n"} {
		if err := os.MkdirAll(s.dir, 0o777); err != nil {
			t.Fatal(err)
		}
		if err := os.WriteFile(filepath.Join(s.dir, name), []byte(content), 0o777); err != nil {
			t.Fatal(err)
		}
	}
	return s
}

func (s *sweeper) command(args ...string) *exec.Cmd {
	s.t.Helper()
	report, err := realReport()
	if err != nil {
		s.t.Fatal(err)
	}
	script, err := filepath.Abs("sweep.sh")
	if err != nil {
		s.t.Fatal(err)
	}
	c := exec.Command(script, append([]string{"-config", "config.yaml", "-o", "out"}, args...)...)
	c.Dir = s.dir
	c.Env = append(os.Environ(), "TRAIN="+filepath.Join(s.dir, "train"), "REPORT="+report, "CALLS="+filepath.Join(s.dir, "calls"), "OMP_NUM_THREADS=")
	return c
}

// sweep runs the script, which must end with that code, and returns what it printed.
func (s *sweeper) sweep(code int, args ...string) string {
	s.t.Helper()
	out, err := s.command(args...).CombinedOutput()
	s.checkCode(err, code, string(out))
	return string(out)
}

func (s *sweeper) checkCode(err error, want int, out string) {
	s.t.Helper()
	code := 0
	if exit := (*exec.ExitError)(nil); errors.As(err, &exit) {
		code = exit.ExitCode()
	} else if err != nil {
		s.t.Fatal(err)
	}
	if code != want {
		s.t.Fatalf("exit code %d, want %d:\n%s", code, want, out)
	}
}

// calls are the calls of train since the last look.
func (s *sweeper) calls() []string {
	s.t.Helper()
	path := filepath.Join(s.dir, "calls")
	content, err := os.ReadFile(path)
	if err != nil && !errors.Is(err, fs.ErrNotExist) {
		s.t.Fatal(err)
	}
	os.Remove(path)
	return strings.FieldsFunc(string(content), func(r rune) bool { return r == '\n' })
}

func (s *sweeper) wants(out string, lines ...string) {
	s.t.Helper()
	for _, want := range lines {
		if !strings.Contains(out, want) {
			s.t.Errorf("want %q in:\n%s", want, out)
		}
	}
}

// waitFor waits until a run of the sweep has taken a step.
func (s *sweeper) waitFor(run string) {
	s.t.Helper()
	for range 1000 {
		content, _ := os.ReadFile(filepath.Join(s.dir, "out", "runs", run, "metrics.jsonl"))
		if strings.Contains(string(content), "train") {
			return
		}
		time.Sleep(10 * time.Millisecond)
	}
	s.t.Fatalf("%s did not begin", run)
}

func TestSweepTrainsOnceForEachCombination(t *testing.T) {
	s := newSweeper(t)
	out := s.sweep(0, "b=1,2", "a.x=[p,q],'r,s'", "--", "-set", "steps=1")
	calls := s.calls()
	want := []string{
		"-set a.x=[p,q] -set b=1", "-set a.x=[p,q] -set b=2", "-set a.x='r,s' -set b=1", "-set a.x='r,s' -set b=2",
	}
	if len(calls) != len(want) {
		t.Fatalf("%d calls, want %d:\n%s", len(calls), len(want), out)
	}
	for i, call := range calls {
		s.wants(call, "-config config.yaml -set steps=1 "+want[i]+" -set output_dir='out/runs/", " -set logging_dir='out/logs/")
	}
	s.wants(out, "[4/4]", ",b=2  complete      1      1.5000")
	if _, err := os.Stat(filepath.Join(s.dir, "out", "report.html")); err != nil {
		t.Error(err)
	}
	runs, _ := filepath.Glob(filepath.Join(s.dir, "out", "runs", "*"))
	if len(runs) != 4 {
		t.Errorf("%q", runs)
	}
}

func TestSweepGoesOnWithWhatIsNotComplete(t *testing.T) {
	s := newSweeper(t)
	s.sweep(0, "b=1,2")
	s.calls()
	s.wants(s.sweep(0, "b=1,2"), "b=1: complete already", "b=2: complete already")
	if calls := s.calls(); len(calls) != 0 {
		t.Errorf("complete runs were called again: %q", calls)
	}
	s.wants(s.sweep(0, "-dry-run", "b=1,2,3"), "b=1: complete\n", "b=3: new\n    -set b=3\n")
	s.sweep(0, "b=3,1")
	if calls := s.calls(); len(calls) != 1 || !strings.Contains(calls[0], "b=3") {
		t.Errorf("a longer list: %q, want the new run alone", calls)
	}
	// Other flags, or another configuration: the runs are called again, and train decides.
	s.sweep(0, "b=1", "--", "-set", "steps=4")
	if calls := s.calls(); len(calls) != 1 {
		t.Errorf("other flags: %q", calls)
	}
}

func TestSweepMarksAFailedRunAndGoesOn(t *testing.T) {
	s := newSweeper(t)
	out := s.sweep(1, "mode=bad,good,once")
	s.wants(out, "mode=bad: failed (exit code 2): mode: bad: not a mode", "mode=good: complete",
		"failed: mode=bad (exit code 2): mode: bad: not a mode\n", "failed: mode=once (exit code 4): the loss is not finite\n")
	s.calls()
	out = s.sweep(1, "mode=bad,good,once")
	s.wants(out, "mode=good: complete already", "mode=once: complete", "failed: mode=bad")
	if calls := s.calls(); len(calls) != 2 {
		t.Errorf("%q, want the failed runs alone", calls)
	}
}

func TestSweepPassesASignalOnAndResumes(t *testing.T) {
	for _, signal := range []syscall.Signal{syscall.SIGINT, syscall.SIGTERM} {
		t.Run(signal.String(), func(t *testing.T) {
			s := newSweeper(t)
			args := []string{"-j", "2", "b=1,2,3", "--", "-set", "steps=30"}
			var out strings.Builder
			c := s.command(args...)
			c.Stdout, c.Stderr = &out, &out
			if err := c.Start(); err != nil {
				t.Fatal(err)
			}
			s.waitFor("b=1")
			s.waitFor("b=2")
			c.Process.Signal(signal)
			s.checkCode(c.Wait(), 128+int(signal), out.String())
			s.wants(out.String(), "b=1: interrupted", "b=2: interrupted", "the runs are saving a checkpoint")
			if calls := s.calls(); len(calls) != 2 {
				t.Errorf("%q: a run was started after the signal", calls)
			}
			if content, err := os.ReadFile(filepath.Join(s.dir, "out", "runs", "b=1", "checkpoint")); err != nil || string(content) == "0\n" {
				t.Errorf("checkpoint %q, %v", content, err)
			}
			s.sweep(0, args...)
			content, err := os.ReadFile(filepath.Join(s.dir, "out", "runs", "b=1", "metrics.jsonl"))
			if err != nil || strings.Count(string(content), `"step":1,`) != 1 || !strings.Contains(string(content), `"step":30,"status":"complete"`) {
				t.Errorf("b=1 did not go on from its checkpoint: %v\n%s", err, content)
			}
		})
	}
}

// The runs of a sweep that was killed go on: a second one must not come between.
func TestSweepWaitsForNoRunsOfAKilledOne(t *testing.T) {
	s := newSweeper(t)
	args := []string{"b=1", "--", "-set", "steps=40"}
	c := s.command(args...)
	if err := c.Start(); err != nil {
		t.Fatal(err)
	}
	s.waitFor("b=1")
	c.Process.Kill()
	c.Wait()
	s.wants(s.sweep(1, args...), "out: another sweep, or a run that one left, is at work in it")
	for range 100 {
		time.Sleep(100 * time.Millisecond)
		content, _ := os.ReadFile(filepath.Join(s.dir, "out", "runs", "b=1", "metrics.jsonl"))
		if strings.Contains(string(content), "complete") {
			break
		}
	}
	time.Sleep(200 * time.Millisecond)
	s.wants(s.sweep(0, args...), "b=1: complete")
}

func TestSweepDividesTheProcessors(t *testing.T) {
	s := newSweeper(t)
	s.sweep(0, "-j", "999", "b=1")
	content, err := os.ReadFile(filepath.Join(s.dir, "out", "state", "b=1.log"))
	if err != nil || string(content) != "threads 1\n" {
		t.Errorf("%q, %v", content, err)
	}
}

func TestSweepNamesRunsSafely(t *testing.T) {
	s := newSweeper(t)
	long := strings.Repeat("x", 300)
	s.sweep(0, "a=../..,a/b,a:b,"+long+","+long+"y", "b="+long)
	names, err := os.ReadDir(filepath.Join(s.dir, "out", "runs"))
	if err != nil || len(names) != 5 {
		t.Fatalf("%v, %v: want 5 runs", names, err)
	}
	for _, name := range names {
		if strings.Trim(name.Name(), "abcdefghijklmnopqrstuvwxyz0123456789._=,~") != "" || len(name.Name()) > 180 {
			t.Errorf("%s", name.Name())
		}
	}
}

func TestSweepRefusesWhatMakesNoSense(t *testing.T) {
	for _, test := range []struct{ want, args string }{
		{"nothing to sweep over", ""},
		{"a: 1,1: a value is there twice", "a=1,1"},
		{"a: 1,: a value is empty", "a=1,"},
		{"a: [1,2: a quote or a bracket is not closed", "a=[1,2"},
		{"a: given twice", "a=1 a=2"},
		{"output_dir: each run gets its own", "output_dir=x"},
		{"A: not a key", "A=1"},
		{"x: want key=value", "x"},
		{"-j: 0: want a number of runs", "-j 0 a=1"},
		{"-q: no such flag", "-q a=1"},
		{"-o: a value is missing", "a=1 -o"},
		{"-- -dry-run: not in a sweep", "a=1 -- -dry-run"},
		{"-config: none: no such file", "a=1 -config none"},
		{"-set: mod: unknown key; did you mean mode?", "mod=1,2"},
	} {
		t.Run(test.want, func(t *testing.T) {
			s := newSweeper(t)
			out := s.sweep(2, strings.Fields(test.args)...)
			if !strings.HasPrefix(out, "sweep: "+test.want) || strings.Count(out, "\n") != 1 {
				t.Errorf("%q", out)
			}
			if calls := s.calls(); len(calls) != 0 {
				t.Errorf("train was called: %q", calls)
			}
		})
	}
}

// With the real program, where it has been built.
func TestSweepWithTheRealProgram(t *testing.T) {
	train, err := filepath.Abs("../bin/train")
	if err != nil {
		t.Fatal(err)
	}
	if _, err := os.Stat(train); err != nil {
		t.Skip("bin/train is not built: make build")
	}
	s := newSweeper(t)
	tiny := "max_steps: 4\nhidden_size: 16\nnum_layers: 1\nnum_heads: 2\nintermediate_size: 32\nmax_position_embeddings: 16\nbatch_size: 2\n" +
		"gradient_accumulation_steps: 1\nlogging_steps: 1\neval_steps: 2\ntokenizer: {type: byte}\ndata: {train: [text.txt]}\nthreads: 1\n"
	text := strings.Repeat("Era uma vez um menino que lia.<|endoftext|>", 40)
	for name, content := range map[string]string{"config.yaml": tiny, "text.txt": text} {
		if err := os.WriteFile(filepath.Join(s.dir, name), []byte(content), 0o666); err != nil {
			t.Fatal(err)
		}
	}
	c := s.command("learning_rate=1e-3,-1,2e-3", "seed=1")
	c.Env = slices.DeleteFunc(c.Env, func(v string) bool { return strings.HasPrefix(v, "TRAIN=") })
	c.Env = append(c.Env, "TRAIN="+train, "XDG_CACHE_HOME="+filepath.Join(s.dir, "cache"))
	out, err := c.CombinedOutput()
	s.checkCode(err, 1, string(out))
	s.wants(string(out), "learning_rate=1e-3,seed=1  complete    4/4", "learning_rate=2e-3,seed=1  complete    4/4",
		"failed: learning_rate=-1,seed=1 (exit code 2): -set: learning_rate: -1: want")
}
