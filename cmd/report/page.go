package main

// The HTML file: tables made here, charts and samples by report.js from the data beside it. It fetches nothing.

import (
	"bufio"
	_ "embed"
	"fmt"
	"html/template"
	"io"
	"path/filepath"
	"slices"
	"strings"
	"time"

	"frugal/trainer/monitor"
	"frugal/trainer/monitor/web"
)

//go:embed page.html
var pageText string

//go:embed report.css
var pageStyle string

//go:embed report.js
var pageScript string

var pageTemplate = template.Must(template.New("page").Parse(pageText))

// page is what the template fills in.
type page struct {
	Title    string
	Made     string
	Versions string
	Style    template.CSS
	Script   template.JS
	Data     template.JS

	Columns     []string
	Runs        []pageRun
	Differences [][]cell
	Common      []setting
	Notes       []note
	Samples     bool
}

type pageRun struct {
	Name, Dir string
	Cells     []cell
}

type setting struct {
	Key string
	cell
}

// note is something to know about a run, or about the page. What is in it that report.js can translate stands alone.
type note struct {
	About string // the run; "": all
	Fixed string
	Rest  string
}

// writeReport writes the page to the file, or to stdout.
func writeReport(o options, runs []*run, c *comparison, stdout, stderr io.Writer) error {
	p, err := newPage(o, runs, c)
	if err != nil {
		return err
	}
	if o.html == "-" {
		out := bufio.NewWriter(stdout)
		if err := pageTemplate.Execute(out, p); err != nil {
			return &outputError{err}
		}
		if err := out.Flush(); err != nil {
			return &outputError{err}
		}
		return nil
	}
	if err := writeFile(o.html, func(w io.Writer) error { return pageTemplate.Execute(w, p) }); err != nil {
		return err
	}
	fmt.Fprintf(stderr, "report: %s\n", o.html)
	return nil
}

func newPage(o options, runs []*run, c *comparison) (*page, error) {
	data, fewer, err := dataOf(runs, o.smoothing)
	if err != nil {
		return nil, err
	}
	p := &page{
		Title:    titleOf(o, runs),
		Made:     o.now.UTC().Format("2006-01-02 15:04 UTC"),
		Versions: versionsOf(runs),
		Style:    template.CSS(web.Style() + pageStyle),
		Script:   template.JS(web.Script() + pageScript),
		Data:     template.JS(data), // encoding/json writes < as <
		Notes:    notesOf(runs, fewer),
		Samples:  slices.ContainsFunc(runs, func(r *run) bool { return len(r.samples) > 0 }),
	}
	for _, column := range columnsOf(runs) {
		p.Columns = append(p.Columns, column.title)
	}
	for i, cells := range rows(runs) {
		p.Runs = append(p.Runs, pageRun{runs[i].name, runs[i].dir, cells})
	}
	if len(c.differing) > 0 {
		p.Differences = c.table(runs)
	}
	for i := range runs {
		if len(c.values[i]) > 0 {
			for _, key := range c.common {
				p.Common = append(p.Common, setting{key, c.cell(i, key)})
			}
			break
		}
	}
	return p, nil
}

// titleOf is what the user said, the name of the only run, or that of the directory that all runs are in.
func titleOf(o options, runs []*run) string {
	if o.title != "" {
		return o.title
	}
	if len(runs) == 1 {
		return runs[0].name
	}
	parent := parentOf(runs[0].dir)
	for _, r := range runs[1:] {
		if parentOf(r.dir) != parent {
			return fmt.Sprintf("%d trainings", len(runs))
		}
	}
	if filepath.Base(parent) == "runs" { // of a sweep
		parent = filepath.Dir(parent)
	}
	return filepath.Base(parent)
}

func parentOf(dir string) string {
	if absolute, err := filepath.Abs(dir); err == nil {
		dir = absolute
	}
	return filepath.Dir(dir)
}

// versionsOf lists what the runs were trained by, each version once.
func versionsOf(runs []*run) string {
	var list []string
	for _, r := range runs {
		start := r.started()
		if start.Version == "" {
			continue
		}
		s := fmt.Sprintf("frugal %s with libtorch %s", start.Version, start.Libtorch)
		if !slices.Contains(list, s) {
			list = append(list, s)
		}
	}
	return strings.Join(list, ", ")
}

func notesOf(runs []*run, fewer bool) (notes []note) {
	for _, r := range runs {
		add := func(fixed, rest string) { notes = append(notes, note{r.name, fixed, rest}) }
		switch {
		case r.reason == noEnd:
			add(noEnd, "")
		case r.reason != "":
			add(r.status, ": "+r.reason)
		case r.status == running:
			add("still running when this page was made; last heard of at", " "+lastHeard(r))
		}
		if n := len(r.sessions); n > 1 {
			add("resumed; the pauses do not count in its time. Sessions:", fmt.Sprintf(" %d", n))
		}
		if list := changes(r); len(list) > 0 {
			add("changed on a resume:", " "+strings.Join(list, ", "))
		}
		if n := len(r.damaged); n > 0 {
			add("damaged lines of its metrics.jsonl, passed over:", " "+monitor.FormatCount(int64(n)))
		}
	}
	if fewer {
		notes = append(notes, note{"", "Long curves are drawn from the lowest and the highest value of each stretch, smoothed ones from its mean; " +
			"of many samples some are kept. The tables count every line.", ""})
	}
	return notes
}

func lastHeard(r *run) string {
	last := r.sessions[len(r.sessions)-1].last
	if last.IsZero() {
		return "a time that is not known"
	}
	return last.UTC().Format(time.DateTime) + " UTC"
}
