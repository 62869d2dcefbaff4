package e2e

import (
	"bytes"
	"regexp"
	"strings"
	"testing"
	"time"

	"github.com/gopprof/gopprof/pkg/api"
	"github.com/gopprof/gopprof/pkg/gopprof"
	"github.com/gopprof/gopprof/test/browser"
	"github.com/gopprof/gopprof/test/parts"
	"github.com/gopprof/gopprof/test/rig"
)

// TestPages walks in a real browser, as an owner does who was told of a report: the list, the
// report, its flame graph, the difference to a quiet pod, and a capture by hand until its
// report. The browser fails it for an error on the console and a request to another host.
func TestPages(t *testing.T) {
	ctx, r := newRigOf(t, 4*time.Second, "burner-2", "burner-3")
	startBoth(ctx, t, r)
	must(t, r.AwaitTarget(ctx))
	must(t, r.AwaitSeries(ctx))
	must(t, r.Burner.Heat(ctx, 1))
	report := awaitReport(ctx, t, r, "?kind=cpu&pod="+rig.Pod)

	b := browser.Start(t, browser.Options{Hosts: []string{strings.TrimPrefix(r.API, "http://")}})
	tab := b.Open(r.API + "/?namespace=" + rig.Namespace + "&pod=" + rig.Pod)
	check := func(name string) {
		t.Helper()
		browser.Accessible(tab)
		tab.Screenshot(name)
	}
	check("list")

	tab.Click(browser.CSS(`main a[href$="` + report.ID + `"]`))
	tab.Wait(`document.querySelector("h1").textContent.includes("` + rig.Pod + `")`)
	tab.Wait(`[...document.images].every(i => { i.loading = "eager"; return i.complete && i.naturalWidth > 0 })`)
	for _, want := range []string{"Why", "What grew: cpu", "Side by side: cpu", "burner-2", "History of", report.Explanation.Cause().Line} {
		if text := tab.Text(browser.CSS("main")); !strings.Contains(text, want) {
			t.Errorf("the report does not say %q:\n%s", want, text)
		}
	}
	check("report")
	tab.SetViewport(browser.Phone)
	var wide []string // what makes the page wider than the screen
	tab.Eval(`[...document.querySelectorAll("main *, header *")].filter(e => e.getBoundingClientRect().right > screen.width + 1 && !e.closest(".wide, pre, .facts")).map(e => e.tagName + "." + e.className)`, &wide)
	if len(wide) > 0 {
		t.Errorf("wider than a phone: %v", wide)
	}
	check("report-on-a-phone")
	tab.SetViewport(browser.Desktop)

	at := tab.URL()
	tab.Click(browser.CSS(`#cpu a[href$="/pprof/cpu/flamegraph"]`))
	hot := parts.BurnerHotFunction[strings.LastIndexByte(parts.BurnerHotFunction, '.')+1:]
	tab.Wait(`document.body.innerText.includes("` + hot + `")`)
	tab.Screenshot("flame-graph")
	tab.Navigate(at)
	tab.Click(browser.CSS(`#cpu a[href*="/against/"]:first-of-type`))
	tab.Wait(`document.body.innerText.includes("` + hot + `")`)
	tab.Screenshot("difference")

	tab.Navigate(r.API + "/targets")
	check("targets")
	tab.Click(browser.CSS(`a[href*="operations/new"][href*="burner-2"]`))
	tab.Fill(browser.CSS(`input[name="seconds"]`), "1")
	check("profile-now")
	tab.Click(browser.Role("button", "Profile now"))
	// The page shows the end by itself: nobody loads it again.
	tab.Wait(`(document.querySelector("#live") || document.body).innerText.includes(": done.")`)
	check("operation")
	tab.Click(browser.Role("link", "report"))
	tab.Wait(`document.querySelector("h1").textContent.includes("burner-2")`)
	tab.Click(browser.Role("link", "Operations"))
	check("operations")
	id := regexp.MustCompile(`[0-9a-f-]{36}`).FindString(at)
	if id != report.ID {
		t.Errorf("the list led to %s", at)
	}
	if bundle, err := r.Get(ctx, api.PathBundle(report.ID)); err != nil || !bytes.HasPrefix(bundle, []byte("PK")) {
		t.Errorf("the bundle: %v, %d bytes", err, len(bundle))
	}
}

// TestPagesByKeyboard: the keyboard alone is enough: from the list to the report, without a mouse.
func TestPagesByKeyboard(t *testing.T) {
	ctx, r := newRig(t)
	startBoth(ctx, t, r)
	must(t, r.AwaitTarget(ctx))
	askOperation(ctx, t, r, api.CaptureRequest{Namespace: rig.Namespace, Pod: rig.Pod, Kinds: []gopprof.Kind{gopprof.KindGoroutine}})
	report := awaitReport(ctx, t, r, "?kind=goroutine")
	t.Cleanup(func() { // runs when the browser has gone, which may be loading a picture until then
		if ctx.Err() != nil {
			t.Error("the programs were stopped before the browser")
		}
	})
	b := browser.Start(t, browser.Options{Hosts: []string{strings.TrimPrefix(r.API, "http://")}})
	tab := b.Open(r.API + "/")
	var seen []string
	for range 60 {
		tab.Press("Tab")
		var to string
		tab.Eval(`document.activeElement.getAttribute("href") || ""`, &to)
		if strings.HasSuffix(to, report.ID) {
			tab.Press("Enter")
			tab.Wait(`location.pathname.endsWith("` + report.ID + `")`)
			return
		}
		seen = append(seen, to)
	}
	t.Errorf("no key leads to the report %s; the focus was on the links %q of\n%s", report.ID, seen, tab.Text(browser.CSS("body")))
}
