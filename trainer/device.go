package trainer

// The device, its threads and the precision: what is chosen, and why.

import (
	"errors"
	"fmt"
	"os"
	"regexp"
	"runtime"
	"strconv"
	"strings"
	"time"

	"golang.org/x/sys/cpu"

	"frugal/torch"
	"frugal/trainer/config"
	"frugal/trainer/monitor"
)

// precisions to compute in, by their names in the configuration.
var precisions = map[string]torch.DType{"fp32": torch.Float32, "fp16": torch.Float16, "bf16": torch.BFloat16}

func (r *run) buildDevice() (err error) {
	defer protect("setting up the device", &err)
	device, reason, err := r.chooseDevice()
	if err != nil {
		return r.problem("device", r.config.Device, err.Error())
	}
	r.device = device
	r.infof("device: %s (%s)", device, reason)
	switch share := r.processors(); {
	case r.config.Threads > 0:
		torch.SetNumThreads(r.config.Threads)
	case share < float64(runtime.NumCPU()) && os.Getenv("OMP_NUM_THREADS") == "":
		torch.SetNumThreads(max(1, int(share)))
		r.infof("threads: %d (this process's share of %d processors)", torch.NumThreads(), runtime.NumCPU())
	default:
		r.infof("threads: %d (libtorch's choice for %d processors)", torch.NumThreads(), runtime.NumCPU())
	}
	return nil
}

// processors is how many of the machine's are this process's own, between those that train together.
func (r *run) processors() float64 {
	if r.world == nil { // alone, or a dry run
		return float64(runtime.NumCPU()) / float64(r.localProcesses())
	}
	return r.world.Processors()
}

func (r *run) localProcesses() int {
	if r.Place == nil {
		return 1
	}
	return r.Place.LocalSize
}

// chooseDevice gives each of several processes on a machine a card of its own.
func (r *run) chooseDevice() (torch.Device, string, error) {
	device, reason, err := chooseDevice(r.config.Device)
	if err != nil || device.Type == torch.CPUType || r.localProcesses() == 1 || strings.Contains(r.config.Device, ":") {
		return device, reason, err
	}
	n, err := torch.CUDADeviceCount()
	if err == nil && n == 1 && os.Getenv("CUDA_VISIBLE_DEVICES") != "" {
		return torch.CUDA(0), "the one that CUDA_VISIBLE_DEVICES shows this process", nil
	}
	if err == nil && r.Place.LocalSize > n {
		err = fmt.Errorf("%d processes on this machine, which has %d cards; want one each, or device cpu", r.Place.LocalSize, n)
	}
	return torch.CUDA(r.Place.LocalRank), fmt.Sprintf("%d CUDA card(s) found; local rank %d", n, r.Place.LocalRank), err
}

// buildPrecision comes when it is known what the run goes on from: that keeps what was measured.
func (r *run) buildPrecision() (err error) {
	defer protect("choosing the precision", &err)
	var name, why string
	if r.leads() {
		name, why = config.ResolvePrecision(r.config, deviceTypeName(r.device), r.cpuBF16)
	}
	if err := r.fromFirst(&name); err != nil {
		return err
	}
	r.infof("precision: %s (%s)", name, why)
	if r.precision = precisions[name]; r.precision == torch.Float16 && r.device.Type == torch.CPUType {
		r.logger.Warn("precision: fp16 on a CPU is correct but ten times slower than fp32 or more")
	}
	return nil
}

// cpuBF16 is what this CPU makes of products in bf16. Where it has instructions for them it is what the checkpoint to go on from says,
// or what a measurement finds, which changes more than the last bits and so becomes the run's own.
func (r *run) cpuBF16() config.CPUBF16 {
	if !cpuHasBF16() {
		return config.NoBF16
	}
	if r.done.Kernels.BF16 = r.savedProgress().Kernels.BF16; r.done.Kernels.BF16 == "" {
		r.done.Kernels.BF16 = r.measureBF16()
	}
	if r.done.Kernels.BF16 == slowBF16 {
		return config.SlowBF16
	}
	return config.FastBF16
}

// What a measurement finds of bf16.
const fastBF16, slowBF16 = "fast", "slow"

// meetBusy warns where other programs keep a processor from the threads that libtorch would use: they wait for each other in
// every operation, and one that has to wait for its processor holds up the rest, the less when they wait asleep.
func (r *run) meetBusy(load *monitor.MachineLoad) {
	threads := torch.NumThreads()
	if r.device.Type != torch.CPUType || threads < 2 {
		return
	}
	others, ok := load.Others()
	if free := float64(runtime.NumCPU()) - others; ok && free < float64(threads)-0.5 {
		torch.SleepSooner(threads)
		r.logger.Warnf("threads: other programs keep %.1f of %d processors busy; %d threads that wait for each other may then be many times slower than -set threads=%d",
			others, runtime.NumCPU(), threads, max(1, int(free+0.5)))
	}
}

func deviceTypeName(d torch.Device) string {
	if d.Type == torch.CPUType {
		return "cpu"
	}
	return "cuda"
}

var deviceName = regexp.MustCompile(`^(auto|cpu|cuda|cuda:[0-9]+)$`)

// chooseDevice resolves auto, cpu, cuda and cuda:N.
func chooseDevice(name string) (torch.Device, string, error) {
	if !deviceName.MatchString(name) {
		return torch.CPU, "", errors.New("want auto, cpu, cuda or cuda:N")
	}
	if name == "cpu" {
		return torch.CPU, "device is cpu", nil
	}
	ok, reason := torch.CUDAAvailable()
	if !ok {
		if name == "auto" {
			return torch.CPU, reason, nil
		}
		return torch.CPU, "", errors.New("there is no CUDA here: " + reason)
	}
	n, err := torch.CUDADeviceCount()
	if err != nil {
		return torch.CPU, "", err
	}
	index := 0
	if _, digits, given := strings.Cut(name, ":"); given {
		if index, err = strconv.Atoi(digits); err != nil || index >= n {
			return torch.CPU, "", fmt.Errorf("want a card from cuda:0 to cuda:%d", n-1)
		}
	}
	return torch.CUDA(index), fmt.Sprintf("%d CUDA card(s) found", n), nil
}

// measureBF16 times products in fp32 and in bf16, in turn; the fastest of each counts. It takes some hundredths of a second.
func measureBF16() string {
	defer torch.EmptyCache(torch.CPU)
	defer torch.ResetPeakMemory(torch.CPU) // nothing of the run is there yet
	scope := torch.OpenScope()
	defer scope.Close()
	defer torch.SetNumThreads(torch.NumThreads())
	torch.SetNumThreads(1) // several wait for each other where the machine is busy, and take as long whatever they do
	const turns, rows, width = 8, 256, 768
	var factors [2][2]*torch.Tensor
	for i, dtype := range []torch.DType{torch.Float32, torch.BFloat16} {
		factors[i] = [2]*torch.Tensor{torch.Full([]int64{rows, width}, 0.5, dtype, torch.CPU), torch.Full([]int64{width, width}, 0.5, dtype, torch.CPU)}
	}
	var best [2]time.Duration
	for turn := range turns {
		for i, f := range factors {
			start := time.Now()
			torch.Product(f[0], f[1], torch.OneDNN).Free()
			if took := time.Since(start); turn == 0 || took < best[i] {
				best[i] = took
			}
		}
	}
	if best[1] > best[0]*11/10 {
		return slowBF16
	}
	return fastBF16
}

// cpuHasBF16 says whether products in bf16 have instructions of their own here.
func cpuHasBF16() bool { return cpu.X86.HasAVX512BF16 || cpu.X86.HasAMXBF16 || hasARMBF16() }

// hasARMBF16 asks the kernel: HWCAP2_BF16 of arm64.
func hasARMBF16() bool {
	if runtime.GOARCH != "arm64" {
		return false
	}
	text, err := os.ReadFile("/proc/cpuinfo")
	return err == nil && strings.Contains(string(text), " bf16")
}

// CardMemoryGB is the memory of the card that device names in GiB, for preset: auto.
func CardMemoryGB(device string) (gb float64, ok bool, why string) {
	d, reason, err := chooseDevice(device)
	if err != nil {
		return 0, false, err.Error()
	}
	if d.Type == torch.CPUType {
		return 0, false, reason
	}
	m, err := torch.MemoryStats(d)
	if err != nil {
		return 0, false, err.Error()
	}
	return float64(m.Total) / (1 << 30), true, ""
}
