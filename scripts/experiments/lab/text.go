package main

// Texts: what is trained on and what is held out, and how well simpler means than a network predict the latter.

import (
	"bytes"
	"errors"
	"flag"
	"fmt"
	"io"
	"math"
	"os"
	"os/exec"
	"slices"
	"strings"
)

// separator parts the documents of a .txt file.
const separator = "<|endoftext|>"

// minSection is the size in bytes below which a section, a heading often, stays with the one before it.
const minSection = 1500

// split writes each nth section of the files into one file and the others into another.
func split(flags *flag.FlagSet, args []string, out io.Writer) error {
	every := flags.Int("every", 20, "hold out each `N`th section")
	train := flags.String("train", "", "`FILE` for the text to train on")
	eval := flags.String("eval", "", "`FILE` for the text held out")
	if err := flags.Parse(args); err != nil {
		return err
	}
	if *train == "" || *eval == "" || *every < 2 || flags.NArg() == 0 {
		return errors.New("want -train FILE -eval FILE, -every 2 or more, and texts")
	}
	var sections []string
	for _, name := range flags.Args() {
		text, err := os.ReadFile(name)
		if err != nil {
			return err
		}
		sections = append(sections, sectionsOf(string(text))...)
	}
	var kept, held []string
	for i, s := range sections {
		if i%*every == *every/2 {
			held = append(held, s)
		} else {
			kept = append(kept, s)
		}
	}
	for name, list := range map[string][]string{*train: kept, *eval: held} {
		if err := createIfNew(name, strings.Join(list, "\n"+separator+"\n")); err != nil {
			return err
		}
	}
	return nil
}

// createIfNew leaves a file as it is that already has that text, so that its time stays that of the runs.
func createIfNew(name, text string) error {
	if there, err := os.ReadFile(name); err == nil && string(there) == text {
		return nil
	}
	return create(name, func(w io.Writer) error {
		_, err := io.WriteString(w, text)
		return err
	})
}

// sectionsOf are the pieces between separators, short ones joined to the one before.
func sectionsOf(text string) (list []string) {
	for _, piece := range strings.Split(text, separator) {
		piece = strings.TrimSpace(piece)
		switch last := len(list) - 1; {
		case piece == "":
		case last >= 0 && (len(piece) < minSection || len(list[last]) < minSection):
			list[last] += "\n\n" + piece
		default:
			list = append(list, piece)
		}
	}
	return list
}

// bare reads a text and puts one byte in the place of each separator, as a model has one token there.
func bare(name string) ([]byte, error) {
	text, err := os.ReadFile(name)
	return bytes.ReplaceAll(text, []byte("\n"+separator+"\n"), []byte{0}), err
}

// compressors with the flags of their best, and how far they look back in the text.
var compressors = []struct {
	name string
	args []string
}{
	{"gzip", []string{"-9", "-c"}},
	{"xz", []string{"-9e", "-c"}},
	{"zstd", []string{"--ultra", "-22", "--long=27", "-c", "-q"}},
}

// baselines prints a Markdown table of bits per byte of the held-out text.
func baselines(flags *flag.FlagSet, args []string, out io.Writer) error {
	train := flags.String("train", "", "`FILE` trained on")
	eval := flags.String("eval", "", "`FILE` held out")
	if err := flags.Parse(args); err != nil {
		return err
	}
	known, err := bare(*train)
	if err != nil {
		return err
	}
	held, err := bare(*eval)
	if err != nil {
		return err
	}
	fmt.Fprintf(out, "%d bytes to train on, %d held out.\n\n", len(known), len(held))
	fmt.Fprintln(out, "| on the held-out text | bits/byte | bits/byte, training text known |\n|---|---:|---:|")
	for _, c := range compressors {
		if _, err := exec.LookPath(c.name); err != nil {
			fmt.Fprintf(out, "| `%s %s` | not installed | |\n", c.name, strings.Join(c.args, " "))
			continue
		}
		var sizes []int
		for _, text := range [][]byte{held, known, slices.Concat(known, held)} {
			n, err := compressed(text, c.name, c.args...)
			if err != nil {
				return err
			}
			sizes = append(sizes, n)
		}
		bits := 8 / float64(len(held))
		fmt.Fprintf(out, "| `%s %s` | %.3f | %.3f |\n", c.name, strings.Join(c.args, " "), float64(sizes[0])*bits, float64(sizes[2]-sizes[1])*bits)
	}
	for _, order := range []int{1, 2, 3, 5, 7} {
		fmt.Fprintf(out, "| bytes, %s | | %.3f |\n", orderName(order), newGrams(known, order).bitsPerByte(held))
	}
	return nil
}

func orderName(order int) string {
	if order == 1 {
		return "unigrams"
	}
	return fmt.Sprintf("%d-grams (Witten–Bell)", order)
}

// compressed is the size of the text after the program.
func compressed(text []byte, program string, args ...string) (int, error) {
	c := exec.Command(program, args...)
	var errs bytes.Buffer
	c.Stdin, c.Stderr = bytes.NewReader(text), &errs
	packed, err := c.Output()
	if err != nil {
		return 0, fmt.Errorf("%s: %w: %s", program, err, strings.TrimSpace(errs.String()))
	}
	return len(packed), nil
}

// grams predicts a byte from those before it: Witten–Bell interpolation (Bell, Witten, Cleary, "Text Compression", 1990, method C),
// P(b | context) = (n(context b) + t(context) P(b | shorter context)) / (n(context) + t(context)), t: the different bytes that
// followed. Below the empty context all bytes are as likely.
type grams struct {
	order    int // of bytes, the predicted one included
	contexts map[string]*followers
}

type followers struct {
	sum    int
	counts map[byte]int
}

func newGrams(text []byte, order int) *grams {
	g := &grams{order, map[string]*followers{}}
	for i, b := range text {
		for n := range min(order, i+1) {
			context := text[i-n : i]
			f := g.contexts[string(context)]
			if f == nil {
				f = &followers{counts: map[byte]int{}}
				g.contexts[string(context)] = f
			}
			f.sum++
			f.counts[b]++
		}
	}
	return g
}

func (g *grams) bitsPerByte(text []byte) float64 {
	bits := 0.0
	for i, b := range text {
		p := 1.0 / 256
		for n := range min(g.order, i+1) {
			f := g.contexts[string(text[i-n:i])]
			if f == nil {
				break
			}
			kinds := float64(len(f.counts))
			p = (float64(f.counts[b]) + kinds*p) / (float64(f.sum) + kinds)
		}
		bits -= math.Log2(p)
	}
	return bits / float64(len(text))
}
