package config

// Reading a configuration file and turning its bytes into a tree, whatever its format.

import (
	"bytes"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"os"
	"path/filepath"
	"strings"
	"unicode/utf8"
)

const maxFileSize = 1 << 20

const wantedFormats = "want a .yaml, .yml, .json or .toml file"

// readFile reads at most maxFileSize bytes; the error says in a few words why it cannot.
func readFile(name string) ([]byte, error) {
	info, err := os.Stat(name)
	if err == nil && info.IsDir() {
		return nil, errors.New("is a directory; " + wantedFormats)
	}
	if errors.Is(err, fs.ErrNotExist) {
		return nil, errors.New("no such file")
	}
	if err != nil {
		return nil, bareError(err)
	}
	if parserFor(name) == nil {
		return nil, errors.New("unknown kind of file; " + wantedFormats)
	}
	file, err := os.Open(name)
	if err != nil {
		return nil, bareError(err)
	}
	defer file.Close()
	content, err := io.ReadAll(io.LimitReader(file, maxFileSize+1))
	if err != nil {
		return nil, bareError(err)
	}
	if len(content) > maxFileSize {
		return nil, errors.New("is larger than 1 MiB, which no configuration is")
	}
	return content, nil
}

// bareError is err without the operation and the path, which the problem names itself.
func bareError(err error) error {
	var pathErr *fs.PathError
	if errors.As(err, &pathErr) {
		return pathErr.Err
	}
	return err
}

// parseError is why a file cannot be read as what it claims to be; line 0 means the whole of it.
type parseError struct {
	line    int
	message string
}

func (e *parseError) Error() string { return e.message }

func failAt(line int, format string, a ...any) error {
	return &parseError{line, fmt.Sprintf(format, a...)}
}

// parserFor is the parser for a file's extension, nil if there is none.
func parserFor(name string) func([]byte) (node, error) {
	switch strings.ToLower(filepath.Ext(name)) {
	case ".yaml", ".yml":
		return parseYAML
	case ".json":
		return parseJSON
	case ".toml":
		return parseTOML
	}
	return nil
}

// parse turns a file's content into its section; errors are *parseError.
func parse(name string, content []byte) (node, error) {
	parser := parserFor(name)
	if parser == nil {
		return node{}, failAt(0, "unknown kind of file; %s", wantedFormats)
	}
	content = bytes.TrimPrefix(content, []byte("\xef\xbb\xbf"))
	if err := checkText(content); err != nil {
		return node{}, err
	}
	root, err := parser(content)
	if err != nil {
		return node{}, err
	}
	switch root.kind {
	case sectionNode:
		return root, nil
	case nullNode:
		return node{}, failAt(0, "is empty; want at least one key, such as output_dir: ./output")
	default:
		return node{}, failAt(root.line, "holds %s; want keys and their values", root)
	}
}

// checkText refuses what is not UTF-8 text, with the line where that shows.
func checkText(content []byte) error {
	if bytes.HasPrefix(content, []byte("\xff\xfe")) || bytes.HasPrefix(content, []byte("\xfe\xff")) {
		return failAt(0, "is UTF-16 text; save it as UTF-8")
	}
	if i := bytes.IndexByte(content, 0); i >= 0 {
		return failAt(lineOf(content, i), "holds a NUL byte; want a text file")
	}
	for i := 0; i < len(content); {
		r, size := utf8.DecodeRune(content[i:])
		if r == utf8.RuneError && size == 1 {
			return failAt(lineOf(content, i), "byte 0x%02x is not UTF-8; save the file as UTF-8", content[i])
		}
		i += size
	}
	return nil
}

// lineOf is the line, from 1, in which the byte at offset stands.
func lineOf(content []byte, offset int) int {
	return 1 + bytes.Count(content[:min(offset, len(content))], []byte("\n"))
}
