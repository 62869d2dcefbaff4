package store

import (
	"encoding/json"
	"strings"
	"testing"

	"github.com/gopprof/gopprof/pkg/gopprof"
	"github.com/gopprof/gopprof/test/hostile"
)

// Whatever a report.json has become, what is made of it is the report of its folder, and the
// index gives back what lists show of it.
func FuzzDecodeReport(f *testing.F) {
	c := gopprof.Capture{ID: someID, Target: gopprof.Target{Cluster: "prod", Pod: "api-0"}}
	p, err := placeOf(c)
	if err != nil {
		f.Fatal(err)
	}
	r := gopprof.Report{Version: gopprof.ReportVersion, ID: someID, Capture: c,
		Files: []gopprof.File{{Kind: gopprof.KindCPU, Profile: p.folder() + "cpu.pb.gz", Drawing: p.folder() + "cpu.svg"}}}
	good, err := json.Marshal(r)
	if err != nil {
		f.Fatal(err)
	}
	f.Add(good)
	f.Add(good[:len(good)/2])
	f.Add([]byte(strings.ReplaceAll(string(good), "cpu", "../cpu")))
	f.Add([]byte(strings.ReplaceAll(string(good), someID, "x")))
	f.Add([]byte(strings.Replace(string(good), `"version"`, `"picture":"`+p.folder()+`evidence.svg","version"`, 1)))
	f.Add([]byte(strings.Replace(string(good), `"version"`, `"picture":"x/evidence.svg","version"`, 1)))
	f.Add([]byte(`{"version":1,"files":null,"capture":{"id":"\ud800"}}`))
	f.Add([]byte(strings.Replace(string(good), `"version"`, `"madeAt":"0000-01-01T00:00:00+23:59","version"`, 1)))
	f.Add([]byte(strings.Replace(string(good), `"capture":{`, `"capture":{"history":{"seriesBy":"x","local":[{}],"series":null},`, 1)))
	f.Add([]byte(strings.Replace(string(good), `"capture":{`, `"capture":{"history":{"local":[],"series":[]},`, 1)))
	for _, name := range hostile.Names() {
		named := r
		named.Explanation.Verdict = &gopprof.Verdict{Causes: []gopprof.Cause{{Kind: gopprof.CauseKind(name), Line: name, Function: name, Path: []string{name}}}}
		named.Capture.Failures = []gopprof.Failure{{Kind: gopprof.KindHeap, Reason: gopprof.Reason(name), Detail: name}}
		data, err := json.Marshal(named)
		if err != nil {
			f.Fatal(err)
		}
		f.Add(data)
		f.Add([]byte(strings.Replace(string(data), "cpu.pb.gz", strings.ReplaceAll(name, `"`, ""), 1)))
	}
	f.Fuzz(func(t *testing.T, data []byte) {
		r, err := decodeReport(data, p)
		if err != nil {
			return
		}
		checkPacked(t, r)
		if r.ID != p.id {
			t.Errorf("identifier %q in the folder of %q", r.ID, p.id)
		}
		if r.Picture != "" && r.Picture != p.folder()+"evidence.svg" {
			t.Errorf("picture %q lies outside", r.Picture)
		}
		for _, file := range r.Files {
			for _, key := range []string{file.Profile, file.Drawing} {
				if at, _, ok := parseKey(key); key != "" && (!ok || at != p) {
					t.Errorf("file %q lies outside", key)
				}
			}
		}
	})
}

// checkPacked checks that what is listed of a report comes out of the index as it went in, and
// that what is cut short does not.
func checkPacked(t *testing.T, r gopprof.Report) {
	t.Helper()
	e, err := newEntry(r)
	if err != nil {
		t.Fatalf("cannot be packed: %v", err)
	}
	got, err := e.report()
	if err != nil {
		t.Fatal(err)
	}
	if a, b := written(t, got), written(t, listed(r)); a != b {
		t.Errorf("got  %s\nwant %s", a, b)
	}
	if cut := *e; len(cut.packed) > 1 {
		cut.packed = cut.packed[:len(cut.packed)/2]
		if _, err := cut.report(); err == nil || !strings.Contains(err.Error(), r.ID) {
			t.Errorf("half of it: %v", err)
		}
	}
}

func written(t *testing.T, r gopprof.Report) string {
	t.Helper()
	data, err := json.Marshal(r)
	if err != nil {
		t.Fatal(err)
	}
	return string(data)
}
