package browser

import (
	_ "embed"
	"fmt"
	"strings"
)

// axe is axe-core, an engine of accessibility rules, under the Mozilla Public License 2.0:
// testdata/axe/README.md.
//
//go:embed testdata/axe/axe.min.js
var axe string

// Violation is an element of a page that breaks a rule of accessibility.
type Violation struct {
	Scheme  Scheme
	Rule    string // of axe-core, as "color-contrast"
	Help    string // the rule in words
	Element string // its selector
	Summary string // what to mend
}

func (v Violation) String() string {
	return fmt.Sprintf("%s: %s (%s): %s: %s", v.Scheme, v.Rule, v.Help, v.Element, strings.Join(strings.Fields(v.Summary), " "))
}

// Accessible fails the test with each element of the tab's page that breaks a rule of WCAG
// 2.2 A and AA or of good practice (headings, landmarks), in either colour scheme.
func Accessible(tab *Tab) {
	tab.b.t.Helper()
	for _, v := range tab.Violations() {
		tab.b.t.Errorf("%s is not accessible: %s", tab.URL(), v)
	}
}

// Violations are what Accessible fails the test with. Pages within frames are not looked at.
func (tab *Tab) Violations() []Violation {
	tab.b.t.Helper()
	defer tab.SetScheme(tab.scheme)
	var out []Violation
	for _, scheme := range []Scheme{Light, Dark} {
		tab.SetScheme(scheme)
		var found []Violation
		tab.Eval(axe+";\n"+runAxe, &found)
		for _, v := range found {
			v.Scheme = scheme
			out = append(out, v)
		}
	}
	return out
}

// runAxe waits for transitions to the colours of another scheme, and runs the rules.
const runAxe = `(async () => {
	for (const a of document.getAnimations()) if (a instanceof CSSTransition) a.finish();
	const tags = ['wcag2a', 'wcag2aa', 'wcag21a', 'wcag21aa', 'wcag22a', 'wcag22aa', 'best-practice'];
	const result = await axe.run(document, {runOnly: tags, resultTypes: ['violations'], iframes: false});
	return result.violations.flatMap(v => v.nodes.map(n => ({rule: v.id, help: v.help, element: n.target.join(' '), summary: n.failureSummary})));
})()`
