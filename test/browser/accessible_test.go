package browser

import (
	"strings"
	"testing"
)

func TestAxeNamesWhatIsNotAccessible(t *testing.T) {
	address, host := site(t, map[string]string{
		"/clean":     page(""),
		"/contrast":  page(`<p id="pale" style="background:#fff;color:#bbb">pale</p>`),
		"/dark-only": page(`<style>@media (prefers-color-scheme: dark){#dim{background:#000;color:#222}}</style><p id="dim">dim</p>`),
		"/label":     page(`<input id="bare">`),
		"/heading":   page(`<h4 id="deep">Deep</h4>`),
		"/landmark":  strings.NewReplacer("<main>", "<div>", "</main>", "</div>").Replace(page("")),
	})
	w := &witness{TB: t}
	b := Start(t, Options{Hosts: []string{host}})
	tab := b.Open(address + "/clean")
	b.t = w
	t.Cleanup(func() { b.t = t })
	for _, c := range []struct{ path, rule, element, schemes string }{
		{"/clean", "", "", ""},
		{"/contrast", "color-contrast", "#pale", "light dark"},
		{"/dark-only", "color-contrast", "#dim", "dark"},
		{"/label", "label", "#bare", "light dark"},
		{"/heading", "heading-order", "#deep", "light dark"},
		{"/landmark", "landmark-one-main", "html", "light dark"},
	} {
		t.Run(c.path[1:], func(t *testing.T) {
			var schemes []string
			got := w.during(func() {
				tab.Navigate(address + c.path)
				Accessible(tab)
				for _, v := range tab.Violations() {
					if v.Rule == c.rule && v.Element == c.element {
						schemes = append(schemes, string(v.Scheme))
					}
				}
				tab.Wait(`matchMedia('(prefers-color-scheme: light)').matches`) // as before
			})
			if strings.Join(schemes, " ") != c.schemes {
				t.Errorf("%s is violated in %q, want %q", c.rule, schemes, c.schemes)
			}
			if text := strings.Join(got, "\n"); (c.rule == "") != (text == "") || !strings.Contains(text, c.rule) || !strings.Contains(text, c.element) {
				t.Errorf("the test fails with:\n%s", text)
			}
		})
	}
}
