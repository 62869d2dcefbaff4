package draw

import (
	"bytes"
	"errors"
	"strings"
	"testing"

	"github.com/gopprof/gopprof/pkg/gopprof"
	"github.com/gopprof/gopprof/pkg/profile/profiletest"
	"github.com/gopprof/gopprof/test/hostile"
)

// checkHarmless checks that a drawing can do nothing but be looked at: the sanitiser's own
// lists do not count here.
func checkHarmless(t *testing.T, svg []byte) {
	t.Helper()
	if _, err := hostile.CheckSVG(svg); err != nil {
		t.Error(err)
	}
}

func TestSanitize(t *testing.T) {
	const open, end = `<svg xmlns="http://www.w3.org/2000/svg" xmlns:xlink="http://www.w3.org/1999/xlink">`, `</svg>`
	for name, test := range map[string]struct{ in, want string }{
		"script":              {`<script>alert(1)</script><g/>`, `<g></g>`},
		"script in text":      {`<text>a<script>alert(1)</script>b</text>`, `<text>ab</text>`},
		"tspan in text":       {`<text>a<tspan onclick="x">c</tspan>b</text>`, `<text>ab</text>`},
		"event handler":       {`<g onload="alert(1)" ONCLICK="x" id="a"/>`, `<g id="a"></g>`},
		"link":                {`<a href="javascript:alert(1)" xlink:href="http://evil/" target="_blank"><text>t</text></a>`, `<g><text>t</text></g>`},
		"tooltip":             {`<a xlink:title="f &lt;b&gt; &amp;"><path d="M1,2C3,4 5,6 7,8"/></a>`, `<g><title>f &lt;b&gt; &amp;</title><path d="M1,2C3,4 5,6 7,8"></path></g>`},
		"image":               {`<image href="file:///etc/passwd"/>`, ``},
		"use":                 {`<use href="#x"/><set attributeName="href"/><animate/>`, ``},
		"style":               {`<style>*{background:url(http://evil/)}</style><g style="fill:url(x)" fill="url(#a)" stroke="url(http://evil)"/>`, `<g></g>`},
		"foreign object":      {`<foreignObject><body xmlns="http://www.w3.org/1999/xhtml"><script/></body></foreignObject>`, ``},
		"foreign namespace":   {`<h:script xmlns:h="http://www.w3.org/1999/xhtml">x</h:script><h:g xmlns:h="urn:x"/>`, ``},
		"prefix of svg":       {`<s:g xmlns:s="http://www.w3.org/2000/svg" id="a"/>`, `<g id="a"></g>`},
		"prefixed attribute":  {`<g xlink:id="a" xml:base="http://evil/" xml:space="preserve"/>`, `<g></g>`},
		"svg in svg":          {`<g><svg onload="x"/></g>`, `<g></g>`},
		"comment":             {`<!-- <script/> --><g/>`, `<g></g>`},
		"CDATA":               {`<text><![CDATA[<script>alert(1)</script>]]></text>`, `<text>&lt;script&gt;alert(1)&lt;/script&gt;</text>`},
		"processing":          {`<?xml-stylesheet href="http://evil/"?>`, ``},
		"quotes":              {`<text>"'&#34;&#39;</text>`, `<text>&quot;&#39;&quot;&#39;</text>`},
		"text outside":        {`plain <g>text</g>`, `<g></g>`},
		"writing direction":   {`<text>&#x202e;x&#x1b;</text>`, ``},
		"quote in attribute":  {`<g id='a" onload="x'/>`, `<g></g>`},
		"twice":               {`<g id="a" id="b"/>`, `<g id="a"></g>`},
		"odd transform":       {`<g transform="translate(1 2) rotate(0)"/><g transform="url(x)"/>`, `<g transform="translate(1 2) rotate(0)"></g><g></g>`},
		"colour":              {`<g fill="#b20000" stroke="transparent"/><g fill="red;x"/>`, `<g fill="#b20000" stroke="transparent"></g><g></g>`},
		"non-breaking spaces": {`<text>a&#160;b</text>`, "<text>a\u00a0b</text>"},
	} {
		t.Run(name, func(t *testing.T) {
			got, err := sanitize([]byte(open+test.in+end), 1<<20)
			if name == "writing direction" { // a control character is no XML at all
				if !errors.Is(err, errSVG) {
					t.Errorf("error %v", err)
				}
				return
			}
			if err != nil {
				t.Fatal(err)
			}
			checkHarmless(t, got)
			if want := `<svg xmlns="http://www.w3.org/2000/svg">` + test.want + end; string(got) != want {
				t.Errorf("\n got %s\nwant %s", got, want)
			}
		})
	}
}

func TestSanitizeRefuses(t *testing.T) {
	const open = `<svg xmlns="http://www.w3.org/2000/svg">`
	for name, in := range map[string]string{
		"nothing":         "",
		"text":            "hello",
		"HTML":            "<html><body/></html>",
		"no namespace":    "<svg/>",
		"wrong namespace": `<svg xmlns="http://www.w3.org/1999/xhtml"/>`,
		"cut short":       open + "<g>",
		"two":             open + "</svg>" + open + "</svg>",
		"entity":          `<!DOCTYPE svg [<!ENTITY a "aaaa">]>` + open + `<text>&a;</text></svg>`,
		"control":         open + "<text>\x01</text></svg>",
		"encoding":        `<?xml version="1.0" encoding="UTF-7"?>` + open + `</svg>`,
		"deep":            open + strings.Repeat("<g>", 100) + strings.Repeat("</g>", 100) + "</svg>",
		"many":            open + strings.Repeat("<g/>", maxElements) + "</svg>",
		"large":           open + "<text>" + strings.Repeat("x", 1<<20) + "</text></svg>",
		"larger inside":   open + "<text>" + strings.Repeat("&lt;", 1<<18) + "</text></svg>",
		"deep and unseen": open + strings.Repeat("<x>", 1<<10) + "</svg>",
	} {
		t.Run(name, func(t *testing.T) {
			if got, err := sanitize([]byte(in), 1<<20); err == nil {
				t.Errorf("not refused: %.200s", got)
			}
		})
	}
}

// TestHostileNames: what a target names its functions ends as text in a drawing.
func TestHostileNames(t *testing.T) {
	needDot(t)
	d := newDrawer(t, "draw-worker", nil)
	for _, name := range profiletest.HostileNames() {
		svg, err := d.Draw(t.Context(), gopprof.KindCPU, profiletest.Hostile(name))
		if err != nil {
			t.Errorf("%.40q: no drawing: %v", name, err)
			continue
		}
		checkHarmless(t, svg)
		if !bytes.Contains(svg, []byte("Type: cpu")) || bytes.Contains(svg, []byte("/etc/passwd\"")) {
			t.Errorf("%.40q: %s", name, svg)
		}
	}
}

// TestNamesAreShown: what is cleaned is still what a developer calls his functions.
func TestNamesAreShown(t *testing.T) {
	needDot(t)
	d := newDrawer(t, "draw-worker", nil)
	file := profiletest.CPU(1, profiletest.On(1e9, `main.Map[go.shape.struct{X_int_"json:\"x,omitempty\""}]`, "main.a&b", "main.naïve", `main.back\slash`))
	svg, err := d.Draw(t.Context(), gopprof.KindCPU, file)
	if err != nil {
		t.Fatal(err)
	}
	checkHarmless(t, svg)
	for _, want := range []string{"a&amp;b", "naïve", `back\slash`, `X_int_&quot;json:\&quot;x,omitempty\&quot;&quot;}]`} {
		if !bytes.Contains(svg, []byte(want)) {
			t.Errorf("the drawing does not show %s:\n%s", want, svg)
		}
	}
}

func FuzzSanitize(f *testing.F) {
	const open = `<svg xmlns="http://www.w3.org/2000/svg" xmlns:xlink="http://www.w3.org/1999/xlink">`
	f.Add([]byte(open + `<g id="a" class="node"><title>N1</title><a xlink:title="t"><text x="1">é</text></a></g></svg>`))
	f.Add([]byte(open + `<script>x</script><style>y</style><image href="z"/></svg>`))
	f.Add([]byte(open + `<g onload="x" style="y" fill="url(z)" transform="scale(1 1)"/></svg>`))
	f.Add([]byte(`<?xml version="1.0"?><!DOCTYPE svg [<!ENTITY a "b">]><svg:svg xmlns:svg="http://www.w3.org/2000/svg"><svg:a svg:title="&#60;"/></svg:svg>`))
	for _, name := range hostile.Names() {
		f.Add([]byte(open + `<g id="` + name + `"><title>` + name + `</title><text>` + name + `</text></g>` + name + `</svg>`))
	}
	f.Fuzz(func(t *testing.T, in []byte) {
		once, err := sanitize(in, 1<<16)
		if err != nil {
			return
		}
		if len(once) > 1<<16 {
			t.Errorf("%d bytes", len(once))
		}
		checkHarmless(t, once)
		twice, err := sanitize(once, 1<<17)
		if err != nil || !bytes.Equal(once, twice) {
			t.Errorf("again: %v\n%q\n%q", err, once, twice)
		}
	})
}
