package main

// The picture of the curve: a step's time by its tokens, the straight line through it, and how far each point is from the line.

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

// drawCurve draws two plots beside each other: the times with their line, and what the line leaves.
func (r *results) drawCurve(c draw.Canvas) {
	write(c, vg.Point{X: c.Min.X, Y: c.Max.Y - 14}, "A step's time by its tokens", bold(fontSize+5, textInk))
	note := fmt.Sprintf("%s, %d threads. Medians of %d rounds, whiskers from the lowest to the highest. Dots: 1 to %d rows of %d. Diamonds: one row of %d to %s.", curveModel, r.Threads, r.Rounds,
		curveBatches[len(curveBatches)-1], curveSequence, curveSequences[0], thousands(float64(curveSequences[len(curveSequences)-1])))
	write(c, vg.Point{X: c.Min.X, Y: c.Max.Y - 31}, note, plain(fontSize-1, noteInk))
	times, rest := newPlot("a step, and the line through the rows", "seconds"), newPlot("how far from the line", "%")
	times.X.Min, times.Y.Min, times.X.Tick.Marker = 0, 0, roundTokens{}
	rest.X.Scale, rest.X.Tick.Marker = plot.LogScale{}, doublings{}
	for i, precision := range r.curvePrecisions() {
		ink := []color.NRGBA{oursInk, otherInk}[i%2]
		batches, sequences := r.curves(precision)
		if len(batches) < 2 {
			continue
		}
		l := fit(batches)
		dots := addPoints(times, batches, ink, draw.CircleGlyph{}, 1, func(float64) float64 { return 0 })
		addPoints(times, sequences, ink, diamond{}, 1, func(float64) float64 { return 0 })
		addPoints(rest, batches, ink, draw.CircleGlyph{}, 100, l.at)
		addPoints(rest, sequences, ink, diamond{}, 100, l.at)
		times.Legend.Add(fmt.Sprintf("%s: %.0f ms + %.0f µs a token", precision, 1e3*l.fixed, 1e6*l.each), addLine(times, l, batches, ink), dots)
	}
	most := max(5, -rest.Y.Min, rest.Y.Max) * 1.1
	rest.Y.Min, rest.Y.Max = -most, most
	rest.Add(level{})
	tiles := draw.Tiles{Rows: 1, Cols: 2, PadX: 24}
	page := draw.Crop(c, 0, 0, 0, -raceHeading-8)
	canvases := plot.Align([][]*plot.Plot{{times, rest}}, tiles, page)
	times.Draw(canvases[0][0])
	rest.Draw(canvases[0][1])
}

func newPlot(title, unit string) *plot.Plot {
	p := plot.New()
	p.Title.Text, p.X.Label.Text, p.Y.Label.Text = title, "tokens in a step", unit
	dress(&p.Title.TextStyle, bold(fontSize, textInk))
	p.Title.Padding = 10
	for _, axis := range []*plot.Axis{&p.X, &p.Y} {
		dress(&axis.Label.TextStyle, plain(fontSize, textInk))
		dress(&axis.Tick.Label, plain(fontSize-1, textInk))
		axis.Label.Padding = 5
	}
	grid := plotter.NewGrid()
	grid.Vertical.Color, grid.Horizontal.Color = nil, ruleInk
	p.Add(grid)
	p.Legend.TextStyle, p.Legend.Padding, p.Legend.Top, p.Legend.Left, p.Legend.XOffs = plain(fontSize, textInk), 3, true, true, 8
	return p
}

// dress gives a style another font and colour; where it stands stays.
func dress(s *text.Style, as text.Style) { s.Font, s.Color = as.Font, as.Color }

// measuredCurve is what plotter draws: points by tokens, with their whiskers.
type measuredCurve struct {
	plotter.XYs
	plotter.YErrors
}

// addPoints adds the points' times less below(tokens), times scale, as shares of the time where something is taken off.
func addPoints(p *plot.Plot, points []*curvePoint, ink color.Color, shape draw.GlyphDrawer, scale float64, below func(tokens float64) float64) plot.Thumbnailer {
	var m measuredCurve
	for _, point := range points {
		tokens := float64(point.Shape.tokens())
		x, unit := spreadOf(point.step()), scale
		if below(tokens) != 0 {
			unit /= x.median
		}
		m.XYs = append(m.XYs, plotter.XY{X: tokens, Y: unit * (x.median - below(tokens))})
		m.YErrors = append(m.YErrors, struct{ Low, High float64 }{unit * (x.median - x.low), unit * (x.high - x.median)})
	}
	dots, err := plotter.NewScatter(m.XYs)
	if err != nil {
		panic(err) // a measured time is a finite number
	}
	dots.GlyphStyle = draw.GlyphStyle{Color: ink, Radius: 2.8, Shape: shape}
	whiskers, err := plotter.NewYErrorBars(m)
	if err != nil {
		panic(err)
	}
	whiskers.LineStyle = draw.LineStyle{Color: ink, Width: 0.9}
	p.Add(whiskers, dots)
	return dots
}

// addLine adds the fitted line from no tokens at all to the most.
func addLine(p *plot.Plot, l line, points []*curvePoint, ink color.NRGBA) plot.Thumbnailer {
	most := float64(points[len(points)-1].Shape.tokens())
	drawn, err := plotter.NewLine(plotter.XYs{{X: 0, Y: l.at(0)}, {X: most, Y: l.at(most)}})
	if err != nil {
		panic(err) // a measured time is a finite number
	}
	ink.A = 150
	drawn.LineStyle = draw.LineStyle{Color: ink, Width: 1.2}
	p.Add(drawn)
	return drawn
}

// diamond is a glyph that is not filled, so that a dot behind it is seen.
type diamond struct{}

func (diamond) DrawGlyph(c *draw.Canvas, s draw.GlyphStyle, at vg.Point) {
	r := s.Radius + 1.2
	c.StrokeLines(draw.LineStyle{Color: s.Color, Width: 1.2}, []vg.Point{{X: at.X, Y: at.Y + r}, {X: at.X + r, Y: at.Y}, {X: at.X, Y: at.Y - r}, {X: at.X - r, Y: at.Y}, {X: at.X, Y: at.Y + r}})
}

// level is the line itself where distances from it are shown.
type level struct{}

func (level) Plot(c draw.Canvas, p *plot.Plot) {
	_, y := p.Transforms(&c)
	c.StrokeLine2(draw.LineStyle{Color: lineInk, Width: 0.9}, c.Min.X, y(0), c.Max.X, y(0))
}

// roundTokens are ticks at multiples of 2048.
type roundTokens struct{}

func (roundTokens) Ticks(low, high float64) (list []plot.Tick) {
	for x := 0.0; x <= high; x += 2048 {
		list = append(list, plot.Tick{Value: x, Label: thousands(x)})
	}
	return list
}

// doublings are ticks at powers of two.
type doublings struct{}

func (doublings) Ticks(low, high float64) (list []plot.Tick) {
	for e := math.Ceil(math.Log2(low) - 1e-9); math.Exp2(e) <= high*(1+1e-9); e++ {
		list = append(list, plot.Tick{Value: math.Exp2(e), Label: thousands(math.Exp2(e))})
	}
	return list
}
