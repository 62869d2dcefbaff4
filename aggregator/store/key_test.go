package store

import (
	"errors"
	"strings"
	"testing"
	"time"

	"github.com/gopprof/gopprof/pkg/gopprof"
	"github.com/gopprof/gopprof/test/hostile"
)

const someID = "01a1d9ed-c200-7abc-8def-0123456789ab" // made at 2026-11-14 12:00:00 UTC

func TestFolder(t *testing.T) {
	c := gopprof.Capture{ID: someID, Target: gopprof.Target{
		Cluster: "prod.eu", Namespace: "shop", Pod: "checkout-6d5f-x2x4z",
		Workload: gopprof.Workload{Kind: "Deployment", Name: "checkout"},
	}}
	p, err := placeOf(c)
	if err != nil {
		t.Fatal(err)
	}
	want := "prod.eu/2026/11/14/shop/Deployment-checkout/20261114T120000.000Z-checkout-6d5f-x2x4z-" + someID + "/"
	if got := p.folder(); got != want {
		t.Errorf("got  %s\nwant %s", got, want)
	}
}

func TestEscape(t *testing.T) {
	for name, want := range map[string]string{
		"":           "_",
		"api-0.v1":   "api-0.v1",
		"Deployment": "Deployment",
		"..":         "_2e_2e",
		".a.":        "_2ea_2e",
		"a/b":        "a_2fb",
		"a_b":        "a_5fb",
		"ü":          "_c3_bc",
		"a\x00":      "a_00",
	} {
		if got := escape(name, maxNameBytes); got != want {
			t.Errorf("%q: got %q, want %q", name, got, want)
		}
	}
	for _, name := range []string{strings.Repeat("x", 121), strings.Repeat("/", 41)} {
		if got := escape(name, maxNameBytes); len(got) != maxNameBytes || !strings.Contains(got, "__") {
			t.Errorf("%q: got %q, want %d bytes with a hash", name, got, maxNameBytes)
		}
	}
	if got := escape(strings.Repeat("x", 120), maxNameBytes); got != strings.Repeat("x", 120) {
		t.Errorf("a name that fits was cut: %q", got)
	}
}

// A kind that holds a '-' does not become part of the name.
func TestWorkloadFoldersDiffer(t *testing.T) {
	a := workloadFolder(gopprof.Workload{Kind: "a-b", Name: "c"})
	b := workloadFolder(gopprof.Workload{Kind: "a", Name: "b-c"})
	if a == b {
		t.Errorf("both are %q", a)
	}
}

// FuzzKeys: whatever names a target has, its report lies in a folder of its own, below the
// bucket's, and no key is read as what would not be written.
func FuzzKeys(f *testing.F) {
	const folder = "/2026/11/14/shop/Deployment-api/20261114T120000.000Z-api-0-" + someID + "/"
	f.Add("prod", "shop", "Deployment", "api", "api-0", "prod"+folder+"cpu.pb.gz")
	f.Add("", "..", "/", "a\x00b", "../../etc/passwd", "prod"+folder+pictureFile)
	f.Add("_2e", ".", "-", "--", strings.Repeat("日", 200), ".."+folder+"cpu.pb.gz")
	f.Add("a", "b", "", "_", "x", strings.Replace("prod"+folder+"cpu.pb.gz", "/14/", "/15/", 1))
	f.Add("__0x2f__", ".tmp", "a.attrs", "report.json", strings.Repeat("x", 253), "")
	f.Add(strings.Repeat("x", 200), strings.Repeat("x", 199)+"y", "", "", "", "/")
	for _, name := range hostile.Names() {
		f.Add(name, "shop", name, name, name, "prod"+folder+name)
		f.Add("prod", name, "Deployment", "api", name, name+folder+"cpu.pb.gz")
	}
	f.Fuzz(func(t *testing.T, cluster, ns, kind, name, pod, key string) {
		if cluster != ns && escape(cluster, maxNameBytes) == escape(ns, maxNameBytes) {
			t.Errorf("%q and %q are both %q", cluster, ns, escape(ns, maxNameBytes))
		}
		if p, file, ok := parseKey(key); ok && p.folder()+file != key {
			t.Errorf("%q was accepted and means %q", key, p.folder()+file)
		}
		c := gopprof.Capture{ID: someID, Target: gopprof.Target{
			Cluster: cluster, Namespace: ns, Pod: pod, Workload: gopprof.Workload{Kind: kind, Name: name},
		}}
		p, err := placeOf(c)
		if errors.Is(err, ErrInvalid) {
			return
		}
		if err != nil {
			t.Fatal(err)
		}
		checkKey(t, p, p.folder()+reportFile)
	})
}

// checkKey checks that the key of a report is one that every storage takes, and means its place.
func checkKey(t *testing.T, p place, key string) {
	t.Helper()
	if len(key) > 700 {
		t.Errorf("key of %d bytes", len(key))
	}
	for part := range strings.SplitSeq(key, "/") {
		if part == "" || part[0] == '.' || part[len(part)-1] == '.' || len(part) > 200 || strings.Contains(part, "__0x") {
			t.Errorf("part %q of key %q", part, key)
		}
	}
	back, file, ok := parseKey(key)
	if !ok || back != p || file != reportFile {
		t.Errorf("key %q is read back as %+v, %q, %v; was %+v", key, back, file, ok, p)
	}
}

func TestIDTime(t *testing.T) {
	at := time.Date(2026, 11, 14, 12, 0, 0, 0, time.UTC)
	if got := idTime(someID); !got.Equal(at) {
		t.Errorf("time of %s is %s, want %s", someID, got, at)
	}
	first := firstID(at)
	if err := gopprof.CheckID(first); err != nil {
		t.Error(err)
	}
	if !idTime(first).Equal(at) || first > someID || firstID(at.Add(time.Millisecond)) <= someID {
		t.Errorf("%s is not the first identifier of its millisecond", first)
	}
	for _, far := range []time.Time{time.Unix(-1e9, 0), {}, time.Date(99_999, 1, 1, 0, 0, 0, 0, time.UTC)} {
		if err := gopprof.CheckID(firstID(far)); err != nil {
			t.Errorf("%s: %v", far, err)
		}
	}
}
