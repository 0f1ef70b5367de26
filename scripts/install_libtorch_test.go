// Package scripts holds nothing but tests: those of the shell scripts beside it.
package scripts

import (
	"math/rand/v2"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"syscall"
	"testing"
	"time"
)

func TestInstallFetchesWithPipAndASecondRunDoesNothing(t *testing.T) {
	t.Parallel()
	h := newHouse(t)
	h.mustInstall("", "--cpu")
	if got := h.installed(); got != "cpu" {
		t.Fatalf("installed %q, want cpu", got)
	}
	left, _ := filepath.Glob(filepath.Join(h.thirdParty, ".[du]*"))
	if len(left) > 0 {
		t.Errorf("left behind: %v", left)
	}

	h.program("python3", "echo python3 was called; exit 1")
	for _, option := range []string{"--cpu", "--auto"} {
		if got, want := h.mustInstall("", option), "libtorch 2.11.0 (cpu) is in "+h.thirdParty+"/torch\n"; got != want {
			t.Errorf("second run, %s: %q, want %q", option, got, want)
		}
	}
}

func TestInstallKilledAtAnyMomentIsWholeOrAbsentAndCompletesLater(t *testing.T) {
	t.Parallel()
	h := newHouse(t)
	h.slowPip()
	start := time.Now()
	h.mustInstall("", "--cpu")
	whole := time.Since(start)

	killed, completed := 0, 0
	variants := []string{"--cuda", "--cpu"}
	for try := 0; killed < 20; try++ {
		if try == 200 {
			t.Fatalf("of %d runs only %d were killed before they ended", try, killed)
		}
		c := h.command("", variants[completed%2])
		c.SysProcAttr = &syscall.SysProcAttr{Setpgid: true}
		if err := c.Start(); err != nil {
			t.Fatal(err)
		}
		time.Sleep(time.Duration(rand.Int64N(int64(whole))))
		victim := c.Process.Pid // the script alone, or with pip and all else that it started
		if try%2 == 0 {
			victim = -victim
		}
		killErr := syscall.Kill(victim, syscall.SIGKILL)
		err := c.Wait()
		h.installed()
		switch {
		case err == nil:
			completed++
		case killErr == nil && c.ProcessState.Sys().(syscall.WaitStatus).Signaled():
			killed++
		default:
			t.Fatalf("run %d failed by itself: %v", try, err)
		}
	}
	h.mustInstall("", "--cuda")
	if got := h.installed(); got != "cuda" {
		t.Errorf("installed %q, want cuda", got)
	}
}

func TestInstallGoesOnWithWhatWasDownloaded(t *testing.T) {
	t.Parallel()
	h := newHouse(t)
	h.slowPip()
	hidden := filepath.Join(h.wheels, runtimeWheel)
	if err := os.Rename(hidden, hidden+".hidden"); err != nil {
		t.Fatal(err)
	}
	output, ok := h.install("", "--cpu")
	if ok || !strings.Contains(output, "pip could not download nvidia_cuda_runtime 13.0.96") {
		t.Fatalf("without one of the wheels: success %t\n%s", ok, output)
	}
	if err := os.Rename(hidden+".hidden", hidden); err != nil {
		t.Fatal(err)
	}
	if output := h.mustInstall("", "--cpu"); !strings.Contains(output, torchWheel+": downloaded already") {
		t.Errorf("the first wheel was not kept:\n%s", output)
	}
}

func TestInstallRefusesAnAlteredDownloadByName(t *testing.T) {
	t.Parallel()
	for name, alter := range map[string]func(whole string) string{
		"cut short": func(whole string) string { return whole[:len(whole)/2] },
		"altered":   func(whole string) string { return whole[:100] + "x" + whole[101:] },
		"empty":     func(string) string { return "" },
	} {
		t.Run("brought by pip, "+name, func(t *testing.T) {
			t.Parallel()
			h := newHouse(t)
			h.slowPip()
			shelf := filepath.Join(h.wheels, torchWheel)
			whole, err := os.ReadFile(shelf)
			if err != nil {
				t.Fatal(err)
			}
			h.write(shelf, alter(string(whole)))
			output, ok := h.install("", "--cpu")
			if ok || !strings.Contains(output, "install-libtorch: "+torchWheel+": refused and removed") {
				t.Errorf("success %t\n%s", ok, output)
			}
			if h.installed() != "" {
				t.Error("it was installed all the same")
			}
			h.write(shelf, string(whole))
			h.mustInstall("", "--cpu")
		})
		t.Run("since it was downloaded, "+name, func(t *testing.T) {
			t.Parallel()
			h := newHouse(t)
			h.slowPip()
			whole, err := os.ReadFile(filepath.Join(h.wheels, torchWheel))
			if err != nil {
				t.Fatal(err)
			}
			h.write(filepath.Join(h.thirdParty, ".download", torchWheel), alter(string(whole)))
			if output := h.mustInstall("", "--cpu"); !strings.Contains(output, torchWheel+": refused, cut short or altered") {
				t.Errorf("not refused by name:\n%s", output)
			}
			if got := h.installed(); got != "cpu" {
				t.Errorf("installed %q, want cpu", got)
			}
		})
	}
}

func TestInstallNoticesALostOrCutFile(t *testing.T) {
	t.Parallel()
	h := newHouse(t)
	h.slowPip()
	h.mustInstall("", "--cpu")
	for name, damage := range map[string]func(path string) error{
		"lost": os.Remove,
		"cut":  func(path string) error { return os.Truncate(path, 1000) },
	} {
		if err := damage(filepath.Join(h.thirdParty, "torch/lib/libtorch_cpu.so")); err != nil {
			t.Fatal(err)
		}
		h.mustInstall("", "--cpu")
		info, err := os.Stat(filepath.Join(h.thirdParty, "torch/lib/libtorch_cpu.so"))
		if err != nil || info.Size() != 20000 {
			t.Errorf("%s: not installed anew: %v, %v", name, info, err)
		}
	}
}

func TestInstallTwoAtOnce(t *testing.T) {
	t.Parallel()
	h := newHouse(t)
	h.slowPip()
	var runs [3]*exec.Cmd
	for i := range runs {
		runs[i] = h.command("", []string{"--cpu", "--auto", "--cuda"}[i])
		if err := runs[i].Start(); err != nil {
			t.Fatal(err)
		}
	}
	for _, c := range runs {
		if err := c.Wait(); err != nil {
			t.Errorf("%v: %v", c.Args[1:], err)
		}
	}
	if h.installed() == "" {
		t.Error("nothing is installed")
	}
}

func TestInstallAutoChoosesByTheCard(t *testing.T) {
	t.Parallel()
	for _, c := range []struct{ name, smi, variant, says string }{
		{"card", "echo '580.65.06, 8.9, NVIDIA GeForce RTX 4060'", "cuda", "NVIDIA GeForce RTX 4060, driver 580"},
		{"old driver", "echo '535.183.01, 8.6, NVIDIA GeForce RTX 3050'", "cpu", "has driver 535 and CUDA 13 needs 580"},
		{"old card", "echo '580.65.06, 6.1, NVIDIA GeForce GTX 1060'", "cpu", "GTX 1060 is older than CUDA 13 supports"},
		{"driver without a card", "echo 'No devices were found'; exit 6", "cpu", "no NVIDIA card"},
		{"no driver", "exit 9", "cpu", "no NVIDIA card"},
	} {
		t.Run(c.name, func(t *testing.T) {
			t.Parallel()
			h := newHouse(t)
			h.slowPip()
			h.program("nvidia-smi", c.smi)
			output := h.mustInstall("", "--auto")
			if got := h.installed(); got != c.variant || !strings.Contains(output, c.says) {
				t.Errorf("installed %q, want %q, saying %q:\n%s", got, c.variant, c.says, output)
			}
		})
	}
}

func TestInstallSwitchesBetweenCPUAndCUDA(t *testing.T) {
	t.Parallel()
	h := newHouse(t)
	h.slowPip()
	for _, step := range []struct{ option, variant string }{
		{"--cpu", "cpu"}, {"--cuda", "cuda"}, {"--auto", "cuda"}, {"--cpu", "cpu"}, {"--auto", "cpu"},
	} {
		h.mustInstall("", step.option)
		if got := h.installed(); got != step.variant {
			t.Fatalf("after %s: %q, want %q", step.option, got, step.variant)
		}
	}
	if kept, _ := filepath.Glob(filepath.Join(h.thirdParty, "libtorch-*")); len(kept) != 1 {
		t.Errorf("kept %v, want the one in use", kept)
	}
}

func TestInstallLinksALibtorchOfOnesOwn(t *testing.T) {
	t.Parallel()
	h := newHouse(t)
	h.slowPip()
	own := filepath.Join(t.TempDir(), "own libtorch")
	header := filepath.Join(own, "include/torch/headeronly/version.h")
	refused := func(libtorch, want string) {
		t.Helper()
		if output, ok := h.install(libtorch); ok || !strings.Contains(output, want) {
			t.Errorf("success %t, want a refusal with %q:\n%s", ok, want, output)
		}
		if h.installed() != "" {
			t.Error("something is installed all the same")
		}
	}
	refused(own, "no such directory")
	h.write(header, strings.Replace(versionHeader, "11", "4", 1))
	refused(own, "lib/libtorch_cpu.so or lib/libc10.so is missing")
	h.write(filepath.Join(own, "lib/libtorch_cpu.so"), "cpu")
	h.write(filepath.Join(own, "lib/libc10.so"), "c10")
	refused(own, "is libtorch 2.4.0, want 2.11.0")

	h.write(header, versionHeader)
	for _, libtorch := range []string{own, own + "/", ""} { // the third time --auto keeps it
		h.mustInstall(libtorch)
		if link, err := os.Readlink(filepath.Join(h.thirdParty, "torch")); link != own {
			t.Fatalf("third_party/torch points at %q (%v), want %q", link, err, own)
		}
	}
	h.mustInstall("", "--cpu")
	if got := h.installed(); got != "cpu" {
		t.Errorf("--cpu left %q", got)
	}
	if _, err := os.Stat(header); err != nil {
		t.Errorf("it was removed: %v", err)
	}
}

func TestInstallRefusals(t *testing.T) {
	t.Parallel()
	h := newHouse(t)
	for _, c := range []struct {
		name    string
		prepare func()
		args    []string
		want    string
	}{
		{"an unknown option", func() {}, []string{"--gpu"}, "usage:"},
		{"another machine", func() { h.program("uname", "if [[ $1 = -m ]]; then echo riscv64; else echo Linux; fi") }, nil, "no libtorch 2.11.0 for riscv64"},
		{"another system", func() { h.program("uname", "echo Darwin") }, nil, "this is Darwin"},
		{"no pip", func() { os.Remove(filepath.Join(h.bin, "uname")); h.program("python3", "exit 1") }, []string{"--cpu"}, "python3 with pip is needed"},
		{"a directory of somebody else's", func() { h.write(filepath.Join(h.thirdParty, "torch/mine"), "") }, nil, "is not from this script"},
	} {
		c.prepare()
		if output, ok := h.install("", c.args...); ok || !strings.Contains(output, c.want) {
			t.Errorf("%s: success %t, want a refusal with %q:\n%s", c.name, ok, c.want, output)
		}
	}
	if _, err := os.Stat(filepath.Join(h.thirdParty, "torch/mine")); err != nil {
		t.Errorf("what was not ours is gone: %v", err)
	}
}
