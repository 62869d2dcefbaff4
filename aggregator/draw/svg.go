package draw

import (
	"bytes"
	"encoding/xml"
	"errors"
	"fmt"
	"io"
	"regexp"
	"unicode"
	"unicode/utf8"
)

// svgSpace is the namespace of the elements that are let through.
const svgSpace = "http://www.w3.org/2000/svg"

// Bounds of a drawing's shape.
const (
	maxElements = 100_000
	maxNesting  = 32
)

// errSVG is a drawing that cannot be made harmless because it cannot be understood.
var errSVG = errors.New("the drawing is not usable")

// Patterns of attribute values. None can name anything outside the drawing.
var (
	number   = regexp.MustCompile(`^-?[0-9.]{1,16}(pt|px)?$`)
	numbers  = regexp.MustCompile(`^[-0-9., ]*$`)
	path     = regexp.MustCompile(`^[-0-9., MCLZmclz]*$`)
	motion   = regexp.MustCompile(`^((translate|scale|rotate)\([-0-9., ]*\) ?)*$`)
	color    = regexp.MustCompile(`^(#[0-9a-fA-F]{3,8}|[a-z]{1,20})$`)
	word     = regexp.MustCompile(`^[-A-Za-z0-9_]{1,64}$`)
	fontName = regexp.MustCompile(`^[-A-Za-z0-9 ,]{1,64}$`)
)

// attributes lists what is let through, by name, on any element.
var attributes = map[string]*regexp.Regexp{
	"id": word, "class": word,
	"width": number, "height": number, "viewBox": numbers, "transform": motion,
	"fill": color, "stroke": color, "stroke-width": number, "stroke-dasharray": numbers,
	"fill-opacity": number, "stroke-opacity": number,
	"points": numbers, "d": path,
	"cx": number, "cy": number, "rx": number, "ry": number, "x": number, "y": number,
	"text-anchor": word, "font-family": fontName, "font-size": number, "font-weight": word, "font-style": word,
}

// elements lists what is let through, and as what. A link becomes a group, its tooltip the
// group's title; everything else disappears with what it holds.
var elements = map[string]string{
	"svg": "svg", "g": "g", "a": "g", "title": "title", "text": "text",
	"polygon": "polygon", "polyline": "polyline", "path": "path", "ellipse": "ellipse",
}

// sanitize writes an SVG anew with the elements and attributes that a call graph needs and
// nothing else: no script, no event handler, no link, no style, no image, no foreign
// content, no declaration. What it returns is at most limit bytes.
func sanitize(svg []byte, limit int64) ([]byte, error) {
	s := &sanitizer{limit: limit, dec: xml.NewDecoder(bytes.NewReader(svg))}
	for {
		token, err := s.dec.Token()
		if errors.Is(err, io.EOF) {
			break
		}
		if err != nil {
			return nil, fmt.Errorf("%w: %w", errSVG, err)
		}
		if err := s.token(token); err != nil {
			return nil, err
		}
	}
	if s.out.Len() == 0 {
		return nil, fmt.Errorf("%w: there is no svg element", errSVG)
	}
	return s.out.Bytes(), nil
}

type sanitizer struct {
	limit    int64
	dec      *xml.Decoder
	out      bytes.Buffer
	open     []string // names written and not closed
	elements int
	done     bool // the svg element was closed
}

func (s *sanitizer) token(token xml.Token) error {
	switch t := token.(type) {
	case xml.StartElement:
		return s.start(t)
	case xml.EndElement:
		s.out.WriteString("</" + s.open[len(s.open)-1] + ">")
		s.open = s.open[:len(s.open)-1]
		s.done = len(s.open) == 0
	case xml.CharData:
		if s.inText() {
			s.text(t)
		} else if len(s.open) > 0 && bytes.ContainsRune(t, '\n') {
			s.out.WriteByte('\n')
		}
	}
	// Comments, processing instructions and declarations are left out.
	return s.full()
}

func (s *sanitizer) start(t xml.StartElement) error {
	name, ok := elements[t.Name.Local]
	if !ok || t.Name.Space != svgSpace || s.inText() || (name == "svg") != (len(s.open) == 0) {
		if len(s.open) == 0 {
			return fmt.Errorf("%w: it begins with %q", errSVG, oneLine(t.Name.Local))
		}
		if err := s.dec.Skip(); err != nil {
			return fmt.Errorf("%w: %w", errSVG, err)
		}
		return nil
	}
	if s.done {
		return fmt.Errorf("%w: there is more than one", errSVG)
	}
	if s.elements++; s.elements > maxElements || len(s.open) >= maxNesting {
		return fmt.Errorf("%w: too many elements", errSVG)
	}
	s.open = append(s.open, name)
	s.out.WriteString("<" + name)
	if name == "svg" {
		s.out.WriteString(` xmlns="` + svgSpace + `"`)
	}
	seen := map[string]bool{}
	for _, a := range t.Attr {
		if pattern := attributes[a.Name.Local]; a.Name.Space == "" && pattern != nil && !seen[a.Name.Local] && pattern.MatchString(a.Value) {
			seen[a.Name.Local] = true
			s.out.WriteString(" " + a.Name.Local + `="` + a.Value + `"`)
		}
	}
	s.out.WriteString(">")
	s.tooltip(t)
	return s.full()
}

// tooltip keeps what a link would have shown under the pointer.
func (s *sanitizer) tooltip(t xml.StartElement) {
	if t.Name.Local != "a" {
		return
	}
	for _, a := range t.Attr {
		if a.Name.Local == "title" {
			s.out.WriteString("<title>")
			s.text([]byte(a.Value))
			s.out.WriteString("</title>")
			return
		}
	}
}

func (s *sanitizer) inText() bool {
	if len(s.open) == 0 {
		return false
	}
	name := s.open[len(s.open)-1]
	return name == "text" || name == "title"
}

// text writes characters, with everything escaped that XML or HTML gives a meaning and
// everything replaced that cannot be seen.
func (s *sanitizer) text(t []byte) {
	for _, r := range string(t) {
		switch {
		case r == '&':
			s.out.WriteString("&amp;")
		case r == '<':
			s.out.WriteString("&lt;")
		case r == '>':
			s.out.WriteString("&gt;")
		case r == '"':
			s.out.WriteString("&quot;")
		case r == '\'':
			s.out.WriteString("&#39;")
		case r == '\n' || unicode.IsGraphic(r):
			s.out.WriteRune(r)
		default:
			s.out.WriteRune(utf8.RuneError)
		}
	}
}

func (s *sanitizer) full() error {
	if int64(s.out.Len()) > s.limit {
		return fmt.Errorf("%w: more than %d bytes", errOutput, s.limit)
	}
	return nil
}
