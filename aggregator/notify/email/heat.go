package email

import (
	"bytes"
	"image"
	"image/color"
	"image/png"
)

// The picture, in pixels.
const (
	heatWidth  = 640
	heatHeight = 160
)

var (
	paper = color.Gray{0xff}
	calm  = color.RGBA{0x54, 0x8a, 0xc4, 0xff}
	hot   = color.RGBA{0xcf, 0x22, 0x2e, 0xff}
	grid  = color.RGBA{0xd1, 0xd9, 0xe0, 0xff}
)

// drawHeat draws the use against the limit as bars, red above the threshold, which is a
// line. There is no text in it: the mail says what it is. nil when there is nothing to draw.
func drawHeat(heat []float64, threshold float64) []byte {
	if len(heat) < 2 {
		return nil
	}
	top := 1.0
	for _, v := range heat {
		top = max(top, v)
	}
	p := image.NewRGBA(image.Rect(0, 0, heatWidth, heatHeight))
	fill(p, p.Bounds(), paper)
	height := func(v float64) int { return heatHeight - int(min(max(v/top, 0), 1)*(heatHeight-4)) }
	for k, v := range heat {
		c := calm
		if threshold > 0 && v > threshold {
			c = hot
		}
		left, right := k*heatWidth/len(heat), (k+1)*heatWidth/len(heat)
		fill(p, image.Rect(left, height(v), max(right-1, left+1), heatHeight), c)
	}
	line := func(v float64, c color.Color) { fill(p, image.Rect(0, height(v), heatWidth, height(v)+1), c) }
	line(1, grid)
	if threshold > 0 && threshold <= top {
		line(threshold, hot)
	}
	var b bytes.Buffer
	if err := png.Encode(&b, p); err != nil {
		return nil
	}
	return b.Bytes()
}

func fill(p *image.RGBA, r image.Rectangle, c color.Color) {
	r = r.Intersect(p.Bounds())
	for y := r.Min.Y; y < r.Max.Y; y++ {
		for x := r.Min.X; x < r.Max.X; x++ {
			p.Set(x, y, c)
		}
	}
}
