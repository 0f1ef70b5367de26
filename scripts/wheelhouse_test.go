package scripts

// A machine in small for install-libtorch.sh: wheels of a few kilobytes, a table of their sums, and stand-ins for the
// programs that the script asks about the machine.

import (
	"archive/zip"
	"bytes"
	"crypto/sha256"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"
)

const (
	torchWheel   = "torch-2.11.0-cp311-cp311-manylinux_2_28_x86_64.whl"
	runtimeWheel = "nvidia_cuda_runtime-13.0.96-py3-none-manylinux2014_x86_64.manylinux_2_17_x86_64.whl"
	cublasWheel  = "nvidia_cublas-13.1.0.3-py3-none-manylinux_2_27_x86_64.whl"
)

const versionHeader = "#define TORCH_VERSION_MAJOR 2\n#define TORCH_VERSION_MINOR 11\n#define TORCH_VERSION_PATCH 0\n"

// A house is one such machine, with an empty third_party.
type house struct {
	t          *testing.T
	bin        string // comes first in PATH
	wheels     string // what pip can download
	table      string // what the script is told to expect
	thirdParty string
}

func newHouse(t *testing.T) *house {
	t.Helper()
	dir := t.TempDir()
	h := &house{t, filepath.Join(dir, "bin"), filepath.Join(dir, "wheels"), filepath.Join(dir, "table"), filepath.Join(dir, "third party")}
	for _, d := range []string{h.bin, h.wheels} {
		if err := os.Mkdir(d, 0o755); err != nil {
			t.Fatal(err)
		}
	}
	torch := map[string]string{
		"torch/lib/libtorch_cpu.so": strings.Repeat("cpu ", 5000), "torch/lib/libc10.so": "c10", "torch/lib/libgomp.so.1": "gomp",
		"torch/lib/libtorch_cuda.so": "cuda", "torch/lib/libtorch_python.so": "python", "torch/__init__.py": "import this",
		"torch/include/torch/headeronly/version.h": versionHeader,
	}
	for i := range 200 {
		torch[fmt.Sprintf("torch/include/ATen/ops/operator_%d.h", i)] = strings.Repeat("// header\n", i)
	}
	h.wheel("cpu", torchWheel, torch)
	h.wheel("cpu", runtimeWheel, map[string]string{"nvidia/cu13/lib/libcudart.so.13": "cudart", "nvidia/cu13/lib/libcudart_static.a": "static"})
	h.wheel("cuda", cublasWheel, map[string]string{"nvidia/cu13/lib/libcublas.so.13": "cublas", "nvidia/cu13/include/cublas.h": "header"})
	h.program("nvidia-smi", "exit 9")
	h.program("uname", `case $1 in -m) echo x86_64 ;; *) echo Linux ;; esac`)
	return h
}

// wheel puts a wheel on pip's shelf and its line into the table.
func (h *house) wheel(variant, file string, contents map[string]string) {
	h.t.Helper()
	part := strings.Split(file, "-")
	info := part[0] + "-" + part[1] + ".dist-info/"
	contents[info+"METADATA"] = "Metadata-Version: 2.1\nName: " + part[0] + "\nVersion: " + part[1] + "\n"
	contents[info+"WHEEL"] = "Wheel-Version: 1.0\nRoot-Is-Purelib: false\nTag: " + strings.TrimSuffix(strings.Join(part[2:], "-"), ".whl") + "\n"
	contents[info+"RECORD"] = ""

	var b bytes.Buffer
	z := zip.NewWriter(&b)
	for path, text := range contents {
		w, err := z.Create(path)
		if err != nil {
			h.t.Fatal(err)
		}
		if _, err := w.Write([]byte(text)); err != nil {
			h.t.Fatal(err)
		}
	}
	if err := z.Close(); err != nil {
		h.t.Fatal(err)
	}
	h.write(filepath.Join(h.wheels, file), b.String())
	old, _ := os.ReadFile(h.table)
	h.write(h.table, fmt.Sprintf("%s%s x86_64 %x %d %s\n", old, variant, sha256.Sum256(b.Bytes()), b.Len(), file))
}

func (h *house) write(path, text string) {
	h.t.Helper()
	if err := os.MkdirAll(filepath.Dir(path), 0o755); err != nil {
		h.t.Fatal(err)
	}
	if err := os.WriteFile(path, []byte(text), 0o644); err != nil {
		h.t.Fatal(err)
	}
}

// program puts a bash script in place of the program of that name.
func (h *house) program(name, script string) {
	h.t.Helper()
	path := filepath.Join(h.bin, name)
	h.write(path, "#!/usr/bin/env bash\n"+script+"\n")
	if err := os.Chmod(path, 0o755); err != nil {
		h.t.Fatal(err)
	}
}

// slowPip replaces pip by one that takes its time and starts faster than the real one: for runs that are to be killed.
func (h *house) slowPip() {
	h.t.Helper()
	python, err := exec.Command("python3", "-c", "import sys; print(sys.executable, end='')").Output()
	if err != nil {
		h.t.Fatal(err)
	}
	h.program("python3", `if [[ "$*" == *" download "* ]]; then
  while [[ $1 != --dest ]]; do shift; done
  mkdir "$2"
  wheel=$(echo "`+h.wheels+`/${3%==*}-"*.whl)
  [[ -f $wheel ]] || exit 1
  for ((i = 0; i < 5; i++)); do
    head -c "$(($(stat -c %s "$wheel") * i / 5))" "$wheel" >"$2/${wheel##*/}" && sleep 0.01
  done
  exec cp "$wheel" "$2"
fi
exec `+string(python)+` "$@"`)
}

func (h *house) command(libtorch string, args ...string) *exec.Cmd {
	script, err := filepath.Abs("install-libtorch.sh")
	if err != nil {
		h.t.Fatal(err)
	}
	c := exec.Command(script, append([]string{"--dest", h.thirdParty, "--wheels", h.table}, args...)...)
	c.Env = append(os.Environ(), "PATH="+h.bin+":"+os.Getenv("PATH"), "LIBTORCH="+libtorch,
		"PIP_CONFIG_FILE=/dev/null", "PIP_NO_INDEX=1", "PIP_NO_CACHE_DIR=1", "PIP_FIND_LINKS="+h.wheels)
	return c
}

// install runs the script and returns what it printed and whether it succeeded.
func (h *house) install(libtorch string, args ...string) (output string, ok bool) {
	h.t.Helper()
	b, err := h.command(libtorch, args...).CombinedOutput()
	return string(b), err == nil
}

func (h *house) mustInstall(libtorch string, args ...string) string {
	h.t.Helper()
	output, ok := h.install(libtorch, args...)
	if !ok {
		h.t.Fatalf("the installation failed:\n%s", output)
	}
	return output
}

// installed returns the variant that third_party/torch shows, "" for none, and fails when it is not whole.
func (h *house) installed() (variant string) {
	h.t.Helper()
	link, err := os.Readlink(filepath.Join(h.thirdParty, "torch"))
	if err != nil {
		return ""
	}
	variant = strings.TrimSuffix(strings.TrimPrefix(link, "libtorch-2.11.0-"), "/torch")
	headers, _ := filepath.Glob(filepath.Join(h.thirdParty, "torch/include/ATen/ops/*.h"))
	if len(headers) != 200 {
		h.t.Fatalf("%s has %d headers, want 200", link, len(headers))
	}
	for path, want := range map[string]bool{
		"torch/lib/libtorch_cpu.so": true, "torch/lib/libc10.so": true, "torch/lib/libgomp.so.1": true,
		"torch/lib/../../nvidia/cu13/lib/libcudart.so.13": true, "torch/lib/libtorch_cuda.so": variant == "cuda",
		"torch/lib/../../nvidia/cu13/lib/libcublas.so.13": variant == "cuda", "torch/lib/libtorch_python.so": false,
		"torch/lib/../../nvidia/cu13/lib/libcudart_static.a": false, "torch/__init__.py": false,
	} {
		// Not filepath.Join: it would take lib/../.. away, which is to be resolved through the link as the loader does.
		if _, err := os.Stat(h.thirdParty + "/" + path); (err == nil) != want {
			h.t.Fatalf("%s: %s is there: %t, want %t", link, path, err == nil, want)
		}
	}
	return variant
}
