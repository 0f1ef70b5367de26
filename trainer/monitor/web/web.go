// Package web embeds what draws a run's charts in a browser: uPlot, and the scripts and the style sheet that the live page and
// the report share. Nothing in them is fetched from anywhere. charts.js says at its top how they are used.
package web

import (
	"embed"
	"strings"
	"sync"
)

// UPlotVersion is the version of the chart library: https://github.com/leeoniya/uPlot, MIT, its files unchanged in uplot/.
const UPlotVersion = "1.6.32"

//go:embed uplot *.js charts.css
var files embed.FS

// Script is all JavaScript, in the order in which it must run, the library's licence at its head. It holds no "</script", so
// it may stand inside a page.
var Script = sync.OnceValue(func() string {
	return "/* uPlot " + UPlotVersion + "\n\n" + read("uplot/LICENSE") + "*/\n" + join("uplot/uPlot.iife.min.js", "runs.js", "text.js", "series.js",
		"gestures.js", "plot.js", "charts.js", "memory.js")
})

// Style is the whole style sheet. It holds no "</style" and no url().
var Style = sync.OnceValue(func() string {
	return "/* uPlot " + UPlotVersion + ", MIT, see the script */\n" + join("uplot/uPlot.min.css", "charts.css")
})

func join(names ...string) string {
	var all strings.Builder
	for _, name := range names {
		all.WriteString(strings.TrimSuffix(read(name), "\n") + "\n")
	}
	return all.String()
}

func read(name string) string {
	text, err := files.ReadFile(name)
	if err != nil {
		panic(err) // it is part of the program: a test reads them all
	}
	return string(text)
}
