package browser

import (
	"image"
	"image/color"
	"image/png"
	"os"
	"testing"
)

func picture(t *testing.T, path string) image.Image {
	t.Helper()
	f, err := os.Open(path)
	if err != nil {
		t.Fatal(err)
	}
	defer f.Close()
	p, err := png.Decode(f)
	if err != nil {
		t.Fatalf("%s is no PNG: %v", path, err)
	}
	return p
}

func size(t *testing.T, path string) (width, height int) {
	t.Helper()
	return picture(t, path).Bounds().Dx(), picture(t, path).Bounds().Dy()
}

// colours returns how many different colours a picture has; one that is blank has one.
func colours(t *testing.T, path string) int {
	t.Helper()
	p, seen := picture(t, path), map[color.Color]bool{}
	for y := range p.Bounds().Dy() {
		for x := range p.Bounds().Dx() {
			seen[p.At(x, y)] = true
		}
	}
	return len(seen)
}
