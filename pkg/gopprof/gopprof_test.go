package gopprof

import (
	"errors"
	"io"
	"net/url"
	"testing"
	"time"
)

func TestCheckID(t *testing.T) {
	if err := CheckID("01a202ed-3fa2-7ec5-8220-f1d18ea4a7d5"); err != nil {
		t.Error(err)
	}
	for _, id := range []string{
		"", "01a202ed-3fa2-4ec5-8220-f1d18ea4a7d5", "01A202ED-3FA2-7EC5-8220-F1D18EA4A7D5",
		"01a202ed3fa27ec58220f1d18ea4a7d5", "01a202ed-3fa2-7ec5-8220-f1d18ea4a7d5\n", "../../../../../../etc/passwd.........",
	} {
		if CheckID(id) == nil {
			t.Errorf("%q passed", id)
		}
	}
}

func TestParseKind(t *testing.T) {
	for _, k := range Kinds() {
		if got, err := ParseKind(string(k)); err != nil || got != k {
			t.Errorf("%s: got %q, %v", k, got, err)
		}
	}
	if got, err := ParseKind("profile"); err != nil || got != KindCPU || got.Page() != "profile" {
		t.Errorf("profile: got %q, %v", got, err)
	}
	if _, err := ParseKind("cmdline"); err == nil {
		t.Error("cmdline passed")
	}
}

// The parts of an endpoint cannot change each other: a path is escaped, never a new host.
func TestEndpointStaysWhereItIs(t *testing.T) {
	for _, path := range []string{"/debug/pprof", "/@evil:80/x", "/a b", "/?x=1", "/#f", "/%2e%2e"} {
		u := Endpoint{Scheme: "http", Host: "10.0.0.7", Port: 6060, Path: path}.URL("heap", url.Values{"seconds": {"3"}})
		parsed, err := url.Parse(u.String())
		if err != nil || parsed.Host != "10.0.0.7:6060" || parsed.Path != path+"/heap" || parsed.RawQuery != "seconds=3" || parsed.User != nil {
			t.Errorf("%q: %s, %v", path, u, err)
		}
	}
	if u := (Endpoint{Scheme: "https", Host: "fd00::7", Port: 1, Path: "/p"}).URL("heap", nil); u.Host != "[fd00::7]:1" {
		t.Errorf("IPv6: %s", u)
	}
}

func TestKeyTellsRecreatedPodsApart(t *testing.T) {
	a := Target{Namespace: "shop", Pod: "web-1", Container: "web", PodUID: "1"}
	b := a
	b.PodUID = "2"
	if a.Key() == b.Key() || a.Series() != b.Series() {
		t.Errorf("keys %q and %q, series %v and %v", a.Key(), b.Key(), a.Series(), b.Series())
	}
}

func TestRatioNeedsAReportAndALimit(t *testing.T) {
	limited := Use{Mean: 0.9, Limit: 1, Ratio: 0.9}
	for name, c := range map[string]struct {
		window   Window
		resource Resource
		want     bool
	}{
		"cpu":                       {Window{HasCPU: true, CPU: limited}, ResourceCPU, true},
		"cpu without limit":         {Window{HasCPU: true, CPU: Use{Mean: 1}}, ResourceCPU, false},
		"cpu not reported":          {Window{CPU: limited}, ResourceCPU, false},
		"memory":                    {Window{HasMemory: true, Memory: limited}, ResourceMemory, true},
		"memory not reported":       {Window{HasCPU: true, Memory: limited}, ResourceMemory, false},
		"throttled":                 {Window{Witness: WitnessCadvisor, HasCPU: true, CPU: limited}, ResourceThrottled, true},
		"throttled out of Heapster": {Window{Witness: WitnessHeapster, HasCPU: true, CPU: limited}, ResourceThrottled, false},
		"nonsense":                  {Window{HasCPU: true, HasMemory: true, CPU: limited, Memory: limited}, "disk", false},
	} {
		if _, ok := c.window.Ratio(c.resource); ok != c.want {
			t.Errorf("%s: %v, want %v", name, ok, c.want)
		}
	}
}

func TestOrderThatCameToNothing(t *testing.T) {
	order := Order{Capture: "c", Incident: "i", Kinds: []Kind{KindCPU, KindHeap}}
	at := time.Unix(7, 0)
	named := order.Nothing(&Error{Reason: ReasonContended, Detail: "held", Err: io.EOF}, at)
	if len(named.Profiles) != 0 || len(named.Failures) != 2 || named.Failures[1].Reason != ReasonContended || named.Failures[1].Kind != KindHeap || !named.End.Equal(at) {
		t.Errorf("%+v", named)
	}
	if unnamed := order.Nothing(io.EOF, at); unnamed.Failures[0].Reason != ReasonInternal {
		t.Errorf("%+v", unnamed)
	}
}

func TestErrorNamesWhatItHas(t *testing.T) {
	err := &Error{Reason: ReasonGone, Err: io.EOF}
	if err.Error() != "gone: EOF" || ReasonOf(errors.Join(io.EOF, err)) != ReasonGone || !errors.Is(err, io.EOF) || ReasonOf(io.EOF) != "" {
		t.Errorf("%v", err)
	}
}
