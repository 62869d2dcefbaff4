package wire_test

import (
	"bytes"
	"encoding/json"
	"errors"
	"flag"
	"fmt"
	"maps"
	"math"
	"os"
	"path/filepath"
	"reflect"
	"regexp"
	"runtime"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/gopprof/gopprof/pkg/gopprof"
	"github.com/gopprof/gopprof/pkg/wire"
)

var update = flag.Bool("update", false, "write the golden files anew")

const (
	captureID   = "019a2b3c-4d5e-7f60-8a1b-2c3d4e5f6071"
	incidentID  = "019a2b3c-0000-7abc-9def-000000000001"
	operationID = "019a2b3c-1111-7abc-9def-000000000002"
)

var at = time.Date(2026, 11, 22, 3, 4, 5, 678_000_000, time.UTC)

func target() gopprof.Target {
	return gopprof.Target{
		Cluster: "prod", Node: "node-1.eu", Namespace: "shop", Workload: gopprof.Workload{Kind: "Deployment", Name: "cart"},
		Pod: "cart-5d9f7c-x2x", PodUID: "0d3c", Container: "cart", ContainerID: "containerd://9f", Image: "registry/cart:1.2", Owner: "team-cart",
		Build: "5d9f7c", Runtime: gopprof.Runtime{GOGC: "off", GOMEMLIMIT: "400MiB", GOMAXPROCS: "2"},
		Endpoint: gopprof.Endpoint{Scheme: "http", Host: "10.1.2.3", Port: 6060, Path: "/debug/pprof"},
	}
}

func window(minute int, ratio float64) gopprof.Window {
	start := at.Add(time.Duration(minute) * time.Minute)
	return gopprof.Window{
		Witness: gopprof.WitnessCadvisor, Start: start, End: start.Add(time.Minute), Readings: 6, CoveredRatio: 1, HasCPU: true, HasMemory: true,
		CPU: gopprof.Use{Mean: ratio / 2, Limit: 0.5, Ratio: ratio}, Memory: gopprof.Use{Mean: 1 << 20, Limit: 1 << 21, Ratio: 0.5}, ThrottledRatio: 0.25,
	}
}

func capture() gopprof.Capture {
	return gopprof.Capture{
		ID: captureID, Incident: incidentID, Target: target(), Start: at, End: at.Add(30 * time.Second), CPUSeconds: 14.5, Requests: 4321, Agent: "v0.1.0",
		Labels: map[string]string{"app.kubernetes.io/name": "cart", "pod-template-hash": "5d9f7c", "canary": ""},
		Trigger: gopprof.Trigger{Kind: gopprof.TriggerRule, At: at, Evidence: &gopprof.Evidence{
			Rule: "cpu", Resource: gopprof.ResourceCPU, Policy: gopprof.PolicyConfirm, Threshold: 0.8, WindowSeconds: 60,
			Windows: []gopprof.Window{window(-2, 0.91), window(-1, 0.93)},
		}},
		Agreement: gopprof.Agreement{Result: gopprof.AgreementConfirmed, Compared: []gopprof.Comparison{
			{Start: at.Add(-time.Minute), End: at, Local: 0.93, Series: 0.92},
		}},
		Profiles: []gopprof.Profile{
			{Kind: gopprof.KindCPU, Seconds: 30, SizeBytes: 12345, SHA256: strings.Repeat("ab", 32)},
			{Kind: gopprof.KindHeap, SizeBytes: 600000, SHA256: strings.Repeat("0f", 32)},
		},
		Failures: []gopprof.Failure{{Kind: gopprof.KindMutex, Reason: gopprof.ReasonStatus, Detail: "404 <not found>"}},
		History:  history(),
	}
}

func history() gopprof.History {
	point := gopprof.Point{Start: at, End: at.Add(10 * time.Second), HasCPU: true, HasMemory: true, CPUCores: 0.4567, CPULimitCores: 0.5,
		MemoryBytes: 12 << 20, MemoryLimitBytes: 16 << 20, AnonymousBytes: 8 << 20, ThrottledRatio: 0.25}
	next := gopprof.Point{Start: point.End, End: point.End.Add(10 * time.Second), HasCPU: true, CPUCores: 0.4}
	minute := gopprof.Point{Start: at.Add(-time.Minute), End: at, HasMemory: true, MemoryBytes: 12 << 20, MemoryLimitBytes: 16 << 20}
	return gopprof.History{Local: []gopprof.Point{point, next}, Series: []gopprof.Point{minute}, SeriesBy: gopprof.WitnessHeapster}
}

func report() gopprof.Report {
	explained := 0.97
	return gopprof.Report{
		Version: gopprof.ReportVersion, ID: captureID, Capture: capture(), MadeAt: at.Add(time.Minute), Page: "https://gopprof.example/reports/" + captureID,
		Explanation: gopprof.Explanation{
			Summary: "main.spin burns 71 % of the CPU time", Warnings: []string{"one witness"}, ExplainedRatio: &explained,
			Profiles: []gopprof.TopFunctions{{Kind: gopprof.KindCPU, SampleType: "cpu", Unit: "nanoseconds", Total: 14e9, Samples: 1400, DurationSeconds: 30,
				Functions: []gopprof.Function{{Name: "main.spin", File: "main.go", Line: 12, Flat: 10e9, Cum: 14e9}}}},
		},
		Files: []gopprof.File{
			{Kind: gopprof.KindCPU, Profile: "prod/2026/11/22/shop/Deployment-cart/x/cpu.pb.gz", Drawing: "prod/2026/11/22/shop/Deployment-cart/x/cpu.svg"},
			{Kind: gopprof.KindHeap, Profile: "prod/2026/11/22/shop/Deployment-cart/x/heap.pb.gz", Reason: gopprof.ReasonDrawFailed, Detail: "dot is missing"},
		},
	}
}

func firing() gopprof.Firing {
	return gopprof.Firing{Capture: captureID, Target: target(), Rule: "cpu", Resource: gopprof.ResourceCPU, Ratio: 0.93, At: at,
		Threshold: 0.8, Kinds: []gopprof.Kind{gopprof.KindCPU, gopprof.KindGoroutine}, CPUSeconds: 30}
}

func state() gopprof.NodeState {
	return gopprof.NodeState{Cluster: "prod", Node: "node-1.eu", At: at, Version: "v0.1.0",
		Targets: []gopprof.TargetState{{Target: target(), Local: []gopprof.Window{window(-1, 0.93)},
			Rules: []gopprof.RuleState{{Rule: "cpu", Resource: gopprof.ResourceCPU, Reason: gopprof.ReasonCooldown, FiredAt: at, CooldownUntil: at.Add(time.Hour), LastCapture: captureID}}}},
		Refused: []gopprof.Refusal{{Target: target(), Reason: gopprof.ReasonInvalidEndpoint, Detail: "annotation gopprof.io/port: no port"}},
	}
}

func captureRequest() gopprof.CaptureRequest {
	return gopprof.CaptureRequest{Capture: captureID, Incident: incidentID, Kind: gopprof.TriggerManual, Request: gopprof.Request{Who: "alice", Operation: operationID},
		Namespace: "shop", Pod: "cart-5d9f7c-x2x", PodUID: "0d3c", Container: "cart", Kinds: []gopprof.Kind{gopprof.KindCPU, gopprof.KindTrace}, CPUSeconds: 10, Deadline: at}
}

// alert is what an alerting system says, with the texts of people.
func alert() *gopprof.Alert {
	return &gopprof.Alert{Name: "CartIsHot", Fingerprint: "b3d2f5a1c0e49786", StartsAt: at.Add(-time.Minute), Receiver: "gopprof", GeneratorURL: "https://prometheus.example/graph?g0.expr=up",
		Labels: map[string]string{"alertname": "CartIsHot", "namespace": "shop", "pod": "cart-5d9f7c-x2x"}, Annotations: map[string]string{"summary": "cart uses 0.97 of its limit"}}
}

func alertRequest() gopprof.CaptureRequest {
	r := captureRequest()
	r.Kind, r.Request, r.Alert, r.Kinds = gopprof.TriggerAlert, gopprof.Request{Who: "alertmanager", Operation: operationID}, alert(), []gopprof.Kind{gopprof.KindCPU}
	return r
}

func alertCapture() gopprof.Capture {
	c, r := capture(), alertRequest()
	c.Trigger = gopprof.Trigger{Kind: r.Kind, At: at, Request: &r.Request, Alert: r.Alert}
	return c
}

// message is one noun on its way: how it is written and read, and what it is.
type message struct {
	golden string
	noun   any
	encode func() ([]byte, error)
	decode func([]byte) (any, error)
}

func messages() []message {
	decision := gopprof.Decision{Go: true, Incident: incidentID}
	cancel := gopprof.CancelRequest{Capture: captureID}
	status := gopprof.StatusRequest{Capture: captureID}
	pause := gopprof.PauseRequest{ID: captureID, Paused: true}
	reply := gopprof.CaptureReply{Reason: gopprof.ReasonNodeBusy, Detail: "2 captures are running"}
	from := wire.From{Cluster: "prod", Node: "node-1.eu"}
	return []message{
		{"capture", capture(), func() ([]byte, error) { return wire.EncodeCapture(capture()) }, read(wire.DecodeCapture)},
		{"report", report(), func() ([]byte, error) { return wire.EncodeReport(report()) }, read(wire.DecodeReport)},
		{"firing", firing(), func() ([]byte, error) { return wire.EncodeFiring(firing()) }, read(wire.DecodeFiring)},
		{"decision", decision, func() ([]byte, error) { return wire.EncodeDecision(captureID, decision) }, read(decodeDecision)},
		{"state", state(), func() ([]byte, error) { return wire.EncodeState(state()) }, read(decodeState)},
		{"capture-request", captureRequest(), func() ([]byte, error) { return wire.EncodeCaptureRequest(captureRequest()) }, read(wire.DecodeCaptureRequest)},
		{"capture-request-alert", alertRequest(), func() ([]byte, error) { return wire.EncodeCaptureRequest(alertRequest()) }, read(wire.DecodeCaptureRequest)},
		{"capture-alert", alertCapture(), func() ([]byte, error) { return wire.EncodeCapture(alertCapture()) }, read(wire.DecodeCapture)},
		{"cancel-request", cancel, func() ([]byte, error) { return wire.EncodeCancelRequest(cancel) }, read(wire.DecodeCancelRequest)},
		{"status-request", status, func() ([]byte, error) { return wire.EncodeStatusRequest(status) }, read(wire.DecodeStatusRequest)},
		{"pause-request", pause, func() ([]byte, error) { return wire.EncodePauseRequest(pause) }, read(wire.DecodePauseRequest)},
		{"capture-reply", reply, func() ([]byte, error) { return wire.EncodeCaptureReply(from, captureID, reply) }, read(decodeReply)},
	}
}

func read[T any](decode func([]byte) (T, error)) func([]byte) (any, error) {
	return func(data []byte) (any, error) { return decode(data) }
}

// decodeState takes no state in part.
func decodeState(data []byte) (gopprof.NodeState, error) {
	s, left, err := wire.DecodeState(data)
	return s, errors.Join(append(left, err)...)
}

func decodeDecision(data []byte) (gopprof.Decision, error) {
	return wire.DecodeDecision(captureID, data)
}

func decodeReply(data []byte) (gopprof.CaptureReply, error) {
	return wire.DecodeCaptureReply(captureID, data)
}

// file returns the path of the golden file that holds a message, indented for people.
func (m message) file() string { return filepath.Join("testdata", m.golden+".json") }

func TestGolden(t *testing.T) {
	for _, m := range messages() {
		t.Run(m.golden, func(t *testing.T) {
			data, err := m.encode()
			if err != nil {
				t.Fatal(err)
			}
			var pretty bytes.Buffer
			if err := json.Indent(&pretty, data, "", "  "); err != nil {
				t.Fatal(err)
			}
			pretty.WriteByte('\n')
			if *update {
				if err := os.WriteFile(m.file(), pretty.Bytes(), 0o644); err != nil {
					t.Fatal(err)
				}
			}
			want, err := os.ReadFile(m.file())
			if err != nil {
				t.Fatal(err)
			}
			if !bytes.Equal(pretty.Bytes(), want) {
				t.Errorf("the message has changed. A field that was released keeps its name and meaning; if this one may change:\n"+
					"go test ./pkg/wire -update\ngot:\n%s", pretty.Bytes())
			}
			got, err := m.decode(want)
			if err != nil {
				t.Fatal(err)
			}
			if !reflect.DeepEqual(got, m.noun) {
				t.Errorf("read back:\n%+v\nwant:\n%+v", got, m.noun)
			}
		})
	}
}

// change returns a message with one field of the envelope or of its data changed.
func change(t *testing.T, data []byte, path string, value any) []byte {
	t.Helper()
	var doc map[string]any
	if err := json.Unmarshal(data, &doc); err != nil {
		t.Fatal(err)
	}
	at, keys := doc, strings.Split(path, ".")
	for _, k := range keys[:len(keys)-1] {
		at = at[k].(map[string]any)
	}
	if value == nil {
		delete(at, keys[len(keys)-1])
	} else {
		at[keys[len(keys)-1]] = value
	}
	out, err := json.Marshal(doc)
	if err != nil {
		t.Fatal(err)
	}
	return out
}

func TestEnvelopeIsChecked(t *testing.T) {
	cases := map[string]struct {
		path  string
		value any
		want  error
	}{
		"another type":           {"type", "io.gopprof.other.v1", wire.ErrType},
		"a type of others":       {"type", "com.example", wire.ErrType},
		"next version":           {"type", "", wire.ErrVersion}, // set below: it depends on the message
		"no type":                {"type", nil, wire.ErrType},
		"no id":                  {"id", nil, wire.ErrID},
		"no source":              {"source", nil, wire.ErrMalformed},
		"no specversion":         {"specversion", nil, wire.ErrMalformed},
		"CloudEvents 2":          {"specversion", "2.0", wire.ErrVersion},
		"no data":                {"data", nil, wire.ErrMalformed},
		"data is a list":         {"data", []int{1}, wire.ErrMalformed},
		"data is null":           {"data", json.RawMessage("null"), wire.ErrMalformed},
		"data is XML":            {"datacontenttype", "application/xml", wire.ErrMalformed},
		"data of what":           {"datacontenttype", ";;", wire.ErrMalformed},
		"charset is fine":        {"datacontenttype", "application/json; charset=utf-8", nil},
		"no content type":        {"datacontenttype", nil, nil},
		"unknown attribute":      {"extension", "x", nil},
		"unknown field":          {"data.futureField", map[string]any{"a": 1}, nil},
		"attribute of no string": {"id", 7, wire.ErrMalformed},
		"time is no time":        {"time", "yesterday", wire.ErrMalformed},
	}
	for _, m := range messages() {
		data, err := m.encode()
		if err != nil {
			t.Fatal(err)
		}
		for name, tc := range cases {
			if name == "next version" {
				tc.value = "io.gopprof." + strings.TrimSuffix(m.golden, "-alert") + ".v2"
			}
			got, err := m.decode(change(t, data, tc.path, tc.value))
			if !errors.Is(err, tc.want) {
				t.Errorf("%s, %s: %v, want %v", m.golden, name, err, tc.want)
			}
			if tc.want == nil && !reflect.DeepEqual(got, m.noun) {
				t.Errorf("%s, %s: read as %+v", m.golden, name, got)
			}
		}
	}
}

func TestBoundedAndWhole(t *testing.T) {
	for _, m := range messages() {
		data, err := m.encode()
		if err != nil {
			t.Fatal(err)
		}
		large := append(bytes.Repeat([]byte(" "), wire.MaxBytes), data...)
		for name, tc := range map[string]struct {
			data []byte
			want error
		}{
			"large": {large, wire.ErrTooLarge}, "empty": {nil, wire.ErrMalformed}, "cut": {data[:len(data)-1], wire.ErrMalformed},
			"twice": {append(data[:len(data):len(data)], data...), wire.ErrMalformed}, "deep": {bytes.Repeat([]byte("["), 100_000), wire.ErrMalformed},
		} {
			if _, err := m.decode(tc.data); !errors.Is(err, tc.want) {
				t.Errorf("%s, %s: %v, want %v", m.golden, name, err, tc.want)
			}
		}
	}
}

// A message takes no more memory than its size allows for, whatever its sender made it of: of an
// element of two bytes becomes a target, with room for all that may be known of one.
func TestElementsAreFew(t *testing.T) {
	arrays := map[string][]string{
		"state":   {`{"targets":[%s]}`, `{"refused":[%s]}`, `{"targets":[{"rules":[%s]}]}`, `{"targets":[{"local":[%s]}]}`},
		"capture": {`{"trigger":{"evidence":{"windows":[%s]}}}`, `{"history":{"local":[%s]}}`, `{"failures":[%s]}`, `{"profiles":[%s]}`},
	}
	tried := 0
	for _, m := range messages() {
		for _, array := range arrays[m.golden] {
			for _, element := range []string{"{}", "1", "null", "[]", `{"a":"]\\\",["}`} {
				tried++
				list := strings.TrimSuffix(strings.Repeat(element+",", 900_000/(len(element)+1)), ",")
				checkElements(t, m, fmt.Sprintf(array, list))
			}
		}
	}
	if tried != 40 {
		t.Errorf("%d tried", tried)
	}
}

func checkElements(t *testing.T, m message, noun string) {
	t.Helper()
	data, err := m.encode()
	if err != nil {
		t.Fatal(err)
	}
	doc := unmarshal(t, data)
	doc["data"] = json.RawMessage(noun)
	if data, err = json.Marshal(doc); err != nil {
		t.Fatal(err)
	}
	var before, after runtime.MemStats
	runtime.ReadMemStats(&before)
	_, err = m.decode(data)
	runtime.ReadMemStats(&after)
	if !errors.Is(err, wire.ErrTooLarge) {
		t.Errorf("%.60s…: %v, want %v", noun, err, wire.ErrTooLarge)
	}
	if took := after.TotalAlloc - before.TotalAlloc; took > 16<<20 {
		t.Errorf("%.60s…: reading %d bytes took %d", noun, len(data), took)
	}
}

func TestDataIsChecked(t *testing.T) {
	const other = "019a2b3c-4d5e-7f60-8a1b-ffffffffffff"
	long := strings.Repeat("x", 254)
	profile := func(changes map[string]any) []any {
		p := map[string]any{"kind": "cpu", "sizeBytes": 5, "sha256": strings.Repeat("ab", 32)}
		for k, v := range changes {
			p[k] = v
		}
		return []any{p}
	}
	entries := func(n int, text string) map[string]string {
		all := map[string]string{}
		for i := range n {
			all[fmt.Sprint("label_", i)] = text
		}
		return all
	}
	points := func(n int, changes map[string]any) []any {
		var all []any
		for i := range n { // the changes are the last one's
			p := map[string]any{"start": at.Add(time.Duration(i) * time.Second), "end": at.Add(time.Duration(i+1) * time.Second)}
			if i == n-1 {
				maps.Copy(p, changes)
			}
			all = append(all, p)
		}
		return all
	}
	cases := []struct {
		message, path string
		value         any
		want          error
	}{
		{"capture", "id", other, wire.ErrID},
		{"capture", "data.id", "x", wire.ErrID},
		{"capture", "data.id", strings.ToUpper(captureID), wire.ErrID},
		{"capture", "data.incident", nil, wire.ErrID},
		{"capture", "data.incident", "../../etc", wire.ErrID},
		{"capture", "data.target.node", nil, wire.ErrInvalid},
		{"capture", "data.target.image", strings.Repeat("x", 2000), wire.ErrInvalid},
		{"capture-request", "data.request.who", strings.Repeat("x", 2000), wire.ErrInvalid},
		{"state", "data.version", strings.Repeat("x", 2000), wire.ErrInvalid},
		{"capture", "data.target.pod", long, wire.ErrInvalid},
		{"capture", "data.target.namespace", "a\x00b", wire.ErrInvalid},
		{"capture", "data.target", 5, wire.ErrInvalid},
		{"capture", "data.start", "x", wire.ErrInvalid},
		{"capture", "data.profiles", profile(map[string]any{"kind": "cmdline"}), wire.ErrInvalid},
		{"capture", "data.profiles", profile(map[string]any{"kind": "profile"}), wire.ErrInvalid},
		{"capture", "data.profiles", profile(map[string]any{"kind": "../cpu"}), wire.ErrInvalid},
		{"capture", "data.profiles", profile(map[string]any{"sizeBytes": 0}), wire.ErrInvalid},
		{"capture", "data.profiles", profile(map[string]any{"sizeBytes": -1}), wire.ErrInvalid},
		{"capture", "data.profiles", profile(map[string]any{"seconds": -1}), wire.ErrInvalid},
		{"capture", "data.profiles", profile(map[string]any{"sha256": "ab"}), wire.ErrInvalid},
		{"capture", "data.profiles", profile(map[string]any{"sha256": strings.Repeat("AB", 32)}), wire.ErrInvalid},
		{"capture", "data.profiles", append(profile(nil), profile(nil)...), wire.ErrInvalid},
		{"capture", "data.failures", []any{map[string]any{"kind": "x"}}, wire.ErrInvalid},
		{"capture", "data.target.build", long, wire.ErrInvalid},
		{"capture", "data.target.runtime", map[string]any{"gogc": strings.Repeat("1", 65)}, wire.ErrInvalid},
		{"capture", "data.target.runtime", map[string]any{"gomemlimit": "\x1b[0m"}, wire.ErrInvalid},
		{"capture", "data.target.runtime", map[string]any{"gomaxprocs": 4}, wire.ErrInvalid},
		{"capture", "data.labels", entries(64, "x"), nil},
		{"capture", "data.labels", entries(65, "x"), wire.ErrInvalid},
		{"capture", "data.labels", entries(3, strings.Repeat("x", 700)), wire.ErrInvalid},
		{"capture", "data.labels", map[string]string{"": "x"}, wire.ErrInvalid},
		{"capture", "data.labels", map[string]string{"a=b": "x"}, wire.ErrInvalid},
		{"capture", "data.labels", map[string]string{"app": "web,tier=front"}, wire.ErrInvalid},
		{"capture", "data.labels", map[string]string{"app": "\x1b[0m"}, wire.ErrInvalid},
		{"capture", "data.labels", map[string]string{"app\u202e": "x"}, wire.ErrInvalid},
		{"capture", "data.labels", map[string]any{"app": 7}, wire.ErrInvalid},
		{"capture", "data.labels", "app=web", wire.ErrInvalid},
		{"report", "data.capture.labels", entries(65, "x"), wire.ErrInvalid},
		{"capture", "data.history.local", points(gopprof.MaxHistory+1, nil), wire.ErrTooLarge},
		{"capture", "data.history.series", points(gopprof.MaxHistory+1, nil), wire.ErrTooLarge},
		{"capture", "data.history.seriesBy", "cadvisor", wire.ErrInvalid},
		{"capture", "data.history.seriesBy", "somebody", wire.ErrInvalid},
		{"capture", "data.history.seriesBy", nil, wire.ErrInvalid},
		{"capture", "data.history.local", points(1, map[string]any{"cpuCores": -1}), wire.ErrInvalid},
		{"capture", "data.history.local", points(1, map[string]any{"cpuLimitCores": 1e300}), wire.ErrInvalid},
		{"capture", "data.history.local", points(1, map[string]any{"memoryBytes": -1}), wire.ErrInvalid},
		{"capture", "data.history.series", points(1, map[string]any{"memoryLimitBytes": -1}), wire.ErrInvalid},
		{"capture", "data.history.series", points(1, map[string]any{"anonymousBytes": -1}), wire.ErrInvalid},
		{"capture", "data.history.local", points(1, map[string]any{"throttledRatio": 1.5}), wire.ErrInvalid},
		{"capture", "data.history.local", points(1, map[string]any{"cpuCores": json.Number("1e999")}), wire.ErrInvalid},
		{"capture", "data.history.local", points(1, map[string]any{"end": at}), wire.ErrInvalid},
		{"capture", "data.history.local", points(1, map[string]any{"end": "soon"}), wire.ErrInvalid},
		{"capture", "data.history.local", points(2, map[string]any{"start": at.Add(-time.Hour)}), wire.ErrInvalid},
		{"report", "data.capture.history.seriesBy", "somebody", wire.ErrInvalid},
		{"report", "data.version", 2, wire.ErrVersion},
		{"report", "data.id", other, wire.ErrID},
		{"report", "data.capture.id", other, wire.ErrID},
		{"report", "data.files", []any{map[string]any{"kind": "x"}}, wire.ErrInvalid},
		{"firing", "id", other, wire.ErrID},
		{"firing", "data.capture", "x", wire.ErrID},
		{"firing", "data.rule", long, wire.ErrInvalid},
		{"firing", "data.ratio", "much", wire.ErrInvalid},
		{"firing", "data.threshold", -0.1, wire.ErrInvalid},
		{"firing", "data.threshold", 80, wire.ErrInvalid},
		{"firing", "data.cpuSeconds", -1, wire.ErrInvalid},
		{"firing", "data.cpuSeconds", 86_401, wire.ErrInvalid},
		{"firing", "data.kinds", []any{"cpu", "profile"}, wire.ErrInvalid},
		{"firing", "data.kinds", make([]string, 100), wire.ErrInvalid},
		{"decision", "id", other, wire.ErrID},
		{"decision", "data.incident", nil, wire.ErrID},
		{"state", "data.node", "node-2", wire.ErrInvalid},
		{"state", "data.node", nil, wire.ErrInvalid},
		{"state", "data.refused", []any{map[string]any{"target": map[string]any{"node": "node-2"}}}, wire.ErrInvalid},
		{"capture-request", "id", other, wire.ErrID},
		{"capture-request", "data.incident", "x", wire.ErrID},
		{"capture-request", "data.request.operation", "x", wire.ErrID},
		{"capture-request", "data.cpuSeconds", -1, wire.ErrInvalid},
		{"capture-request", "data.kinds", []any{"cpu", "x"}, wire.ErrInvalid},
		{"capture-request", "data.kinds", make([]string, 100), wire.ErrInvalid},
		{"capture-request", "data.pod", "a\nb", wire.ErrInvalid},
		{"capture-request-alert", "data.alert.name", "a\u202eb", wire.ErrInvalid},
		{"capture-request-alert", "data.alert.receiver", long, wire.ErrInvalid},
		{"capture-request-alert", "data.alert.fingerprint", strings.Repeat("0", 65), wire.ErrInvalid},
		{"capture-request-alert", "data.alert.generatorURL", strings.Repeat("x", gopprof.MaxAlertText+1), wire.ErrInvalid},
		{"capture-request-alert", "data.alert.labels", map[string]string{long: "x"}, wire.ErrInvalid},
		{"capture-request-alert", "data.alert.labels", entries(gopprof.MaxAlertEntries+1, "x"), wire.ErrTooLarge},
		{"capture-request-alert", "data.alert.annotations", map[string]string{"summary": "a\nb"}, wire.ErrInvalid},
		{"capture-request-alert", "data.alert.annotations", entries(5, strings.Repeat("x", 900)), wire.ErrTooLarge},
		{"capture-alert", "data.trigger.alert.labels", entries(gopprof.MaxAlertEntries+1, "x"), wire.ErrTooLarge},
		{"capture-alert", "data.trigger.alert.startsAt", "yesterday", wire.ErrInvalid},
		{"cancel-request", "data.capture", "x", wire.ErrID},
		{"capture-reply", "id", other, wire.ErrID},
		{"capture-reply", "data.accepted", "yes", wire.ErrInvalid},
	}
	for _, tc := range cases {
		for _, m := range messages() {
			if m.golden != tc.message {
				continue
			}
			data, err := m.encode()
			if err != nil {
				t.Fatal(err)
			}
			if _, err := m.decode(change(t, data, tc.path, tc.value)); !errors.Is(err, tc.want) {
				t.Errorf("%s with %s = %.40v: %v, want %v", tc.message, tc.path, tc.value, err, tc.want)
			}
		}
	}
}

func TestEventID(t *testing.T) {
	for data, want := range map[string]string{
		`{"id":"x","type":"io.gopprof.future.v9"}`: "x", `{"id":7}`: "", "": "", "[]": "",
		`{"id":"` + strings.Repeat("x", wire.MaxBytes) + `"}`: "",
	} {
		if got := wire.EventID([]byte(data)); got != want {
			t.Errorf("%.40s: %.40q, want %q", data, got, want)
		}
	}
}

func TestEncodeRefusesWhatDecodeWould(t *testing.T) {
	c := capture()
	c.ID = "x"
	if _, err := wire.EncodeCapture(c); !errors.Is(err, wire.ErrID) {
		t.Errorf("capture: %v", err)
	}
	c = capture()
	c.CPUSeconds = math.NaN()
	if _, err := wire.EncodeCapture(c); !errors.Is(err, wire.ErrInvalid) {
		t.Errorf("capture of NaN: %v", err)
	}
	c = capture()
	c.History.Local[0].CPUCores = math.NaN()
	if _, err := wire.EncodeCapture(c); !errors.Is(err, wire.ErrInvalid) {
		t.Errorf("history of NaN: %v", err)
	}
	f := firing()
	f.Threshold = math.Inf(1)
	if _, err := wire.EncodeFiring(f); !errors.Is(err, wire.ErrInvalid) {
		t.Errorf("endless threshold: %v", err)
	}
	c = capture()
	c.Start = time.Date(10_000, 1, 1, 0, 0, 0, 0, time.UTC)
	if _, err := wire.EncodeCapture(c); !errors.Is(err, wire.ErrInvalid) {
		t.Errorf("capture of the year 10000: %v", err)
	}
	r := report()
	r.Explanation.Summary = strings.Repeat("x", wire.MaxBytes)
	if _, err := wire.EncodeReport(r); !errors.Is(err, wire.ErrTooLarge) {
		t.Errorf("large report: %v", err)
	}
	if _, err := wire.EncodeDecision(captureID, gopprof.Decision{Go: true}); !errors.Is(err, wire.ErrID) {
		t.Errorf("a go without an incident: %v", err)
	}
	if _, err := wire.EncodeDecision(captureID, gopprof.Decision{Reason: gopprof.ReasonBudget}); err != nil {
		t.Errorf("a refusal without an incident: %v", err)
	}
	if _, err := wire.EncodeCancelRequest(gopprof.CancelRequest{}); !errors.Is(err, wire.ErrID) {
		t.Errorf("cancel: %v", err)
	}
}

// A refusal names its reason: what an agent did not do would otherwise be told without one.
func TestRefusalsHaveAReason(t *testing.T) {
	said, err := wire.EncodeDecision(captureID, gopprof.Decision{Reason: gopprof.ReasonBudget})
	if err != nil {
		t.Fatal(err)
	}
	for name, reason := range map[string]any{"none": nil, "empty": "", "not printed": "a\nb", "long": strings.Repeat("a", 65)} {
		if d, err := wire.DecodeDecision(captureID, change(t, said, "data.reason", reason)); !errors.Is(err, wire.ErrInvalid) {
			t.Errorf("%s: %+v, %v, want %v", name, d, err, wire.ErrInvalid)
		}
	}
	if _, err := wire.EncodeDecision(captureID, gopprof.Decision{}); !errors.Is(err, wire.ErrInvalid) {
		t.Errorf("encoding: %v, want %v", err, wire.ErrInvalid)
	}
}

// TestMessagesOfBefore: agents and aggregators are not updated together.
func TestMessagesOfBefore(t *testing.T) {
	c, f := capture(), firing()
	for _, x := range []*gopprof.Target{&c.Target, &f.Target} {
		x.Build, x.Runtime = "", gopprof.Runtime{}
	}
	c.Labels, c.Requests, c.History, f.Threshold, f.Kinds, f.CPUSeconds = nil, 0, gopprof.History{}, 0, nil, 0
	data, err := os.ReadFile("testdata/before/capture.json")
	if err != nil {
		t.Fatal(err)
	}
	if got, err := wire.DecodeCapture(data); err != nil || !reflect.DeepEqual(got, c) {
		t.Errorf("capture read as %+v, %v", got, err)
	}
	if data, err = os.ReadFile("testdata/before/firing.json"); err != nil {
		t.Fatal(err)
	}
	if got, err := wire.DecodeFiring(data); err != nil || !reflect.DeepEqual(got, f) {
		t.Errorf("firing read as %+v, %v", got, err)
	}
}

// TestEmptyHistoryIsNone: it is written as it is read again.
func TestEmptyHistoryIsNone(t *testing.T) {
	c := capture()
	c.History = gopprof.History{Local: []gopprof.Point{}, Series: []gopprof.Point{}}
	data, err := wire.EncodeCapture(c)
	if err != nil || bytes.Contains(data, []byte(`"history"`)) {
		t.Errorf("%v:\n%s", err, data)
	}
}

// One target that cannot be sent does not take the others with it.
func TestSendable(t *testing.T) {
	for name, spoil := range map[string]func(s *gopprof.NodeState){
		"workload's kind":       func(s *gopprof.NodeState) { s.Targets[1].Target.Workload.Kind = strings.Repeat("A", 300) },
		"another node's":        func(s *gopprof.NodeState) { s.Targets[1].Target.Node = "node-2" },
		"labels":                func(s *gopprof.NodeState) { s.Targets[1].Labels = map[string]string{"app": "a\xff"} },
		"rule":                  func(s *gopprof.NodeState) { s.Targets[1].Rules = []gopprof.RuleState{{Rule: "\x1b[0m"}} },
		"no number":             func(s *gopprof.NodeState) { s.Targets[1].Local = []gopprof.Window{{CoveredRatio: math.NaN()}} },
		"a refused one":         func(s *gopprof.NodeState) { s.Refused[1].Target.Image = strings.Repeat("a", 1100) },
		"a reason that is none": func(s *gopprof.NodeState) { s.Refused[1].Reason = "a\nb" },
	} {
		want, s := state(), state()
		s.Targets = append(s.Targets, gopprof.TargetState{Target: target()})
		s.Refused = append(s.Refused, gopprof.Refusal{Target: target()})
		spoil(&s)
		if _, err := wire.EncodeState(s); !errors.Is(err, wire.ErrInvalid) {
			t.Errorf("%s: %v, want %v", name, err, wire.ErrInvalid)
		}
		got, left := wire.Sendable(s)
		if len(left) != 1 || len(got.Targets)+len(got.Refused) != 3 || len(s.Targets)+len(s.Refused) != 4 ||
			!reflect.DeepEqual(got.Targets[0], want.Targets[0]) || !reflect.DeepEqual(got.Refused[0], want.Refused[0]) {
			t.Errorf("%s: left out %v, kept %+v", name, left, got)
		}
		if _, err := wire.EncodeState(got); err != nil {
			t.Errorf("%s: %v", name, err)
		}
	}
	if got, left := wire.Sendable(state()); len(left) > 0 || !reflect.DeepEqual(got, state()) {
		t.Errorf("left out %v of a good state: %+v", left, got)
	}
}

// The same on the other side: a target that is not as it should be does not hide the others, and
// what is read in part can be written.
func TestStateIsReadInPart(t *testing.T) {
	s := state()
	s.Targets = append(s.Targets, gopprof.TargetState{Target: target(), Rules: []gopprof.RuleState{{Rule: "spoilt", FiredAt: at}}})
	s.Refused = append(s.Refused, gopprof.Refusal{Target: target(), Reason: "spoilt"})
	data, err := wire.EncodeState(s)
	if err != nil {
		t.Fatal(err)
	}
	data = bytes.ReplaceAll(data, []byte("spoilt"), bytes.Repeat([]byte("x"), 100))
	got, left, err := wire.DecodeState(data)
	if err != nil || !reflect.DeepEqual(got, state()) || len(left) != 2 || !errors.Is(left[0], wire.ErrInvalid) || !errors.Is(left[1], wire.ErrInvalid) {
		t.Errorf("%v, left out %v: %+v", err, left, got)
	}
	if _, _, err := wire.DecodeState(change(t, data, "data.node", "node-2")); err != nil {
		t.Errorf("of another node: %v", err)
	}
	for path, value := range map[string]any{"data.node": "", "data.cluster": "a\nb", "data.version": strings.Repeat("v", 2000)} {
		if _, _, err := wire.DecodeState(change(t, data, path, value)); !errors.Is(err, wire.ErrInvalid) {
			t.Errorf("%s: %v, want %v", path, err, wire.ErrInvalid)
		}
	}
}

// TestTimesThatCannotBeWritten: a time of another zone may be of a year in UTC that JSON has no
// room for. Whoever believed it could not write down what he makes of it.
func TestTimesThatCannotBeWritten(t *testing.T) {
	for _, golden := range []string{"capture", "capture-alert", "report", "state", "capture-request", "capture-request-alert"} {
		var decoder func([]byte) error
		for _, m := range messages() {
			if m.golden == golden {
				decoder = func(data []byte) error { _, err := m.decode(data); return err }
			}
		}
		data, err := os.ReadFile(filepath.Join("testdata", golden+".json"))
		if err != nil {
			t.Fatal(err)
		}
		for k, place := range goldenTime.FindAllIndex(data, -1) {
			for _, hostile := range []string{"9999-12-31T23:59:59-12:00", "0001-01-01T00:00:00+12:00", "0000-06-01T00:00:00Z"} {
				changed := slices.Concat(data[:place[0]], []byte(`"`+hostile+`"`), data[place[1]:])
				if err := decoder(changed); !errors.Is(err, wire.ErrInvalid) {
					t.Errorf("%s: time %d is %s: %v, want %v", golden, k, hostile, err, wire.ErrInvalid)
				}
			}
		}
	}
	c := capture()
	c.Start = time.Date(9999, 12, 31, 23, 59, 59, 0, time.FixedZone("", -12*3600))
	if _, err := wire.EncodeCapture(c); !errors.Is(err, wire.ErrInvalid) {
		t.Errorf("encoding: %v, want %v", err, wire.ErrInvalid)
	}
}

var goldenTime = regexp.MustCompile(`"\d{4}-\d\d-\d\dT[^"]*"`)
