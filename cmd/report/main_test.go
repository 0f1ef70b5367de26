package main

// The program as a person meets it: the test binary runs itself as `report`, and scripts in testdata/script say what is typed
// and what must come of it.

import (
	"path/filepath"
	"strconv"
	"testing"

	"github.com/rogpeppe/go-internal/testscript"
	"golang.org/x/sys/unix"
)

func TestMain(m *testing.M) {
	testscript.Main(m, map[string]func(){"report": main})
}

func TestScripts(t *testing.T) {
	testscript.Run(t, testscript.Params{
		Dir:                 filepath.Join("testdata", "script"),
		RequireExplicitExec: true,
		Cmds: map[string]func(ts *testscript.TestScript, neg bool, args []string){
			// exits CODE PROGRAM ARGS… runs a program, which must end with that exit code.
			"exits": func(ts *testscript.TestScript, neg bool, args []string) {
				if neg || len(args) < 2 {
					ts.Fatalf("usage: exits CODE PROGRAM ARGS…")
				}
				want, err := strconv.Atoi(args[0])
				ts.Check(err)
				code := 0
				if err := ts.Exec(args[1], args[2:]...); err != nil {
					exit, ok := err.(interface{ ExitCode() int })
					if !ok {
						ts.Fatalf("%v", err)
					}
					code = exit.ExitCode()
				}
				if code != want {
					ts.Fatalf("exit code %d, want %d", code, want)
				}
			},
			// hold FILE locks a file, as a training does, until the script ends.
			"hold": func(ts *testscript.TestScript, neg bool, args []string) {
				fd, err := unix.Open(ts.MkAbs(args[0]), unix.O_RDWR|unix.O_CREAT|unix.O_CLOEXEC, 0o666)
				ts.Check(err)
				ts.Check(unix.Flock(fd, unix.LOCK_EX))
				ts.Defer(func() { unix.Close(fd) })
			},
		},
	})
}
