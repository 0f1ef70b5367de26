// Package corpus holds the text that a run trains on when its configuration names none: three graded texts in
// Portuguese, written for this project, some 50 KB each, easiest first. They are dedicated to the public domain under
// CC0 1.0 (corpus/LICENSE); corpus/pt/README.md says what each is and how large.
package corpus

import (
	"embed"
	"io/fs"
)

//go:embed pt/*.txt
var files embed.FS

// PT is the Portuguese corpus: 01-historias.txt (everyday stories in plain sentences), 02-artigos.txt (articles on
// science, history and life in Brazil and Portugal) and 03-prosa.txt (demanding prose: essays, law, philosophy,
// narration). Each is UTF-8 in normal form C; its documents are parted by lines <|endoftext|>, the first line of each
// is its title, and a paragraph is a line.
var PT fs.FS = must(fs.Sub(files, "pt"))

// must is for what the compiler has already settled: a directory that is embedded can be opened.
func must(f fs.FS, err error) fs.FS {
	if err != nil {
		panic(err)
	}
	return f
}
