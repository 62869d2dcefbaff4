package take

import (
	"net/http"
	"os"
	"path/filepath"
	"strings"
	"syscall"
	"testing"
	"time"

	"github.com/gopprof/gopprof/pkg/gopprof"
)

func tokenFile(t *testing.T, content string) string {
	t.Helper()
	path := filepath.Join(t.TempDir(), "token")
	if err := os.WriteFile(path, []byte(content), 0o600); err != nil {
		t.Fatal(err)
	}
	return path
}

// guarded is net/http/pprof behind a token.
func guarded(token string) http.HandlerFunc {
	pprof := realPprof()
	return func(w http.ResponseWriter, r *http.Request) {
		if r.Header.Get("Authorization") != "Bearer "+token {
			http.Error(w, "who are you?", http.StatusUnauthorized)
			return
		}
		pprof(w, r)
	}
}

func TestTokenIsSentToItsOwnEndpoint(t *testing.T) {
	s := serveTLS(t, guarded("sesame"))
	cfg := testConfig()
	cfg.TLS.CAFile = caFile(t, s)
	target := s.target(t, "a")
	taker := newTaker(cfg, Deps{})
	_, err := taker.Take(t.Context(), byHand(id1, target, gopprof.KindHeap))
	wantReason(t, err, gopprof.ReasonStatus)

	target.Endpoint.BearerTokenFile = tokenFile(t, "old\n")
	_, err = taker.Take(t.Context(), byHand(id1, target, gopprof.KindHeap))
	wantReason(t, err, gopprof.ReasonStatus)
	if err := os.WriteFile(target.Endpoint.BearerTokenFile, []byte("sesame\n"), 0o600); err != nil { // renewed in place
		t.Fatal(err)
	}
	capture, err := taker.Take(t.Context(), byHand(id2, target, gopprof.KindHeap))
	wantReason(t, err, "")
	if len(capture.Profiles) != 1 {
		t.Errorf("%+v", capture)
	}
}

// A target that answers with a redirect gets the token for itself only.
func TestTokenDoesNotFollowARedirect(t *testing.T) {
	elsewhere := serve(t, realPprof())
	s := serve(t, func(w http.ResponseWriter, r *http.Request) {
		http.Redirect(w, r, elsewhere.URL+"/debug/pprof/heap", http.StatusFound)
	})
	target := s.target(t, "a")
	target.Endpoint.BearerTokenFile = tokenFile(t, "sesame")
	_, err := newTaker(testConfig(), Deps{}).Take(t.Context(), byHand(id1, target, gopprof.KindHeap))
	wantReason(t, err, gopprof.ReasonRedirected)
	if asked := elsewhere.asked(); len(asked) != 0 {
		t.Errorf("asked elsewhere: %v", asked)
	}
}

func TestTokenStaysWhereItIsSafe(t *testing.T) {
	file := tokenFile(t, "sesame")
	for name, c := range map[string]struct {
		endpoint gopprof.Endpoint
		insecure bool
		reason   gopprof.Reason
	}{
		"https":                {gopprof.Endpoint{Scheme: "https", Host: "10.0.0.1"}, false, ""},
		"https by name":        {gopprof.Endpoint{Scheme: "https", Host: "api.example"}, false, ""},
		"http to loopback":     {gopprof.Endpoint{Scheme: "http", Host: "127.0.0.1"}, false, ""},
		"http to loopback, v6": {gopprof.Endpoint{Scheme: "http", Host: "::1"}, false, ""},
		"any certificate here": {gopprof.Endpoint{Scheme: "https", Host: "127.0.0.1"}, true, ""},
		"http":                 {gopprof.Endpoint{Scheme: "http", Host: "10.0.0.1"}, false, gopprof.ReasonInvalidEndpoint},
		"http to a name":       {gopprof.Endpoint{Scheme: "http", Host: "localhost"}, false, gopprof.ReasonInvalidEndpoint},
		"any certificate":      {gopprof.Endpoint{Scheme: "https", Host: "10.0.0.1"}, true, gopprof.ReasonInvalidEndpoint},
	} {
		cfg := testConfig()
		cfg.TLS.InsecureSkipVerify = c.insecure
		c.endpoint.BearerTokenFile = file
		req := &http.Request{Header: http.Header{}}
		err := cfg.authorize(req, c.endpoint)
		if got := gopprof.ReasonOf(err); got != c.reason || (req.Header.Get("Authorization") == "Bearer sesame") != (c.reason == "") {
			t.Errorf("%s: %v, %v", name, err, req.Header)
		}
	}
}

func TestTokenFilesThatHoldNone(t *testing.T) {
	for name, file := range map[string]string{
		"missing": filepath.Join(t.TempDir(), "x"), "empty": tokenFile(t, "\n"), "two lines": tokenFile(t, "secret\r\nX-Evil: 1"),
		"too long": tokenFile(t, strings.Repeat("a", maxTokenBytes+1)), "binary": tokenFile(t, "secret\x00"),
	} {
		err := testConfig().authorize(&http.Request{Header: http.Header{}}, gopprof.Endpoint{Scheme: "https", BearerTokenFile: file})
		if gopprof.ReasonOf(err) != gopprof.ReasonUnreachable || strings.Contains(err.Error(), "secret") {
			t.Errorf("%s: %v", name, err)
		}
	}
}

// What stands in the place of a token may be the service's to choose, and holds up nobody.
func TestTokenFileThatIsAPipe(t *testing.T) {
	for name, held := range map[string]bool{"nobody writes": false, "somebody holds it": true} {
		t.Run(name, func(t *testing.T) {
			file := filepath.Join(t.TempDir(), "token")
			if err := syscall.Mkfifo(file, 0o600); err != nil {
				t.Fatal(err)
			}
			hold := func() {
				f, err := os.OpenFile(file, os.O_RDWR, 0)
				if err != nil {
					t.Fatal(err)
				}
				t.Cleanup(func() { _ = f.Close() })
			}
			t.Cleanup(hold) // whoever reads it goes on when the test ends
			if held {
				hold()
			}
			read := make(chan error, 1)
			go func() {
				read <- testConfig().authorize(&http.Request{Header: http.Header{}}, gopprof.Endpoint{Scheme: "https", BearerTokenFile: file})
			}()
			select {
			case err := <-read:
				if gopprof.ReasonOf(err) != gopprof.ReasonUnreachable {
					t.Errorf("%v, want %s", err, gopprof.ReasonUnreachable)
				}
			case <-time.After(time.Minute):
				t.Error("the token is still being read")
			}
		})
	}
}
