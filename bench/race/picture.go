package main

// The picture of the race: for each model and precision a bar of tokens per second for ours and each peer.

import (
	"bytes"
	"fmt"
	"image/color"
	"os"
	"path/filepath"

	imagefont "golang.org/x/image/font"
	"gonum.org/v1/plot"
	"gonum.org/v1/plot/font"
	"gonum.org/v1/plot/text"
	"gonum.org/v1/plot/vg"
	"gonum.org/v1/plot/vg/draw"
	"gonum.org/v1/plot/vg/vgimg"
	"gonum.org/v1/plot/vg/vgsvg"
)

// Lengths in points. A picture is 1920 dots wide.
const (
	pictureWidth = 720 * vg.Length(1)
	pictureDPI   = 192
	margin       = vg.Length(16)
	labelWidth   = vg.Length(226)
	barHeight    = vg.Length(13)
	barPitch     = vg.Length(19)
	figureRoom   = vg.Length(92) // behind a bar, for what is written there
	fontSize     = font.Length(10)
)

var (
	oursInk  = color.NRGBA{0, 114, 178, 255} // of Okabe and Ito, as in bin/report's pictures
	peerInk  = color.NRGBA{158, 158, 158, 255}
	keptInk  = color.NRGBA{204, 204, 204, 255} // a peer that was told to keep freed memory
	textInk  = color.NRGBA{38, 38, 38, 255}
	noteInk  = color.NRGBA{110, 110, 110, 255}
	lineInk  = color.NRGBA{60, 60, 60, 255}
	ruleInk  = color.NRGBA{225, 225, 225, 255}
	otherInk = color.NRGBA{213, 94, 0, 255}
)

// block is a model's part of the picture: a line of labels, and for each precision a column of bars.
type block struct {
	shape   shape
	columns []*caseResults
}

// blocks are the cases that have something to show.
func (r *results) blocks() (list []*block) {
	for _, c := range r.Cases {
		if len(c.ours()) == 0 {
			continue
		}
		if n := len(list); n == 0 || list[n-1].shape != c.Shape {
			list = append(list, &block{shape: c.Shape})
		}
		last := list[len(list)-1]
		last.columns = append(last.columns, c)
	}
	return list
}

// height of a block: a heading, ours, the peers.
func (b *block) height() vg.Length { return 34 + barPitch*vg.Length(1+len(b.columns[0].Lanes)) + 14 }

// drawRace draws all blocks, one below the other.
func (r *results) drawRace(c draw.Canvas) {
	y := c.Max.Y
	write(c, vg.Point{X: c.Min.X, Y: y - 14}, "Training on a CPU: tokens per second", bold(fontSize+5, textInk))
	note := fmt.Sprintf("Same weights, tokens, losses and %d threads. Medians of %d rounds, whiskers from the lowest to the highest; ×: our speed as a multiple of theirs.", r.Threads, r.Rounds)
	write(c, vg.Point{X: c.Min.X, Y: y - 31}, note, plain(fontSize-1, noteInk))
	y -= raceHeading
	for _, b := range r.blocks() {
		b.draw(c, y)
		y -= b.height()
	}
}

const raceHeading = vg.Length(44)

func (r *results) raceHeight() vg.Length {
	height := raceHeading
	for _, b := range r.blocks() {
		height += b.height()
	}
	return height
}

// draw puts the block's upper edge at y.
func (b *block) draw(c draw.Canvas, y vg.Length) {
	c.StrokeLine2(draw.LineStyle{Color: ruleInk, Width: 1}, c.Min.X, y, c.Max.X, y)
	write(c, vg.Point{X: c.Min.X, Y: y - 19}, b.shape.String(), bold(fontSize, textInk))
	top := y - 34
	write(c, vg.Point{X: c.Min.X + labelWidth - 8, Y: top - barHeight + 3}, "frugal (ours)", right(bold(fontSize, oursInk)))
	for i, l := range b.columns[0].Lanes {
		write(c, vg.Point{X: c.Min.X + labelWidth - 8, Y: top - barPitch*vg.Length(i+1) - barHeight + 3}, l.Title, right(plain(fontSize, textInk)))
	}
	width := (c.Max.X - c.Min.X - labelWidth) / vg.Length(len(b.columns))
	for i, column := range b.columns {
		left := c.Min.X + labelWidth + width*vg.Length(i)
		write(c, vg.Point{X: left, Y: y - 19}, column.Precision, bold(fontSize, textInk))
		column.draw(c, left, top, width)
	}
}

// draw draws a column of bars, the longest as long as the room allows.
func (c *caseResults) draw(canvas draw.Canvas, left, top, width vg.Length) {
	ours := spreadOf(of(c.ours(), speed))
	most := ours.high
	for _, l := range c.Lanes {
		if len(l.Theirs) > 0 {
			most = max(most, spreadOf(of(l.Theirs, speed)).high)
		}
	}
	scale := (width - figureRoom) / vg.Length(most)
	bar(canvas, left, top, scale, ours, oursInk, thousands(ours.median), "")
	for i, l := range c.Lanes {
		y := top - barPitch*vg.Length(i+1)
		if len(l.Theirs) == 0 {
			why := "not run"
			if l.Problem != "" {
				why = "out of the race"
			}
			write(canvas, vg.Point{X: left + 4, Y: y - barHeight + 3}, why, plain(fontSize-1, otherInk))
			continue
		}
		ink := peerInk
		if p, err := peerOf(l.Peer); err == nil && p.kept {
			ink = keptInk
		}
		theirs := spreadOf(of(l.Theirs, speed))
		bar(canvas, left, y, scale, theirs, ink, thousands(theirs.median), fmt.Sprintf("%.2f×", median(ratios(l.Ours, l.Theirs, speed))))
	}
}

// bar is a bar with its whisker and two figures behind it.
func bar(c draw.Canvas, left, top, scale vg.Length, x spread, ink color.Color, figure, factor string) {
	end := left + scale*vg.Length(x.median)
	c.FillPolygon(ink, []vg.Point{{X: left, Y: top}, {X: end, Y: top}, {X: end, Y: top - barHeight}, {X: left, Y: top - barHeight}})
	middle, low, high := top-barHeight/2, left+scale*vg.Length(x.low), left+scale*vg.Length(x.high)
	style := draw.LineStyle{Color: lineInk, Width: 0.9}
	c.StrokeLine2(style, low, middle, high, middle)
	for _, at := range []vg.Length{low, high} {
		c.StrokeLine2(style, at, middle-3, at, middle+3)
	}
	at := vg.Point{X: max(end, high) + 6, Y: top - barHeight + 3}
	style2 := plain(fontSize, textInk)
	if factor == "" {
		style2 = bold(fontSize, oursInk)
	}
	write(c, at, figure, style2)
	if factor != "" {
		write(c, vg.Point{X: at.X + style2.Width(figure) + 9, Y: at.Y}, factor, bold(fontSize, oursInk))
	}
}

func plain(size font.Length, ink color.Color) text.Style {
	f := font.From(plot.DefaultFont, size)
	f.Variant = "Sans"
	return text.Style{Font: f, Color: ink, Handler: plot.DefaultTextHandler}
}

func bold(size font.Length, ink color.Color) text.Style {
	s := plain(size, ink)
	s.Font.Weight = imagefont.WeightBold
	return s
}

// right aligns a style.
func right(s text.Style) text.Style {
	s.XAlign = text.XRight
	return s
}

func write(c draw.Canvas, at vg.Point, words string, s text.Style) { c.FillText(s, at, words) }

// writePicture writes folder/name.png and folder/name.svg.
func writePicture(folder, name string, height vg.Length, picture func(draw.Canvas)) error {
	height += 2 * margin
	dots := vgimg.NewWith(vgimg.UseWH(pictureWidth, height), vgimg.UseDPI(pictureDPI), vgimg.UseBackgroundColor(color.White))
	vectors := vgsvg.New(pictureWidth, height)
	var png, svg bytes.Buffer
	for _, canvas := range []vg.CanvasSizer{dots, vectors} {
		whole := draw.New(canvas)
		whole.FillPolygon(color.White, []vg.Point{whole.Min, {X: whole.Max.X, Y: whole.Min.Y}, whole.Max, {X: whole.Min.X, Y: whole.Max.Y}})
		picture(draw.Crop(whole, margin, -margin, margin, -margin))
	}
	if _, err := (vgimg.PngCanvas{Canvas: dots}).WriteTo(&png); err != nil {
		return err
	}
	if _, err := vectors.WriteTo(&svg); err != nil {
		return err
	}
	if err := os.WriteFile(filepath.Join(folder, name+".png"), png.Bytes(), 0o666); err != nil {
		return err
	}
	// Where Liberation's fonts are not installed, these are as wide.
	fonts := bytes.ReplaceAll(svg.Bytes(), []byte("font-family:Liberation Sans;"), []byte("font-family:Liberation Sans,Arial,Helvetica,sans-serif;"))
	return os.WriteFile(filepath.Join(folder, name+".svg"), fonts, 0o666)
}
