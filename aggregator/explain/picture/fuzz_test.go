package picture

import (
	"bytes"
	"encoding/xml"
	"errors"
	"io"
	"math"
	"slices"
	"strconv"
	"strings"
	"testing"
	"time"
	"unicode"
	"unicode/utf8"

	"github.com/gopprof/gopprof/pkg/gopprof"
	"github.com/gopprof/gopprof/test/hostile"
)

// mostBytesDrawn is more than the largest picture of a full History has.
const mostBytesDrawn = 100 << 10

// check finds what must never be in a picture.
func check(t *testing.T, svg []byte) {
	t.Helper()
	if len(svg) > mostBytesDrawn {
		t.Errorf("%d bytes", len(svg))
	}
	if !utf8.Valid(svg) || bytes.ContainsFunc(svg, func(r rune) bool { return r != '\n' && !unicode.IsPrint(r) }) {
		t.Errorf("holds what cannot be printed: %q", svg)
	}
	d := xml.NewDecoder(bytes.NewReader(svg))
	for {
		token, err := d.Token()
		if errors.Is(err, io.EOF) {
			return
		}
		if err != nil {
			t.Fatalf("%v: %s", err, svg)
		}
		if e, ok := token.(xml.StartElement); ok {
			checkElement(t, e)
		}
	}
}

func checkElement(t *testing.T, e xml.StartElement) {
	t.Helper()
	if !slices.Contains([]string{"svg", "title", "desc", "style", "rect", "line", "path", "text"}, e.Name.Local) {
		t.Errorf("element %s", e.Name.Local)
	}
	for _, a := range e.Attr {
		switch a.Name.Local {
		case "x", "y", "x1", "x2", "y1", "y2", "width", "height", "textLength":
			checkLength(t, e.Name.Local+" "+a.Name.Local, a.Value)
		case "d":
			for part := range strings.FieldsFuncSeq(a.Value, func(r rune) bool { return r == ' ' || unicode.IsLetter(r) }) {
				checkLength(t, "path", part)
			}
		case "class", "text-anchor", "lengthAdjust", "id", "role", "aria-labelledby", "xmlns", "version", "viewBox":
		default:
			t.Errorf("attribute %s of %s", a.Name.Local, e.Name.Local)
		}
	}
}

func checkLength(t *testing.T, what, s string) {
	t.Helper()
	if v, err := strconv.ParseFloat(s, 64); err != nil || !(v >= -20 && v <= 700) {
		t.Errorf("%s at %q", what, s)
	}
}

// Whatever an agent says, what is drawn is a picture.
func FuzzDraw(f *testing.F) {
	f.Add("web-1", "cpu", "cpu", "heapster", 0.8, 1.5, 2.0, int64(10), int64(-300), int64(1764000000), uint8(0xff))
	f.Add("</text><script>alert(1)</script>\"'&\u202e\x00\x1b\xff\ufffe", "]]>", "memory", "record", -1.0, 1e300, math.SmallestNonzeroFloat64, int64(math.MaxInt64), int64(math.MinInt64), int64(0), uint8(0xfd))
	f.Add(strings.Repeat("日", 1000), "שלום", "throttled", "x", math.NaN(), math.Inf(1), math.NaN(), int64(-1), int64(0), int64(math.MaxInt64), uint8(0x0f))
	f.Add("", "", "<b>", "", math.Inf(1), math.Copysign(0, -1), 0.0, int64(1), int64(1), int64(math.MinInt64), uint8(0xf0))
	f.Add("web", "r", "cpu", "heapster", 1e9, 99999.0, 1e-5, int64(60), int64(-900), int64(253402300799), uint8(0x3d))
	for _, name := range hostile.Names() {
		f.Add(name, name, "cpu", name, 0.8, 1.5, 2.0, int64(10), int64(-300), int64(1764000000), uint8(0x3f))
		f.Add("web-1", name, name, "heapster", 0.8, 1.5, 2.0, int64(10), int64(-300), int64(1764000000), uint8(0x1f))
	}
	f.Fuzz(func(t *testing.T, pod, rule, resource, by string, threshold, use, limit float64, seconds, offset, at int64, flags uint8) {
		flag := func(n int) bool { return flags>>n&1 == 1 }
		end := time.Unix(at, 0)
		var points []gopprof.Point
		for i := range 2*gopprof.MaxHistory + 3 {
			start := end.Add(time.Duration(offset+int64(i)*seconds) * time.Second)
			points = append(points, gopprof.Point{
				Start: start, End: start.Add(time.Duration(seconds) * time.Second), HasCPU: flag(0), HasMemory: flag(1),
				CPUCores: use, CPULimitCores: limit, MemoryBytes: use * 1e6, MemoryLimitBytes: limit * float64(i), ThrottledRatio: use,
			})
		}
		c := gopprof.Capture{
			Target: gopprof.Target{Namespace: rule, Pod: pod}, Start: end.Add(time.Duration(offset) * time.Second), End: end,
			Trigger: gopprof.Trigger{Kind: gopprof.TriggerKind(resource), At: end.Add(time.Duration(seconds) * time.Second)},
			History: gopprof.History{Local: points, SeriesBy: gopprof.Witness(by)},
		}
		if flag(2) {
			c.History.Series = points
		}
		if flag(3) {
			c.Profiles = []gopprof.Profile{{Kind: gopprof.KindHeap}}
		}
		if flag(4) {
			w := gopprof.Window{CPU: gopprof.Use{Limit: limit, Basis: gopprof.Basis(by)}}
			c.Trigger.Evidence = &gopprof.Evidence{Rule: rule, Resource: gopprof.Resource(resource), Threshold: threshold, Windows: []gopprof.Window{w}}
		}
		if flag(5) {
			slices.Reverse(c.History.Local)
		}
		svg, ok := Draw(c)
		if again, okAgain := Draw(c); ok != okAgain || !bytes.Equal(svg, again) {
			t.Error("another picture of the same capture")
		}
		if !ok {
			return
		}
		check(t, svg)
	})
}
