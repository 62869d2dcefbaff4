package serve_test

import (
	"context"
	"crypto/sha256"
	"encoding/hex"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net/http"
	"net/http/httptest"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/google/uuid"
	"github.com/prometheus/client_golang/prometheus"
	"go.uber.org/zap"
	"go.uber.org/zap/zapcore"
	"go.uber.org/zap/zaptest/observer"

	"github.com/gopprof/gopprof/aggregator/serve"
	"github.com/gopprof/gopprof/pkg/api"
	"github.com/gopprof/gopprof/pkg/config"
	"github.com/gopprof/gopprof/pkg/gopprof"
	"github.com/gopprof/gopprof/test/genuine"
	"github.com/gopprof/gopprof/test/parts"
)

const (
	shopToken  = "shop-token-0123456789"
	pairToken  = "pair-token-0123456789"
	adminToken = "admin-token-0123456789"
)

// shelf is a store in memory.
type shelf struct {
	mu      sync.Mutex       // for requests that come from another process
	reports []gopprof.Report // newest first
	blobs   map[string][]byte
	broken  error
	lists   int
	asked   api.ReportQuery // the last
}

func (s *shelf) List(_ context.Context, q api.ReportQuery) (api.ReportPage, error) {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.lists++
	s.asked = q
	if s.broken != nil {
		return api.ReportPage{}, s.broken
	}
	start := 0
	if q.After != "" {
		start = 1 + slices.IndexFunc(s.reports, func(r gopprof.Report) bool { return r.ID == q.After })
		if start == 0 {
			return api.ReportPage{}, &gopprof.Error{Reason: gopprof.ReasonBadInput, Detail: "not a cursor"}
		}
	}
	var page api.ReportPage
	for _, r := range s.reports[start:] {
		t := r.Capture.Target
		_, has := r.File(q.Kind)
		if (q.Cluster != "" && q.Cluster != t.Cluster) || (q.Namespace != "" && q.Namespace != t.Namespace) || (q.Pod != "" && q.Pod != t.Pod) || (q.Kind != "" && !has) {
			continue
		}
		if len(page.Reports) == q.Limit {
			page.Next = page.Reports[q.Limit-1].ID
			break
		}
		page.Reports = append(page.Reports, r)
	}
	return page, nil
}

func (s *shelf) Report(_ context.Context, id string) (gopprof.Report, error) {
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.broken != nil {
		return gopprof.Report{}, s.broken
	}
	for _, r := range s.reports {
		if r.ID == id {
			return r, nil
		}
	}
	return gopprof.Report{}, &gopprof.Error{Reason: gopprof.ReasonUnknown}
}

func (s *shelf) Read(_ context.Context, key string) ([]byte, error) {
	s.mu.Lock()
	defer s.mu.Unlock()
	b, ok := s.blobs[key]
	if !ok && strings.HasPrefix(key, "swept/") {
		return nil, &gopprof.Error{Reason: gopprof.ReasonUnknown}
	}
	if !ok {
		return nil, errors.New("no blob at /secret/place/" + key)
	}
	return b, nil
}

// desk is a dispatcher that answers as it is told to.
type desk struct {
	op    gopprof.Operation
	shows []gopprof.Operation // to those who follow; then hangs if hang is set
	hang  bool
	pause gopprof.Pause
	merge []byte
	mu    sync.Mutex // for requests that come from another process, or go on when the test does
	err   error
	asked []gopprof.Manual
	nodes []gopprof.NodeState
	ended []string
	keys  map[string]bool // that were asked for
}

func (d *desk) Capture(_ context.Context, m gopprof.Manual) (gopprof.Operation, error) {
	d.mu.Lock()
	defer d.mu.Unlock()
	d.asked = append(d.asked, m)
	return d.op, d.err
}

func (d *desk) CaptureOnce(ctx context.Context, m gopprof.Manual) (gopprof.Operation, bool, error) {
	op, err := d.Capture(ctx, m)
	d.mu.Lock()
	defer d.mu.Unlock()
	before := d.keys[m.Key]
	if d.keys == nil {
		d.keys = map[string]bool{}
	}
	d.keys[m.Key] = before || err == nil
	return op, before, err
}

func (d *desk) Operation(_ context.Context, id string) (gopprof.Operation, error) {
	if id != d.op.ID {
		return gopprof.Operation{}, &gopprof.Error{Reason: gopprof.ReasonUnknown, Detail: "no such operation"}
	}
	return d.op, d.err
}

func (d *desk) Operations() []gopprof.Operation { return []gopprof.Operation{d.op} }

func (d *desk) Follow(ctx context.Context, _ string, show func(gopprof.Operation) bool) error {
	d.mu.Lock()
	err, shows := d.err, d.shows
	d.mu.Unlock()
	if err != nil {
		return err
	}
	for _, op := range shows {
		if !show(op) {
			return nil
		}
	}
	if d.hang {
		<-ctx.Done()
	}
	return nil
}

func (d *desk) Cancel(_ context.Context, id string) (gopprof.Operation, error) {
	d.mu.Lock()
	defer d.mu.Unlock()
	d.ended = append(d.ended, id)
	return d.op, d.err
}

func (d *desk) cancelled() []string {
	d.mu.Lock()
	defer d.mu.Unlock()
	return slices.Clone(d.ended)
}

func (d *desk) Pause(context.Context) (api.PauseState, error) {
	return api.PauseState{Pause: d.pause, Agents: 3, Obeying: 2}, d.err
}

func (d *desk) SetPause(ctx context.Context, p gopprof.Pause) (api.PauseState, error) {
	d.pause = p
	return d.Pause(ctx)
}

func (d *desk) Merged(_ context.Context, op gopprof.Operation) (api.Merged, error) {
	return api.Merged{Operation: op.ID, Kinds: []api.MergedKind{{Kind: gopprof.KindCPU, Profile: api.PathMergedProfile(op.ID, gopprof.KindCPU),
		Pods: []api.MergedPod{}, Outliers: []api.Outlier{{Pod: "web-2", Summary: "web-2 sorts"}}}}}, d.err
}

func (d *desk) MergedProfile(context.Context, gopprof.Operation, gopprof.Kind) ([]byte, error) {
	if d.merge == nil {
		return nil, &gopprof.Error{Reason: gopprof.ReasonContended, Detail: "no pod's profile could be had"}
	}
	return d.merge, d.err
}

func (d *desk) RetryAfter() time.Duration { return 30 * time.Second }

func (d *desk) Nodes() []gopprof.NodeState { return d.nodes }
func (d *desk) StaleAfter() time.Duration  { return 90 * time.Second }

// scene is a server, what stands behind it, and what it logged.
type scene struct {
	*httptest.Server
	shelf  *shelf
	desk   *desk
	viewer *viewer
	logs   *observer.ObservedLogs
	config serve.Config
}

var noon = time.Date(2026, 11, 22, 12, 0, 0, 0, time.UTC)

// start starts a server without tokens, or with them.
func start(t *testing.T, tokens bool, change ...func(*serve.Config)) *scene {
	t.Helper()
	core, logs := observer.New(zapcore.DebugLevel)
	s := &scene{shelf: &shelf{blobs: map[string][]byte{}}, desk: &desk{}, viewer: &viewer{}, logs: logs, config: serve.DefaultConfig()}
	if tokens {
		path := filepath.Join(t.TempDir(), "tokens.yaml")
		text := fmt.Sprintf("tokens:\n- {token: %s, name: team-shop, namespaces: [shop]}\n- {token: %s, name: pair, namespaces: [shop, cart]}\n- {token: %s, name: ada, namespaces: ['*'], role: admin}\n", shopToken, pairToken, adminToken)
		if err := os.WriteFile(path, []byte(text), 0o600); err != nil {
			t.Fatal(err)
		}
		s.config.TokensFile = config.SecretFile(path)
	}
	for _, c := range change {
		c(&s.config)
	}
	server, err := serve.New(s.config, serve.Deps{Reports: s.shelf, Captures: s.desk, Groups: s.desk, Views: s.viewer, Alerts: reader{2}, Tokens: vouched{"prod"}, Now: func() time.Time { return noon }}, zap.New(core), prometheus.NewRegistry())
	if err != nil {
		t.Fatal(err)
	}
	s.Server = httptest.NewServer(server)
	t.Cleanup(s.Close)
	return s
}

// answer is what came back.
type answer struct {
	status int
	header http.Header
	body   string
}

func (s *scene) do(t *testing.T, method, path, token, body string) answer {
	t.Helper()
	r, err := http.NewRequestWithContext(t.Context(), method, s.URL+path, strings.NewReader(body))
	if err != nil {
		t.Fatal(err)
	}
	if token != "" {
		r.Header.Set("Authorization", "Bearer "+token)
	}
	if body != "" {
		r.Header.Set("Content-Type", "application/json")
	}
	res, err := (&http.Client{CheckRedirect: func(*http.Request, []*http.Request) error { return http.ErrUseLastResponse }}).Do(r)
	if err != nil {
		t.Fatal(err)
	}
	defer res.Body.Close()
	b, err := io.ReadAll(res.Body)
	if err != nil {
		t.Fatal(err)
	}
	return answer{res.StatusCode, res.Header, string(b)}
}

func (s *scene) get(t *testing.T, path string) answer { return s.do(t, http.MethodGet, path, "", "") }

// problem reads an answer that must be a problem.
func (a answer) problem(t *testing.T) api.Problem {
	t.Helper()
	var p api.Problem
	if err := json.Unmarshal([]byte(a.body), &p); err != nil || a.header.Get("Content-Type") != api.ContentTypeProblem {
		t.Errorf("not a problem: %q %s", a.header.Get("Content-Type"), a.body)
	}
	if p.Status != a.status || p.Title == "" || p.Detail == "" {
		t.Errorf("problem of status %d: %+v", a.status, p)
	}
	return p
}

func (a answer) into(t *testing.T, v any) {
	t.Helper()
	if err := json.Unmarshal([]byte(a.body), v); err != nil || a.header.Get("Content-Type") != "application/json" {
		t.Fatalf("%d %q %s", a.status, a.header.Get("Content-Type"), a.body)
	}
}

func newID() string { return uuid.Must(uuid.NewV7()).String() }

// realProfiles are a CPU and a heap profile of this test.
var realProfiles = sync.OnceValue(func() map[gopprof.Kind][]byte {
	cpu := genuine.CPU(300*time.Millisecond, func() { sha256.Sum256(make([]byte, 1<<16)) })
	return map[gopprof.Kind][]byte{gopprof.KindCPU: cpu, gopprof.KindHeap: genuine.Of(gopprof.KindHeap)}
})

const drawing = `<svg xmlns="http://www.w3.org/2000/svg"><text>main</text></svg>`

// put stores a report with a CPU profile that has a drawing and a heap profile that has
// none.
func (s *scene) put(namespace, pod string) gopprof.Report {
	s.shelf.mu.Lock()
	defer s.shelf.mu.Unlock()
	id := newID()
	window := gopprof.Window{Witness: gopprof.WitnessCadvisor, Start: noon.Add(-2 * time.Minute), End: noon.Add(-time.Minute), HasCPU: true,
		CPU: gopprof.Use{Mean: 0.93, Limit: 1, Ratio: 0.93}, Readings: 6, CoveredRatio: 1}
	explained := 0.97
	r := gopprof.Report{
		Version: 1, ID: id, MadeAt: noon,
		Capture: gopprof.Capture{
			ID: id, Incident: newID(), Start: noon.Add(-time.Minute), End: noon.Add(-30 * time.Second),
			Target: gopprof.Target{Cluster: "prod", Node: "node-a", Namespace: namespace, Workload: gopprof.Workload{Kind: "Deployment", Name: "web"},
				Pod: pod, Container: "web", Owner: "team-shop"},
			Trigger: gopprof.Trigger{Kind: gopprof.TriggerRule, Evidence: &gopprof.Evidence{Rule: "cpu", Resource: gopprof.ResourceCPU,
				Threshold: 0.8, WindowSeconds: 60, Windows: []gopprof.Window{window, window}}},
			Agreement: gopprof.Agreement{Result: gopprof.AgreementConfirmed, Compared: []gopprof.Comparison{{Start: window.Start, End: window.End, Local: 0.93, Series: 0.914}}},
			Failures:  []gopprof.Failure{{Kind: gopprof.KindMutex, Reason: gopprof.ReasonNotEnabled, Detail: "rate is 0"}},
		},
		Explanation: gopprof.Explanation{
			Summary: "main.price burns 61 %", Warnings: []string{"few samples"}, ExplainedRatio: &explained,
			Profiles: []gopprof.TopFunctions{{Kind: gopprof.KindCPU, SampleType: "cpu", Unit: "nanoseconds", Total: 28_000_000_000, Samples: 400,
				Functions: []gopprof.Function{{Name: "main.price", File: "cart.go", Flat: 17_000_000_000, Cum: 19_000_000_000}}}},
		},
		Files: []gopprof.File{
			{Kind: gopprof.KindCPU, Profile: id + "/cpu.pb.gz", Drawing: id + "/cpu.svg"},
			{Kind: gopprof.KindHeap, Profile: id + "/heap.pb.gz", Reason: gopprof.ReasonDrawFailed, Detail: "dot is missing"},
		},
	}
	for kind, data := range realProfiles() {
		sum := sha256.Sum256(data)
		r.Capture.Profiles = append(r.Capture.Profiles, gopprof.Profile{Kind: kind, SizeBytes: int64(len(data)), SHA256: hex.EncodeToString(sum[:])})
		s.shelf.blobs[id+"/"+string(kind)+".pb.gz"] = data
	}
	s.shelf.blobs[id+"/cpu.svg"] = []byte(drawing)
	s.shelf.reports = slices.Insert(s.shelf.reports, 0, r)
	return r
}

// needTools skips a test that runs what a developer would, where that is not installed.
func needTools(t *testing.T, tools ...string) {
	t.Helper()
	for _, tool := range tools {
		if _, err := exec.LookPath(tool); err != nil {
			parts.Missing(t, "%s is not in PATH: install it, the test runs it as a developer would", tool)
		}
	}
}
