// One HTML page as titles and paragraphs. The pages are XHTML or the tidy HTML that DocBook's stylesheets write, so the
// standard library's XML decoder in its lenient mode reads them.

package main

import (
	"encoding/xml"
	"io"
	"regexp"
	"strings"

	"golang.org/x/text/unicode/norm"
)

type page struct {
	next, up  string // where the page's links of these names lead, "" if there is none
	documents []document
}

// document is a section: its title and what stands under it. Deeper sections belong to it, their titles as blocks.
type document struct {
	title  string
	blocks []string
}

func readPage(r io.Reader) (page, error) {
	d := xml.NewDecoder(r)
	d.Strict, d.AutoClose, d.Entity = false, xml.HTMLAutoClose, xml.HTMLEntity
	b := pageBuilder{}
	for {
		token, err := d.Token()
		if err == io.EOF {
			b.endBlock()
			return b.page, nil
		}
		if err != nil {
			return page{}, err
		}
		switch t := token.(type) {
		case xml.StartElement:
			b.start(t)
		case xml.EndElement:
			b.end(t)
		case xml.CharData:
			if b.skipping == 0 {
				b.line.Write(t)
			}
		}
	}
}

// pageBuilder collects text between the borders of block elements.
type pageBuilder struct {
	page     page
	line     strings.Builder
	heading  bool   // the line is the title of a document
	bullet   string // what opens the next block: "- " in a list item
	skipping int    // elements open since, and with, one that gives no text
}

func (b *pageBuilder) start(t xml.StartElement) {
	name := strings.ToLower(t.Name.Local)
	if name == "link" {
		b.link(t)
	}
	if b.skipping > 0 {
		b.skipping++
		return
	}
	if givesNoText(name, attribute(t, "class"), attribute(t, "id")) {
		b.skipping = 1
		return
	}
	if !blockElements[name] {
		return
	}
	b.endBlock()
	switch name {
	case "h1", "h2":
		b.heading = true
	case "li":
		b.bullet = "- "
	}
}

func (b *pageBuilder) end(t xml.EndElement) {
	if b.skipping > 0 {
		b.skipping--
		return
	}
	name := strings.ToLower(t.Name.Local)
	if !blockElements[name] {
		return
	}
	b.endBlock()
	switch name {
	case "h1", "h2":
		b.heading = false // also where it held a picture only: what follows is no title
	case "li":
		b.bullet = ""
	}
}

func (b *pageBuilder) link(t xml.StartElement) {
	href, _, _ := strings.Cut(attribute(t, "href"), "#")
	switch attribute(t, "rel") {
	case "next":
		b.page.next = href
	case "up":
		b.page.up = href
	}
}

// sectionNumber is what stylesheets put before a title: "9.10.1. ". "Capítulo 9. " is words, and stays.
var sectionNumber = regexp.MustCompile(`^[0-9A-Z]+(\.[0-9]+)+\.\s+`)

// endBlock closes the line begun, if it has text. Text before a page's first title has no document and is dropped.
func (b *pageBuilder) endBlock() {
	text := norm.NFC.String(strings.Join(strings.Fields(b.line.String()), " "))
	b.line.Reset()
	if text == "" {
		return
	}
	text = sectionNumber.ReplaceAllString(text, "")
	switch documents := b.page.documents; {
	case b.heading:
		b.page.documents = append(documents, document{title: text})
	case len(documents) > 0:
		last := &documents[len(documents)-1]
		last.blocks = append(last.blocks, b.bullet+text)
	}
	b.heading, b.bullet = false, ""
}

func attribute(t xml.StartElement, name string) string {
	for _, a := range t.Attr {
		if a.Name.Local == name {
			return a.Value
		}
	}
	return ""
}

var blockElements = setOf("address blockquote br center dd div dl dt h1 h2 h3 h4 h5 h6 hr li ol p table tbody td thead tr ul")

// What gives no text: by element, by class (navigation, listings, apparatus) and by id (the handbook's page frame).
// A th is a column's head, or the word "Note" beside its icon.
var (
	textlessElements = setOf("head img pre script style sup th")
	textlessClasses  = setOf("docnav navheader navfooter toc lot indexterm index figure mediaobject example informalexample " +
		"programlisting screen table informaltable calloutlist legalnotice revhistory url")
	textlessIDs = setOf("banner title")
)

func givesNoText(element, class, id string) bool {
	if textlessElements[element] || textlessIDs[id] {
		return true
	}
	for _, c := range strings.Fields(class) {
		if textlessClasses[c] {
			return true
		}
	}
	return false
}

func setOf(words string) map[string]bool {
	set := map[string]bool{}
	for _, w := range strings.Fields(words) {
		set[w] = true
	}
	return set
}
