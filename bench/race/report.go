package main

// Where the results go: race.md, pictures and results.json, and a document.

import (
	"fmt"
	"os"
	"path/filepath"

	"frugal/bench/internal/document"
)

// report writes everything into a folder, and table and pictures to a page and beside it as well, unless they mean nothing. A
// peer that is out of the race is an error at the end.
func (r *results) report(folder, page string) error {
	if err := r.save(folder); err != nil {
		return err
	}
	text := r.markdown()
	fmt.Print(text)
	if err := os.WriteFile(filepath.Join(folder, "race.md"), []byte(text), 0o666); err != nil {
		return err
	}
	if err := r.drawPictures(folder); err != nil {
		return err
	}
	if err := r.problems(); err != nil || page == "" {
		return err
	}
	if others := r.others(); others > quiet {
		return fmt.Errorf("not written to %s: other work kept %.2f processors busy during a run; want a machine that does nothing else", page, others)
	}
	if err := document.MarkersOf("bench/race").Write(page, text); err != nil {
		return err
	}
	return r.drawPictures(filepath.Dir(page))
}

// drawPictures writes race.png and step-cost.png, and both as SVG, of what there is.
func (r *results) drawPictures(folder string) error {
	if len(r.blocks()) > 0 {
		if err := writePicture(folder, "race", r.raceHeight(), r.drawRace); err != nil {
			return err
		}
	}
	for _, p := range r.Curve {
		if len(p.Runs) > 0 {
			return writePicture(folder, "step-cost", curveHeight, r.drawCurve)
		}
	}
	return nil
}
