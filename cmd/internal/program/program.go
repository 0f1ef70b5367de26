// Package program is what the programs have in common: how they end on a bug, how they say an error, which version they are.
package program

import (
	"fmt"
	"io"
	"os"
	"runtime/debug"
	"strings"
)

// Debug says whether FRUGAL_DEBUG asks for stacks.
func Debug() bool { return os.Getenv("FRUGAL_DEBUG") != "" }

// Run calls run and ends the process with the code that it returns. A panic, which is a bug of the program, becomes one line.
func Run(name string, run func() int) {
	defer func() {
		if Debug() {
			return
		}
		if v := recover(); v != nil {
			text, _, _ := strings.Cut(fmt.Sprint(v), "\n")
			os.Exit(Fail(os.Stderr, name, 1, "internal error: %s (FRUGAL_DEBUG=1 shows where; please report it)", text))
		}
	}()
	os.Exit(run())
}

// Fail prints a message, each line of which begins with the program's name, and returns code.
func Fail(stderr io.Writer, name string, code int, format string, a ...any) int {
	for line := range strings.Lines(fmt.Sprintf(format, a...)) {
		fmt.Fprintf(stderr, "%s: %s\n", name, strings.TrimSuffix(line, "\n"))
	}
	return code
}

// Version is the module's version, or the commit that the program was built from.
func Version() string {
	info, ok := debug.ReadBuildInfo()
	if !ok {
		return "(unknown)"
	}
	version := info.Main.Version
	for _, s := range info.Settings {
		if s.Key == "vcs.revision" && (version == "" || version == "(devel)") {
			version = s.Value[:min(12, len(s.Value))]
		}
	}
	if version == "" {
		version = "(devel)"
	}
	return version
}
