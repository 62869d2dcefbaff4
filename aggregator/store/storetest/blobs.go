package storetest

import (
	"errors"
	"fmt"
	"math"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/gopprof/gopprof/aggregator/store"
	"github.com/gopprof/gopprof/pkg/gopprof"
)

func keepsBytes(t *testing.T, b Bucket) {
	s := open(t, b)
	large := make([]byte, 12<<20) // more than one part of an S3 upload
	rnd := random()
	for i := range large {
		large[i] = byte(rnd.Uint32())
	}
	for i, data := range [][]byte{{0}, []byte("\r\n\x00\xff\xfe"), []byte("\x1f\x8b not gzip"), large} {
		c := Capture(Noon(), i)
		for _, k := range gopprof.Kinds() {
			if len(data) > 1<<20 && k != gopprof.KindCPU {
				continue
			}
			key, err := s.PutProfile(t.Context(), c, Profile(k, data))
			if err != nil {
				t.Fatal(err)
			}
			reads(t, open(t, b), key, data)
		}
	}
}

func storesAgain(t *testing.T, b Bucket) {
	s := open(t, b)
	c := Capture(Noon(), 1)
	p := c.Profiles[0]
	key, err := s.PutProfile(t.Context(), c, p)
	if err != nil {
		t.Fatal(err)
	}
	again, err := open(t, b).PutProfile(t.Context(), c, p)
	if err != nil || again != key {
		t.Errorf("storing again: %q, %v; want %q", again, err, key)
	}
	for _, other := range [][]byte{[]byte("other"), append([]byte("x"), p.Bytes[1:]...), append(p.Bytes, '!'), nil} {
		if _, err := s.PutProfile(t.Context(), c, Profile(p.Kind, other)); !errors.Is(err, store.ErrDifferent) {
			t.Errorf("storing %q over %q: %v, want ErrDifferent", other, p.Bytes, err)
		}
	}
	reads(t, s, key, p.Bytes)
}

// writersAtOnce: two aggregators work on one capture, whose bytes differ by somebody's
// mistake. One of them must learn of it.
func writersAtOnce(t *testing.T, b Bucket) {
	const writers = 8
	for round := range 4 {
		c := Capture(Noon(), round)
		errs := atOnce(writers, func(i int) error {
			_, err := open(t, b).PutProfile(t.Context(), c, Profile(gopprof.KindCPU, fmt.Appendf(nil, "writer %d", i)))
			return err
		})
		won := -1
		for i, err := range errs {
			if err == nil && won >= 0 {
				t.Errorf("writers %d and %d both succeeded", won, i)
			}
			if err == nil {
				won = i
			} else if !errors.Is(err, store.ErrDifferent) {
				t.Logf("writer %d: %v", i, err) // some servers answer "try again" to writers at once
			}
		}
		if won < 0 {
			t.Fatalf("no writer succeeded: %v", errs)
		}
		if _, err := open(t, b).PutProfile(t.Context(), c, Profile(gopprof.KindCPU, fmt.Appendf(nil, "writer %d", won))); err != nil {
			t.Errorf("the winner, again: %v", err)
		}
	}
}

func atOnce(n int, do func(i int) error) []error {
	errs := make([]error, n)
	begin := make(chan struct{})
	var all sync.WaitGroup
	for i := range n {
		all.Go(func() {
			<-begin
			errs[i] = do(i)
		})
	}
	close(begin)
	all.Wait()
	return errs
}

// drawings may change until the report is committed: another dot draws otherwise.
func drawings(t *testing.T, b Bucket) {
	s := open(t, b)
	r := Put(t, s, Capture(Noon(), 1))
	for _, svg := range []string{"<svg>one</svg>", "<svg>two</svg>", "<svg>two</svg>"} {
		key, err := s.PutDrawing(t.Context(), r.Capture, gopprof.KindCPU, []byte(svg))
		if err != nil {
			t.Fatal(err)
		}
		reads(t, s, key, []byte(svg))
	}
	if err := s.Commit(t.Context(), r); err != nil {
		t.Fatal(err)
	}
	if _, err := s.PutDrawing(t.Context(), r.Capture, gopprof.KindCPU, []byte("<svg>two</svg>")); err != nil {
		t.Errorf("the same drawing after the commit: %v", err)
	}
	if _, err := s.PutDrawing(t.Context(), r.Capture, gopprof.KindCPU, []byte("<svg>three</svg>")); !errors.Is(err, store.ErrDifferent) {
		t.Errorf("another drawing after the commit: %v, want ErrDifferent", err)
	}
	reads(t, s, r.Files[0].Drawing, []byte("<svg>two</svg>"))
}

// picture is stored by the rules of drawings, beside them.
func picture(t *testing.T, b Bucket) {
	s := open(t, b)
	r := Put(t, s, Capture(Noon(), 1))
	for _, svg := range []string{"<svg>one</svg>", "<svg>two</svg>", "<svg>two</svg>"} {
		key, err := s.PutPicture(t.Context(), r.Capture, []byte(svg))
		if err != nil {
			t.Fatal(err)
		}
		if own := r.Files[0].Profile; key != own[:strings.LastIndex(own, "/")+1]+"evidence.svg" {
			t.Errorf("key %q beside %q", key, own)
		}
		reads(t, s, key, []byte(svg))
		r.Picture = key
	}
	if err := s.Commit(t.Context(), r); err != nil {
		t.Fatal(err)
	}
	if _, err := s.PutPicture(t.Context(), r.Capture, []byte("<svg>two</svg>")); err != nil {
		t.Errorf("the same picture after the commit: %v", err)
	}
	if _, err := s.PutPicture(t.Context(), r.Capture, []byte("<svg>three</svg>")); !errors.Is(err, store.ErrDifferent) {
		t.Errorf("another picture after the commit: %v, want ErrDifferent", err)
	}
	got, err := open(t, b).Report(t.Context(), r.ID)
	if err != nil {
		t.Fatal(err)
	}
	equal(t, "report", got, r)
	reads(t, s, got.Picture, []byte("<svg>two</svg>"))
}

func refuses(t *testing.T, b Bucket) {
	s := open(t, b)
	good := Capture(Noon(), 1)
	for _, id := range []string{"", "1", "../../x", strings.ToUpper(ID(Noon(), 0xabc)), ID(Noon(), 1)[:35],
		"ffffffff-ffff-7000-8000-000000000000" /* the year 10889 */} {
		c := good
		c.ID = id
		if _, err := s.PutProfile(t.Context(), c, good.Profiles[0]); !errors.Is(err, store.ErrInvalid) {
			t.Errorf("identifier %q: %v, want ErrInvalid", id, err)
		}
		if _, err := s.PutPicture(t.Context(), c, []byte("x")); !errors.Is(err, store.ErrInvalid) {
			t.Errorf("picture of identifier %q: %v, want ErrInvalid", id, err)
		}
		if _, _, err := s.Committed(t.Context(), c); !errors.Is(err, store.ErrInvalid) {
			t.Errorf("identifier %q: %v, want ErrInvalid", id, err)
		}
	}
	notText := good
	notText.Target.Pod = "\xff\xfe"
	if _, err := s.PutProfile(t.Context(), notText, good.Profiles[0]); !errors.Is(err, store.ErrInvalid) {
		t.Errorf("pod's name is not UTF-8: %v, want ErrInvalid", err)
	}
	for _, k := range []gopprof.Kind{"", "CPU", "../cpu", "report"} {
		if _, err := s.PutProfile(t.Context(), good, Profile(k, []byte("x"))); !errors.Is(err, store.ErrInvalid) {
			t.Errorf("kind %q: %v, want ErrInvalid", k, err)
		}
		if _, err := s.PutDrawing(t.Context(), good, k, []byte("x")); !errors.Is(err, store.ErrInvalid) {
			t.Errorf("drawing of kind %q: %v, want ErrInvalid", k, err)
		}
	}
	report := Put(t, s, good)
	for name, spoil := range map[string]func(*gopprof.Report){
		"another identifier": func(r *gopprof.Report) { r.ID = ID(Noon(), 2) },
		"file of another report": func(r *gopprof.Report) {
			r.Files[0].Profile = Put(t, s, Capture(Noon(), 3)).Files[0].Profile
		},
		"drawing anywhere":         func(r *gopprof.Report) { r.Files[0].Drawing = "../../etc/passwd" },
		"picture anywhere":         func(r *gopprof.Report) { r.Picture = "../../etc/passwd" },
		"a drawing as its picture": func(r *gopprof.Report) { r.Picture = r.Files[0].Drawing },
		"picture of another report": func(r *gopprof.Report) {
			key, err := s.PutPicture(t.Context(), Capture(Noon(), 3), []byte("x"))
			if err != nil {
				t.Fatal(err)
			}
			r.Picture = key
		},
		"kind that leaves": func(r *gopprof.Report) {
			f := &r.Files[0]
			f.Kind, f.Profile, f.Drawing = "../cpu", strings.Replace(f.Profile, "cpu", "../cpu", 1), ""
		},
		"kinds exchanged":   func(r *gopprof.Report) { r.Files[0].Kind = r.Files[1].Kind },
		"not a number":      func(r *gopprof.Report) { r.Capture.CPUSeconds = math.NaN() },
		"year out of range": func(r *gopprof.Report) { r.MadeAt = time.Date(10_001, 1, 1, 0, 0, 0, 0, time.UTC) },
	} {
		r := report
		r.Files = append([]gopprof.File(nil), report.Files...)
		spoil(&r)
		if err := s.Commit(t.Context(), r); !errors.Is(err, store.ErrInvalid) {
			t.Errorf("%s: %v, want ErrInvalid", name, err)
		}
	}
	if page, err := s.List(t.Context(), store.Query{}); err != nil || len(page.Reports) > 0 {
		t.Errorf("listed: %v, %v; want nothing", ids(page.Reports), err)
	}
}

// hostileNames: whatever a pod is called, its files lie in its own folder.
func hostileNames(t *testing.T, b Bucket) {
	names := []string{"", ".", "..", "../..", "/", "//", "a/b", "/etc/passwd", `..\..`, "a\x00b", "a\nb", " ", "a.", ".a", "_", "__",
		"_2e", "%2e%2e", "__0x2f__", "a__0x2f__b", ".tmp", "a.attrs", "report.json", "ünï", "日本", "a-b", "a--b", "-", "*", ">", "?x=y#z",
		strings.Repeat("x", 253), strings.Repeat("x", 252) + "y", strings.Repeat("/", 253), strings.Repeat("日", 1000)}
	s := open(t, b)
	var want []gopprof.Report
	for i, name := range names {
		c := Capture(Noon(), i)
		c.Target.Cluster, c.Target.Namespace, c.Target.Pod = name, name, name
		c.Target.Workload = gopprof.Workload{Kind: name, Name: name}
		r := Store(t, s, c)
		reads(t, s, r.Files[0].Profile, c.Profiles[0].Bytes)
		got, ok, err := s.Committed(t.Context(), c)
		if err != nil || !ok || got.ID != r.ID {
			t.Errorf("%.20q: committed %v %q, %v", name, ok, got.ID, err)
		}
		want = append([]gopprof.Report{r}, want...)
	}
	page, err := open(t, b).List(t.Context(), store.Query{Limit: 500})
	if err != nil {
		t.Fatal(err)
	}
	equal(t, "listed", ids(page.Reports), ids(want))
	for i, name := range names {
		page, err := open(t, b).List(t.Context(), store.Query{Cluster: name, Namespace: name, Pod: name, Workload: name + "/" + name})
		if err != nil {
			t.Fatal(err)
		}
		if name != "" && !strings.Contains(name, "/") {
			equal(t, fmt.Sprintf("listed by name %.20q", name), ids(page.Reports), []string{ID(Noon(), i)})
		}
	}
	folders := make(map[string]bool)
	for _, key := range b.Keys(t) {
		folder := key[:strings.LastIndex(key, "/")]
		folders[folder] = true
		if strings.Count(key, "/") != 7 || len(key) > 900 {
			t.Errorf("key %q is not one of the layout", key)
		}
	}
	equal(t, "number of folders", len(folders), len(names))
}

func readsOwnKeys(t *testing.T, b Bucket) {
	s := open(t, b)
	r := Store(t, s, Capture(Noon(), 1))
	b.Plant(t, "secret.txt", []byte("secret"))
	b.Plant(t, "prod/2026/11/14/secret.json", []byte("secret"))
	own := r.Files[0].Profile
	folder := own[:strings.LastIndex(own, "/")+1]
	b.Plant(t, folder+"notes.txt", []byte("secret"))
	for _, key := range []string{"", "/", ".", "..", "secret.txt", "/secret.txt", "../secret.txt", "prod/2026/11/14/secret.json", folder, folder + "notes.txt",
		folder + "../secret.txt", folder + "cpu.pb.gz/../report.json", "/" + own, "./" + own, own + "/", strings.Replace(own, "/", "//", 1),
		strings.Replace(own, "prod/", "prod/../prod/", 1), own + "\x00", strings.Replace(own, "2026/11/14", "2026/11/15", 1)} {
		if data, err := s.Read(t.Context(), key); !errors.Is(err, store.ErrNotFound) {
			t.Errorf("reading %q: %q, %v; want ErrNotFound", key, data, err)
		}
	}
	missing := strings.Replace(own, "cpu.pb.gz", "mutex.pb.gz", 1)
	if _, err := s.Read(t.Context(), missing); !errors.Is(err, store.ErrNotFound) {
		t.Errorf("reading %q: %v, want ErrNotFound", missing, err)
	}
}
