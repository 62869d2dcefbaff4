package resolve

import "testing"

func TestSelector(t *testing.T) {
	labels := map[string]string{"app": "web", "tier": "front"}
	for selector, want := range map[string]bool{
		"app=web": true, "app=web,tier=front": true, "app=api": false, "tier!=front": false, "app in (web,api)": true,
		"!canary": true, "canary": false, "": true,
	} {
		matches, err := Selector(selector)
		if err != nil || matches(labels) != want {
			t.Errorf("%q: not %v, %v", selector, want, err)
		}
	}
	for _, wrong := range []string{"app=web,", "app==web=", "app in web", "=web", "app=\x1b"} {
		if _, err := Selector(wrong); err == nil {
			t.Errorf("%q is taken", wrong)
		}
	}
}
