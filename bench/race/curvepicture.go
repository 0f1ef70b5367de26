package main

// The picture of the curve: the time of a token in steps of ever more of them. Where a step's cost is linear, it is flat.

import (
	"fmt"
	"image/color"
	"math"

	"gonum.org/v1/plot"
	"gonum.org/v1/plot/plotter"
	"gonum.org/v1/plot/text"
	"gonum.org/v1/plot/vg"
	"gonum.org/v1/plot/vg/draw"
)

const curveHeight = vg.Length(310)

// drawCurve draws two plots beside each other: more rows, longer rows.
func (r *results) drawCurve(c draw.Canvas) {
	write(c, vg.Point{X: c.Min.X, Y: c.Max.Y - 14}, "A token's share of a step", bold(fontSize+5, textInk))
	note := fmt.Sprintf("%s, %d threads. Medians of %d rounds, whiskers from the lowest to the highest; dashed: a fixed cost of the step and one of each token.", curveModel, r.Threads, r.Rounds)
	write(c, vg.Point{X: c.Min.X, Y: c.Max.Y - 31}, note, plain(fontSize-1, noteInk))
	more := newPlot(fmt.Sprintf("rows of %d tokens: 1 to %d of them", curveSequence, curveBatches[len(curveBatches)-1]))
	longer := newPlot("one row, longer and longer")
	for i, precision := range r.curvePrecisions() {
		ink := []color.NRGBA{oursInk, otherInk}[i%2]
		batches, sequences := r.curves(precision)
		addCurve(more, precision, batches, ink)
		addCurve(longer, precision, sequences, ink)
		if len(batches) > 2 {
			addFit(more, batches, ink)
		}
	}
	most := max(more.Y.Max, longer.Y.Max) * 1.05
	more.Y.Max, longer.Y.Max = most, most
	tiles := draw.Tiles{Rows: 1, Cols: 2, PadX: 24}
	page := draw.Crop(c, 0, 0, 0, -raceHeading-8)
	canvases := plot.Align([][]*plot.Plot{{more, longer}}, tiles, page)
	more.Draw(canvases[0][0])
	longer.Draw(canvases[0][1])
}

func newPlot(title string) *plot.Plot {
	p := plot.New()
	p.Title.Text, p.X.Label.Text, p.Y.Label.Text = title, "tokens in a step", "µs a token"
	dress(&p.Title.TextStyle, bold(fontSize, textInk))
	p.Title.Padding = 10
	for _, axis := range []*plot.Axis{&p.X, &p.Y} {
		dress(&axis.Label.TextStyle, plain(fontSize, textInk))
		dress(&axis.Tick.Label, plain(fontSize-1, textInk))
		axis.Label.Padding = 5
	}
	p.X.Scale, p.X.Tick.Marker = plot.LogScale{}, doublings{}
	p.Y.Min = 0
	grid := plotter.NewGrid()
	grid.Vertical.Color, grid.Horizontal.Color = nil, ruleInk
	p.Add(grid)
	p.Legend.TextStyle, p.Legend.Padding, p.Legend.YOffs = plain(fontSize, textInk), 3, 8 // below the curves, which begin at 0
	return p
}

// dress gives a style another font and colour; where it stands stays.
func dress(s *text.Style, as text.Style) { s.Font, s.Color = as.Font, as.Color }

// measuredCurve is what plotter draws: microseconds a token by tokens, with their whiskers.
type measuredCurve struct {
	plotter.XYs
	plotter.YErrors
}

func addCurve(p *plot.Plot, name string, points []*curvePoint, ink color.Color) {
	var m measuredCurve
	for _, point := range points {
		tokens := float64(point.Shape.tokens())
		x := spreadOf(point.step())
		each := 1e6 / tokens
		m.XYs = append(m.XYs, plotter.XY{X: tokens, Y: each * x.median})
		m.YErrors = append(m.YErrors, struct{ Low, High float64 }{each * (x.median - x.low), each * (x.high - x.median)})
	}
	if len(m.XYs) == 0 {
		return
	}
	drawn, dots, err := plotter.NewLinePoints(m.XYs)
	if err != nil {
		panic(err) // a measured time is a finite number
	}
	drawn.LineStyle = draw.LineStyle{Color: ink, Width: 1.6}
	dots.GlyphStyle = draw.GlyphStyle{Color: ink, Radius: 2.6, Shape: draw.CircleGlyph{}}
	whiskers, err := plotter.NewYErrorBars(m)
	if err != nil {
		panic(err)
	}
	whiskers.LineStyle = draw.LineStyle{Color: ink, Width: 0.9}
	p.Add(whiskers, drawn, dots)
	p.Legend.Add(name, drawn, dots)
}

// addFit adds what the fitted line makes of a token's time.
func addFit(p *plot.Plot, points []*curvePoint, ink color.NRGBA) {
	l := fit(points)
	f := plotter.NewFunction(func(tokens float64) float64 { return 1e6 * (l.fixed/tokens + l.each) })
	f.XMin, f.XMax = float64(points[0].Shape.tokens()), float64(points[len(points)-1].Shape.tokens())
	ink.A = 150
	f.LineStyle = draw.LineStyle{Color: ink, Width: 0.9, Dashes: []vg.Length{4, 3}}
	p.Add(f)
}

// doublings are ticks at powers of two.
type doublings struct{}

func (doublings) Ticks(low, high float64) (list []plot.Tick) {
	for e := math.Ceil(math.Log2(low) - 1e-9); math.Exp2(e) <= high*(1+1e-9); e++ {
		list = append(list, plot.Tick{Value: math.Exp2(e), Label: thousands(math.Exp2(e))})
	}
	return list
}
