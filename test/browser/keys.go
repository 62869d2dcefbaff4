package browser

import (
	"strings"
)

// key is what a key press sends.
type key struct {
	code    string
	virtual int    // Windows' virtual key code
	text    string // what it types
}

func keys() map[string]key {
	return map[string]key{
		"Tab": {"Tab", 9, ""}, "Enter": {"Enter", 13, "\r"}, "Escape": {"Escape", 27, ""}, " ": {"Space", 32, " "},
		"Backspace": {"Backspace", 8, ""}, "Delete": {"Delete", 46, ""},
		"PageUp": {"PageUp", 33, ""}, "PageDown": {"PageDown", 34, ""}, "End": {"End", 35, ""}, "Home": {"Home", 36, ""},
		"ArrowLeft": {"ArrowLeft", 37, ""}, "ArrowUp": {"ArrowUp", 38, ""}, "ArrowRight": {"ArrowRight", 39, ""}, "ArrowDown": {"ArrowDown", 40, ""},
	}
}

// Press presses a key by its name in the UI Events standard: "Tab", "Enter", " ", "Escape",
// "ArrowDown"; "Shift+Tab" with the shift key held.
func (tab *Tab) Press(name string) {
	tab.b.t.Helper()
	bare, shift := strings.CutPrefix(name, "Shift+")
	k, ok := keys()[bare]
	if !ok {
		tab.b.t.Fatalf("pressing %q: no such key; Fill types text", name)
	}
	p := args{"type": "rawKeyDown", "key": bare, "code": k.code, "windowsVirtualKeyCode": k.virtual}
	if shift {
		p["modifiers"] = 8
	}
	if k.text != "" {
		p["type"], p["text"] = "keyDown", k.text
	}
	tab.must("Input.dispatchKeyEvent", p)
	delete(p, "text")
	p["type"] = "keyUp"
	tab.must("Input.dispatchKeyEvent", p)
}

// Focused returns the role and accessible name of what the keyboard would act on, as
// `link "Reports"`.
func (tab *Tab) Focused() string {
	tab.b.t.Helper()
	var focused axNode
	tab.b.until("the focused element", func() error {
		context, err := tab.context()
		if err != nil {
			return err
		}
		active, err := tab.remote("Runtime.evaluate", args{"contextId": context, "expression": "document.activeElement ?? document.documentElement"})
		if err != nil {
			return err
		}
		var tree struct{ Nodes []axNode }
		if err := tab.call("Accessibility.getPartialAXTree", args{"objectId": active.ObjectID, "fetchRelatives": false}, &tree); err != nil {
			return err
		}
		focused = tree.Nodes[0]
		return nil
	})
	return focused.String()
}
