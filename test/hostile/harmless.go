package hostile

import (
	"bytes"
	"encoding/xml"
	"errors"
	"fmt"
	"io"
	"slices"
	"strings"
)

// What a call graph consists of, written down apart from the code that sees to it.
var (
	svgElements   = strings.Fields("svg g title text polygon polyline path ellipse")
	svgAttributes = strings.Fields("xmlns id class width height viewBox transform fill stroke stroke-width stroke-dasharray fill-opacity stroke-opacity points d cx cy rx ry x y text-anchor font-family font-size font-weight font-style")
)

const svgSpace = "http://www.w3.org/2000/svg"

// CheckSVG parses a drawing and returns its texts, and as an error all by which it could do
// more than be looked at.
func CheckSVG(svg []byte) (texts []string, err error) {
	var wrong []error
	dec := xml.NewDecoder(bytes.NewReader(svg))
	for {
		token, err := dec.Token()
		if errors.Is(err, io.EOF) {
			return texts, errors.Join(wrong...)
		}
		if err != nil {
			return texts, errors.Join(append(wrong, fmt.Errorf("not XML: %w\n%.2000s", err, svg))...)
		}
		switch token := token.(type) {
		case xml.StartElement:
			wrong = append(wrong, checkElement(token))
		case xml.CharData:
			texts = append(texts, string(token))
		case xml.Comment, xml.Directive, xml.ProcInst:
			wrong = append(wrong, fmt.Errorf("%T %.100v", token, token))
		}
	}
}

func checkElement(e xml.StartElement) error {
	var wrong []error
	if !slices.Contains(svgElements, e.Name.Local) || e.Name.Space != svgSpace {
		wrong = append(wrong, fmt.Errorf("element %+v", e.Name))
	}
	for _, a := range e.Attr {
		value := strings.ToLower(a.Value)
		if a.Name.Local == "xmlns" {
			value = strings.TrimPrefix(value, svgSpace)
		}
		known := slices.Contains(svgAttributes, a.Name.Local) && a.Name.Space == ""
		if !known || strings.ContainsAny(value, ":&<>\"'`\\\x00\n") || strings.Contains(value, "url") || strings.Contains(value, "script") {
			wrong = append(wrong, fmt.Errorf("attribute %+v", a))
		}
	}
	return errors.Join(wrong...)
}
