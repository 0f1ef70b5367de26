// Command lab makes what the pages in docs/experiments show and bin/report does not: baselines, samples, ratios to a base run,
// histograms over time. It reads what runs have logged and needs no libtorch.
package main

import (
	"errors"
	"flag"
	"fmt"
	"io"
	"os"
	"path/filepath"
	"strings"
)

// command is a subcommand. Its flags stand before its arguments.
type command struct {
	name, arguments, what string
	run                   func(flags *flag.FlagSet, args []string, out io.Writer) error
}

var commands = []command{
	{"split", "FILE…", "part texts at <|endoftext|>: each so manieth section is held out", split},
	{"baselines", "", "bits per byte of compressors and of byte n-grams on a held-out text", baselines},
	{"setting", "RUN", "the machine and the versions, as a sentence", setting},
	{"samples", "RUN…", "what runs wrote, as Markdown, and how much of it stands in the text", samples},
	{"overfitting", "RUN…", "where the evaluation loss was lowest, and what came after, as a Markdown table", overfitting},
	{"curves", "RUN…", "a picture of several quantities of several runs", curves},
	{"milestones", "GROUP=RUN;RUN…", "repeated runs against those of the first group, at some steps, as a Markdown table", milestones},
	{"gaps", "GROUP=RUN;RUN…", "a picture of how far they are from those at every step", gaps},
	{"ratios", "NAME=RUN;RUN…", "repeated runs, and their ratios to the first ones, as a Markdown table or a picture", ratios},
	{"plans", "NAME=FILE…", "the memory that train -dry-run plans, as a Markdown table", plans},
	{"scales", "NAME=RUN…", "how the loss scale of fp16 runs went, as a Markdown table", scales},
	{"losses", "NAME=RUN;RUN…", "training losses at some steps, with all digits", losses},
	{"histograms", "LOGS…", "heat maps of weights and gradients over the steps", histograms},
	{"spread", "LOGS…", "root mean squares from histograms, as a Markdown table", spread},
	{"alarms", "RUN:LOGS…", "at which step each quantity of a run left the range it had had, as a Markdown table", alarms},
}

func main() {
	if err := dispatch(os.Args[1:], os.Stdout); err != nil {
		fmt.Fprintf(os.Stderr, "lab: %v\n", err)
		os.Exit(1)
	}
}

func dispatch(args []string, out io.Writer) error {
	if len(args) > 0 {
		for _, c := range commands {
			if c.name != args[0] {
				continue
			}
			flags := flag.NewFlagSet(c.name, flag.ContinueOnError)
			err := c.run(flags, args[1:], out)
			if errors.Is(err, flag.ErrHelp) {
				return nil
			}
			if err != nil {
				return fmt.Errorf("%s: %w", c.name, err)
			}
			return nil
		}
	}
	var list strings.Builder
	for _, c := range commands {
		fmt.Fprintf(&list, "\n  lab %-28s %s", c.name+" "+c.arguments, c.what)
	}
	return errors.New("want one of these, of which each has -help:" + list.String())
}

// create makes a file and its directory, and hands it to write.
func create(path string, write func(io.Writer) error) error {
	if err := os.MkdirAll(filepath.Dir(path), 0o777); err != nil {
		return err
	}
	file, err := os.Create(path)
	if err != nil {
		return err
	}
	defer file.Close()
	if err := write(file); err != nil {
		return fmt.Errorf("%s: %w", path, err)
	}
	return file.Close()
}
