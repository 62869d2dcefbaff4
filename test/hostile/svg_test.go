package hostile

import "testing"

// The check can fail: each of these does more than be looked at.
func TestCheckSVG(t *testing.T) {
	if texts, err := CheckSVG([]byte(`<svg xmlns="http://www.w3.org/2000/svg"><g id="a"><text>one</text></g></svg>`)); err != nil || len(texts) != 1 || texts[0] != "one" {
		t.Errorf("%q, %v", texts, err)
	}
	for _, bad := range []string{
		`<svg xmlns="http://www.w3.org/2000/svg"><script/></svg>`, `<g xmlns="urn:x"/>`, `<svg/>`,
		`<svg xmlns="http://www.w3.org/2000/svg"><g onload="x"/></svg>`, `<svg xmlns="http://www.w3.org/2000/svg"><g fill="URL(#a)"/></svg>`,
		`<svg xmlns="http://www.w3.org/2000/svg"><g id="javascript"/></svg>`, `<svg xmlns="http://www.w3.org/2000/svg"><g id="a:b"/></svg>`,
		`<svg xmlns="http://www.w3.org/2000/svg" xmlns:x="http://www.w3.org/1999/xlink"></svg>`, `<?xml version="1.0"?><svg xmlns="http://www.w3.org/2000/svg"/>`, `<svg xmlns="http://www.w3.org/2000/svg"><!-- --></svg>`,
		`<svg xmlns="http://www.w3.org/2000/svg">`, `<svg xmlns="http://www.w3.org/2000/svg"><g x:id="a"/></svg>`,
	} {
		if _, err := CheckSVG([]byte(bad)); err == nil {
			t.Errorf("%s: harmless?", bad)
		}
	}
}
