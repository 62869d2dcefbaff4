package main

import (
	"image"
	"image/png"
	"os"
	"path/filepath"
	"strings"
	"testing"
)

// A page's picture is its top, and the README shows each one.
func TestPicturesOfPages(t *testing.T) {
	root, kept := t.TempDir(), t.TempDir()
	if err := takePictures(root, kept); err == nil || !strings.Contains(err.Error(), "list") {
		t.Errorf("pictures that are not there: %v", err)
	}
	if err := os.MkdirAll(exampleDir(root), 0o755); err != nil {
		t.Fatal(err)
	}
	for _, name := range pagePictures {
		f, err := os.Create(filepath.Join(kept, name+".png"))
		if err != nil {
			t.Fatal(err)
		}
		if err := png.Encode(f, image.NewGray(image.Rect(0, 0, 20, 3*pictureHeight))); err != nil {
			t.Fatal(err)
		}
		f.Close()
	}
	if err := takePictures(root, kept); err != nil {
		t.Fatal(err)
	}
	readme, err := os.ReadFile(filepath.Join("..", "..", "README.md"))
	if err != nil {
		t.Fatal(err)
	}
	for _, name := range pagePictures {
		f, err := os.Open(filepath.Join(exampleDir(root), "page-"+name+".png"))
		if err != nil {
			t.Fatal(err)
		}
		size, err := png.DecodeConfig(f)
		if f.Close(); err != nil || size.Width != 20 || size.Height != pictureHeight {
			t.Errorf("%s: %+v, %v", name, size, err)
		}
		if !strings.Contains(string(readme), "docs/example/page-"+name+".png") {
			t.Errorf("the README does not show the page %q", name)
		}
	}
}
