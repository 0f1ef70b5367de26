package main

// The pictures: of every kind of curve one that can be opened and shows something.

import (
	"image/png"
	"math"
	"os"
	"path/filepath"
	"slices"
	"testing"
)

func TestPicturesShowEveryCurve(t *testing.T) {
	var m, one metrics
	m.started(0, nil)
	for i := range int64(900) {
		loss := 2 + math.Sin(float64(i))
		if i%300 == 150 {
			loss = math.NaN()
		}
		m.line("train", i+1, "loss", loss, "grad_norm", 1, "learning_rate", 1e-3, "loss_scale", 65536, "tokens_per_second", 1e4,
			"resident_memory_bytes", 1<<30, "curriculum_weights", map[string]any{"a": 0.5, "b": 0.5}, "curriculum_drawn", map[string]any{"a": i, "b": 1})
	}
	m.line("eval", 900, "loss", math.NaN(), "bits_per_byte", 3)
	one.started(0, nil)
	one.line("train", 1, "loss", 3)
	runs := []*run{m.in(t, "a"), one.in(t, "b")}
	nameRuns(runs)
	dir := filepath.Join(t.TempDir(), "pictures")
	files := must(drawPictures(dir, runs, nil, 0.6))(t)
	var names []string
	for _, path := range files {
		names = append(names, filepath.Base(path))
		file := must(os.Open(path))(t)
		picture, err := png.Decode(file)
		file.Close()
		if err != nil {
			t.Errorf("%s: %v", path, err)
			continue
		}
		if size := picture.Bounds().Size(); size.X != 7*pictureDPI || size.Y < 4*pictureDPI {
			t.Errorf("%s: %v", path, size)
		}
	}
	want := []string{"loss.png", "eval.png", "bits_per_byte.png", "learning_rate.png", "grad_norm.png", "loss_scale.png",
		"tokens_per_second.png", "memory.png", "curriculum_1.png"}
	if !slices.Equal(names, want) {
		t.Errorf("%q, want %q", names, want)
	}
}

func TestTheCurriculumsPictureSaysWhatItsLinesAre(t *testing.T) {
	if p := mixPlot(&run{name: "a run"}); p.Title.Text != "Curriculum mix of a run" || p.Y.Label.Text != "share of the rows (faint: drawn)" {
		t.Errorf("%q, %q", p.Title.Text, p.Y.Label.Text)
	}
}

func TestTicksAreRoundAndFew(t *testing.T) {
	for _, test := range []struct {
		low, high float64
		want      []string
	}{
		{0, 1000, []string{"0", "200", "400", "600", "800", "1,000"}},
		{0, 0.002, []string{"0", "0.0005", "0.0010", "0.0015", "0.0020"}},
		{1.75, 5.2, []string{"2", "3", "4", "5"}},
		{0, 3e-6, []string{"0", "5e-07", "1e-06", "1.5e-06", "2e-06", "2.5e-06", "3e-06"}},
	} {
		var got []string
		for _, tick := range (ticks{}).Ticks(test.low, test.high) {
			got = append(got, tick.Label)
		}
		if !slices.Equal(got, test.want) {
			t.Errorf("%v to %v: %q, want %q", test.low, test.high, got, test.want)
		}
	}
}
