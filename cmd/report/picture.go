package main

// Pictures for papers: one PNG a chart, on white, in colours that the colour-blind tell apart.

import (
	"image/color"
	"io"
	"math"
	"os"
	"path/filepath"
	"slices"
	"strconv"

	imagefont "golang.org/x/image/font"
	"gonum.org/v1/plot"
	"gonum.org/v1/plot/font"
	"gonum.org/v1/plot/plotter"
	"gonum.org/v1/plot/vg"
	"gonum.org/v1/plot/vg/draw"
	"gonum.org/v1/plot/vg/vgimg"
)

const point = vg.Length(1)

// The size of a picture without its legend. At twice a screen's 96 dots an inch, 7 inches are 1344 dots.
const (
	pictureWidth  = 7 * vg.Inch
	pictureHeight = 4 * vg.Inch
	pictureDPI    = 192
	legendLine    = 13.5 * point
	fontSize      = 12 * point
)

// pictureBuckets is how many points a smoothed line of a long run goes through, and half of those of one that is not smoothed.
const pictureBuckets = 400

// inks are the colours of Okabe and Ito without their yellow, which is too light on white.
var inks = []color.NRGBA{
	{0, 114, 178, 255}, {213, 94, 0, 255}, {0, 158, 115, 255}, {204, 121, 167, 255}, {86, 180, 233, 255}, {230, 159, 0, 255}, {0, 0, 0, 255},
}

// dashes tell runs apart once the colours begin again.
var dashes = [][]vg.Length{nil, {6, 3}, {2, 2}, {8, 3, 2, 3}}

// line is a curve with its name in the legend.
type line struct {
	name string // "": not in the legend
	curve
	style draw.LineStyle
	marks bool
	band  []bucket // of the curve: an area from their lowest to their highest values, in place of a line
}

func inkOf(i int) draw.LineStyle {
	return draw.LineStyle{Color: inks[i%len(inks)], Width: 1.6 * point, Dashes: dashes[i/len(inks)%len(dashes)]}
}

// faint is the style of the values below a smoothed line.
func faint(s draw.LineStyle) draw.LineStyle {
	ink := s.Color.(color.NRGBA)
	ink.A = 70
	return draw.LineStyle{Color: ink, Width: 0.7 * point}
}

// drawPictures writes the charts into dir, which it makes if it is absent, and returns the files. Where there are groups, a line
// is a group's, not a run's.
func drawPictures(dir string, runs []*run, groups []group, smoothing float64) (files []string, err error) {
	if err := os.MkdirAll(dir, 0o777); err != nil {
		return nil, &outputError{err}
	}
	last := int64(1)
	for _, r := range runs {
		last = max(last, r.step)
	}
	write := func(name string, p *plot.Plot, lines []line) error {
		p.X.Max = float64(last)
		path := filepath.Join(dir, name+".png")
		files = append(files, path)
		return writeFile(path, func(w io.Writer) error { return drawPicture(w, p, lines) })
	}
	for _, c := range chartsOf(runs) {
		lines := linesOf(c, runs, smoothing)
		if groups != nil {
			lines = groupLines(c, groups, smoothing)
		}
		if err := write(c.id, newPlot(c), lines); err != nil {
			return nil, err
		}
	}
	for i, r := range runs {
		if len(stagesOf(r)) == 0 {
			continue
		}
		name := "curriculum"
		if len(runs) > 1 {
			name += "_" + strconv.Itoa(i+1)
		}
		if err := write(name, mixPlot(r), mixLines(r)); err != nil {
			return nil, err
		}
	}
	return files, nil
}

func linesOf(c chart, runs []*run, smoothing float64) (lines []line) {
	scale := c.scale
	if scale == 0 {
		scale = 1
	}
	var over []line
	for i, r := range runs {
		found := c.of(r)
		if found == nil {
			continue
		}
		whole := &curve{found.steps, scaled(found.values, scale)}
		if !c.smoothed || smoothing == 0 {
			over = append(over, line{r.name, thin(whole, pictureBuckets).curve, inkOf(i), c.marks, nil})
			continue
		}
		pale, means := noise(whole, inkOf(i))
		lines = append(lines, pale)
		over = append(over, line{r.name, curve{means.steps, smooth(means.values, smoothing)}, inkOf(i), c.marks, nil})
	}
	return append(lines, over...)
}

// noise is what lies behind a smoothed line, and what is to be smoothed: the values as they are, or of many an area and means.
func noise(c *curve, ink draw.LineStyle) (pale line, means curve) {
	if len(c.steps) <= 2*pictureBuckets {
		return line{"", *c, faint(ink), false, nil}, *c
	}
	return line{"", *c, faint(ink), false, c.buckets(pictureBuckets)}, meansOf(c, pictureBuckets)
}

// mixPlot says what the lines of mixLines are.
func mixPlot(r *run) *plot.Plot {
	return newPlot(chart{title: "Curriculum mix of " + r.name, label: "share of the rows (faint: drawn)", fromZero: true})
}

// mixLines are what was planned, in full lines, and what was drawn, faint.
func mixLines(r *run) (lines []line) {
	for i, s := range mixOf(r, drawnMix) {
		pale, _ := noise(&s.curve, inkOf(i))
		lines = append(lines, pale)
	}
	for i, s := range mixOf(r, plannedMix) {
		lines = append(lines, line{s.stage, thin(&s.curve, pictureBuckets).curve, inkOf(i), false, nil})
	}
	return lines
}

func scaled(values []float64, by float64) []float64 {
	out := make([]float64, len(values))
	for i, v := range values {
		out[i] = v * by
	}
	return out
}

func newPlot(c chart) *plot.Plot {
	p := plot.New()
	p.Title.Text, p.X.Label.Text, p.Y.Label.Text = c.title, "step (updates)", c.label
	p.Title.TextStyle.Font.Size, p.Title.Padding = fontSize+2, 8
	p.Title.TextStyle.Font.Weight = imagefont.WeightBold
	for _, axis := range []*plot.Axis{&p.X, &p.Y} {
		axis.Label.TextStyle.Font.Size, axis.Label.Padding = fontSize, 6
		axis.Tick.Label.Font.Size = fontSize - 1
		axis.Tick.Marker = ticks{}
	}
	if c.log2 {
		p.Y.Scale, p.Y.Tick.Marker = plot.LogScale{}, powers{}
	}
	p.X.Min = 0
	if c.fromZero {
		p.Y.Min = 0
	}
	grid := plotter.NewGrid()
	grid.Horizontal.Color, grid.Vertical.Color = color.Gray{225}, color.Gray{225}
	p.Add(grid)
	for _, s := range []*font.Font{&p.Title.TextStyle.Font, &p.X.Label.TextStyle.Font, &p.Y.Label.TextStyle.Font, &p.X.Tick.Label.Font, &p.Y.Tick.Label.Font} {
		s.Variant = "Sans"
	}
	return p
}

// drawPicture draws the lines and, below them, one line of legend each.
func drawPicture(w io.Writer, p *plot.Plot, lines []line) error {
	legend := plot.NewLegend()
	legend.Left, legend.Top, legend.ThumbnailWidth, legend.Padding = true, true, 24*point, 3*point
	legend.TextStyle.Font.Size, legend.TextStyle.Font.Variant = fontSize-1, "Sans"
	entries := 0
	for _, l := range lines {
		first, err := addLine(p, l)
		if err != nil {
			return err
		}
		if l.name != "" && first != nil {
			legend.Add(l.name, first)
			entries++
		}
	}
	settleAxes(p)
	below := vg.Length(entries)*legendLine + 10*point
	canvas := vgimg.NewWith(vgimg.UseWH(pictureWidth, pictureHeight+below), vgimg.UseDPI(pictureDPI), vgimg.UseBackgroundColor(color.White))
	page := draw.Crop(draw.New(canvas), 8, -12, 6, -8)
	p.Draw(draw.Crop(page, 0, 0, below, 0))
	legend.Draw(draw.Crop(page, 52*point, 0, 0, below-pictureHeight-below))
	_, err := vgimg.PngCanvas{Canvas: canvas}.WriteTo(w)
	return err
}

// addLine adds the pieces between values that are no finite numbers, and returns the first of them for the legend.
func addLine(p *plot.Plot, l line) (first *plotter.Line, err error) {
	if l.band != nil {
		return nil, addBand(p, l)
	}
	for _, piece := range pieces(&l.curve) {
		drawn, err := plotter.NewLine(piece)
		if err != nil {
			return nil, err
		}
		drawn.LineStyle = l.style
		p.Add(drawn)
		if first == nil {
			first = drawn
		}
		if !l.marks && len(piece) > 1 {
			continue
		}
		points, err := plotter.NewScatter(piece)
		if err != nil {
			return nil, err
		}
		points.GlyphStyle = draw.GlyphStyle{Color: l.style.Color, Radius: 2.2 * point, Shape: draw.CircleGlyph{}}
		p.Add(points)
	}
	return first, nil
}

// addBand adds the area between the buckets' lowest and highest values.
func addBand(p *plot.Plot, l line) error {
	var above, below plotter.XYs
	for _, b := range l.band {
		if b.low >= 0 {
			above = append(above, plotter.XY{X: b.middle, Y: l.values[b.high]})
			below = append(below, plotter.XY{X: b.middle, Y: l.values[b.low]})
		}
	}
	slices.Reverse(below)
	area, err := plotter.NewPolygon(append(above, below...))
	if err != nil {
		return err
	}
	area.Color, area.LineStyle.Width = l.style.Color, 0
	p.Add(area)
	return nil
}

// pieces are the points between values that are no finite numbers.
func pieces(c *curve) (list []plotter.XYs) {
	var piece plotter.XYs
	for i, y := range c.values {
		if math.IsNaN(y) || math.IsInf(y, 0) {
			if len(piece) > 0 {
				list = append(list, piece)
			}
			piece = nil
			continue
		}
		piece = append(piece, plotter.XY{X: float64(c.steps[i]), Y: y})
	}
	if len(piece) > 0 {
		list = append(list, piece)
	}
	return list
}
