package torch_test

import (
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"

	"frugal/torch"
)

// A driver is found when a process looks for it the first time, along LD_LIBRARY_PATH as it was at the process's start. So
// each case is this test again, in a process of its own, with a driver compiled from testdata.
func TestCardsFiguresByTheDriver(t *testing.T) {
	if index := os.Getenv("FRUGAL_TEST_CARD"); index != "" {
		printCard(index)
		return
	}
	cuda, nvml := compileDriver(t, "cuda.c", "libcuda.so.1"), compileDriver(t, "nvml.c", "libnvidia-ml.so.1")
	old := compileDriver(t, "nvml.c", "libnvidia-ml.so.1", "-DOLD")
	both := cuda + ":" + nvml
	tests := []struct {
		name, path, card, setting, want string
	}{
		{"the second card of CUDA's is the first that sits", both, "1", "", "{20 45 65500 3221225472}"},
		{"the first card of CUDA's is the second", both, "0", "", "{97 71 320000 64424509440}"},
		{"no figure for what is not supported", both, "1", "FAKE_NVML=no power", "{20 45 -1 3221225472}"},
		{"no figure from a card that is lost", both, "1", "FAKE_NVML=lost", "{-1 -1 -1 -1}"},
		{"no figure by a function that the driver lacks", cuda + ":" + old, "1", "", "{20 45 65500 -1}"},
		{"a card that CUDA does not have", both, "2", "", "there is no cuda:2 (error 101)"},
		{"a card that NVML does not know", both, "0", "FAKE_NVML=unknown card", "NVML does not know the card 0000:41:00.0 (error 6)"},
		{"NVML without a driver", both, "0", "FAKE_NVML=not loaded", "NVML does not start (error 9)"},
		{"CUDA does not start", both, "0", "FAKE_CUDA_INIT=1", "the NVIDIA driver does not start (cuInit: error 100)"},
		{"another library of that name", cuda + ":" + compileDriver(t, "cuda.c", "libnvidia-ml.so.1"), "0", "", "libnvidia-ml.so.1 is not NVML"},
		{"another driver of that name", nvml + ":" + compileDriver(t, "nvml.c", "libcuda.so.1"), "0", "", "libcuda.so.1 is not an NVIDIA driver"},
		{"the CPU", both, "-1", "", "cpu is no card"},
	}
	for _, test := range tests {
		t.Run(test.name, func(t *testing.T) {
			command := exec.Command(os.Args[0], "-test.run=^TestCardsFiguresByTheDriver$")
			command.Env = append(os.Environ(), "FRUGAL_TEST_CARD="+test.card, "LD_LIBRARY_PATH="+test.path, test.setting)
			out, err := command.Output()
			if err != nil {
				t.Fatalf("%v\n%s", err, out)
			}
			if got, _, _ := strings.Cut(string(out), "\n"); got != test.want {
				t.Errorf("got %s, want %s", got, test.want)
			}
		})
	}
}

func printCard(index string) {
	device := torch.CPU
	if index != "-1" {
		device = torch.CUDA(int(index[0] - '0'))
	}
	card, err := torch.OpenCard(device)
	if err != nil {
		fmt.Println(err)
		return
	}
	fmt.Println(card.Stats())
}

// compileDriver makes a library of that name and returns its directory.
func compileDriver(t *testing.T, source, name string, flags ...string) (dir string) {
	t.Helper()
	dir = t.TempDir()
	arguments := append(flags, "-shared", "-fPIC", "-o", filepath.Join(dir, name), filepath.Join("testdata", "driver", source))
	if out, err := exec.Command("cc", arguments...).CombinedOutput(); err != nil {
		t.Fatalf("cc: %v\n%s", err, out)
	}
	return dir
}
