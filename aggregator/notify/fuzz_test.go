package notify

import (
	"encoding/json"
	"net/http"
	"net/url"
	"strings"
	"testing"
	"time"
	"unicode"

	"github.com/gopprof/gopprof/pkg/api"
	"github.com/gopprof/gopprof/pkg/gopprof"
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

// FuzzSilence: whatever the record of a silence has become, what holds is of one workload and
// ends, silences nobody else, can be listed, and can be ended.
func FuzzSilence(f *testing.F) {
	const id = "019a2b3c-4d5e-7f60-8a1b-2c3d4e5f6071"
	made := api.Silence{ID: id, Cluster: "prod", Namespace: "shop", Workload: "web", Cause: gopprof.CauseGCBound, Who: "ada", Why: "known", At: noon, Until: noon.Add(time.Hour)}
	seed := func(change func(*api.Silence)) {
		s := made
		change(&s)
		data, err := json.Marshal(s)
		if err != nil {
			f.Fatal(err)
		}
		f.Add(data)
		f.Add(data[:len(data)/2])
	}
	seed(func(*api.Silence) {})
	seed(func(s *api.Silence) { s.Until = time.Date(9999, 12, 31, 23, 59, 59, 0, time.UTC) })
	seed(func(s *api.Silence) { s.At = time.Time{} })
	seed(func(s *api.Silence) { s.Namespace, s.Workload = "", "" })
	for _, name := range hostile.Names() {
		seed(func(s *api.Silence) { s.Namespace, s.Who, s.Why = name, name, name })
		seed(func(s *api.Silence) { s.ID = name })
		seed(func(s *api.Silence) { s.Cause = gopprof.CauseKind(name) })
	}
	f.Add([]byte("null"))
	f.Fuzz(func(t *testing.T, data []byte) {
		s := silences{all: map[string]api.Silence{}}
		s.see(id, data, 1)
		all := s.holding(noon)
		if len(all) > 1 {
			t.Fatalf("%d made of one", len(all))
		}
		for _, held := range all {
			checkSilence(t, held, id)
		}
		if _, err := json.Marshal(api.SilenceList{Silences: all}); err != nil {
			t.Errorf("cannot be listed: %v", err)
		}
		s.see(id, nil, 2)
		if all := s.holding(noon); len(all) != 0 {
			t.Errorf("ended, and %+v", all)
		}
	})
}

// checkSilence checks what a silence holds for.
func checkSilence(t *testing.T, s api.Silence, id string) {
	t.Helper()
	if s.ID != id || s.Namespace == "" || s.Workload == "" || !s.Until.After(noon) || s.Until.Sub(s.At) > api.LongestSilence {
		t.Errorf("%+v holds", s)
	}
	r := gopprof.Report{MadeAt: s.Until}
	r.Capture.Target = gopprof.Target{Cluster: s.Cluster, Namespace: s.Namespace + "x", Workload: gopprof.Workload{Name: s.Workload}}
	if _, ok := silencing([]api.Silence{s}, r); ok {
		t.Errorf("%+v silences another namespace", s)
	}
	r.Capture.Target.Namespace, r.Capture.Target.Workload.Name = s.Namespace, s.Workload+"x"
	if _, ok := silencing([]api.Silence{s}, r); ok {
		t.Errorf("%+v silences another workload", s)
	}
}
