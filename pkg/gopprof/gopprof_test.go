package gopprof

import (
	"encoding/json"
	"errors"
	"fmt"
	"net/url"
	"strings"
	"testing"
	"time"
)

func TestCheckID(t *testing.T) {
	const good = "01938f00-0000-7000-8000-000000000001"
	if err := CheckID(good); err != nil {
		t.Error(err)
	}
	for _, bad := range []string{
		"", "x", strings.ToUpper(good[:8]) + "-ABCD" + good[13:], good + "\n", " " + good, "../" + good,
		"01938f00-0000-4000-8000-000000000001", // another version
		"01938f00-0000-7000-0000-000000000001", // another variant
		strings.Repeat("0", 1<<16),
	} {
		if err := CheckID(bad); err == nil || len(err.Error()) > 200 {
			t.Errorf("%.40q: %v, want a short error", bad, err)
		}
	}
}

func TestKinds(t *testing.T) {
	for _, k := range Kinds() {
		got, err := ParseKind(string(k))
		if err != nil || got != k {
			t.Errorf("%s: %s, %v", k, got, err)
		}
		if wantPage := map[Kind]string{KindCPU: "profile"}[k]; wantPage != "" && k.Page() != wantPage || wantPage == "" && k.Page() != string(k) {
			t.Errorf("%s: page %q", k, k.Page())
		}
		if timed := k == KindCPU || k == KindTrace; k.Timed() != timed {
			t.Errorf("%s: timed %v", k, k.Timed())
		}
	}
	if k, err := ParseKind("profile"); err != nil || k != KindCPU {
		t.Errorf("profile: %s, %v", k, err)
	}
	for _, bad := range []string{"", "CPU", "cmdline", "symbol", "goroutine?debug=2"} {
		if k, err := ParseKind(bad); err == nil {
			t.Errorf("%q is %s", bad, k)
		}
	}
}

// Whatever stands in an endpoint's path, its pages are on its own host.
func TestEndpointsPagesStayOnTheirHost(t *testing.T) {
	for _, path := range []string{"/debug/pprof", "", "@evil:80/x", "//evil/x", "/x?y=", "/x#y"} {
		e := Endpoint{Scheme: "http", Host: "::1", Port: 6060, Path: path}
		u := e.URL("profile", url.Values{"seconds": {"30"}})
		parsed, err := url.Parse(u.String())
		if err != nil {
			continue // nothing that could be dialled
		}
		if u.Host != "[::1]:6060" || u.RawQuery != "seconds=30" || (path != "" && path[0] == '/' && parsed.Host != u.Host) {
			t.Errorf("path %q: %s", path, u)
		}
	}
}

func TestKeyTellsPodsOfOneNameApart(t *testing.T) {
	a := Target{Namespace: "shop", Pod: "cart-0", PodUID: "1", Container: "app"}
	b := a
	b.PodUID = "2"
	if a.Key() == b.Key() || a.Series() != b.Series() {
		t.Errorf("keys %q and %q, series %v and %v", a.Key(), b.Key(), a.Series(), b.Series())
	}
}

func TestRatioOfAWindow(t *testing.T) {
	limited, free := Use{Mean: 1, Limit: 2, Ratio: 0.5}, Use{Mean: 1}
	for _, c := range []struct {
		name     string
		window   Window
		resource Resource
		want     float64
		ok       bool
	}{
		{"cpu", Window{CPU: limited, HasCPU: true}, ResourceCPU, 0.5, true},
		{"cpu without a limit", Window{CPU: free, HasCPU: true}, ResourceCPU, 0, false},
		{"cpu that was not reported", Window{CPU: limited, HasMemory: true}, ResourceCPU, 0.5, false},
		{"memory", Window{Memory: limited, HasMemory: true}, ResourceMemory, 0.5, true},
		{"memory that was not reported", Window{Memory: limited, HasCPU: true}, ResourceMemory, 0.5, false},
		{"throttled", Window{Witness: WitnessCadvisor, CPU: limited, HasCPU: true, ThrottledRatio: 0.3}, ResourceThrottled, 0.3, true},
		{"throttled without a quota", Window{Witness: WitnessCadvisor, CPU: free, HasCPU: true}, ResourceThrottled, 0, false},
		{"throttled, of the series", Window{Witness: WitnessHeapster, CPU: limited, HasCPU: true}, ResourceThrottled, 0, false},
		{"something else", Window{CPU: limited, HasCPU: true}, "disk", 0, false},
	} {
		if got, ok := c.window.Ratio(c.resource); got != c.want || ok != c.ok {
			t.Errorf("%s: %v, %v", c.name, got, ok)
		}
	}
}

func TestEvidenceIsHotFromItsFirstWindowToItsLast(t *testing.T) {
	at := time.Date(2026, 11, 22, 3, 0, 0, 0, time.UTC)
	e := Evidence{Windows: []Window{{Start: at, End: at.Add(time.Minute)}, {Start: at.Add(time.Minute), End: at.Add(2 * time.Minute)}}}
	if start, end := e.Hot(); !start.Equal(at) || !end.Equal(at.Add(2*time.Minute)) || e.Newest().Start != at.Add(time.Minute) {
		t.Errorf("hot from %s to %s, newest %+v", start, end, e.Newest())
	}
	if start, end := (Evidence{}).Hot(); !start.IsZero() || !end.IsZero() {
		t.Errorf("no windows: hot from %s to %s", start, end)
	}
}

func TestErrorsCarryTheirReason(t *testing.T) {
	cause := errors.New("disk full")
	err := fmt.Errorf("publishing: %w", &Error{Reason: ReasonSpoolFailed, Detail: "writing", Err: cause})
	if ReasonOf(err) != ReasonSpoolFailed || !errors.Is(err, cause) || err.Error() != "publishing: spool_failed: writing: disk full" {
		t.Errorf("%v, reason %q", err, ReasonOf(err))
	}
	if ReasonOf(cause) != "" || ReasonOf(nil) != "" {
		t.Error("a reason out of nowhere")
	}
}

// An order that came to nothing says of every kind why.
func TestNothing(t *testing.T) {
	o := Order{Capture: "c", Incident: "i", Kinds: []Kind{KindCPU, KindHeap}}
	for err, want := range map[error]Reason{&Error{Reason: ReasonGone}: ReasonGone, errors.New("?"): ReasonInternal} {
		c := o.Nothing(err, time.Unix(1, 0))
		if c.ID != "c" || c.Incident != "i" || len(c.Profiles) != 0 || len(c.Failures) != 2 {
			t.Fatalf("%+v", c)
		}
		for i, f := range c.Failures {
			if f.Kind != o.Kinds[i] || f.Reason != want || f.Detail == "" {
				t.Errorf("%v: %+v", err, f)
			}
		}
	}
}

// What means something on its own node only is never sent.
func TestCgroupAndBytesStayHere(t *testing.T) {
	data, err := json.Marshal(Capture{
		Target:   Target{Pod: "cart-0", Cgroup: Cgroup{Path: "/secret/path", PID: 4242}},
		Profiles: []Profile{{Kind: KindHeap, Bytes: []byte("raw bytes")}},
	})
	if err != nil {
		t.Fatal(err)
	}
	for _, local := range []string{"secret", "4242", "cgroup", "cmF3IGJ5dGVz"} { // the last are the bytes, in base64
		if strings.Contains(string(data), local) {
			t.Errorf("%q is in %s", local, data)
		}
	}
}
