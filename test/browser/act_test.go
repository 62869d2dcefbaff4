package browser

import (
	"fmt"
	"net/http"
	"net/http/httptest"
	"strings"
	"testing"
	"time"
)

const form = `<form action="javascript:void 0">
<label>Reason <input id="reason"></label><label>Day <input id="day" type="date"></label>
<label>Kind <select id="kind"><option value="c">CPU</option><option value="h">Heap</option></select></label>
<label><input type="checkbox" id="sure"> I am sure</label>
<button type="submit" disabled>Capture</button></form>
<p id="out" data-state="new">nothing yet</p><p class="two">1</p><p class="two">2</p>
<div id="cover" style="position:fixed;inset:0"></div>
<script>
const $ = id => document.getElementById(id), button = document.querySelector('button');
setTimeout(() => $('cover').remove(), 150);
$('sure').addEventListener('change', () => setTimeout(() => button.disabled = !$('sure').checked, 150));
document.querySelector('form').addEventListener('submit', e => { e.preventDefault(); setTimeout(() => {
	$('out').textContent = [$('reason').value, $('day').value, $('kind').value, innerWidth, matchMedia('(prefers-color-scheme: dark)').matches].join(' ');
	$('out').dataset.state = 'done'; }, 150); });
</script>`

func TestActsAreAUsersAndWaitForThePage(t *testing.T) {
	address, host := site(t, map[string]string{"/": page(form)})
	b := Start(t, Options{Hosts: []string{host}, Viewport: Phone, Scheme: Dark})
	tab := b.Open(address)
	tab.Check(Role("checkbox", "I am sure"), true) // it is covered at first
	tab.Fill(Role("textbox", "Reason"), "wrong")
	tab.Fill(CSS("#reason"), "slow checkout")
	tab.Fill(CSS("#day"), "2026-01-31")
	tab.Select(Role("combobox", "Kind"), "Heap")
	tab.Click(Role("button", "Capture")) // it is disabled at first
	tab.WaitText(CSS("#out"), "checkout")
	if got := tab.Text(CSS("#out")); got != "slow checkout 2026-01-31 h 390 true" {
		t.Errorf("it reads %q", got)
	}
	if got, ok := tab.Attribute(CSS("#out"), "data-state"); got != "done" || !ok {
		t.Errorf("attribute: %q, %t", got, ok)
	}
	if got, ok := tab.Attribute(CSS("#out"), "title"); ok {
		t.Errorf("an attribute that it does not have: %q", got)
	}
	if n := tab.Count("p.two"); n != 2 {
		t.Errorf("%d elements", n)
	}
	tab.SetViewport(Desktop)
	tab.SetScheme(Light)
	tab.Wait(`innerWidth === 1280 && matchMedia('(prefers-color-scheme: light)').matches`)
}

func TestTheKeyboardAloneIsEnough(t *testing.T) {
	address, host := site(t, map[string]string{
		"/":     page(`<a href="/next">Next</a> <button onclick="this.textContent='Pressed'">Press</button>`),
		"/next": page(`<p id="there">there</p>`),
	})
	tab := Start(t, Options{Hosts: []string{host}}).Open(address)
	for _, step := range []struct{ key, want string }{
		{"Tab", `textbox "Name"`}, {"Tab", `link "Next"`}, {"Tab", `button "Press"`}, {" ", `button "Pressed"`}, {"Shift+Tab", `link "Next"`},
	} {
		if tab.Press(step.key); tab.Focused() != step.want {
			t.Fatalf("after %q the focus is on %s, want %s", step.key, tab.Focused(), step.want)
		}
	}
	tab.Press("Enter")
	tab.WaitText(CSS("#there"), "there")
}

func TestAnActThatCannotBeDoneSaysWhy(t *testing.T) {
	address, host := site(t, map[string]string{"/": page(form)})
	w := &witness{TB: t}
	b := Start(t, Options{Hosts: []string{host}})
	tab := b.Open(address)
	b.t, b.options.Patience = w, 300*time.Millisecond
	t.Cleanup(func() { b.t = t })
	for _, c := range []struct {
		name string
		act  func(tab *Tab)
		want []string
	}{
		{"no such name", func(tab *Tab) { tab.Click(Role("button", "Delete")) }, []string{`button "Delete": 0 elements`, `button "Capture"`}},
		{"two of them", func(tab *Tab) { tab.Text(CSS(".two")) }, []string{".two: 2 elements"}},
		{"disabled", func(tab *Tab) { tab.Click(Role("button", "Capture")) }, []string{"it is disabled"}},
		{"no such option", func(tab *Tab) { tab.Select(CSS("#kind"), "Mutex") }, []string{`"Mutex"`, `"CPU", "Heap"`}},
		{"other text", func(tab *Tab) { tab.WaitText(CSS("#out"), "something") }, []string{`it reads "nothing yet"`, address}},
		{"no such selector", func(tab *Tab) { tab.Count("..") }, []string{"not a valid selector"}},
		{"no such key", func(tab *Tab) { tab.Press("Any") }, []string{`"Any"`}},
		{"never true", func(tab *Tab) { tab.Wait("1 > 2") }, []string{"1 > 2: it is not true"}},
		{"always fails", func(tab *Tab) { tab.Wait("document.querySelector('h6').title") }, []string{"TypeError: Cannot read properties of null"}},
		{"no expression", func(tab *Tab) { tab.Wait("1 >") }, []string{"SyntaxError"}},
	} {
		t.Run(c.name, func(t *testing.T) {
			got := w.during(func() { c.act(tab) })
			for _, want := range c.want {
				if len(got) != 1 || !strings.Contains(got[0], want) {
					t.Errorf("fails with %q, want %q", got, want)
				}
			}
		})
	}
}

// What throws while a page is not there yet is not true yet.
func TestWaitForAPageThatIsNotThereYet(t *testing.T) {
	address, host := site(t, map[string]string{"/": page("")})
	Start(t, Options{Hosts: []string{host}}).Open(address).Wait(`(() => {
		const asked = document.body.dataset.asked;
		document.body.dataset.asked = "yes";
		return asked.length > 0;
	})()`)
}

// guarded serves what wants a login, and tells what it was sent.
func guarded(t *testing.T) (origin string) {
	t.Helper()
	s := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		if away := r.URL.Query().Get("to"); away != "" {
			http.Redirect(w, r, away, http.StatusFound)
			return
		}
		user, password, _ := r.BasicAuth()
		w.Header().Set("Content-Type", "text/html")
		if r.Header.Get("X-User") == "" && user != "dev" {
			w.Header().Set("WWW-Authenticate", `Basic realm="gopprof"`)
			w.WriteHeader(http.StatusUnauthorized)
		}
		fmt.Fprintf(w, "<link rel=icon href=data:,><p>%s %s %s</p>", user, password, r.Header.Get("X-User"))
	}))
	t.Cleanup(s.Close)
	return s.URL
}

func TestTheLoginIsForOneOriginOnly(t *testing.T) {
	own, other := guarded(t), guarded(t)
	for _, c := range []struct {
		login Login
		want  string
	}{
		{Login{Origin: own, Username: "dev", Password: "s3cret"}, "dev s3cret"},
		{Login{Origin: own, Username: "eve", Password: "guess"}, "eve guess"},
		{Login{Origin: own, Header: map[string]string{"X-User": "dev@example.com"}}, "dev@example.com"},
	} {
		b := Start(t, Options{Hosts: []string{"127.0.0.1"}, Login: c.login})
		b.Expect("401")
		tab := b.Open(own)
		if got := strings.TrimSpace(tab.Text(CSS("p"))); got != c.want {
			t.Errorf("its own origin was sent %q, want %q", got, c.want)
		}
		tab.Navigate(own + "/?to=" + other)
		if got := strings.TrimSpace(tab.Text(CSS("p"))); got != "" || !strings.HasPrefix(tab.URL(), other) {
			t.Errorf("%s was sent %q", tab.URL(), got)
		}
	}
}
