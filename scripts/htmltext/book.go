// The order of a book: its pages follow one another by rel="next", and its chapters hang from the index by rel="up".

package main

import (
	"fmt"
	"io/fs"
	"strings"
)

// chapter is a run of pages: one that hangs from the index, and those after it that hang from that one.
type chapter struct {
	name      string // the first page's, without .html and a language: "unix-services"
	documents []document
}

// readBook reads the pages that follow index, which itself (the cover and table of contents) gives no text.
func readBook(pages fs.FS, index string) ([]chapter, error) {
	home, err := readPageFile(pages, index)
	if err != nil {
		return nil, err
	}
	var chapters []chapter
	seen := map[string]bool{index: true}
	for name := home.next; name != "" && !seen[name]; {
		seen[name] = true
		p, err := readPageFile(pages, name)
		if err != nil {
			return nil, err
		}
		if p.up == index || len(chapters) == 0 {
			base, _, _ := strings.Cut(name, ".")
			chapters = append(chapters, chapter{name: base})
		}
		last := &chapters[len(chapters)-1]
		last.documents = append(last.documents, p.documents...)
		name = p.next
	}
	return chapters, nil
}

func readPageFile(pages fs.FS, name string) (page, error) {
	f, err := pages.Open(name)
	if err != nil {
		return page{}, err
	}
	defer f.Close()
	p, err := readPage(f)
	if err != nil {
		return page{}, fmt.Errorf("%s: %w", name, err)
	}
	return p, nil
}
