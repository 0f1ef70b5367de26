// Htmltext turns a book that DocBook wrote as many HTML pages into clean text, one file a chapter. It is what
// scripts/fetch-corpus.sh calls:
//
//	go run ./scripts/htmltext [-drop-english] INDEX.html DIR
//
// Starting from the book's index it follows the pages' own rel="next" links; a page whose rel="up" is the index opens a
// chapter. Titles, paragraphs and list items stay, parted by empty lines; navigation, tables of contents, indexes,
// pictures, tables and blocks of code go. Sections are parted by a line <|endoftext|>, so each is a document to the
// trainer. The text is UTF-8 in normal form C.
package main

import (
	"flag"
	"fmt"
	"os"
	"path/filepath"
	"strings"
)

// separator stands on a line of its own between two documents of a file.
const separator = "<|endoftext|>"

func main() {
	dropEnglish := flag.Bool("drop-english", false, "leave out paragraphs in English (untranslated parts of a translation)")
	flag.Usage = func() {
		fmt.Fprintln(flag.CommandLine.Output(), "usage: htmltext [-drop-english] INDEX.html DIR")
		flag.PrintDefaults()
	}
	flag.Parse()
	if flag.NArg() != 2 {
		flag.Usage()
		os.Exit(2)
	}
	if err := convert(flag.Arg(0), flag.Arg(1), *dropEnglish); err != nil {
		fmt.Fprintln(os.Stderr, "htmltext:", err)
		os.Exit(1)
	}
}

// convert writes the book that begins at the page index into the existing directory dir, a file a chapter, named by its
// place in the book and its page: 09-unix-services.txt.
func convert(index, dir string, dropEnglish bool) error {
	chapters, err := readBook(os.DirFS(filepath.Dir(index)), filepath.Base(index))
	if err != nil {
		return err
	}
	written := 0
	for _, c := range chapters {
		text := c.text(dropEnglish)
		if text == "" {
			continue
		}
		written++
		name := filepath.Join(dir, fmt.Sprintf("%02d-%s.txt", written, c.name))
		if err := os.WriteFile(name, []byte(text), 0o644); err != nil {
			return err
		}
	}
	if written == 0 {
		return fmt.Errorf("%s: no text found in the pages that follow it", index)
	}
	return nil
}

// text joins the chapter's documents; one without a single paragraph under its title is left out.
func (c chapter) text(dropEnglish bool) string {
	var documents []string
	for _, d := range c.documents {
		blocks := d.blocks
		if dropEnglish {
			blocks = withoutEnglish(blocks)
		}
		if len(blocks) > 0 {
			documents = append(documents, strings.Join(append([]string{d.title}, blocks...), "\n\n")+"\n")
		}
	}
	return strings.Join(documents, separator+"\n")
}
