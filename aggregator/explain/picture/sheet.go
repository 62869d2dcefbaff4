package picture

import (
	"fmt"
	"html"
	"strconv"
	"strings"
)

// sheet gathers the elements of an SVG. Text is escaped here and nowhere else.
type sheet struct{ body strings.Builder }

// style colours the picture for a light and for a dark page. Both have a ground of their
// own, since whoever shows the picture alone shows it on white. Lines differ in width and
// dashes, not in colour alone.
const style = `text{font:12px system-ui,-apple-system,"Segoe UI",Roboto,"DejaVu Sans",sans-serif;fill:#333}
.title{font-size:14px;font-weight:bold;fill:#111}.strong{font-weight:bold;fill:#111}.tick{font-size:11px;fill:#555}
.ground{fill:#fff}.grid{stroke:#e0e0e0;stroke-width:1}.limit{stroke:#555;stroke-width:1.5}
.threshold{stroke:#b91c1c;stroke-width:1.5;stroke-dasharray:7 4}
.local{fill:none;stroke:#1d4ed8;stroke-width:2;stroke-linejoin:round}
.series{fill:none;stroke:#b45309;stroke-width:3;stroke-opacity:.55}.points{fill:#fff;stroke:#b45309;stroke-width:1.5}
.capture{fill:#0f766e;fill-opacity:.18}.trigger{stroke:#111;stroke-width:1;stroke-dasharray:2 2}.mark{fill:#111}
@media (prefers-color-scheme:dark){text{fill:#ccc}.title,.strong{fill:#fff}.tick{fill:#aaa}
.ground{fill:#18181b}.grid{stroke:#3f3f46}.limit{stroke:#a1a1aa}.threshold{stroke:#f87171}
.local{stroke:#7aa2ff}.series,.points{stroke:#fbbf24}.points{fill:#18181b}
.capture{fill:#2dd4bf;fill-opacity:.25}.trigger{stroke:#fff}.mark{fill:#fff}}`

// close returns the whole picture.
func (s *sheet) close(height int, title, description string) []byte {
	var out strings.Builder
	fmt.Fprintf(&out, `<svg xmlns="http://www.w3.org/2000/svg" version="1.1" width="%d" height="%d" viewBox="0 0 %[1]d %[2]d" role="img" aria-labelledby="title description">`+"\n",
		sheetWidth, height)
	fmt.Fprintf(&out, "<title id=\"title\">%s</title>\n<desc id=\"description\">%s</desc>\n", html.EscapeString(title), html.EscapeString(description))
	fmt.Fprintf(&out, "<style>%s</style>\n", style)
	fmt.Fprintf(&out, "<rect class=\"ground\" width=\"%d\" height=\"%d\"/>\n", sheetWidth, height)
	out.WriteString(s.body.String())
	out.WriteString("</svg>\n")
	return []byte(out.String())
}

// head writes one line at the left.
func (s *sheet) head(class string, y int, words string) {
	s.text(class, margin, float64(y), "start", words)
}

// text writes one line; anchor says which point of it stands at x: start, middle or end.
func (s *sheet) text(class string, x, y float64, anchor, words string) {
	s.body.WriteString("<text")
	if class != "" {
		fmt.Fprintf(&s.body, ` class="%s"`, class)
	}
	if anchor != "start" {
		fmt.Fprintf(&s.body, ` text-anchor="%s"`, anchor)
	}
	if anchor == "start" && width([]rune(words)) > room(class) {
		fmt.Fprintf(&s.body, ` textLength="%s" lengthAdjust="spacingAndGlyphs"`, place(sheetWidth-margin-x))
	}
	fmt.Fprintf(&s.body, " x=\"%s\" y=\"%s\">%s</text>\n", place(x), place(y), html.EscapeString(words))
}

// room is how many characters surely fit on one line; a longer one is squeezed.
func room(class string) int {
	switch class {
	case "title":
		return 46
	case "strong":
		return 54
	}
	return 66
}

func (s *sheet) line(class string, x1, y1, x2, y2 float64) {
	fmt.Fprintf(&s.body, "<line class=\"%s\" x1=\"%s\" y1=\"%s\" x2=\"%s\" y2=\"%s\"/>\n", class, place(x1), place(y1), place(x2), place(y2))
}

func (s *sheet) rect(class string, x, y, width, height float64) {
	fmt.Fprintf(&s.body, "<rect class=\"%s\" x=\"%s\" y=\"%s\" width=\"%s\" height=\"%s\"/>\n", class, place(x), place(y), place(width), place(height))
}

func (s *sheet) path(class string, d pathData) {
	if len(d.text) > 0 {
		fmt.Fprintf(&s.body, "<path class=\"%s\" d=\"%s\"/>\n", class, d.text)
	}
}

// triangle stands on its point at (x, y).
func (s *sheet) triangle(class string, x, y, size float64) {
	var d pathData
	d.move(x, y)
	d.by('l', -size, -1.6*size)
	d.by('h', 2*size)
	d.text = append(d.text, 'z')
	s.path(class, d)
}

// pathData is the d of a path.
type pathData struct{ text []byte }

func (d *pathData) by(command byte, lengths ...float64) {
	d.text = append(d.text, command)
	for i, v := range lengths {
		if i > 0 {
			d.text = append(d.text, ' ')
		}
		d.text = append(d.text, place(v)...)
	}
}

func (d *pathData) move(x, y float64)    { d.by('M', x, y) }
func (d *pathData) horizontal(x float64) { d.by('H', x) }
func (d *pathData) vertical(y float64)   { d.by('V', y) }

func (d *pathData) diamond(x, y, size float64) {
	d.move(x-size, y)
	d.by('l', size, -size)
	d.by('l', size, size)
	d.by('l', -size, size)
	d.text = append(d.text, 'z')
}

// place writes a length to a tenth.
func place(v float64) string { return strings.TrimSuffix(strconv.FormatFloat(v, 'f', 1, 64), ".0") }
