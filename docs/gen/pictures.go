package main

import (
	"fmt"
	"image"
	"image/draw"
	"image/png"
	"os"
	"path/filepath"
)

// pagePictures are the pages that the README shows.
var pagePictures = []string{"list", "report", "flame-graph"}

// pictureHeight is how much of a page is shown, in pixels.
const pictureHeight = 800

// takePictures takes what a test of the pages kept into docs/example: the top of each.
func takePictures(root, kept string) error {
	for _, name := range pagePictures {
		if err := takePicture(filepath.Join(kept, name+".png"), filepath.Join(exampleDir(root), "page-"+name+".png")); err != nil {
			return fmt.Errorf("picture of page %q: %w", name, err)
		}
	}
	return nil
}

func takePicture(from, to string) error {
	in, err := os.Open(from)
	if err != nil {
		return err
	}
	defer in.Close()
	whole, err := png.Decode(in)
	if err != nil {
		return err
	}
	top := image.NewRGBA(image.Rect(0, 0, whole.Bounds().Dx(), min(whole.Bounds().Dy(), pictureHeight)))
	draw.Draw(top, top.Bounds(), whole, whole.Bounds().Min, draw.Src)
	out, err := os.Create(to)
	if err != nil {
		return err
	}
	if err := png.Encode(out, top); err != nil {
		return err
	}
	return out.Close()
}
