package web

import (
	"io/fs"
	"regexp"
	"strings"
	"testing"
)

func TestEveryScriptIsInTheBundle(t *testing.T) {
	names, err := fs.Glob(files, "*.js")
	if err != nil || len(names) < 6 {
		t.Fatalf("%d scripts, %v", len(names), err)
	}
	for _, name := range names {
		if n := strings.Count(Script(), "// "+name+" "); n != 1 {
			t.Errorf("%s opens %d times in the bundle, want once: each script's first line begins with its name", name, n)
		}
	}
}

func TestBundleCarriesTheLibraryWithItsLicence(t *testing.T) {
	for _, want := range []string{"uPlot " + UPlotVersion, "(v" + UPlotVersion + ")", "The MIT License", "Permission is hereby granted", "Leon Sorokin"} {
		if !strings.Contains(Script(), want) {
			t.Errorf("the script lacks %q", want)
		}
	}
	if !strings.Contains(Style(), ".u-over") || !strings.Contains(Style(), "uPlot "+UPlotVersion) {
		t.Error("the style sheet lacks uPlot's")
	}
}

func TestBundleMayStandInsideAPage(t *testing.T) {
	for name, text := range map[string]string{"script": Script(), "style": Style()} {
		if strings.Contains(strings.ToLower(text), "</"+name) || strings.Contains(text, "<!--") {
			t.Errorf("the %s would end its own element", name)
		}
	}
}

// The library's home is named in its first line; nothing else points outside, and nothing loads.
func TestNothingIsFetched(t *testing.T) {
	outside := regexp.MustCompile(`(?i)(https?:)?//[a-z0-9-]+\.[a-z]|@import|url\(|@font-face|fetch\(|XMLHttpRequest|WebSocket|sendBeacon|import\(`)
	text := strings.Replace(Script()+Style(), "/*! https://github.com/leeoniya/uPlot (v"+UPlotVersion+") */", "", 1)
	if found := outside.FindAllString(text, -1); len(found) > 0 {
		t.Errorf("%q", found)
	}
}
