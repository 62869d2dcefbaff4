package browser

import (
	"encoding/json"
	"fmt"
	"strings"
)

// Element says which element of a page is meant. It must be exactly one.
type Element struct{ css, role, name string }

// CSS is the element that a selector matches.
func CSS(selector string) Element { return Element{css: selector} }

// Role is the element that assistive technology knows by this ARIA role and accessible name,
// as Role("button", "Save").
func Role(role, name string) Element { return Element{role: role, name: name} }

func (e Element) String() string {
	if e.css != "" {
		return e.css
	}
	return fmt.Sprintf("%s %q", e.role, e.name)
}

// Click moves the mouse to the middle of an element and clicks there. It waits until the
// element is there, enabled and not covered.
func (tab *Tab) Click(e Element) {
	tab.b.t.Helper()
	var at struct{ X, Y float64 }
	tab.on(e, clickPoint, &at)
	for _, kind := range []string{"mouseMoved", "mousePressed", "mouseReleased"} {
		p := args{"type": kind, "x": at.X, "y": at.Y, "button": "left", "clickCount": 1}
		if kind == "mouseMoved" {
			p["button"], p["clickCount"] = "none", 0
		}
		tab.must("Input.dispatchMouseEvent", p)
	}
}

// ClickOpens clicks an element that opens a new tab, and returns that when its page has loaded.
func (tab *Tab) ClickOpens(e Element) *Tab {
	tab.b.t.Helper()
	before := map[*Tab]bool{}
	for _, t := range tab.b.Tabs() {
		before[t] = true
	}
	tab.Click(e)
	var opened *Tab
	tab.b.until("the tab that "+e.String()+" opens", func() error {
		for _, t := range tab.b.Tabs() {
			var loaded bool
			if !before[t] && t.eval(`document.readyState === 'complete' && location.href !== 'about:blank'`, &loaded) == nil && loaded {
				opened = t
				return nil
			}
		}
		return fmt.Errorf("there is none")
	})
	return opened
}

// Fill types the text into a field in place of what is there.
func (tab *Tab) Fill(e Element, text string) {
	tab.b.t.Helper()
	var typed bool
	tab.on(e, selectAll, &typed, text)
	if typed && text == "" {
		tab.Press("Delete")
	} else if typed {
		tab.must("Input.insertText", args{"text": text})
	}
	var got string
	tab.on(e, `e => e.isContentEditable ? e.innerText : e.value`, &got)
	if got != text {
		tab.b.t.Fatalf("filling %s with %q: it holds %q", e, text, got)
	}
}

// Select chooses an option of a select element by its label, or else its value.
func (tab *Tab) Select(e Element, option string) {
	tab.b.t.Helper()
	var ok bool
	tab.on(e, choose, &ok, option)
}

// Check makes a checkbox checked or not, or a radio button checked.
func (tab *Tab) Check(e Element, checked bool) {
	tab.b.t.Helper()
	const isChecked = `e => e.checked`
	var is bool
	if tab.on(e, isChecked, &is); is != checked {
		tab.Click(e)
	}
	if tab.on(e, isChecked, &is); is != checked {
		tab.b.t.Fatalf("checking %s: it is checked: %t", e, is)
	}
}

// Text returns what a user reads in an element.
func (tab *Tab) Text(e Element) string {
	tab.b.t.Helper()
	var text string
	tab.on(e, `e => e.innerText ?? e.textContent`, &text)
	return text
}

// WaitText waits until what a user reads in an element contains the text.
func (tab *Tab) WaitText(e Element, text string) {
	tab.b.t.Helper()
	var ok bool
	tab.on(e, `(e, text) => {
		const got = e.innerText ?? e.textContent;
		if (!got.includes(text)) throw 'it reads ' + JSON.stringify(got.slice(0, 300)) + ', not ' + JSON.stringify(text);
		return true;
	}`, &ok, text)
}

// Attribute returns the value of an element's attribute, and whether it has it.
func (tab *Tab) Attribute(e Element, name string) (value string, ok bool) {
	tab.b.t.Helper()
	var got *string
	tab.on(e, `(e, name) => e.getAttribute(name)`, &got, name)
	if got == nil {
		return "", false
	}
	return *got, true
}

// Count returns how many elements a selector matches now.
func (tab *Tab) Count(selector string) int {
	tab.b.t.Helper()
	quoted, err := json.Marshal(selector)
	if err != nil {
		tab.b.t.Fatal(err)
	}
	var n int
	tab.Eval("document.querySelectorAll("+string(quoted)+").length", &n)
	return n
}

// on calls a JavaScript function with the element and more arguments, and reads what it
// returns into value. It waits for the element, and for as long as the function throws a
// string.
func (tab *Tab) on(e Element, function string, value any, more ...any) {
	tab.b.t.Helper()
	tab.b.until(e.String(), func() error {
		id, err := tab.find(e)
		if err != nil {
			return err
		}
		arguments := []args{{"objectId": id}}
		for _, m := range more {
			arguments = append(arguments, args{"value": m})
		}
		got, err := tab.remote("Runtime.callFunctionOn", args{
			"objectId": id, "functionDeclaration": function, "arguments": arguments, "returnByValue": true, "awaitPromise": true, "userGesture": true,
		})
		if err != nil {
			return err
		}
		if err := json.Unmarshal(got.Value, value); err != nil {
			return hopeless{fmt.Errorf("reading %.100s: %w", got.Value, err)}
		}
		return nil
	})
}

// find returns the id of the element's object in the isolated world.
func (tab *Tab) find(e Element) (string, error) {
	context, err := tab.context()
	if err != nil {
		return "", err
	}
	if e.css == "" {
		return tab.findRole(e, context)
	}
	quoted, err := json.Marshal(e.css)
	if err != nil {
		return "", hopeless{err}
	}
	got, err := tab.remote("Runtime.evaluate", args{"contextId": context, "expression": `(found => {
		if (found.length !== 1) throw found.length + ' elements of the page match, not one';
		return found[0];
	})(document.querySelectorAll(` + string(quoted) + `))`})
	return got.ObjectID, err
}

// axNode is a node of the accessibility tree.
type axNode struct {
	Ignored          bool
	Role, Name       struct{ Value any }
	BackendDOMNodeID int
}

func (n axNode) String() string { return fmt.Sprintf("%v %q", n.Role.Value, fmt.Sprint(n.Name.Value)) }

func (tab *Tab) findRole(e Element, context int) (string, error) {
	document, err := tab.remote("Runtime.evaluate", args{"contextId": context, "expression": "document"})
	if err != nil {
		return "", err
	}
	var tree struct{ Nodes []axNode }
	query := args{"objectId": document.ObjectID, "role": e.role, "accessibleName": e.name}
	if err := tab.call("Accessibility.queryAXTree", query, &tree); err != nil {
		return "", err
	}
	var found []int
	for _, n := range tree.Nodes {
		if !n.Ignored && n.BackendDOMNodeID != 0 {
			found = append(found, n.BackendDOMNodeID)
		}
	}
	if len(found) != 1 {
		return "", fmt.Errorf("%d elements of the page match, not one%s", len(found), tab.named(document.ObjectID, e.role))
	}
	var node struct{ Object remoteObject }
	err = tab.call("DOM.resolveNode", args{"backendNodeId": found[0], "executionContextId": context}, &node)
	return node.Object.ObjectID, err
}

// named lists the elements of a role, for a message.
func (tab *Tab) named(document, role string) string {
	var tree struct{ Nodes []axNode }
	if err := tab.call("Accessibility.queryAXTree", args{"objectId": document, "role": role}, &tree); err != nil {
		return ""
	}
	var s strings.Builder
	for _, n := range tree.Nodes {
		if !n.Ignored && s.Len() < 1000 {
			fmt.Fprintf(&s, "; there is %s", n)
		}
	}
	return s.String()
}

// clickPoint scrolls an element into view and returns its middle, unless something lies over it.
const clickPoint = `e => {
	if (e.disabled) throw 'it is disabled';
	e.scrollIntoView({block: 'center', inline: 'center', behavior: 'instant'});
	const boxes = [...e.getClientRects()].filter(b => b.width > 0 && b.height > 0);
	if (boxes.length === 0) throw 'it is not visible';
	const x = boxes[0].x + boxes[0].width / 2, y = boxes[0].y + boxes[0].height / 2;
	const top = document.elementFromPoint(x, y);
	const label = top?.closest('label');
	if (top === null || !(e.contains(top) || label?.control === e)) throw 'it is covered by ' + (top?.outerHTML.slice(0, 200) ?? 'the edge of the window');
	return {x, y};
}`

// selectAll focuses a field and selects what is in it, so that what is typed takes its place.
// Fields that are not typed into are set.
const selectAll = `(e, text) => {
	if (e.disabled || e.readOnly) throw 'it cannot be edited';
	e.scrollIntoView({block: 'center', behavior: 'instant'});
	e.focus();
	if (['color', 'date', 'datetime-local', 'month', 'range', 'time', 'week'].includes(e.type)) {
		e.value = text;
		e.dispatchEvent(new Event('input', {bubbles: true}));
		e.dispatchEvent(new Event('change', {bubbles: true}));
		return false;
	}
	if (e.select) e.select(); else getSelection().selectAllChildren(e);
	return true;
}`

const choose = `(e, wanted) => {
	if (e.disabled) throw 'it is disabled';
	const options = [...e.options];
	const option = options.find(o => o.label.trim() === wanted) ?? options.find(o => o.value === wanted);
	if (!option || option.disabled) throw 'it has no option ' + JSON.stringify(wanted) + ' but ' + options.map(o => JSON.stringify(o.label.trim())).join(', ');
	e.focus();
	option.selected = true;
	e.dispatchEvent(new Event('input', {bubbles: true}));
	e.dispatchEvent(new Event('change', {bubbles: true}));
	return true;
}`
