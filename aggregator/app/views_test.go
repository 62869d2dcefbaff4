package app

import (
	"crypto/sha256"
	"encoding/hex"
	"fmt"
	"net/http"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/google/uuid"
	"github.com/prometheus/client_golang/prometheus/testutil"
	"go.uber.org/zap"

	"github.com/gopprof/gopprof/aggregator/draw/views"
	"github.com/gopprof/gopprof/pkg/gopprof"
	"github.com/gopprof/gopprof/pkg/ops"
	"github.com/gopprof/gopprof/pkg/profile/profiletest"
	"github.com/gopprof/gopprof/test/browser"
	"github.com/gopprof/gopprof/test/hostile"
)

// TestMain makes the test program the process of a view.
func TestMain(m *testing.M) {
	if len(os.Args) == 2 && os.Args[1] == "view-worker" {
		if err := views.Worker(os.Stdin, os.Stdout); err != nil {
			fmt.Fprintln(os.Stderr, err)
			os.Exit(1)
		}
		os.Exit(0)
	}
	os.Exit(m.Run())
}

// commit stores a report of one heap profile.
func commit(t *testing.T, a *App, file []byte) string {
	t.Helper()
	now, sum := time.Now().UTC().Truncate(time.Millisecond), sha256.Sum256(file)
	c := gopprof.Capture{
		ID: uuid.Must(uuid.NewV7()).String(), Incident: uuid.Must(uuid.NewV7()).String(), Target: shopTarget, Start: now, End: now.Add(time.Second),
		Trigger:  gopprof.Trigger{Kind: gopprof.TriggerManual, At: now, Request: &gopprof.Request{Who: "ada"}},
		Profiles: []gopprof.Profile{{Kind: gopprof.KindHeap, SizeBytes: int64(len(file)), SHA256: hex.EncodeToString(sum[:]), Bytes: file}},
	}
	key, err := a.store.PutProfile(t.Context(), c, c.Profiles[0])
	if err == nil {
		err = a.store.Commit(t.Context(), gopprof.Report{Version: gopprof.ReportVersion, ID: c.ID, Capture: c, MadeAt: now, Files: []gopprof.File{{Kind: gopprof.KindHeap, Profile: key}}})
	}
	if err != nil {
		t.Fatal(err)
	}
	return c.ID
}

// TestViews: the whole way, from a report in the store to pprof's pages behind a prefix.
func TestViews(t *testing.T) {
	dir := t.TempDir()
	path := filepath.Join(dir, "aggregator.yaml")
	if err := os.WriteFile(path, []byte(strings.ReplaceAll(`
status: {listen: "127.0.0.1:0"}
serve: {listen: "127.0.0.1:0", path_prefix: /gopprof}
store: {url: "file://DIR/reports?create_dir=true"}
embedded: {listen: "127.0.0.1:0", dir: DIR/nats}
views: {max_open: 2, memory_bytes: 1GiB, resident_bytes: 1GiB} # the race detector multiplies memory
`, "DIR", dir)), 0o600); err != nil {
		t.Fatal(err)
	}
	c, err := LoadConfig(path)
	if err != nil {
		t.Fatal(err)
	}
	a := runApp(t, c)
	quiet := commit(t, a, profiletest.Heap(profiletest.On(1<<20, "main.keep", "main.main")))
	hot := commit(t, a, profiletest.Heap(profiletest.On(1<<20, "main.keep", "main.main"), profiletest.On(7<<20, "main.leak", "main.main")))
	get := func(path string) (int, string) {
		return ask(t, http.DefaultClient, "http://"+a.APIAddr()+"/gopprof/reports/"+path, nil)
	}
	for path, want := range map[string]string{
		hot:                       `href="../reports/` + hot + `/pprof/heap/flamegraph"`,
		hot + "/pprof/heap":       "stackViewer({",
		hot + "/pprof/heap/top":   `"Name":"main.leak"`,
		hot + "/pprof/heap/peek":  "main.leak",
		quiet + "/pprof/heap/top": `"Name":"main.keep"`,
		hot + "/pprof/heap/against/" + quiet + "/top": `"FlatFormat":"7MB"`,
		quiet + "/pprof/heap/against/" + hot + "/top": `"FlatFormat":"-7MB"`,
	} {
		if status, body := get(path); status != http.StatusOK || !strings.Contains(body, want) {
			t.Errorf("%s: %d, without %q:\n%.500s", path, status, want, body)
		}
	}
	for path, want := range map[string]int{
		hot + "/pprof/heap/source?f=main": http.StatusNotFound, hot + "/pprof/heap/graph": http.StatusNotFound, hot + "/pprof/heap/download": http.StatusNotFound,
		hot + "/pprof/heap/top?output=/tmp/x": http.StatusUnprocessableEntity, hot + "/pprof/heap/top?f=(": http.StatusUnprocessableEntity,
		hot + "/pprof/cpu/top": http.StatusNotFound,
	} {
		if status, body := get(path); status != want {
			t.Errorf("%s: %d, want %d: %s", path, status, want, body)
		}
	}
	if got, err := testutil.GatherAndCount(a.reg, "gopprof_aggregator_views_ended_total"); err != nil || got == 0 {
		t.Errorf("no view was closed for another: %v", err)
	}
}

// TestHostileViewsInABrowser: the scripts of pprof's pages show the names of a hostile profile
// as text. Nothing else runs, and nobody is asked for anything.
func TestHostileViewsInABrowser(t *testing.T) {
	dir := t.TempDir()
	c := DefaultConfig()
	c.Status.Listen, c.Serve.Listen, c.Embedded.Listen, c.Embedded.Dir = "127.0.0.1:0", "127.0.0.1:0", "127.0.0.1:0", filepath.Join(dir, "nats")
	c.Store.URL, c.Views.MemoryBytes = "file://"+dir+"/reports?create_dir=true", 1<<30
	a := runApp(t, c)
	var stacks []profiletest.Stack
	for i, name := range append(hostile.Names(), profiletest.HostileNames()...) {
		stacks = append(stacks, profiletest.On(int64(i+1)<<20, name, "main.main"))
	}
	hot, quiet := commit(t, a, profiletest.Heap(stacks...)), commit(t, a, profiletest.Heap(stacks[1:]...))
	b := browser.Start(t, browser.Options{Hosts: []string{a.APIAddr()}})
	tab := b.Open("http://" + a.APIAddr() + "/reports/" + hot)
	for _, page := range []string{"flamegraph", "top", "peek", "against/" + quiet + "/flamegraph", "against/" + quiet + "/top"} {
		tab.Navigate("http://" + a.APIAddr() + "/reports/" + hot + "/pprof/heap/" + page)
		tab.Wait(`document.body.innerText.includes("main.main")`)
		var origin string
		tab.Eval(`self.origin`, &origin)
		if origin != "null" {
			t.Errorf("%s runs in origin %s", page, origin)
		}
	}
}

// TestViewsCanBeSwitchedOff: then nothing is offered, and nobody looks for the worker.
func TestViewsCanBeSwitchedOff(t *testing.T) {
	a := &App{config: DefaultConfig(), log: zap.NewNop(), reg: ops.NewRegistry(), stages: ops.NewStages(zap.NewNop(), time.Second)}
	t.Cleanup(func() { _ = a.stages.Stop() })
	workers := Workers{Draw: []string{"false"}, View: []string{"/nonexistent/aggregator"}}
	if err := a.makeDrawer(workers); err == nil {
		t.Error("a missing worker is no error")
	}
	a.config.Views.MaxOpen = 0
	if err := a.makeDrawer(workers); err != nil || a.pages() != nil {
		t.Errorf("offered: %v, error %v", a.pages(), err)
	}
}
