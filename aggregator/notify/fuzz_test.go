package notify

import (
	"net/http"
	"net/url"
	"strings"
	"testing"
	"time"
	"unicode"

	"github.com/gopprof/gopprof/test/hostile"
)

// FuzzAnswer: whatever a receiver answers, the pause is bounded, the words can be printed,
// and no secret of the address is among them.
func FuzzAnswer(f *testing.F) {
	const secret = "T0S3CR3T"
	f.Add(429, "3600", "slow down")
	f.Add(503, "Wed, 21 Oct 2037 07:28:00 GMT", "https://hooks.example/"+secret+"/x")
	f.Add(500, "-99999999999999999999", "/"+secret+"/x?"+secret)
	f.Add(302, "", "")
	for _, name := range hostile.Names() {
		f.Add(400, name, name)
	}
	address := &url.URL{Scheme: "https", Host: "hooks.example", Path: "/" + secret + "/x"}
	now := time.Now()
	f.Fuzz(func(t *testing.T, status int, after, body string) {
		out := classify(status, http.Header{"Retry-After": {after}}, now)
		if out.After < 0 || out.After > time.Hour || out.Reason == "" && (status < 200 || status > 299) {
			t.Errorf("%+v of %d", out, status)
		}
		said := redact(printable(body, 200), address, "token-of-ours")
		if len(said) > 1000 || strings.ContainsFunc(said, func(r rune) bool { return !unicode.IsPrint(r) }) {
			t.Errorf("%q", said)
		}
		if strings.Contains(said, address.Path) || strings.Contains(said, "token-of-ours") {
			t.Errorf("a secret in %q", said)
		}
	})
}

// FuzzRecord: whatever a record has become, it is clear what to do about it.
func FuzzRecord(f *testing.F) {
	f.Add([]byte(`{"state":"waiting","attempts":3,"first":"2026-11-22T03:04:05Z","next":"2026-11-22T04:04:05Z","reason":"status"}`))
	f.Add([]byte(`{"state":"sending","attempts":-9223372036854775808,"at":"9999-12-31T23:59:59Z"}`))
	f.Add([]byte(`{"state":"` + "\x00" + `"}`))
	f.Fuzz(func(t *testing.T, data []byte) {
		r := recordOf(data)
		now := time.Date(2026, 11, 22, 3, 4, 5, 0, time.UTC)
		act, left := r.next(now, time.Minute)
		if (act == wait) != (left > 0) {
			t.Errorf("%+v: %v, %v left", r, act, left)
		}
		n := &Notifier{cfg: DefaultConfig(), deps: Deps{Rand: func() float64 { return 0.5 }}}
		if d := n.backoff(r.begun(now).Attempts); d <= 0 || d > n.cfg.RetryMost {
			t.Errorf("%+v: a pause of %v", r, d)
		}
	})
}
