// The bar: percent, blocks and figures in one line that is exactly as long as the terminal allows.

package monitor

import (
	"bytes"
	"strings"

	"github.com/rivo/uniseg"
	"github.com/schollz/progressbar/v3"
)

// widestBar keeps the figures near the bar on a wide terminal.
const widestBar = 50

// segment is one figure beside the bar: a label, dim where there is colour, and a value.
type segment struct {
	label, value string
}

func (s segment) text() string {
	switch {
	case s.label == "":
		return s.value
	case s.value == "":
		return s.label
	}
	return s.label + " " + s.value
}

// layout is one way to write the figures; it is chosen if it leaves the bar bar cells.
type layout struct {
	segments []segment
	bar      int
}

// joinSegments writes the segments that have something to say, two spaces apart.
func joinSegments(segments []segment, color bool) string {
	var texts []string
	for _, s := range segments {
		text := s.text()
		if text == "" {
			continue
		}
		if color && s.label != "" && s.value != "" {
			text = paint("\x1b[2m", s.label) + " " + s.value
		}
		texts = append(texts, text)
	}
	return strings.Join(texts, "  ")
}

// percentCells is "  42% " and the two spaces behind the bar, as progressbar writes them.
const percentCells = 6 + 2

// fit renders the first layout that leaves the terminal's last cell free (a full line would wrap), the last one cut to
// size if none does.
func fit(layouts []layout, done, total int64, columns int, color, unicode bool) string {
	room := columns - 1
	for _, l := range layouts {
		width := room - percentCells - uniseg.StringWidth(joinSegments(l.segments, false))
		if width >= l.bar {
			return renderBar(done, total, min(width, widestBar), joinSegments(l.segments, color), color, unicode)
		}
	}
	return cutToCells(joinSegments(layouts[len(layouts)-1].segments, false), room, "")
}

// cutToCells is text that takes at most cells of a terminal, ended by end where something had to go. A character that takes
// two cells, or is written as several, is not cut through.
func cutToCells(text string, cells int, end string) string {
	if uniseg.StringWidth(text) <= cells {
		return text
	}
	size, room := 0, cells-uniseg.StringWidth(end)
	for rest, state := text, -1; rest != ""; {
		var cluster string
		var width int
		cluster, rest, width, state = uniseg.FirstGraphemeClusterInString(rest, state)
		if room -= width; room < 0 {
			break
		}
		size += len(cluster)
	}
	if size == 0 {
		return ""
	}
	return text[:size] + end
}

// renderBar has progressbar write one line: percent, a bar of width cells, text.
func renderBar(done, total int64, width int, text string, color, unicode bool) string {
	if total <= 0 {
		return text
	}
	theme := progressbar.Theme{Saucer: "=", SaucerHead: ">", SaucerPadding: "."}
	if unicode {
		theme = progressbar.Theme{Saucer: "█", SaucerPadding: "░"}
	}
	if color {
		theme.BarStart, theme.BarEnd = "\x1b[32m", "\x1b[0m"
	}
	var line bytes.Buffer
	bar := progressbar.NewOptions64(total,
		progressbar.OptionSetWriter(&line),
		progressbar.OptionSetWidth(width),
		progressbar.OptionSetTheme(theme),
		progressbar.OptionSetPredictTime(false),
		progressbar.OptionSetDescription(text),
		progressbar.OptionShowDescriptionAtLineEnd())
	// Neither call fails: the buffer takes everything, and done is within 0 … total.
	bar.Set64(max(0, min(done, total)))
	if line.Len() == 0 { // below one percent Set64 does not render
		bar.RenderBlank()
	}
	return strings.TrimRight(strings.TrimPrefix(line.String(), "\r"), " ")
}
