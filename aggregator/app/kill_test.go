package app

import (
	"bytes"
	"context"
	"crypto/sha256"
	"encoding/hex"
	"encoding/json"
	"io/fs"
	"path/filepath"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/google/uuid"
	"github.com/prometheus/client_golang/prometheus"
	"go.uber.org/zap"

	"github.com/gopprof/gopprof/aggregator/store"
	"github.com/gopprof/gopprof/pkg/bus"
	"github.com/gopprof/gopprof/pkg/bus/bustest"
	"github.com/gopprof/gopprof/pkg/gopprof"
	"github.com/gopprof/gopprof/test/poll"
)

// scene is a world with one agent, on which every capture is accounted for.
type scene struct {
	*world
	b     *bustest.Bus
	agent *bus.Agent
	dir   string
	opens func() *store.Store // opens the store where it is not in dir alone; nil: it is
	large int                 // how many bytes the first profile of a capture has; the second one has half

	mu   sync.Mutex
	told map[string]int // by report: how often a consumer got it
}

func newScene(t *testing.T) *scene {
	t.Helper()
	return newSceneWith(t, bus.DefaultStreamConfig())
}

func newSceneWith(t *testing.T, streams bus.StreamConfig) *scene {
	t.Helper()
	streams.AckWait = time.Second // how long a killed worker's capture waits for the next; a busy machine must not outlast it
	b := bustest.Start(t, bustest.Options{Nodes: []string{"a", "b", "c"}, Streams: &streams})
	s := &scene{b: b, agent: b.Agent("a"), dir: t.TempDir(), large: 600 << 10, told: map[string]int{}}
	s.world = &world{t: t, bus: b.Aggregator()}
	s.open = func() (*bus.Aggregator, storer) { return b.Aggregator(), s.store() }
	s.listen()
	return s
}

// store opens the directory, as a process does at its start.
func (s *scene) store() *store.Store {
	s.t.Helper()
	if s.opens != nil {
		return s.opens()
	}
	cfg := store.DefaultConfig()
	cfg.URL = "file://" + s.dir
	out, err := store.Open(s.t.Context(), cfg, zap.NewNop(), prometheus.NewRegistry())
	if err != nil {
		s.t.Fatal(err)
	}
	s.t.Cleanup(func() { _ = out.Close() })
	return out
}

// listen is a consumer of the reports.
func (s *scene) listen() {
	ctx, cancel := context.WithCancel(s.t.Context())
	ended := make(chan error, 1)
	go func() {
		ended <- s.bus.Reports(ctx, "listener", func(_ context.Context, r gopprof.Report) error {
			s.mu.Lock()
			defer s.mu.Unlock()
			s.told[r.ID]++
			return nil
		})
	}()
	s.t.Cleanup(func() { cancel(); <-ended })
}

func (s *scene) heard(id string) int {
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.told[id]
}

var shopTarget = gopprof.Target{
	Cluster: bustest.Cluster, Node: "a", Namespace: "shop", Workload: gopprof.Workload{Kind: "Deployment", Name: "api"},
	Pod: "api-0", PodUID: "u1", Container: "app",
	Endpoint: gopprof.Endpoint{Scheme: "http", Host: "10.0.0.1", Port: 6060, Path: "/debug/pprof"},
}

// ask asks for a capture by hand and returns it as its agent took it. It has a place in the
// budget as well, as one that a rule caused, so that both are closed at its end.
func (s *scene) ask(mark string) gopprof.Capture {
	s.t.Helper()
	all := s.ends(s.bus, nil, nil)
	all.dispatch.Observe(gopprof.NodeState{Cluster: bustest.Cluster, Node: "a", Targets: []gopprof.TargetState{{Target: shopTarget}}})
	op, err := all.manual.Capture(s.t.Context(), gopprof.Manual{Who: "ada", Namespace: "shop", Pod: "api-0"})
	if err != nil {
		s.t.Fatal(err)
	}
	if d := all.dispatch.Decide(s.t.Context(), gopprof.Firing{Capture: op.Captures[0].Capture, Target: shopTarget, Rule: "cpu"}); !d.Go {
		s.t.Fatalf("no place in the budget: %+v", d)
	}
	now := time.Now().UTC().Truncate(time.Millisecond)
	c := gopprof.Capture{
		ID: op.Captures[0].Capture, Incident: uuid.Must(uuid.NewV7()).String(), Target: shopTarget, Start: now, End: now.Add(time.Second),
		Trigger: gopprof.Trigger{Kind: gopprof.TriggerManual, At: now, Request: &gopprof.Request{Who: "ada", Operation: op.ID}},
	}
	for i, k := range []gopprof.Kind{gopprof.KindCPU, gopprof.KindHeap} {
		data := bytes.Repeat([]byte(mark), s.large>>i) // two chunks, and one
		sum := sha256.Sum256(data)
		c.Profiles = append(c.Profiles, gopprof.Profile{Kind: k, SizeBytes: int64(len(data)), SHA256: hex.EncodeToString(sum[:]), Bytes: data})
	}
	return c
}

func (s *scene) publish(c gopprof.Capture) {
	s.t.Helper()
	if err := s.agent.PublishCapture(s.t.Context(), c); err != nil {
		s.t.Fatal(err)
	}
}

// settled waits until NATS holds nothing of any capture.
func (s *scene) settled() {
	s.t.Helper()
	poll.Until(s.t, "the queue is empty", func() bool { return s.b.Messages(bus.StreamCaptures) == 0 })
	// A slow machine may hand a capture out twice: the second worker finishes, too.
	poll.Until(s.t, "nobody has begun anything", func() bool { return len(s.starts(s.t)) == 0 })
}

// files are the files below the store's directory.
func (s *scene) files() (names []string) {
	s.t.Helper()
	err := filepath.WalkDir(s.dir, func(path string, d fs.DirEntry, err error) error {
		if err == nil && !d.IsDir() {
			names = append(names, path)
		}
		return err
	})
	if err != nil {
		s.t.Fatal(err)
	}
	return names
}

// reported checks that a capture became one whole report, that everybody was told of it
// under its own ID, and that nothing of it is left anywhere else.
func (s *scene) reported(t *testing.T, c gopprof.Capture) gopprof.Report {
	t.Helper()
	stored := s.store()
	r, ok, err := stored.Committed(t.Context(), c)
	if err != nil || !ok || r.ID != c.ID {
		t.Fatalf("report %q: %v, %v", r.ID, ok, err)
	}
	want := []string{"report.json"}
	if len(c.History.Local) > 0 {
		want = append(want, "evidence.svg")
	}
	for i, f := range r.Files {
		want = append(want, string(f.Kind)+".pb.gz", string(f.Kind)+".svg")
		if data, err := stored.Read(t.Context(), f.Profile); err != nil || !bytes.Equal(data, c.Profiles[i].Bytes) {
			t.Errorf("%s: %v: other bytes than were sent", f.Kind, err)
		}
		if f.Drawing == "" || f.Reason != "" {
			t.Errorf("%s: no drawing: %q", f.Kind, f.Reason)
		}
	}
	slices.Sort(want)
	if own := s.filesOf(c); len(r.Files) != len(c.Profiles) || !slices.Equal(own, want) {
		t.Errorf("stored %v, want %v", own, want)
	}
	if (r.Picture != "") != slices.Contains(want, "evidence.svg") {
		t.Errorf("the picture of the evidence is %q", r.Picture)
	}
	poll.Until(t, "the report is announced", func() bool { return s.heard(c.ID) > 0 })
	s.nothingLeft(t, c)
	if manual(c) {
		if oc := s.operation(t, c); oc.State != gopprof.CaptureStored || oc.Report != c.ID {
			t.Errorf("the operation says %+v", oc)
		}
	}
	return r
}

// filesOf are the names of what is stored of a capture, and of files that nobody finished.
func (s *scene) filesOf(c gopprof.Capture) (own []string) {
	s.t.Helper()
	for _, f := range s.files() {
		if strings.Contains(f, c.ID) || strings.Contains(f, "/.tmp/") {
			own = append(own, filepath.Base(f))
		}
	}
	slices.Sort(own)
	return own
}

func manual(c gopprof.Capture) bool { return c.Trigger.Kind == gopprof.TriggerManual }

func (s *scene) nothingLeft(t *testing.T, c gopprof.Capture) {
	t.Helper()
	for stream, want := range map[string]uint64{bus.StreamBytes: 0, bus.StreamCaptures: 0} {
		if n := s.b.Messages(stream); n != want {
			t.Errorf("%d messages in %s, want %d", n, stream, want)
		}
	}
	if keys := s.starts(t); len(keys) > 0 {
		t.Errorf("starts are counted still: %v", keys)
	}
	if !s.placeEnded(t, c) {
		t.Error("it has its place in the budget still")
	}
}

// placeEnded tells whether a capture had a place in the budget, and gave it back.
func (s *scene) placeEnded(t *testing.T, c gopprof.Capture) bool {
	t.Helper()
	b, err := s.bus.Bucket(t.Context(), bus.BucketBudget)
	if err != nil {
		t.Fatal(err)
	}
	value, _, err := b.Get(t.Context(), "ledger")
	if err != nil {
		t.Fatal(err)
	}
	var ledger struct {
		Grants []struct {
			Capture string    `json:"c"`
			Ended   time.Time `json:"e"`
		} `json:"grants"`
	}
	if err := json.Unmarshal(value, &ledger); err != nil {
		t.Fatal(err)
	}
	for _, g := range ledger.Grants {
		if g.Capture == c.ID {
			return !g.Ended.IsZero()
		}
	}
	return false
}

// starts are the captures whose start is counted.
func (s *scene) starts(t *testing.T) []string {
	t.Helper()
	b, err := s.bus.Bucket(t.Context(), "gopprof-starts")
	if err != nil {
		t.Fatal(err)
	}
	keys, err := b.Keys(t.Context(), "")
	if err != nil {
		t.Fatal(err)
	}
	return keys
}

func (s *scene) operation(t *testing.T, c gopprof.Capture) gopprof.OperationCapture {
	t.Helper()
	op, err := s.ends(s.bus, nil, nil).manual.Operation(t.Context(), c.Trigger.Request.Operation)
	if err != nil {
		t.Fatal(err)
	}
	return op.Captures[0]
}
