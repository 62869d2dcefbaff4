package notifytest

import (
	"io"
	"net/http"
	"net/http/httptest"
	"net/url"
	"os"
	"path/filepath"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/google/uuid"
	"github.com/prometheus/client_golang/prometheus"
	"go.uber.org/zap"
	"go.uber.org/zap/zapcore"
	"go.uber.org/zap/zaptest/observer"

	"github.com/gopprof/gopprof/aggregator/notify"
	"github.com/gopprof/gopprof/pkg/bus/buckettest"
	"github.com/gopprof/gopprof/pkg/config"
	"github.com/gopprof/gopprof/pkg/gopprof"
)

// SecretPath is the path of the receiver's URL: it must never be seen anywhere else.
const SecretPath = "/services/T0SECRET/B0SECRET/xyzzySECRET"

// Token is the receiver's token: it must never be seen anywhere else.
const Token = "tok-SECRET-0123456789"

// Scene is a notifier with one receiver, which is a real HTTP server, and everything that
// can be seen of them.
type Scene struct {
	*notify.Notifier
	Server *httptest.Server
	KV     *buckettest.KV
	Logs   *observer.ObservedLogs
	Config notify.Config

	t        testing.TB
	channels notify.Channels
	registry *prometheus.Registry
	now      atomic.Int64

	mu       sync.Mutex
	answer   http.HandlerFunc
	requests []Request
}

// Request is what the receiver got.
type Request struct {
	Header http.Header
	Path   string
	Query  url.Values
	Body   string
	Now    time.Time // the scene's time when it came
}

// Start returns a scene whose receiver has a channel and answers 200.
func Start(t testing.TB, channel string, channels notify.Channels) *Scene {
	s := &Scene{t: t, KV: buckettest.NewKV(), channels: channels, answer: func(http.ResponseWriter, *http.Request) {}}
	s.now.Store(time.Date(2026, 11, 22, 12, 0, 0, 0, time.UTC).UnixNano())
	s.Server = httptest.NewServer(http.HandlerFunc(s.serve))
	t.Cleanup(s.Server.Close)
	s.Config = notify.DefaultConfig()
	s.Config.Receivers = []notify.Receiver{{
		Name: "ops", Channel: channel,
		URLFile: s.File(s.Server.URL + SecretPath + "?k=querySECRET\n"), BearerFile: s.File(Token + "\n"),
	}}
	s.Config.Default.Receivers = []string{"ops"}
	s.Restart()
	return s
}

// Restart makes a new notifier of Config on the same bucket.
func (s *Scene) Restart() {
	core, logs := observer.New(zapcore.DebugLevel)
	s.Logs, s.registry = logs, prometheus.NewRegistry()
	s.Notifier = notify.New(s.Config, notify.Deps{Told: s.KV, Channels: s.channels, Now: s.Now, Rand: func() float64 { return 0 }}, zap.New(core), s.registry)
}

// Inside returns a notifier of Config on the same bucket whose time is that of a synctest
// bubble, which begins long before the scene's.
func (s *Scene) Inside(d notify.Deps) *notify.Notifier {
	offset := time.Until(s.Now())
	d.Told, d.Now = s.KV.Copy(), func() time.Time { return time.Now().Add(offset) }
	return notify.New(s.Config, d, zap.NewNop(), prometheus.NewRegistry())
}

// Bare returns a notifier that tells one receiver, by Slack's channel, without any server.
func Bare(d notify.Deps) *notify.Notifier { return BareOf(notify.ChannelSlack, d) }

// BareOf is Bare by another channel.
func BareOf(channel string, d notify.Deps) *notify.Notifier {
	c := notify.DefaultConfig()
	c.Receivers = []notify.Receiver{{Name: "ops", Channel: channel, URL: "http://127.0.0.1:1"}}
	c.Default.Receivers = []string{"ops"}
	return notify.New(c, d, zap.NewNop(), prometheus.NewRegistry())
}

// Now is the scene's time.
func (s *Scene) Now() time.Time { return time.Unix(0, s.now.Load()).UTC() }

// Wait moves the scene's time.
func (s *Scene) Wait(d time.Duration) { s.now.Add(int64(d)) }

// Pass lets time pass, in steps, as Run does.
func (s *Scene) Pass(d time.Duration) {
	s.t.Helper()
	for end := s.Now().Add(d); ; {
		next := s.Turn(s.t.Context())
		if next.IsZero() || next.After(end) {
			s.Wait(end.Sub(s.Now()))
			return
		}
		s.Wait(max(next.Sub(s.Now()), time.Millisecond))
	}
}

// Answer sets what the receiver does.
func (s *Scene) Answer(h http.HandlerFunc) {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.answer = h
}

// Status is a receiver that answers with a status and nothing else.
func Status(code int) http.HandlerFunc {
	return func(w http.ResponseWriter, _ *http.Request) { w.WriteHeader(code) }
}

func (s *Scene) serve(w http.ResponseWriter, r *http.Request) {
	body, _ := io.ReadAll(r.Body)
	s.mu.Lock()
	s.requests = append(s.requests, Request{r.Header.Clone(), r.URL.Path, r.URL.Query(), string(body), s.Now()})
	answer := s.answer
	s.mu.Unlock()
	answer(w, r)
}

// Posts returns what the receiver got so far.
func (s *Scene) Posts() []Request {
	s.mu.Lock()
	defer s.mu.Unlock()
	return append([]Request(nil), s.requests...)
}

// File returns a file that holds a text.
func (s *Scene) File(text string) config.SecretFile {
	s.t.Helper()
	path := filepath.Join(s.t.TempDir(), "secret")
	if err := os.WriteFile(path, []byte(text), 0o600); err != nil {
		s.t.Fatal(err)
	}
	return config.SecretFile(path)
}

// Count returns the sum of a counter over all its labels.
func (s *Scene) Count(name string) float64 {
	s.t.Helper()
	families, err := s.registry.Gather()
	if err != nil {
		s.t.Fatal(err)
	}
	sum := 0.0
	for _, f := range families {
		if f.GetName() != "gopprof_aggregator_notify_"+name {
			continue
		}
		for _, m := range f.GetMetric() {
			sum += m.GetCounter().GetValue()
		}
	}
	return sum
}

// Report returns a report of a rule, with every call a new one.
func Report() gopprof.Report {
	id := uuid.Must(uuid.NewV7()).String()
	at := time.Date(2026, 11, 22, 11, 59, 0, 0, time.UTC)
	window := gopprof.Window{
		Witness: gopprof.WitnessCadvisor, Start: at.Add(-time.Minute), End: at, Readings: 6, CoveredRatio: 1,
		HasCPU: true, CPU: gopprof.Use{Mean: 0.93, Limit: 1, Ratio: 0.93},
	}
	return gopprof.Report{
		Version: gopprof.ReportVersion, ID: id, MadeAt: at.Add(time.Minute), Page: "https://gopprof.example/reports/" + id,
		Capture: gopprof.Capture{
			ID: id, Incident: uuid.Must(uuid.NewV7()).String(), Start: at, End: at.Add(30 * time.Second),
			Target: gopprof.Target{
				Cluster: "prod", Node: "node-a", Namespace: "shop", Workload: gopprof.Workload{Kind: "Deployment", Name: "web"},
				Pod: "web-7d4b9c-hot01", Container: "web", Owner: "team-shop",
				Endpoint: gopprof.Endpoint{Scheme: "http", Host: "10.0.0.7", Port: 6060, Path: "/debug/pprof"},
			},
			Trigger: gopprof.Trigger{Kind: gopprof.TriggerRule, At: at, Evidence: &gopprof.Evidence{
				Rule: "cpu", Resource: gopprof.ResourceCPU, Policy: gopprof.PolicyConfirm, Threshold: 0.8, WindowSeconds: 60,
				Windows: []gopprof.Window{window, window},
			}},
			Agreement: gopprof.Agreement{Result: gopprof.AgreementConfirmed},
			Profiles: []gopprof.Profile{{Kind: gopprof.KindCPU, Seconds: 30, SizeBytes: 26_000,
				SHA256: "e3b0c44298fc1c149afbf4c8996fb92427ae41e4649b934ca495991b7852b855"}},
		},
		Explanation: gopprof.Explanation{
			Summary: "main.(*Cart).price burns 61 % of the CPU",
			Verdict: &gopprof.Verdict{Version: 1, Scope: gopprof.ScopePod, Causes: []gopprof.Cause{
				{Kind: gopprof.CauseCodeHot, Confidence: gopprof.ConfidenceSure, Line: "main.(*Cart).price uses most of it, and the siblings do not"},
			}},
			Profiles: []gopprof.TopFunctions{{
				Kind: gopprof.KindCPU, SampleType: "cpu", Unit: "nanoseconds", Total: 27_900_000_000, Samples: 412, DurationSeconds: 30,
				Functions: []gopprof.Function{
					{Name: "main.(*Cart).price", File: "cart.go", Line: 42, Flat: 17_000_000_000, Cum: 19_000_000_000},
					{Name: "runtime.mallocgc", Flat: 3_000_000_000, Cum: 4_000_000_000},
				},
			}},
		},
		Files: []gopprof.File{{Kind: gopprof.KindCPU, Profile: "k/cpu.pb.gz", Drawing: "k/cpu.svg"}},
	}
}
