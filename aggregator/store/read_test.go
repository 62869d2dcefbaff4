package store

import (
	"encoding/json"
	"strings"
	"testing"

	"github.com/gopprof/gopprof/pkg/gopprof"
)

// Whatever a report.json has become, what is made of it is the report of its folder.
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
	f.Fuzz(func(t *testing.T, data []byte) {
		r, err := decodeReport(data, p)
		if err != nil {
			return
		}
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
