package torch_test

import (
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"

	"frugal/torch"
)

// compile checks a source of the binding against the headers in include, with the flags of the build. It returns what the
// compiler says.
func compile(t *testing.T, source, include string, more ...string) string {
	t.Helper()
	compiler, err := exec.LookPath("g++")
	if err != nil {
		t.Skip("no C++ compiler: ", err)
	}
	arguments := append([]string{"-std=c++20", "-fsyntax-only", "-Wfatal-errors", "-DAT_PER_OPERATOR_HEADERS", "-I" + include}, more...)
	out, err := exec.Command(compiler, append(arguments, source)...).CombinedOutput()
	if err == nil {
		t.Fatalf("%s compiles without libtorch", source)
	}
	return string(out)
}

func TestAnotherOrNoLibtorchIsRefusedByOneSentence(t *testing.T) {
	sources, err := filepath.Glob("*.cc")
	if err != nil || len(sources) == 0 {
		t.Fatal(sources, err)
	}
	other := t.TempDir()
	header := filepath.Join(other, "torch", "headeronly", "version.h")
	if err := os.MkdirAll(filepath.Dir(header), 0o755); err != nil {
		t.Fatal(err)
	}
	text := "#define TORCH_VERSION_MAJOR 2\n#define TORCH_VERSION_MINOR 12\n#define TORCH_VERSION_PATCH 0\n"
	if err := os.WriteFile(header, []byte(text), 0o644); err != nil {
		t.Fatal(err)
	}
	for _, c := range []struct{ name, include, want string }{
		{"none", t.TempDir(), "libtorch is missing: run scripts/install-libtorch.sh"},
		{"another", other, "libtorch " + torch.Version + " is required: run scripts/install-libtorch.sh"},
	} {
		t.Run(c.name, func(t *testing.T) {
			for _, source := range sources {
				out := compile(t, source, c.include)
				if !strings.Contains(out, c.want) || strings.Count(out, "error:") != 1 {
					t.Errorf("%s: the compiler says\n%swant only %q", source, out, c.want)
				}
			}
		})
	}
	t.Run("bypassed", func(t *testing.T) {
		if out := compile(t, sources[0], other, "-DFRUGAL_ANY_LIBTORCH"); strings.Contains(out, "is required") {
			t.Errorf("-DFRUGAL_ANY_LIBTORCH does not bypass the refusal:\n%s", out)
		}
	})
}
