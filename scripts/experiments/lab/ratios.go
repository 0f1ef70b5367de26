package main

// Repeated runs beside a base: what changes, as ratios of runs of the same round, which is what a busy machine leaves to trust.

import (
	"errors"
	"flag"
	"fmt"
	"image/color"
	"io"
	"math"
	"slices"
	"strconv"
	"strings"

	"gonum.org/v1/plot"
	"gonum.org/v1/plot/plotter"
	"gonum.org/v1/plot/vg"
	"gonum.org/v1/plot/vg/draw"
)

// setup is what was run once a round.
type setup struct {
	name                       string
	memory, clock, speed, loss []float64 // a value a round: peak bytes, tokens a second by the clock and of the processor, evaluation loss
}

// pairs parts arguments NAME=VALUE;VALUE…
func pairs(args []string) (names []string, values [][]string, err error) {
	for _, arg := range args {
		name, list, ok := strings.Cut(arg, "=")
		if !ok {
			return nil, nil, fmt.Errorf("%s: want NAME=VALUE;VALUE…", arg)
		}
		names, values = append(names, name), append(values, strings.Split(list, ";"))
	}
	if len(names) == 0 {
		return nil, nil, errors.New("want NAME=VALUE;VALUE…")
	}
	return names, values, nil
}

func openSetups(args []string) (list []setup, err error) {
	names, dirs, err := pairs(args)
	if err != nil {
		return nil, err
	}
	for i, name := range names {
		s := setup{name: name}
		runs, err := openRuns(dirs[i])
		if err != nil {
			return nil, err
		}
		for _, t := range runs {
			loss, err := t.series("eval/loss").last()
			if err != nil {
				return nil, fmt.Errorf("%s: eval/loss: %w", t.name, err)
			}
			s.memory = append(s.memory, peak(t))
			clock, own := speeds(t)
			s.clock, s.speed = append(s.clock, clock), append(s.speed, own)
			s.loss = append(s.loss, loss)
		}
		if len(list) > 0 && len(s.speed) != len(list[0].speed) {
			return nil, fmt.Errorf("%s: %d runs, want %d as in %s", name, len(s.speed), len(list[0].speed), list[0].name)
		}
		list = append(list, s)
	}
	return list, nil
}

func peak(t *trace) float64 {
	values := t.series("train/peak_memory_bytes").values
	if len(values) == 0 {
		return math.NaN()
	}
	return slices.Max(values)
}

// speeds are tokens a second by the clock and tokens a second of processor time: medians over the logged intervals but the first, in
// which libtorch prepares itself. What other programs take away is in the first alone.
func speeds(t *trace) (clock, processor float64) {
	wall, busy := t.series("train/tokens_per_second"), t.series("train/cpu_percent")
	var own []float64
	for i, x := range wall.values {
		if i > 0 && i < len(busy.values) {
			own = append(own, x/(busy.values[i]/100))
		}
	}
	return median(wall.values[min(1, len(wall.values)):]), median(own)
}

// relative divides round by round.
func relative(values, base []float64) (list []float64) {
	for i := range values {
		list = append(list, values[i]/base[i])
	}
	return list
}

// differences subtracts round by round.
func differences(values, base []float64) (list []float64) {
	for i := range values {
		list = append(list, values[i]-base[i])
	}
	return list
}

func minus(values []float64, by float64) (list []float64) {
	for _, x := range values {
		list = append(list, x-by)
	}
	return list
}

// ranged is "median (lowest–highest)".
func ranged(values []float64, format func(float64) string) string {
	if len(values) == 1 {
		return format(values[0])
	}
	return fmt.Sprintf("%s (%s–%s)", format(median(values)), format(slices.Min(values)), format(slices.Max(values)))
}

func digits(n int) func(float64) string {
	return func(x float64) string { return strconv.FormatFloat(x, 'f', n, 64) }
}

// signed is a difference, with its sign.
func signed(x float64) string { return strings.Replace(fmt.Sprintf("%+.4f", x), "-", "−", 1) }

// megabytes are of 2²⁰ bytes, as train prints them.
func megabytes(bytes float64) string { return digits(0)(bytes / (1 << 20)) }

// ratios prints a table, or draws a picture.
func ratios(flags *flag.FlagSet, args []string, out io.Writer) error {
	floorDir := flags.String("floor", "", "`RUN` of a model next to nothing in size, whose memory is taken off")
	file := flags.String("o", "", "`FILE` for a PNG instead of the table")
	if err := flags.Parse(args); err != nil {
		return err
	}
	floorRun, err := openRun(*floorDir)
	if err != nil {
		return fmt.Errorf("-floor: %w", err)
	}
	list, err := openSetups(flags.Args())
	if err != nil {
		return err
	}
	floor := peak(floorRun)
	if *file != "" {
		return drawRatios(*file, list, floor)
	}
	base := list[0]
	fmt.Fprintf(out, "Median of %d rounds (lowest–highest). A process without its model takes %s MB, which the third column leaves off.\n\n", len(base.speed), megabytes(floor))
	fmt.Fprintln(out, "| | peak memory, MB | of the model, MB | ÷ base | tokens/s by the clock | tokens per second of processor time | ÷ base, round by round | eval loss | − base, round by round |")
	fmt.Fprintln(out, "|---|---:|---:|---:|---:|---:|---:|---:|---:|")
	for _, s := range list {
		own := minus(s.memory, floor)
		fmt.Fprintf(out, "| %s | %s | %s | %s | %s | %s | %s | %s | %s |\n", s.name, ranged(s.memory, megabytes), megabytes(median(own)),
			digits(2)(median(relative(own, minus(base.memory, floor)))), ranged(s.clock, digits(0)), ranged(s.speed, digits(0)), ranged(relative(s.speed, base.speed), digits(2)),
			ranged(s.loss, digits(4)), ranged(differences(s.loss, base.loss), signed))
	}
	return nil
}

// drawRatios draws three columns of dots: memory and speed as ratios to the first setup, and the evaluation loss.
func drawRatios(file string, list []setup, floor float64) error {
	base := list[0]
	row := []*plot.Plot{newPlot("memory of the model ÷ base", "", ""), newPlot("tokens/CPU s ÷ base", "", ""), newPlot("evaluation loss", "", "")}
	of := []func(s setup) []float64{
		func(s setup) []float64 { return relative(minus(s.memory, floor), minus(base.memory, floor)) },
		func(s setup) []float64 { return relative(s.speed, base.speed) },
		func(s setup) []float64 { return s.loss },
	}
	var names []string
	for _, s := range slices.Backward(list) {
		names = append(names, s.name)
	}
	for i, p := range row {
		p.Title.TextStyle.Font.Size = fontSize - 1
		if err := addDots(p, list, of[i]); err != nil {
			return err
		}
		if p.NominalY(names...); i > 0 {
			p.NominalY(make([]string, len(names))...)
		}
		if i < 2 {
			p.X.Min = 0
		}
		p.X.Tick.Marker = few{}
		p.Y.Min, p.Y.Max = -0.6, float64(len(list))-0.4
	}
	canvas, whole := page(vg.Length(len(list))*17 + 60)
	for i, tile := range plot.Align([][]*plot.Plot{row}, draw.Tiles{Rows: 1, Cols: 3, PadX: 10}, whole)[0] {
		row[i].Draw(tile)
	}
	return writePicture(file, canvas)
}

// addDots adds a dot a run, and a line at the base's median.
func addDots(p *plot.Plot, list []setup, of func(setup) []float64) error {
	var dots plotter.XYs
	for i, s := range slices.Backward(list) {
		for _, x := range of(s) {
			dots = append(dots, plotter.XY{X: x, Y: float64(len(list) - 1 - i)})
		}
	}
	at := median(of(list[0]))
	line, err := plotter.NewLine(plotter.XYs{{X: at, Y: -1}, {X: at, Y: float64(len(list))}})
	if err != nil {
		return err
	}
	line.LineStyle = draw.LineStyle{Color: color.Gray{170}, Width: 1, Dashes: []vg.Length{4, 3}}
	points, err := plotter.NewScatter(dots)
	if err != nil {
		return err
	}
	points.GlyphStyle = draw.GlyphStyle{Color: inks[0], Radius: 2.6, Shape: draw.CircleGlyph{}}
	rows := plotter.NewGrid()
	rows.Vertical.Color, rows.Horizontal.Color = color.Gray{235}, color.Gray{235}
	p.Add(rows, line, points)
	return nil
}

// few are three to five ticks at round values.
type few struct{}

func (few) Ticks(low, high float64) (list []plot.Tick) {
	power := math.Pow(10, math.Floor(math.Log10((high-low)/4)))
	step := power
	for _, factor := range []float64{1, 2, 5, 10} {
		if step = factor * power; (high-low)/step <= 5 {
			break
		}
	}
	for i := math.Ceil(low / step); i*step <= high; i++ {
		list = append(list, plot.Tick{Value: i * step, Label: strconv.FormatFloat(math.Round(i)*step+0, 'g', 6, 64)}) // + 0: no negative zero
	}
	return list
}
