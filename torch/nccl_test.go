package torch_test

// Groups of NCCL's. Without a card what is left to be tried is how they are made: that libtorch_cuda's constructors are found, are given
// memory of the right size, and say that there is no card.

import (
	"bytes"
	"debug/elf"
	"encoding/binary"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"runtime"
	"strconv"
	"strings"
	"testing"
	"time"

	"frugal/torch"
)

// cudaLibrary is libtorch_cuda.so, beside the libtorch_cpu.so that the test has loaded; "" where libtorch is for the CPU only.
func cudaLibrary(t *testing.T) string {
	t.Helper()
	maps, err := os.ReadFile("/proc/self/maps")
	if err != nil {
		t.Skip("needs /proc: " + err.Error())
	}
	cpu := regexp.MustCompile(`/\S*/libtorch_cpu\.so`).FindString(string(maps))
	if cpu == "" {
		t.Fatal("libtorch_cpu.so is not loaded")
	}
	path := filepath.Join(filepath.Dir(cpu), "libtorch_cuda.so")
	if _, err := os.Stat(path); err != nil {
		return ""
	}
	return path
}

func needCUDALibrary(t *testing.T) string {
	t.Helper()
	path := cudaLibrary(t)
	if path == "" {
		t.Skip("this libtorch is for the CPU only: run scripts/install-libtorch.sh --cuda")
	}
	return path
}

func TestNCCLIsRefusedByALibtorchForTheCPU(t *testing.T) {
	if cudaLibrary(t) != "" {
		t.Skip("this libtorch is for CUDA")
	}
	s, _ := serve(t)
	_, err := torch.NewNCCLGroup(s, 0, 1, torch.CUDA(0), enough)
	const want = "this libtorch is for the CPU only: run scripts/install-libtorch.sh --cuda"
	if text := said(t, err); !strings.Contains(text, want) {
		t.Errorf("%q, want %q", text, want)
	}
	if ok, reason := torch.NCCLAvailable(); ok || reason != want {
		t.Errorf("%v, %q, want %q", ok, reason, want)
	}
}

// noCard is c10d's own.
const noCard = "ProcessGroupNCCL is only supported with GPUs, no GPUs found!"

// It is a program of its own: libtorch_cuda is not to be loaded into the other tests where there is no card.
func TestNCCLIsRefusedWithoutACard(t *testing.T) {
	needCUDALibrary(t)
	if ok, _ := torch.CUDAAvailable(); ok {
		t.Skip("there is a CUDA card")
	}
	out, err := again(t, "TestNCCLWithoutACardHelper", "FRUGAL_TEST_NCCL=none").CombinedOutput()
	if err != nil || strings.Contains(string(out), "no tests to run") {
		t.Errorf("%v\n%s", err, out)
	}
	for _, line := range strings.Split(string(out), "\n") { // nothing of libtorch's own
		if line != "" && line != "PASS" && !strings.HasPrefix(line, "coverage:") {
			t.Errorf("it wrote %q", line)
		}
	}
}

func TestNCCLWithoutACardHelper(t *testing.T) {
	if os.Getenv("FRUGAL_TEST_NCCL") != "none" {
		t.Skip("is a part of TestNCCLIsRefusedWithoutACard")
	}
	if ok, reason := torch.NCCLAvailable(); !ok {
		t.Fatal(reason)
	}
	s, _ := serve(t)
	for range 3 {
		_, err := torch.NewNCCLGroup(s, 0, 1, torch.CUDA(0), enough)
		if text := said(t, err); !strings.Contains(text, noCard) {
			t.Errorf("%q, want %q", text, noCard)
		}
	}
	if err := s.Set("after", nil); err != nil {
		t.Error(err)
	}
}

// again is a test of this program, in a process of its own.
func again(t *testing.T, test string, environment ...string) *exec.Cmd {
	t.Helper()
	c := exec.Command(os.Args[0], "-test.run=^"+test+"$")
	c.Env = append(os.Environ(), environment...)
	return c
}

// The class is in a header that wants CUDA's, so that no compiler tells its size here; libtorch_cuda's own code does: the deleting
// destructor hands it to operator delete, and the last that Options' constructor writes is its last member, split_color.
func TestNCCLSizesAreTheLibrarys(t *testing.T) {
	path := needCUDALibrary(t)
	group, last := torch.NCCLGroupBytes, torch.NCCLOptionsBytes-8 // an int, and what fills up the 8 bytes
	var sizeOfGroup, writesLast []byte
	switch runtime.GOARCH {
	case "amd64":
		sizeOfGroup = binary.LittleEndian.AppendUint32([]byte{0xbe}, group)     // mov $size, %esi
		writesLast = binary.LittleEndian.AppendUint32([]byte{0xc7, 0x87}, last) // movl $…, last(%rdi)
		writesLast = append(writesLast, 0xfe, 0xff, 0xff, 0xff)                 // NCCL_SPLIT_NOCOLOR - 1
	case "arm64":
		sizeOfGroup = binary.LittleEndian.AppendUint32(nil, 0xd2800001|group<<5)  // mov x1, size
		writesLast = binary.LittleEndian.AppendUint32(nil, 0xb9000006|last/4<<10) // str w6, [x0, last]
	default:
		t.Skip("libtorch has no NCCL for " + runtime.GOARCH)
	}
	file, err := elf.Open(path)
	if err != nil {
		t.Fatal(err)
	}
	defer file.Close()
	symbols, err := file.DynamicSymbols()
	if err != nil {
		t.Fatal(err)
	}
	for name, want := range map[string][]byte{
		"_ZN4c10d16ProcessGroupNCCLD0Ev":         sizeOfGroup,
		"_ZN4c10d16ProcessGroupNCCL7OptionsC1Eb": writesLast,
	} {
		found := false
		for _, s := range symbols {
			if s.Name != name || s.Section == elf.SHN_UNDEF {
				continue
			}
			found = true
			section := file.Sections[s.Section]
			code := make([]byte, s.Size)
			if _, err := section.ReadAt(code, int64(s.Value-section.Addr)); err != nil {
				t.Fatal(err)
			}
			if !bytes.Contains(code, want) {
				t.Errorf("%s is of another size: no % x in % x", name, want, code)
			}
		}
		if !found {
			t.Errorf("%s is not in %s", name, path)
		}
	}
}

// Without a card c10d's own code runs all the same, by stand-ins for CUDA and NCCL that are loaded before theirs. Each case is this test
// again, in a process of its own.
func TestNCCLGroupByStandIns(t *testing.T) {
	if os.Getenv("FRUGAL_TEST_NCCL") == "stand-ins" {
		standInRank(t)
		return
	}
	needCUDALibrary(t)
	if ok, _ := torch.CUDAAvailable(); ok {
		t.Skip("there is a CUDA card")
	}
	preload := filepath.Join(compileDriver(t, "nccl.c", "libcuda.so.1", "-Wl,-soname,libcuda.so.1"), "libcuda.so.1")
	const (
		joined = "rank 0 of 1, id 7, settings of 80 bytes, cafebeef\n"
		failed = "libtorch: an error, NCCL version 2.28.9 ncclSystemError: System call (e.g. socket, malloc) or external library call failed or device error. Last error: nothing\n"
	)
	for name, want := range map[string]string{
		"works":       joined + "sum of 1000 of type 7\nfalse <nil>\ntrue <nil>\n800 of type 9 from rank 0\nfalse <nil>\ntrue <nil>\nfinalize\ndestroy\n",
		"unreachable": joined + failed,
		"refused":     joined + "sum of 1000 of type 7\n" + failed + "finalize\ndestroy\n",
		"lost": joined + "sum of 1000 of type 7\nabort\ntrue libtorch: NCCL error: an error, NCCL version 2.28.9 ncclRemoteError: A call failed possibly due to a " +
			"network error or a remote process exiting prematurely. Last error: nothing\n<nil>\n",
		"given up": joined + "sum of 1000 of type 7\nfalse <nil>\nabort\n<nil>\n",
	} {
		t.Run(name, func(t *testing.T) {
			out, err := again(t, "TestNCCLGroupByStandIns", "FRUGAL_TEST_NCCL=stand-ins", "FAKE_NCCL="+name, "LD_PRELOAD="+preload).CombinedOutput()
			if got, _, _ := strings.Cut(string(out), "PASS\n"); err != nil || got != want {
				t.Errorf("%v\ngot\n%s\nwant\n%s", err, got, want)
			}
		})
	}
}

func standInRank(t *testing.T) {
	if ok, reason := torch.CUDAAvailable(); !ok {
		t.Fatal(reason)
	}
	s, _ := serve(t)
	card := torch.CUDA(0)
	g, err := torch.NewNCCLGroup(s, 0, 1, card, enough)
	if err != nil {
		fmt.Println(err)
		return
	}
	comms, err := filepath.Glob("/proc/self/task/*/comm")
	if err != nil || len(comms) == 0 {
		t.Fatal("no threads: ", err)
	}
	for _, comm := range comms {
		if name, err := os.ReadFile(comm); err == nil && strings.HasPrefix(string(name), "pt_nccl") {
			t.Errorf("c10d has begun its thread %s", name)
		}
	}
	giveUp := os.Getenv("FAKE_NCCL") == "given up"
	onThread(t, func() {
		for _, begin := range []func() (*torch.Work, error){
			func() (*torch.Work, error) {
				return g.AllReduce(counted(1000, 0, torch.Float32).To(torch.Float32, card))
			},
			func() (*torch.Work, error) {
				return g.Broadcast(counted(1000, 0, torch.BFloat16).To(torch.BFloat16, card).Narrow(0, 100, 800), 0)
			},
		} {
			work, err := begin()
			if err != nil {
				fmt.Println(err)
				break
			}
			done, err := work.Wait(0)
			fmt.Println(done, err)
			if err != nil || giveUp {
				fmt.Println(g.Abort())
				g = nil
				return
			}
			done, err = work.Wait(enough)
			fmt.Println(done, err)
			work.Free()
		}
	})
	g.Free()
}

// ncclRank is what each of some processes does with a card of its own.
func ncclRank(t *testing.T, rank, size int, s *torch.Store) {
	card := torch.CUDA(rank)
	g, err := torch.NewNCCLGroup(s, rank, size, card, enough)
	if err != nil {
		t.Fatal(err)
	}
	wait := func(work *torch.Work, err error) {
		t.Helper()
		if err != nil {
			t.Fatal(err)
		}
		works{work}.wait(t)
	}
	onThread(t, func() {
		for _, dtype := range []torch.DType{torch.Float32, torch.BFloat16, torch.Int64} {
			for _, n := range lengths {
				what := fmt.Sprintf("%v, %d numbers, rank %d of %d", dtype, n, rank, size)
				numbers := counted(n, rank, dtype).To(dtype, card)
				wait(g.AllReduce(numbers))
				holds(t, what+", sum", numbers, func(i int) (x float64) {
					for rank := range size {
						x += number(i, rank)
					}
					return x
				})
				for root := range size {
					numbers := counted(n, rank, dtype).To(dtype, card)
					wait(g.Broadcast(numbers, root))
					holds(t, what+", broadcast", numbers, func(i int) float64 { return number(i, root) })
				}
			}
		}
		// Several are under way at once, behind work that the card is still at.
		const parts, length = 50, 100_000
		numbers := counted(parts*length, rank, torch.Float32).To(torch.Float32, card)
		numbers.Add_(torch.Full(nil, 1, torch.Float32, card))
		var under []*torch.Work
		for i := range int64(parts) {
			work, err := g.AllReduce(numbers.Narrow(0, i*length, length))
			if err != nil {
				t.Fatal(err)
			}
			under = append(under, work)
		}
		works(under).wait(t)
		holds(t, fmt.Sprintf("parts, rank %d", rank), numbers, func(i int) (x float64) {
			for rank := range size {
				x += number(i, rank) + 1
			}
			return x
		})
	})
	g.Free()
}

func TestNCCLGroupOfOneCUDA(t *testing.T) {
	if ok, reason := torch.CUDAAvailable(); !ok {
		t.Skip("cuda: " + reason)
	}
	s, _ := serve(t)
	ncclRank(t, 0, 1, s)
}

func TestNCCLGroupOfTwoProcessesCUDA(t *testing.T) {
	if ok, reason := torch.CUDAAvailable(); !ok {
		t.Skip("cuda: " + reason)
	}
	if n, err := torch.CUDADeviceCount(); err != nil || n < 2 {
		t.Skipf("needs two CUDA cards; there are %d (%v)", n, err)
	}
	_, port := serve(t)
	var all []*exec.Cmd
	var said [2]bytes.Buffer
	for rank := range said {
		c := again(t, "TestNCCLRankHelper", fmt.Sprintf("FRUGAL_TEST_NCCL=%d", rank), fmt.Sprintf("FRUGAL_TEST_NCCL_PORT=%d", port))
		c.Stdout, c.Stderr = &said[rank], &said[rank]
		if err := c.Start(); err != nil {
			t.Fatal(err)
		}
		timer := time.AfterFunc(5*enough, func() { c.Process.Kill() })
		defer timer.Stop()
		all = append(all, c)
	}
	for rank, c := range all {
		if err := c.Wait(); err != nil {
			t.Errorf("rank %d: %v\n%s", rank, err, said[rank].String())
		}
	}
}

func TestNCCLRankHelper(t *testing.T) {
	rank, err := strconv.Atoi(os.Getenv("FRUGAL_TEST_NCCL"))
	if err != nil {
		t.Skip("is a part of TestNCCLGroupOfTwoProcessesCUDA")
	}
	port, err := strconv.Atoi(os.Getenv("FRUGAL_TEST_NCCL_PORT"))
	if err != nil {
		t.Fatal(err)
	}
	if ok, reason := torch.CUDAAvailable(); !ok {
		t.Fatal(reason)
	}
	ncclRank(t, rank, 2, dial(t, port, enough))
}
