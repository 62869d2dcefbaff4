package browser

import (
	"bufio"
	"fmt"
	"net/http"
	"net/http/httptest"
	"os"
	"os/exec"
	"path/filepath"
	"runtime"
	"slices"
	"strings"
	"testing"

	"github.com/gopprof/gopprof/test/poll"
)

// witness stands for the test that a browser belongs to, so that its failure can be looked at.
type witness struct {
	testing.TB
	failures []string
	cleanups []func()
}

func (w *witness) Errorf(format string, a ...any) {
	w.failures = append(w.failures, fmt.Sprintf(format, a...))
}

func (w *witness) Fatalf(format string, a ...any) {
	w.Errorf(format, a...)
	runtime.Goexit()
}

func (w *witness) Fatal(a ...any)   { w.Fatalf("%s", fmt.Sprint(a...)) }
func (w *witness) Cleanup(f func()) { w.cleanups = append(w.cleanups, f) }

// failures runs a test that does so with a browser of its own, and returns what it fails with.
func failures(t *testing.T, o Options, do func(b *Browser)) []string {
	t.Helper()
	w := &witness{TB: t}
	w.during(func() { do(Start(w, o)) })
	for _, f := range slices.Backward(w.cleanups) {
		w.during(f)
	}
	return w.failures
}

// during runs a part of the test, which may end the test, and returns what it fails with.
func (w *witness) during(do func()) []string {
	before, done := len(w.failures), make(chan struct{})
	go func() {
		defer close(done)
		do()
	}()
	<-done
	return w.failures[before:]
}

// site serves pages by their path; Host is what a browser may ask.
func site(t *testing.T, pages map[string]string) (address, host string) {
	t.Helper()
	s := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		page, ok := pages[r.URL.Path]
		if !ok && r.URL.Path != "/favicon.ico" {
			http.NotFound(w, r)
			return
		}
		w.Header().Set("Content-Type", "text/html; charset=utf-8")
		if strings.HasSuffix(r.URL.Path, ".js") {
			w.Header().Set("Content-Type", "text/javascript")
		}
		w.Header().Set("Content-Security-Policy", "default-src 'self' 'unsafe-inline' http://foreign.example http://192.0.2.1 http://127.0.0.1:9 ws://foreign.example data: blob:; img-src 'self' data: http://foreign.example")
		fmt.Fprint(w, page)
	}))
	t.Cleanup(s.Close)
	return s.URL, strings.TrimPrefix(s.URL, "http://")
}

const cleanBody = `<!doctype html><html lang="en"><head><title>Clean</title>
<meta name="viewport" content="width=device-width, initial-scale=1">
<style>:root{color-scheme:light dark} body{background:Canvas;color:CanvasText}</style></head>
<body><main><h1>Clean</h1><label>Name <input id="name"></label> <img alt="a dot" src="data:image/gif;base64,R0lGODlhAQABAAAAACw="> %s</main></body></html>`

func page(more string) string { return fmt.Sprintf(cleanBody, more) }

func TestWhatAPageDoesWrongFailsTheTest(t *testing.T) {
	cases := []struct{ name, body, want string }{
		{"error", `<script>console.error("oh no", 7)</script>`, "console error: oh no 7 ("},
		{"exception", `<script>null.x</script>`, "exception: Uncaught TypeError"},
		{"rejection", `<script>Promise.reject(new Error("lost"))</script>`, "exception: Uncaught (in promise) Error: lost"},
		{"dialog", `<script>alert("hello")</script>`, "dialog: alert: hello"},
		{"policy", `<img alt="" src="http://other.example/x.png">`, "Content Security Policy"},
		{"missing-file", `<script src="/missing.js"></script>`, "404"},
		{"image", `<img alt="" src="http://foreign.example/x.png">`, "allowed: 127.0.0.1:PORT (http://foreign.example/x.png"},
		{"address", `<script>fetch("http://192.0.2.1/").catch(() => 0)</script>`, "allowed: 127.0.0.1:PORT (http://192.0.2.1/"},
		{"other-port", `<script>fetch("http://127.0.0.1:9/", {mode: "no-cors"}).catch(() => 0)</script>`, "allowed: 127.0.0.1:PORT (http://127.0.0.1:9/"},
		{"socket", `<script>new WebSocket("ws://foreign.example/")</script>`, "allowed: 127.0.0.1:PORT (ws://foreign.example/"},
		{"worker", `<script>new Worker("/worker.js")</script>`, "allowed: 127.0.0.1:PORT (http://foreign.example/w"},
	}
	pages := map[string]string{"/worker.js": `fetch("http://foreign.example/w").catch(() => 0)`}
	for _, c := range cases {
		pages["/"+c.name] = page(c.body)
	}
	address, host := site(t, pages)
	seen := func(text, want string) bool {
		return strings.Contains(text, strings.ReplaceAll(want, "PORT", strings.TrimPrefix(host, "127.0.0.1:")))
	}
	got := failures(t, Options{Hosts: []string{host}}, func(b *Browser) {
		tab := b.Open("about:blank")
		for _, c := range cases {
			tab.Navigate(address + "/" + c.name)
			b.Until(c.name, func() bool { return seen(fmt.Sprint(b.Errors()), c.want) })
		}
	})
	for _, c := range cases {
		if !slices.ContainsFunc(got, func(text string) bool { return seen(text, c.want) }) {
			t.Errorf("%s: nothing says %q", c.name, c.want)
		}
	}
	if t.Failed() {
		t.Logf("the test fails with:\n%s", strings.Join(got, "\n"))
	}
}

func TestACleanPageAndAWarningFailNothing(t *testing.T) {
	address, host := site(t, map[string]string{"/": page(""), "/warns": page(`<script>console.warn("careful")</script>`)})
	got := failures(t, Options{Hosts: []string{host}}, func(b *Browser) {
		b.Open(address).Navigate(address + "/warns")
		if m := b.Messages(); len(m) != 1 || m[0].Kind != ConsoleWarning || m[0].Text != "careful" {
			t.Errorf("messages: %v", m)
		}
	})
	if len(got) > 0 {
		t.Errorf("the test fails with %q", got)
	}
}

func TestAnExpectedErrorIsNoFailureAndAMissingOneIs(t *testing.T) {
	address, host := site(t, map[string]string{"/": page(`<script>console.error("planned")</script>`)})
	o := Options{Hosts: []string{host}}
	visit := func(expected ...string) []string {
		return failures(t, o, func(b *Browser) {
			for _, text := range expected {
				b.Expect(text)
			}
			b.Open(address)
		})
	}
	if got := visit("planned"); len(got) > 0 {
		t.Errorf("fails with %q though it is expected", got)
	}
	if got := visit("planned", "another"); len(got) != 1 || !strings.Contains(got[0], `"another"`) {
		t.Errorf("fails with %q, want that another is missing", got)
	}
}

func TestAForeignHostIsNeverOpenedAndCannotBeExpected(t *testing.T) {
	got := failures(t, Options{Hosts: []string{"127.0.0.1"}}, func(b *Browser) {
		b.Expect("foreign.example")
		b.Open("http://foreign.example/")
	})
	text := strings.Join(got, "\n")
	if !strings.Contains(text, "ERR_BLOCKED_BY_CLIENT") || !strings.Contains(text, string(ForeignRequest)) {
		t.Errorf("fails with %q", got)
	}
}

// The very first request of a tab that a click opened is known, and so are its errors.
func TestATabThatAClickOpenedIsRecordedFromItsStart(t *testing.T) {
	address, host := site(t, map[string]string{
		"/":     page(`<a href="/next" target="_blank">Next</a>`),
		"/next": page(`<script>console.error("at once")</script>`),
	})
	b := Start(t, Options{Hosts: []string{host}})
	b.Expect("at once")
	next := b.Open(address).ClickOpens(Role("link", "Next"))
	if got := next.URL(); got != address+"/next" {
		t.Errorf("the new tab is at %s", got)
	}
	if !slices.ContainsFunc(b.Requests(), func(r Request) bool {
		return r.URL == address+"/next" && r.Tab == next && r.Status == http.StatusOK && r.Method == "GET"
	}) {
		t.Errorf("the request is not among %+v", b.Requests())
	}
	if m := b.Messages(); len(m) != 1 || m[0].Tab != next {
		t.Errorf("messages: %v", m)
	}
	next.Close()
	if n := len(b.Tabs()); n != 1 {
		t.Errorf("%d tabs are open", n)
	}
}

func TestMissingChromiumNamesTheWayOut(t *testing.T) {
	t.Setenv("PATH", t.TempDir())
	got := failures(t, Options{}, func(*Browser) { t.Error("it started") })
	if len(got) != 1 || !strings.Contains(got[0], "apt-get install chromium") || !strings.Contains(got[0], "make tools") {
		t.Errorf("fails with %q", got)
	}
}

// processes returns those that have the text in their command line.
func processes(t *testing.T, text string) []string {
	t.Helper()
	files, err := filepath.Glob("/proc/[0-9]*/cmdline")
	if err != nil || len(files) == 0 {
		t.Fatalf("no processes: %v", err)
	}
	var out []string
	for _, f := range files {
		if line, _ := os.ReadFile(f); strings.Contains(string(line), text) { // gone is no match
			out = append(out, filepath.Base(filepath.Dir(f)))
		}
	}
	return out
}

func TestNothingIsLeftOfABrowser(t *testing.T) {
	var profile string
	got := failures(t, Options{}, func(b *Browser) {
		b.Open("about:blank")
		profile = filepath.Dir(b.process.log)
		if n := len(processes(t, profile)); n < 3 {
			t.Errorf("%d processes while it runs", n)
		}
	})
	if left := processes(t, profile); len(got) > 0 || len(left) > 0 {
		t.Errorf("fails with %q, leaves processes %v", got, left)
	}
}

func TestScreenshot(t *testing.T) {
	t.Run("kept", func(t *testing.T) {
		dir := t.TempDir()
		t.Setenv(ScreenshotsVariable, dir)
		b := Start(t, Options{})
		path := b.Open("data:text/html,<body style='background:rgb(0,128,0)'><h1>Seen</h1>").Screenshot("green")
		if want := filepath.Join(dir, t.Name(), "green.png"); path != want {
			t.Errorf("it is at %s, want %s", path, want)
		}
		if n := colours(t, path); n < 3 {
			t.Errorf("%d colours: nothing is drawn", n)
		}
	})
	t.Run("blank", func(t *testing.T) {
		b := Start(t, Options{Screenshots: t.TempDir(), Viewport: Phone})
		path := b.Open("data:text/html,<meta name=viewport content=width=device-width>").Screenshot("blank")
		if n := colours(t, path); n != 1 {
			t.Errorf("%d colours of a blank page", n)
		}
		if w, h := size(t, path); w != 390 || h != 844 {
			t.Errorf("it is %d×%d", w, h)
		}
	})
}

// A test binary that is killed cannot stop its browser.
func TestTheBrowserEndsWithTheProcessThatStartedIt(t *testing.T) {
	const child = "GOPPROF_BROWSER_CHILD"
	if os.Getenv(child) != "" {
		b := Start(t, Options{})
		b.Open("about:blank")
		fmt.Printf("%s=%s\n", child, filepath.Dir(b.process.log))
		select {}
	}
	short, err := os.MkdirTemp("", "b") // for all that the child cannot remove
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { os.RemoveAll(short) })
	cmd := exec.CommandContext(t.Context(), os.Args[0], "-test.run=^"+t.Name()+"$")
	cmd.Env = append(os.Environ(), child+"=1", "TMPDIR="+short)
	out, err := cmd.StdoutPipe()
	if err != nil {
		t.Fatal(err)
	}
	if err := cmd.Start(); err != nil {
		t.Fatal(err)
	}
	var dir string
	for lines := bufio.NewScanner(out); dir == "" && lines.Scan(); {
		_, dir, _ = strings.Cut(lines.Text(), child+"=")
	}
	if dir == "" || len(processes(t, dir)) < 3 {
		t.Errorf("it runs no browser in %q", dir)
	}
	if err := cmd.Process.Kill(); err != nil {
		t.Error(err)
	}
	_ = cmd.Wait() // it was killed
	if dir != "" {
		poll.Until(t, "the end of its processes", func() bool { return len(processes(t, dir)) == 0 })
	}
}
