package data

// Parquet: one document a row, in a string column. Of a damaged page parquet-go may write a line of its own ("parquet:
// warning: …") straight to the standard error, which it gives no way to turn off; our error follows it.

import (
	"encoding/binary"
	"errors"
	"fmt"
	"io"
	"strings"

	"github.com/parquet-go/parquet-go"
	"github.com/parquet-go/parquet-go/format"

	"frugal/trainer/internal/vfs"
)

// guard turns a panic into an error: parquet-go has some left for damaged files.
func guard(read func() error) (err error) {
	defer func() {
		if r := recover(); r != nil {
			err = fmt.Errorf("damaged: %v", r)
		}
	}()
	return read()
}

// readParquet reads the text column of each row group, a page at a time.
func (c *corpus) readParquet(s *source, f vfs.File, b *batcher) error {
	var file *parquet.File
	var column int
	err := guard(func() (err error) {
		if err = checkFooter(f, s.size); err != nil {
			return err
		}
		file, err = parquet.OpenFile(f, s.size, parquet.SkipPageIndex(true), parquet.SkipBloomFilters(true))
		if err != nil {
			return fmt.Errorf("damaged: %w", err)
		}
		if column, err = textColumn(file, c.textField); err != nil {
			return err
		}
		return checkCompression(file, column, c.textField)
	})
	if err != nil {
		return oneLine(err)
	}
	row := int64(0)
	for _, group := range file.RowGroups() {
		read := row
		if read, err = c.readRowGroup(s, file, group, column, read, b); err != nil {
			return err
		}
		if want := row + group.NumRows(); read != want {
			return fmt.Errorf("row %d: damaged: the row group has %d rows, its column %q %d",
				read+1, group.NumRows(), c.textField, read-row)
		}
		row = read
	}
	return nil
}

// readRowGroup returns the number of the last row read. Texts leave the library's memory before they are handed on, so that
// guard covers the library alone.
func (c *corpus) readRowGroup(s *source, file *parquet.File, group parquet.RowGroup, column int, row int64, b *batcher) (int64, error) {
	var pages parquet.Pages
	if err := guard(func() error { pages = group.ColumnChunks()[column].Pages(); return nil }); err != nil {
		return row, oneLine(err)
	}
	defer guard(pages.Close)
	for {
		var texts [][]byte
		err := guard(func() (err error) { texts, err = readPage(pages); return err })
		for _, text := range texts {
			row++
			if i := invalidUTF8(text); i >= 0 {
				return row, fmt.Errorf("row %d: byte %d: not UTF-8", row, i)
			}
			end := int64(float64(s.size) * float64(row) / float64(max(file.NumRows(), row)))
			if err := b.addText(text, part{at: row, first: true, last: true}, end); err != nil {
				return row, err
			}
		}
		if errors.Is(err, io.EOF) {
			return row, nil
		}
		if err != nil {
			return row, oneLine(fmt.Errorf("row %d: %w", row+1, err))
		}
	}
}

// readPage returns the texts of the next page; null is an empty one. io.EOF says that there is none.
func readPage(pages parquet.Pages) (texts [][]byte, err error) {
	page, err := pages.ReadPage()
	if errors.Is(err, io.EOF) && page == nil {
		return nil, io.EOF
	}
	if err != nil {
		return nil, fmt.Errorf("damaged: %w", err)
	}
	defer parquet.Release(page)
	values := page.Values()
	var buffer [256]parquet.Value
	for {
		n, err := values.ReadValues(buffer[:])
		for _, v := range buffer[:n] {
			texts = append(texts, append([]byte(nil), v.ByteArray()...))
		}
		if errors.Is(err, io.EOF) {
			return texts, nil
		}
		if err != nil || n == 0 {
			return texts, fmt.Errorf("damaged: page of %d values ends after %d", page.NumValues(), len(texts))
		}
	}
}

// checkFooter looks at what parquet-go would believe without looking: the length of the footer.
func checkFooter(f io.ReaderAt, size int64) error {
	var start [4]byte
	var end [8]byte
	if size < 12 {
		return errors.New("not a parquet file: too short")
	}
	if _, err := f.ReadAt(start[:], 0); err != nil {
		return err
	}
	if _, err := f.ReadAt(end[:], size-8); err != nil {
		return err
	}
	switch length := int64(binary.LittleEndian.Uint32(end[:4])); {
	case string(start[:]) == "PARE" || string(end[4:]) == "PARE":
		return errors.New("encrypted parquet files cannot be read")
	case string(start[:]) != "PAR1":
		return errors.New("not a parquet file: it does not begin with PAR1")
	case string(end[4:]) != "PAR1":
		return errors.New("damaged: the parquet file does not end with PAR1: is it cut off?")
	case length > size-12:
		return fmt.Errorf("damaged: a footer of %d bytes in a file of %d", length, size)
	}
	return nil
}

// checkCompression refuses LZ4: parquet-go 0.32 reads some intact pages of it as empty, and on damaged ones doubles its buffer
// until there is no memory left.
func checkCompression(file *parquet.File, column int, name string) error {
	for i, group := range file.Metadata().RowGroups {
		if column >= len(group.Columns) {
			return fmt.Errorf("damaged: row group %d has %d columns", i+1, len(group.Columns))
		}
		if codec := group.Columns[column].MetaData.Codec; codec == format.Lz4 || codec == format.Lz4Raw {
			return fmt.Errorf("column %q is compressed with LZ4, which is not supported; write the file with zstd, snappy or gzip", name)
		}
	}
	return nil
}

// textColumn returns the index of the string column of that name.
func textColumn(file *parquet.File, name string) (int, error) {
	var strs []string
	for _, c := range file.Root().Columns() {
		if c.Leaf() && !c.Repeated() && c.Type().Kind() == parquet.ByteArray {
			strs = append(strs, fmt.Sprintf("%q", c.Name()))
		}
	}
	have := "the file has no string column"
	if len(strs) > 0 {
		have = "its string columns are " + strings.Join(strs, ", ") + ": set data.text_field"
	}
	c := file.Root().Column(name)
	switch {
	case c == nil:
		return 0, fmt.Errorf("no column %q; %s", name, have)
	case !c.Leaf() || c.Repeated():
		return 0, fmt.Errorf("column %q holds several values a row; %s", name, have)
	case c.Type().Kind() != parquet.ByteArray:
		return 0, fmt.Errorf("column %q is of type %v, want strings; %s", name, c.Type(), have)
	}
	return c.Index(), nil
}

// oneLine keeps a library's error to one line of a readable length.
func oneLine(err error) error {
	text := strings.Join(strings.Fields(err.Error()), " ")
	if len(text) <= 300 && text == err.Error() {
		return err
	}
	return errors.New(strings.ToValidUTF8(text[:min(len(text), 300)], ""))
}
