package program

import (
	"os"
	"os/exec"
	"strings"
	"testing"
)

// TestMain is a program with a bug, where it is asked to be one.
func TestMain(m *testing.M) {
	if os.Getenv("FRUGAL_TEST_BUG") != "" {
		Run("buggy", func() int { panic("the first line\nand more") })
	}
	os.Exit(m.Run())
}

func TestABugIsOneLineUnlessStacksAreAskedFor(t *testing.T) {
	for _, debug := range []string{"", "1"} {
		c := exec.Command(os.Args[0])
		c.Env = append(os.Environ(), "FRUGAL_TEST_BUG=1", "FRUGAL_DEBUG="+debug)
		out, err := c.CombinedOutput()
		if err == nil {
			t.Fatal("a bug ends with 0")
		}
		want := "buggy: internal error: the first line (FRUGAL_DEBUG=1 shows where; please report it)\n"
		if oneLine := string(out) == want; oneLine == (debug != "") || debug != "" && !strings.Contains(string(out), "goroutine 1") {
			t.Errorf("FRUGAL_DEBUG=%s: %s", debug, out)
		}
		if code := c.ProcessState.ExitCode(); debug == "" && code != 1 {
			t.Errorf("exit code %d", code)
		}
	}
}

func TestEachLineOfAMessageNamesTheProgram(t *testing.T) {
	var b strings.Builder
	if code := Fail(&b, "train", 2, "%s\n%d", "one", 2); code != 2 || b.String() != "train: one\ntrain: 2\n" {
		t.Errorf("%d, %q", code, b.String())
	}
}

func TestVersionIsNeverEmpty(t *testing.T) {
	if Version() == "" {
		t.Error("empty")
	}
}
