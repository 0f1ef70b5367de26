// The conversion of a small book in testdata/book, which has one of everything that the real ones have.

package main

import (
	"os"
	"path/filepath"
	"strings"
	"testing"
	"unicode/utf8"

	"github.com/google/go-cmp/cmp"
	"golang.org/x/text/unicode/norm"
)

const water = `Capítulo 1. Água

A água do poço parece fria & clara.

Não é.

Leve uma corda.

- primeiro, a corda;

ela é comprida;

- depois, o balde
<|endoftext|>
O balde

É de lata.

A alça

É de arame.
`

const thirst = "Capítulo 2. Sede\n\nPassa.\n"

func TestBookBecomesOneFileAChapter(t *testing.T) {
	english := strings.Replace(water, "Não é.\n", "Não é.\n\nThe water of the well is cold, and this is not translated.\n", 1) +
		"<|endoftext|>\nSó em inglês\n\nThe handle is of wire.\n"
	for name, test := range map[string]struct {
		dropEnglish bool
		water       string
	}{
		"all paragraphs":  {false, english},
		"without English": {true, water},
	} {
		t.Run(name, func(t *testing.T) {
			dir := t.TempDir()
			if err := convert("testdata/book/index.pt.html", dir, test.dropEnglish); err != nil {
				t.Fatal(err)
			}
			want := map[string]string{"01-agua.txt": test.water, "02-sede.txt": thirst}
			if diff := cmp.Diff(want, readDir(t, dir)); diff != "" {
				t.Errorf("(-want +got)\n%s", diff)
			}
		})
	}
}

func TestATitleWithoutTextMakesNoTitleOfWhatFollows(t *testing.T) {
	p, err := readPage(strings.NewReader(`<html><h1>Água</h1><p>É fria.</p><h2><img src="x.png"/></h2><p>É clara.</p></html>`))
	if err != nil {
		t.Fatal(err)
	}
	want := []document{{title: "Água", blocks: []string{"É fria.", "É clara."}}}
	if diff := cmp.Diff(want, p.documents, cmp.AllowUnexported(document{})); diff != "" {
		t.Errorf("(-want +got)\n%s", diff)
	}
}

func TestBrokenBooksAreNamed(t *testing.T) {
	for name, test := range map[string]struct {
		files map[string]string
		want  string
	}{
		"no index":        {nil, "index.html: no such file"},
		"no page":         {map[string]string{"index.html": `<html><link rel="next" href="a.html"></html>`}, "a.html: no such file"},
		"no text":         {map[string]string{"index.html": "<html><p>x</p></html>"}, "no text found"},
		"not UTF-8":       {map[string]string{"index.html": "<p>\xe1</p>"}, "index.html: XML syntax error on line 1: invalid UTF-8"},
		"pages in a ring": {map[string]string{"index.html": `<html><link rel="next" href="a.html"></html>`, "a.html": `<head><link rel="next" href="a.html"></head>`}, "no text found"},
	} {
		t.Run(name, func(t *testing.T) {
			dir := t.TempDir()
			for file, text := range test.files {
				if err := os.WriteFile(filepath.Join(dir, file), []byte(text), 0o644); err != nil {
					t.Fatal(err)
				}
			}
			err := convert(filepath.Join(dir, "index.html"), t.TempDir(), false)
			if err == nil || !strings.Contains(err.Error(), test.want) {
				t.Errorf("error %v, want one with %q", err, test.want)
			}
		})
	}
}

// Whatever the bytes, a page is refused or gives text that is UTF-8 in NFC, without empty or broken lines.
func FuzzReadPage(f *testing.F) {
	pages, err := filepath.Glob("testdata/book/*.html")
	if err != nil || len(pages) == 0 {
		f.Fatal(pages, err)
	}
	for _, p := range pages {
		b, err := os.ReadFile(p)
		if err != nil {
			f.Fatal(err)
		}
		f.Add(string(b))
	}
	f.Fuzz(func(t *testing.T, html string) {
		p, err := readPage(strings.NewReader(html))
		if err != nil {
			return
		}
		for _, d := range p.documents {
			for _, s := range append([]string{d.title}, d.blocks...) {
				if s == "" || strings.ContainsAny(s, "\n\r") || !utf8.ValidString(s) || !norm.NFC.IsNormalString(s) {
					t.Errorf("%q in %q", s, html)
				}
			}
		}
	})
}

func readDir(t *testing.T, dir string) map[string]string {
	t.Helper()
	entries, err := os.ReadDir(dir)
	if err != nil {
		t.Fatal(err)
	}
	files := map[string]string{}
	for _, e := range entries {
		b, err := os.ReadFile(filepath.Join(dir, e.Name()))
		if err != nil {
			t.Fatal(err)
		}
		files[e.Name()] = string(b)
	}
	return files
}
