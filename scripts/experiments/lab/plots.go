package main

// Pictures: curves and heat maps, in bin/report's manner.

import (
	"errors"
	"flag"
	"fmt"
	"image/color"
	"io"
	"math"
	"path/filepath"
	"strings"

	imagefont "golang.org/x/image/font"
	"gonum.org/v1/plot"
	"gonum.org/v1/plot/plotter"
	"gonum.org/v1/plot/vg"
	"gonum.org/v1/plot/vg/draw"
	"gonum.org/v1/plot/vg/vgimg"
)

const (
	pictureWidth = 7 * vg.Inch
	pictureDPI   = 120
	fontSize     = vg.Length(11)
)

// inks are the colours of Okabe and Ito without their yellow, which is too light on white.
var inks = []color.NRGBA{
	{0, 114, 178, 255}, {213, 94, 0, 255}, {0, 158, 115, 255}, {204, 121, 167, 255}, {86, 180, 233, 255}, {230, 159, 0, 255}, {0, 0, 0, 255},
}

func newPlot(title, x, y string) *plot.Plot {
	p := plot.New()
	p.Title.Text, p.X.Label.Text, p.Y.Label.Text = title, x, y
	p.Title.TextStyle.Font.Size, p.Title.Padding = fontSize+1, 6
	p.Title.TextStyle.Font.Weight, p.Title.TextStyle.Font.Variant = imagefont.WeightBold, "Sans"
	for _, axis := range []*plot.Axis{&p.X, &p.Y} {
		axis.Label.TextStyle.Font.Size, axis.Label.TextStyle.Font.Variant = fontSize, "Sans"
		axis.Tick.Label.Font.Size, axis.Tick.Label.Font.Variant = fontSize-1.5, "Sans"
	}
	return p
}

// page is what a picture is drawn on, with a margin.
func page(height vg.Length) (*vgimg.Canvas, draw.Canvas) {
	canvas := vgimg.NewWith(vgimg.UseWH(pictureWidth, height), vgimg.UseDPI(pictureDPI), vgimg.UseBackgroundColor(color.White))
	return canvas, draw.Crop(draw.New(canvas), 6, -10, 6, -6)
}

// curves draws quantities of runs over the steps: a colour a run, and of several quantities the first thin.
func curves(flags *flag.FlagSet, args []string, out io.Writer) error {
	file := flags.String("o", "", "`FILE` for the PNG")
	title := flags.String("title", "", "`TEXT` above it")
	label := flags.String("label", "loss (nats per token)", "`TEXT` beside it")
	tags := flags.String("tags", "train/loss", "`LIST` of quantities, with commas: event/field")
	log := flags.Bool("log", false, "a logarithmic axis")
	top := flags.Float64("top", math.Inf(1), "the `VALUE` at which the axis ends")
	grouped := flags.Bool("groups", false, "arguments are NAME=RUN;RUN…: runs of one colour")
	if err := flags.Parse(args); err != nil {
		return err
	}
	names, list, err := openGroups(flags.Args(), *grouped)
	if err != nil {
		return err
	}
	if *file == "" {
		return errors.New("-o is missing")
	}
	p := newPlot(*title, "step (updates)", *label)
	grid := plotter.NewGrid()
	grid.Horizontal.Color, grid.Vertical.Color = color.Gray{225}, color.Gray{225}
	p.Add(grid)
	p.X.Tick.Marker, p.Y.Tick.Marker = few{}, few{}
	if *log {
		p.Y.Scale, p.Y.Tick.Marker = plot.LogScale{}, decades{}
	}
	legend := newLegend()
	kinds := strings.Split(*tags, ",")
	for i, group := range list {
		for _, t := range group {
			for j, tag := range kinds {
				style := draw.LineStyle{Color: inks[i%len(inks)], Width: 1.5}
				if len(kinds) > 1 && j == 0 {
					style.Width = 0.6
				}
				line, err := addSeries(p, t.series(tag), style, *top)
				if err != nil {
					return fmt.Errorf("%s: %s: %w", t.name, tag, err)
				}
				if j == len(kinds)-1 && t == group[0] {
					legend.Add(names[i], line)
				}
			}
		}
	}
	p.Y.Max = min(p.Y.Max, *top)
	below := vg.Length(len(list))*14 + 6
	canvas, whole := page(3.6*vg.Inch + below)
	p.Draw(draw.Crop(whole, 0, 0, below, 0))
	legend.Draw(draw.Crop(whole, 48, 0, 0, below-whole.Size().Y))
	return writePicture(*file, canvas)
}

// openGroups opens runs, each a group of its own, or groups of them; and names the groups.
func openGroups(args []string, grouped bool) (names []string, list [][]*trace, err error) {
	dirs := [][]string{}
	if grouped {
		if names, dirs, err = pairs(args); err != nil {
			return nil, nil, err
		}
	} else {
		for _, dir := range args {
			names, dirs = append(names, filepath.Base(dir)), append(dirs, []string{dir})
		}
	}
	for _, group := range dirs {
		runs, err := openRuns(group)
		if err != nil {
			return nil, nil, err
		}
		list = append(list, runs)
	}
	return names, list, nil
}

func newLegend() plot.Legend {
	legend := plot.NewLegend()
	legend.Left, legend.Top, legend.ThumbnailWidth, legend.Padding = true, true, 24, 3
	legend.TextStyle.Font.Size, legend.TextStyle.Font.Variant = fontSize-1, "Sans"
	return legend
}

// addSeries draws the pieces between values that are no finite numbers; what lies above the top is drawn on it.
func addSeries(p *plot.Plot, s series, style draw.LineStyle, top float64) (line *plotter.Line, err error) {
	var piece plotter.XYs
	finish := func() error {
		if len(piece) == 0 {
			return nil
		}
		drawn, err := plotter.NewLine(piece)
		if err != nil {
			return err
		}
		drawn.LineStyle = style
		p.Add(drawn)
		line, piece = drawn, nil
		return nil
	}
	for i, y := range s.values {
		if math.IsNaN(y) || math.IsInf(y, 0) {
			if err := finish(); err != nil {
				return nil, err
			}
			continue
		}
		piece = append(piece, plotter.XY{X: float64(s.steps[i]), Y: min(y, top)})
	}
	if err := finish(); err != nil {
		return nil, err
	}
	if line == nil {
		return nil, errors.New("nothing was logged of it")
	}
	return line, nil
}

// decades are ticks at powers of ten.
type decades struct{}

func (decades) Ticks(low, high float64) (list []plot.Tick) {
	from, to := int(math.Ceil(math.Log10(low))), int(math.Floor(math.Log10(high)))
	for e := from; e <= to; e += 1 + (to-from)/6 {
		list = append(list, plot.Tick{Value: math.Pow10(e), Label: fmt.Sprintf("10^%d", e)})
	}
	return list
}

// binsPerDecade is how finely a heat map tells magnitudes apart.
const binsPerDecade = 5

// grid is a tensor's history as a heat map has it: the share of the elements by step and magnitude.
type grid struct {
	steps  []float64
	low    int // decade at which it begins
	shares [][]float64
}

func (g *grid) Dims() (c, r int)   { return len(g.steps), len(g.shares[0]) }
func (g *grid) X(c int) float64    { return g.steps[c] }
func (g *grid) Y(r int) float64    { return float64(g.low) + (float64(r)+0.5)/binsPerDecade }
func (g *grid) Z(c, r int) float64 { return math.Sqrt(g.shares[c][r]) } // so that few elements can be seen, too

// shades is how many colours a heat map has.
const shades = 16

// blues is from white to dark blue.
type blues struct{}

func (blues) Colors() (list []color.Color) {
	for i := range shades {
		x := float64(i) / (shades - 1)
		mix := func(from, to float64) uint8 { return uint8(from + (to-from)*x) }
		list = append(list, color.NRGBA{mix(255, 8), mix(255, 48), mix(255, 107), 255})
	}
	return list
}

// histograms draws a heat map for each tag, a row, and each logging_dir, a column.
func histograms(flags *flag.FlagSet, args []string, out io.Writer) error {
	file := flags.String("o", "", "`FILE` for the PNG")
	tags := flags.String("tags", "", "`LIST` of tags, with commas: gradients/transformer.wte.weight")
	low := flags.Int("low", -8, "the `DECADE` at which the magnitudes begin")
	high := flags.Int("high", 2, "the `DECADE` at which they end")
	if err := flags.Parse(args); err != nil {
		return err
	}
	if *file == "" || *tags == "" || flags.NArg() == 0 || *high <= *low {
		return errors.New("want -o FILE -tags LIST and logging directories")
	}
	var rows [][]*plot.Plot
	names := strings.Split(*tags, ",")
	for i, tag := range names {
		var row []*plot.Plot
		for _, dir := range flags.Args() {
			all, err := readHistories(dir)
			if err != nil {
				return err
			}
			if all[tag] == nil {
				return fmt.Errorf("%s: no histogram %s", dir, tag)
			}
			p := heatMap(all[tag], *low, *high)
			p.Title.Text = shortName(tag) + ", " + filepath.Base(dir)
			if i == len(names)-1 {
				p.X.Label.Text = "step (updates)"
			}
			row = append(row, p)
		}
		row[0].Y.Label.Text = "magnitude"
		rows = append(rows, row)
	}
	canvas, whole := page(vg.Length(len(rows))*1.75*vg.Inch + 0.2*vg.Inch)
	tiles := draw.Tiles{Rows: len(rows), Cols: flags.NArg(), PadX: 8, PadY: 6}
	for i, line := range plot.Align(rows, tiles, whole) {
		for j, tile := range line {
			rows[i][j].Draw(tile)
		}
	}
	return writePicture(*file, canvas)
}

// shortName is a tag without what all tags have.
func shortName(tag string) string {
	return strings.NewReplacer("transformer.", "", ".weight", "", "gradients/", "", "weights/", "").Replace(tag)
}

func heatMap(h *history, low, high int) *plot.Plot {
	g := &grid{low: low}
	for i, step := range h.steps {
		g.steps = append(g.steps, float64(step))
		g.shares = append(g.shares, h.of[i].magnitudes(float64(low), 1.0/binsPerDecade, (high-low)*binsPerDecade))
	}
	p := newPlot("", "", "")
	p.Title.TextStyle.Font.Size = fontSize - 1.5
	m := plotter.NewHeatMap(g, blues{})
	m.Min, m.Max, m.Rasterized = 0, 0.5, false
	m.Overflow = blues{}.Colors()[shades-1]
	p.Add(m)
	p.Y.Min, p.Y.Max = float64(low), float64(high)
	p.Y.Tick.Marker, p.X.Tick.Marker = exponents{}, few{}
	return p
}

// exponents are ticks at every second whole number, as powers of ten.
type exponents struct{}

func (exponents) Ticks(low, high float64) (list []plot.Tick) {
	for e := math.Ceil(low/2) * 2; e <= high; e += 2 {
		list = append(list, plot.Tick{Value: e, Label: fmt.Sprintf("10^%g", e)})
	}
	return list
}
