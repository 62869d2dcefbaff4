package hostile

import (
	"fmt"
	"io"
	"net/http"
	"strings"
	"time"

	"github.com/gopprof/gopprof/pkg/gopprof"
	"github.com/gopprof/gopprof/pkg/profile/profiletest"
)

const (
	timeout     = gopprof.ReasonTimeout
	status      = gopprof.ReasonStatus
	unreachable = gopprof.ReasonUnreachable
	redirected  = gopprof.ReasonRedirected
)

// answering is a case with a handler.
func answering(name string, h http.HandlerFunc, reasons ...gopprof.Reason) Case {
	return Case{Name: name, Kind: gopprof.KindHeap, HTTP: h, Reasons: reasons}
}

func profilingCPU(c Case) Case {
	c.Kind = gopprof.KindCPU
	return c
}

// inUse is what net/http/pprof answers while somebody else profiles the CPU.
func inUse(w http.ResponseWriter, _ *http.Request) {
	w.Header().Set("X-Go-Pprof", "1")
	http.Error(w, "Could not enable CPU profiling: cpu profiling already in use", http.StatusInternalServerError)
}

func slowly(c Case) Case {
	c.Slow = true
	return c
}

// bodies never end, come too slowly, or are not as long as they say.
func bodies() []Case {
	good := profiletest.Heap(profiletest.On(1<<20, "main.f"))
	length := func(n string) http.HandlerFunc {
		return func(w http.ResponseWriter, _ *http.Request) {
			w.Header().Set("Content-Length", n)
			_, _ = w.Write(good[:len(good)/2])
		}
	}
	return []Case{
		answering("endless body", func(w http.ResponseWriter, _ *http.Request) { _, _ = io.Copy(w, zeroReader{}) }, tooLarge),
		answering("endless body said to be compressed", encoded("gzip", zeros(1<<40)), tooLarge),
		answering("bomb said to be compressed", encoded("gzip", bomb(1<<30)), tooLarge),
		answering("bomb said to be compressed twice", encoded("gzip, br, zstd", bomb(1<<30)), tooLarge),
		answering("content length without end", length("999999999999"), tooLarge),
		answering("content length of more than there is", length("100000"), unreachable),
		slowly(answering("slow drip", drip("\x1f"), timeout)),
		slowly(answering("slow drip of an error", failing(drip("x")), timeout, status)),
		slowly(answering("silent after the header", drip(""), timeout)),
		slowly(answering("silent", func(_ http.ResponseWriter, r *http.Request) { <-r.Context().Done() }, timeout)),
		slowly(answering("heap with a pause", func(w http.ResponseWriter, r *http.Request) {
			_, _ = w.Write(good[:1])
			drip("")(w, r)
		}, timeout)),
	}
}

func encoded(coding string, p Payload) http.HandlerFunc {
	return func(w http.ResponseWriter, _ *http.Request) {
		w.Header().Set("Content-Encoding", coding)
		_ = p(w)
	}
}

func failing(h http.HandlerFunc) http.HandlerFunc {
	return func(w http.ResponseWriter, r *http.Request) {
		w.WriteHeader(http.StatusInternalServerError)
		h(w, r)
	}
}

// drip answers with a text now and then until the client has gone.
func drip(text string) http.HandlerFunc {
	return func(w http.ResponseWriter, r *http.Request) {
		tick := time.NewTicker(10 * time.Millisecond)
		defer tick.Stop()
		for {
			_, _ = io.WriteString(w, text)
			_ = http.NewResponseController(w).Flush()
			select {
			case <-r.Context().Done():
				return
			case <-tick.C:
			}
		}
	}
}

// answers are HTTP, and no profile.
func answers() []Case {
	text := strings.Repeat("\x1b]0;title\a<script>alert(1)</script>", 1_000)
	cases := []Case{
		answering("page of a log-in", func(w http.ResponseWriter, _ *http.Request) { _, _ = io.WriteString(w, "<html>log in</html>") }, invalid),
		answering("error that never ends", failing(func(w http.ResponseWriter, _ *http.Request) { _, _ = io.Copy(w, zeroReader{}) }), status),
		answering("error with a text of escapes", func(w http.ResponseWriter, _ *http.Request) { http.Error(w, text, http.StatusTeapot) }, status),
		profilingCPU(answering("in use for ever", inUse, gopprof.ReasonContended)),
		answering("a heap in use for ever", inUse, status),
		answering("early hints without end", func(w http.ResponseWriter, r *http.Request) {
			for r.Context().Err() == nil {
				w.WriteHeader(http.StatusEarlyHints)
			}
		}, unreachable),
	}
	for _, code := range []int{201, 204, 206, 304, 400, 401, 403, 404, 407, 429, 503, 599, 999} {
		cases = append(cases, answering(fmt.Sprintf("status %d", code), func(w http.ResponseWriter, _ *http.Request) { w.WriteHeader(code) }, status, redirected))
	}
	return cases
}

// redirects lead away, each in another way.
func redirects(elsewhere string) []Case {
	var cases []Case
	for name, to := range map[string]string{
		"to another port": "http://" + elsewhere + "/debug/pprof/heap", "to a metadata service": "http://169.254.169.254/latest/meta-data/",
		"to another machine": "http://192.0.2.1/debug/pprof/heap", "to a name": "http://localhost.localdomain:1/", "without a scheme": "//" + elsewhere + "/",
		"with a password": "http://user:secret@" + elsewhere + "/", "to a file": "file:///etc/passwd", "to itself": "/debug/pprof/heap", "to nothing": "",
		"to many lines": "http://" + elsewhere + "/%0d%0aX-Evil:%201",
	} {
		cases = append(cases, answering("redirect "+name, leading(to, http.StatusFound), redirected))
	}
	for _, code := range []int{301, 303, 305, 307, 308} {
		cases = append(cases, answering(fmt.Sprintf("redirect by %d", code), leading("http://"+elsewhere+"/debug/pprof/heap", code), redirected))
	}
	// A header of control characters is none, says net/http: the answer counts for nothing.
	cases = append(cases, answering("redirect of escapes", leading("http://"+elsewhere+"/\x1b[31m", http.StatusFound), unreachable))
	return append(cases, answering("heap that names other places", func(w http.ResponseWriter, _ *http.Request) {
		h := w.Header()
		h.Set("Refresh", "0;url=http://"+elsewhere+"/")
		h.Set("Location", "http://"+elsewhere+"/")
		h.Set("Content-Location", "http://"+elsewhere+"/")
		h.Set("Alt-Svc", `h2="`+elsewhere+`"; ma=86400`)
		h.Set("Link", "<http://"+elsewhere+"/>; rel=preload")
		h.Set("Set-Cookie", "a=b; Domain=example")
		_, _ = w.Write(profiletest.Heap(profiletest.On(1<<20, "main.f")))
	}, harmless))
}

func leading(to string, code int) http.HandlerFunc {
	return func(w http.ResponseWriter, _ *http.Request) {
		w.Header().Set("Location", to)
		w.WriteHeader(code)
	}
}
