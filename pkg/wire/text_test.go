package wire_test

import (
	"encoding/json"
	"fmt"
	"maps"
	"slices"
	"strings"
	"testing"
	"time"
	"unicode"

	"github.com/gopprof/gopprof/pkg/gopprof"
	"github.com/gopprof/gopprof/pkg/wire"
)

// TestWhatAnAgentWrites: whatever stands in any string of what comes from a node, it is
// refused, or it is one bounded line that may be printed when it leaves the decoder.
func TestWhatAnAgentWrites(t *testing.T) {
	texts := []string{"\x1b]0;title\a", "a\nb", "\u009b31m", "\u202egpj.exe", "\u200b\ufeff", strings.Repeat("long ", 2000), strings.Repeat("…", 2000), "\xff\xfe"}
	for _, m := range messages() {
		if !slices.Contains([]string{"capture", "firing", "state", "capture-reply"}, m.golden) {
			continue // the aggregator's own
		}
		data, err := m.encode()
		if err != nil {
			t.Fatal(err)
		}
		taken := 0
		doc := unmarshal(t, data)
		eachString("data", doc["data"], nil, func(path, was string, set func(string)) {
			for _, text := range texts {
				set(text)
				spoiled, err := json.Marshal(doc)
				if err != nil {
					t.Fatal(err)
				}
				if noun, err := m.decode(spoiled); err == nil {
					taken++
					checkLines(t, m.golden+" with "+path, noun)
				}
			}
			set(was)
		})
		if taken == 0 && m.golden != "firing" { // which has names only
			t.Errorf("%s: every text was refused: details are cleaned", m.golden)
		}
	}
}

// eachString visits all strings in a document, with what replaces them.
func eachString(path string, v any, replace func(any), visit func(path, s string, set func(string))) {
	switch v := v.(type) {
	case string:
		visit(path, v, func(s string) { replace(s) })
	case map[string]any:
		for k, e := range v {
			eachString(path+"."+k, e, func(n any) { v[k] = n }, visit)
		}
	case []any:
		for i, e := range v {
			eachString(fmt.Sprintf("%s[%d]", path, i), e, func(n any) { v[i] = n }, visit)
		}
	}
}

func unmarshal(t *testing.T, data []byte) map[string]any {
	t.Helper()
	var v map[string]any
	if err := json.Unmarshal(data, &v); err != nil {
		t.Fatal(err)
	}
	return v
}

func checkLines(t *testing.T, where string, noun any) {
	t.Helper()
	data, err := json.Marshal(map[string]any{"data": noun})
	if err != nil {
		t.Fatal(err)
	}
	eachString("", unmarshal(t, data), nil, func(path, s string, _ func(string)) {
		if len(s) > 1100 || strings.ContainsFunc(s, func(r rune) bool { return !unicode.IsPrint(r) }) {
			t.Errorf("%s: %s: %.100q, %d bytes", where, path, s, len(s))
		}
	})
}

// TestReportOfTheLargestCapture: whatever an agent sends, the report of it can be told.
// JSON makes each < six times as long.
func TestReportOfTheLargestCapture(t *testing.T) {
	sharp := func(n int) string { return strings.Repeat("<", n) }
	c := largestCapture(sharp)
	data, err := wire.EncodeCapture(c)
	if err != nil {
		t.Fatal(err)
	}
	if c, err = wire.DecodeCapture(data); err != nil {
		t.Fatal(err)
	}
	r := report()
	r.Capture, r.ID = c, c.ID
	r.Explanation = gopprof.Explanation{Summary: sharp(1500), Warnings: slices.Repeat([]string{sharp(500)}, 25)}
	r.Files, r.Links = nil, map[string]string{}
	for _, k := range gopprof.Kinds() {
		top := gopprof.TopFunctions{Kind: k, SampleType: "cpu", Unit: "nanoseconds", Detail: sharp(300)}
		top.Functions = slices.Repeat([]gopprof.Function{{Name: sharp(512), File: sharp(512), Line: 1 << 60, Flat: 1 << 60, Cum: 1 << 60}}, 40)
		r.Explanation.Profiles = append(r.Explanation.Profiles, top)
		r.Files = append(r.Files, gopprof.File{Kind: k, Profile: strings.Repeat("k", 4000), Drawing: strings.Repeat("k", 4000), Detail: sharp(500)})
	}
	r.Explanation.Verdict = &gopprof.Verdict{Causes: slices.Repeat([]gopprof.Cause{{Line: sharp(400), Function: sharp(256), Path: slices.Repeat([]string{sharp(256)}, 12)}}, 7)}
	for _, k := range gopprof.Kinds() {
		with := slices.Repeat([]gopprof.Comparator{{Report: c.ID, Pod: c.Target.Pod}}, 7)
		r.Explanation.Differences = append(r.Explanation.Differences, gopprof.Difference{Kind: k, With: with, Note: sharp(300)})
	}
	for range 5 { // of other nodes, as many as may be configured
		r.Siblings = append(r.Siblings, gopprof.Sibling{
			Capture: c.ID, Target: c.Target, Kinds: gopprof.Kinds(), State: gopprof.SiblingFailed,
			Reason: gopprof.Reason(sharp(64)), Detail: sharp(1024),
		})
	}
	for i := range 48 { // of pod, namespace and configuration
		r.Links[fmt.Sprintf("link-%d", i)] = "https://x/?" + strings.Repeat("&", 1990)
	}
	data, err = wire.EncodeReport(r)
	if err != nil {
		t.Fatal(err)
	}
	got, err := wire.DecodeReport(data)
	if err != nil || len(got.Links) != 48 || got.Explanation.Summary != r.Explanation.Summary || len(got.Explanation.Profiles) != len(gopprof.Kinds()) {
		t.Errorf("read as %.1000v, %v", got, err)
	}
	if !maps.Equal(got.Capture.Labels, c.Labels) {
		t.Errorf("the labels are lost, and routes match them: %v", got.Capture.Labels)
	}
	if n := len(got.Capture.Agreement.Compared); n != 100 || len(r.Capture.Agreement.Compared) != 500 {
		t.Errorf("%d intervals told of %d", n, len(r.Capture.Agreement.Compared))
	}
	if got.Explanation.Verdict == nil || len(got.Explanation.Verdict.Causes) != 7 {
		t.Errorf("the verdict is lost: %+v", got.Explanation.Verdict)
	}
	if len(r.Siblings) != 5 || len(r.Explanation.Verdict.Causes[0].Path) != 12 || len(r.Explanation.Profiles[0].Functions) != 40 || len(r.Capture.History.Local) != gopprof.MaxHistory {
		t.Error("the caller's report was changed")
	}
}

// largestCapture is at every bound, or beyond where the rest is left out.
func largestCapture(text func(n int) string) gopprof.Capture {
	c := capture()
	c.Target = gopprof.Target{
		Cluster: text(253), Node: text(253), Namespace: text(253), Workload: gopprof.Workload{Kind: text(253), Name: text(253)},
		Pod: text(253), PodUID: text(1024), Container: text(253), ContainerID: text(1024), Image: text(1024), Owner: text(1024),
		Endpoint: gopprof.Endpoint{Scheme: text(1024), Host: text(1024), Port: 6060, Path: text(1024)},
	}
	c.Agent = text(1024)
	c.Labels = map[string]string{text(315): text(700), text(316): text(708)} // 2043 bytes and two marks each
	c.Requests = 0.1234567890123456e-100
	c.Trigger.Request = &gopprof.Request{Who: text(1024), Operation: text(1024)}
	c.Trigger.Alert = &gopprof.Alert{Name: text(253), Fingerprint: text(64), StartsAt: at, GeneratorURL: text(1000), Receiver: text(253),
		Labels: map[string]string{text(128): text(1000), text(127): text(1000), text(126): text(1000)}, Annotations: map[string]string{text(128): text(1000), text(127): text(1000), text(126): text(1000)}}
	e := c.Trigger.Evidence
	e.Rule, e.Resource, e.Policy = text(64), gopprof.Resource(text(64)), gopprof.Policy(text(64))
	w := e.Windows[0]
	w.Witness, w.CPU.Basis, w.Memory.Basis = gopprof.Witness(text(64)), gopprof.Basis(text(64)), gopprof.Basis(text(64))
	e.Windows = slices.Repeat([]gopprof.Window{w}, 20)
	moment := time.Date(2026, 11, 22, 3, 4, 5, 123456789, time.UTC)
	c.Agreement = gopprof.Agreement{Result: gopprof.AgreementResult(text(64)), Reason: gopprof.Reason(text(64)), Detail: text(10_000)}
	c.Agreement.Compared = slices.Repeat([]gopprof.Comparison{{Start: moment, End: moment, Local: 0.1234567890123456e-100, Series: 0.1234567890123456e-100}}, 1000)
	c.Target.Build, c.Target.Runtime = text(253), gopprof.Runtime{GOGC: text(64), GOMEMLIMIT: text(64), GOMAXPROCS: text(64)}
	const odd = 0.1234567890123456e-100
	point := gopprof.Point{Start: moment, End: moment.Add(1), HasCPU: true, HasMemory: true, CPUCores: odd, CPULimitCores: odd,
		MemoryBytes: odd, MemoryLimitBytes: odd, AnonymousBytes: odd, ThrottledRatio: odd}
	points := slices.Repeat([]gopprof.Point{point}, gopprof.MaxHistory)
	c.History = gopprof.History{Local: points, Series: points, SeriesBy: gopprof.WitnessHeapster}
	c.Profiles, c.Failures = nil, nil
	for _, k := range gopprof.Kinds() {
		c.Profiles = append(c.Profiles, gopprof.Profile{Kind: k, Seconds: 1e-100, SizeBytes: 1 << 60, SHA256: strings.Repeat("0f", 32)})
		c.Failures = append(c.Failures, gopprof.Failure{Kind: k, Reason: gopprof.Reason(text(64)), Detail: text(10_000)})
	}
	return c
}

// TestCaptureWithAFullHistory: what agents send in the worst case is a small part of a
// message.
func TestCaptureWithAFullHistory(t *testing.T) {
	c := capture()
	c.History.Local, c.History.Series = nil, nil
	for i := range gopprof.MaxHistory {
		start := at.Add(time.Duration(i) * 2250 * time.Millisecond)
		c.History.Local = append(c.History.Local, gopprof.Point{Start: start, End: start.Add(2250 * time.Millisecond), HasCPU: true, HasMemory: true,
			CPUCores: 63.9876, CPULimitCores: 64.0001, MemoryBytes: 1 << 37, MemoryLimitBytes: 1 << 38, AnonymousBytes: 1 << 36, ThrottledRatio: 0.9876})
	}
	c.History.Series = c.History.Local
	data, err := wire.EncodeCapture(c)
	if err != nil || len(data) > wire.MaxBytes/4 {
		t.Errorf("%d bytes, %v", len(data), err)
	}
}
