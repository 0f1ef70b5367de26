package data

import (
	"os"
	"path/filepath"
	"testing"
)

// BenchmarkBuild is the cache's own speed: the byteEncoder costs next to nothing.
func BenchmarkBuild(b *testing.B) {
	dir := b.TempDir()
	name := filepath.Join(dir, "a.txt")
	writeLongText(b, name, 64<<20)
	info, err := os.Stat(name)
	if err != nil {
		b.Fatal(err)
	}
	b.SetBytes(info.Size())
	for b.Loop() {
		o := testOptions(dir, "a.txt")
		o.CacheDir = b.TempDir()
		mustOpen(b, o)
	}
}

// BenchmarkReopen is the second start: the cache is checked and mapped. Bytes are those of the cache.
func BenchmarkReopen(b *testing.B) {
	dir := b.TempDir()
	writeLongText(b, filepath.Join(dir, "a.txt"), 64<<20)
	o := testOptions(dir, "a.txt")
	mustOpen(b, o)
	name, _ := cacheFile(b, o)
	info, err := os.Stat(name)
	if err != nil {
		b.Fatal(err)
	}
	b.SetBytes(info.Size())
	for b.Loop() {
		mustOpen(b, o)
	}
}

// BenchmarkWindow reads windows of 8 × 4 rows of 1024 ids.
func BenchmarkWindow(b *testing.B) {
	dir := b.TempDir()
	writeLongText(b, filepath.Join(dir, "a.txt"), 16<<20)
	o := testOptions(dir, "a.txt")
	o.Positions, o.BatchSize, o.Accumulation, o.EvalFraction = 1024, 4, 8, 0.05
	d := mustOpen(b, o)
	rows := 0
	for i := 0; b.Loop(); i++ {
		w, err := d.Window(i/d.WindowsPerEpoch(), i%d.WindowsPerEpoch())
		if err != nil {
			b.Fatal(err)
		}
		for _, batch := range w.Batches {
			rows += batch.Rows
		}
	}
	b.ReportMetric(float64(rows)/b.Elapsed().Seconds(), "rows/s")
}
