package main

// A picture of how far repeated runs are from those of a first group: what lies below 0 is better than that.

import (
	"errors"
	"flag"
	"fmt"
	"image/color"
	"io"
	"math"
	"slices"

	"gonum.org/v1/plot/plotter"
	"gonum.org/v1/plot/vg"
	"gonum.org/v1/plot/vg/draw"
)

// gaps draws, for each group but the first, the mean over its runs of their differences from the first group's, paired in the
// order of their names, over the area between the lowest and the highest.
func gaps(flags *flag.FlagSet, args []string, _ io.Writer) error {
	tag := flags.String("tag", "eval/loss", "the quantity: `EVENT/FIELD`")
	file := flags.String("o", "", "`FILE` for the PNG")
	title := flags.String("title", "", "`TEXT` above it")
	from := flags.Int("from", 1, "the first `STEP` to be drawn")
	if err := flags.Parse(args); err != nil {
		return err
	}
	names, groups, err := openGroups(flags.Args(), true)
	if err != nil {
		return err
	}
	if *file == "" || len(groups) < 2 {
		return errors.New("want -o FILE and two groups or more")
	}
	p := newPlot(*title, "step (updates)", "evaluation loss − that of "+names[0])
	grid := plotter.NewGrid()
	grid.Horizontal.Color, grid.Vertical.Color = color.Gray{225}, color.Gray{225}
	p.Add(grid)
	p.X.Tick.Marker, p.Y.Tick.Marker = few{}, few{}
	legend := newLegend()
	zero := series{}
	var lines []func() error // above all areas
	for i, group := range groups[1:] {
		differences, err := differencesOf(group, groups[0], *tag, *from)
		if err != nil {
			return fmt.Errorf("%s: %w", names[i+1], err)
		}
		ink := inks[i%len(inks)]
		mean, area := areaOf(differences)
		polygon, err := plotter.NewPolygon(area)
		if err != nil {
			return err
		}
		polygon.Color, polygon.LineStyle.Width = color.NRGBA{ink.R, ink.G, ink.B, 45}, 0
		p.Add(polygon)
		zero = series{mean.steps, make([]float64, len(mean.steps))}
		lines = append(lines, func() error {
			line, err := addSeries(p, mean, draw.LineStyle{Color: ink, Width: 1.8}, math.Inf(1))
			legend.Add(names[i+1], line)
			return err
		})
	}
	if _, err := addSeries(p, zero, draw.LineStyle{Color: color.Gray{90}, Width: 0.8}, math.Inf(1)); err != nil {
		return err
	}
	for _, add := range lines {
		if err := add(); err != nil {
			return err
		}
	}
	below := vg.Length(len(groups)-1)*14 + 6
	canvas, whole := page(3.6*vg.Inch + below)
	p.Draw(draw.Crop(whole, 0, 0, below, 0))
	legend.Draw(draw.Crop(whole, 48, 0, 0, below-whole.Size().Y))
	return writePicture(*file, canvas)
}

// differencesOf is each run's series less that of the first group's run of the same place.
func differencesOf(group, base []*trace, tag string, from int) (list []series, err error) {
	if len(group) != len(base) {
		return nil, fmt.Errorf("%d runs, and the first group has %d", len(group), len(base))
	}
	for i, t := range group {
		mine, other := t.series(tag), base[i].series(tag)
		var d series
		for j, step := range mine.steps {
			if at := slices.Index(other.steps, step); at >= 0 && step >= from {
				d.steps, d.values = append(d.steps, step), append(d.values, mine.values[j]-other.values[at])
			}
		}
		list = append(list, d)
	}
	return list, nil
}

// areaOf is the mean of series of the same steps, and the outline of what lies between their lowest and highest values.
func areaOf(list []series) (mean series, outline plotter.XYs) {
	var back plotter.XYs
	for i, step := range list[0].steps {
		low, high, sum := math.Inf(1), math.Inf(-1), 0.0
		for _, s := range list {
			low, high, sum = min(low, s.values[i]), max(high, s.values[i]), sum+s.values[i]
		}
		mean.steps, mean.values = append(mean.steps, step), append(mean.values, sum/float64(len(list)))
		outline, back = append(outline, plotter.XY{X: float64(step), Y: low}), append(back, plotter.XY{X: float64(step), Y: high})
	}
	slices.Reverse(back)
	return mean, append(outline, back...)
}
