package views

import (
	"net/http"
	"net/http/httptest"
	"net/url"
	"slices"
	"strings"
	"testing"

	"github.com/gopprof/gopprof/aggregator/draw"
	"github.com/gopprof/gopprof/pkg/gopprof"
	"github.com/gopprof/gopprof/pkg/profile/profiletest"
	"github.com/gopprof/gopprof/test/hostile"
)

// made are the driver's own pages, all of them.
func made(t testing.TB) map[string]http.Handler {
	t.Helper()
	p, err := draw.Cleaned(gopprof.KindCPU, profiletest.CPU(1, profiletest.On(1e9, "main.f")))
	if err != nil {
		t.Fatal(err)
	}
	handlers, err := draw.Pages(p, nil)
	if err != nil {
		t.Fatal(err)
	}
	return handlers
}

// TestPagesThatAreNotOffered: neither by the parent nor by the process, whatever the
// version of the driver has.
func TestPagesThatAreNotOffered(t *testing.T) {
	vs := newViews(t, "view-worker", nil)
	s := &session{handlers: made(t)}
	not := []string{"", "/", "/top", "top/", "../top", "TOP", "top?f=x", "debug/pprof", "nothing"}
	for path := range s.handlers {
		if page := strings.TrimPrefix(path, "/"); !slices.Contains(pages, page) {
			not = append(not, page)
		}
	}
	for _, must := range []string{"graph", "disasm", "source", "saveconfig", "deleteconfig", "download"} {
		if !slices.Contains(not, must) {
			t.Errorf("the driver has no page %q any more", must)
		}
	}
	for _, page := range not {
		if _, err := vs.Page(t.Context(), burning("a"), page, ""); gopprof.ReasonOf(err) != gopprof.ReasonUnknown {
			t.Errorf("%q: %v", page, err)
		}
		if _, err := s.page(job{Page: page, Bytes: 1 << 20}); gopprof.ReasonOf(err) != gopprof.ReasonUnknown {
			t.Errorf("%q in the process: %v", page, err)
		}
	}
	if len(vs.open) != 0 {
		t.Error("a view was opened for a page that is not offered")
	}
}

func TestAsk(t *testing.T) {
	long := strings.Repeat("x", longestExpression)
	for query, want := range map[string]string{
		"":                            "",
		"f=main%5C.f&i=a%7Cb":         "f=main%5C.f&i=a%7Cb",
		"n=80&g=lines&sort=cum&rel=t": "g=lines&n=80&rel=t&sort=cum",
		"p=%5Emain&si=inuse_space&h=": "h=&p=%5Emain&si=inuse_space",
		"f=" + long:                   "f=" + long,
		"f=" + long + "x":             "bad_input",
		"f=" + long + "&i=" + long + "&h=" + long + "&s=" + long: "bad_input",
		"f=a&f=b":                  "bad_input",
		"f=a;i=b":                  "bad_input",
		"f=%zz":                    "bad_input",
		"n=-1":                     "bad_input",
		"n=1e9":                    "bad_input",
		"n=99999999999999999999":   "bad_input",
		"g=wrong":                  "bad_input",
		"si=../x":                  "bad_input",
		"config=x":                 "bad_input", // of saveconfig
		"tf=99999999999999999999:": "bad_input", // panics in the driver
		"output=/tmp/x":            "bad_input",
		"source_path=/etc":         "bad_input",
		"trim_path=/":              "bad_input",
		"unit=x":                   "bad_input",
		"%66=main":                 "f=main",
	} {
		j, err := ask("top", query)
		if got := j.Query + string(gopprof.ReasonOf(err)); got != want {
			t.Errorf("%.60s: %.60s, want %.60s", query, got, want)
		}
	}
}

// FuzzAsk: whatever an address says, it is refused by its name, or pprof is asked for a page
// that is offered by parameters that are listed, and answers with the page or that it does
// not understand.
func FuzzAsk(f *testing.F) {
	f.Add("top", "f=main&i=a%7Cb&h=%28%3Fi%29x&s=&sf=.&prunefrom=a&p=%5E&n=10&si=cpu")
	f.Add("peek", "f=%28%28%28a%2A%29%2A%29%2A%29%2A%24&g=addresses&noinlines=t")
	f.Add("flamegraph", "trim=f&rel=1&dropneg=true&compact=0&sort=cum&g=files")
	f.Add("saveconfig", "config=x")
	f.Add("source", "f=/etc/passwd&source_path=/")
	f.Add("top", "f=a;b&%zz=1&f=1&tf=99999999999999999999:")
	f.Add("top/../source", "f=\x00\xff")
	for _, name := range hostile.Names() {
		f.Add("top", "f="+url.QueryEscape(name))
		f.Add("peek", url.QueryEscape(name)+"=x&"+name)
		f.Add(name, "")
	}
	handlers := made(f)
	f.Fuzz(func(t *testing.T, page, query string) {
		j, err := ask(page, query)
		if err != nil {
			if r := gopprof.ReasonOf(err); r != gopprof.ReasonUnknown && r != gopprof.ReasonBadInput || len(err.Error()) > 500 {
				t.Errorf("error %v", err)
			}
			return
		}
		if j.Open != nil || !slices.Contains([]string{"flamegraph", "top", "peek"}, j.Page) {
			t.Fatalf("asks for %+v", j)
		}
		values, err := url.ParseQuery(j.Query)
		if err != nil || len(j.Query) > 3*longestQuery {
			t.Fatalf("%d bytes of parameters: %v", len(j.Query), err)
		}
		for name, v := range values {
			if !slices.Contains(strings.Fields("f i h s sf prunefrom p si n g sort trim rel dropneg noinlines compact"), name) || len(v) != 1 || len(v[0]) > longestExpression {
				t.Errorf("passes on %q", name)
			}
		}
		w := httptest.NewRecorder() // a panic of the driver's ends the test
		handlers["/"+j.Page].ServeHTTP(w, &http.Request{Method: http.MethodGet, URL: &url.URL{Path: "/" + j.Page, RawQuery: j.Query}})
		if w.Code != http.StatusOK && w.Code != http.StatusBadRequest {
			t.Errorf("%s?%s: %d %s", j.Page, j.Query, w.Code, w.Body)
		}
	})
}
