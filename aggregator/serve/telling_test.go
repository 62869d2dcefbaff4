package serve_test

import (
	"context"
	"fmt"
	"net/http"
	"net/http/httptest"
	"strings"
	"testing"
	"time"

	"github.com/prometheus/client_golang/prometheus"
	"go.uber.org/zap"

	"github.com/gopprof/gopprof/aggregator/serve"
	"github.com/gopprof/gopprof/pkg/api"
	"github.com/gopprof/gopprof/pkg/gopprof"
)

// crier is who tells people, in memory.
type crier struct {
	all    []api.Silence
	ended  []string
	tested []string
	err    error
}

func (c *crier) Silences(context.Context) ([]api.Silence, error) { return c.all, c.err }

func (c *crier) Silence(_ context.Context, s api.Silence) (api.Silence, error) {
	s.ID, s.At = newID(), noon
	c.all = append(c.all, s)
	return s, c.err
}

func (c *crier) EndSilence(_ context.Context, id string) error {
	c.ended = append(c.ended, id)
	return c.err
}

func (c *crier) TestReceiver(_ context.Context, name, who string) (api.ReceiverTest, error) {
	if name != "ops" {
		return api.ReceiverTest{}, &gopprof.Error{Reason: gopprof.ReasonUnknown, Detail: "no receiver of that name"}
	}
	c.tested = append(c.tested, who)
	return api.ReceiverTest{Receiver: name, Reason: gopprof.ReasonStatus, Detail: "404 Not Found"}, c.err
}

// telling is a scene with a crier.
func telling(t *testing.T) (*scene, *crier) {
	s, c := start(t, true), &crier{}
	server, err := serve.New(s.config, serve.Deps{Reports: s.shelf, Captures: s.desk, Groups: s.desk, Telling: c, Now: func() time.Time { return noon }}, zap.NewNop(), prometheus.NewRegistry())
	if err != nil {
		t.Fatal(err)
	}
	s.Server = httptest.NewServer(server)
	t.Cleanup(s.Close)
	return s, c
}

func asked(namespace, workload string) string {
	return fmt.Sprintf(`{"namespace":%q,"workload":%q,"why":"load test","until":%q}`, namespace, workload, noon.Add(time.Hour).Format(time.RFC3339))
}

// Whoever may profile a workload may silence it, and nobody sees another's silences.
func TestSilencesOfCallers(t *testing.T) {
	s, c := telling(t)
	a := s.do(t, http.MethodPost, api.PathSilences, shopToken, asked("shop", "Deployment/web"))
	var made api.Silence
	if a.into(t, &made); a.status != 201 || made.Who != "team-shop" || made.ID == "" || made.Workload != "Deployment/web" || !made.Until.Equal(noon.Add(time.Hour)) {
		t.Errorf("%d %+v", a.status, made)
	}
	if a := s.do(t, http.MethodPost, api.PathSilences, shopToken, asked("bank", "vault")); a.status != 403 || len(c.all) != 1 {
		t.Errorf("another's workload was silenced: %d", a.status)
	}
	theirs := api.Silence{ID: newID(), Namespace: "bank", Workload: "vault", Who: "eve", Why: "x", Until: noon.Add(time.Hour)}
	c.all = append(c.all, theirs)
	for token, want := range map[string]int{shopToken: 1, adminToken: 2} {
		var list api.SilenceList
		s.do(t, http.MethodGet, api.PathSilences, token, "").into(t, &list)
		if len(list.Silences) != want {
			t.Errorf("%s sees %+v", token, list)
		}
	}
	var some api.SilenceList
	if s.do(t, http.MethodGet, api.PathSilences+"?namespace=bank", adminToken, "").into(t, &some); len(some.Silences) != 1 {
		t.Errorf("%+v", some)
	}
	if a := s.do(t, http.MethodDelete, api.PathSilence(theirs.ID), shopToken, ""); a.status != 404 || strings.Contains(a.body, "vault") {
		t.Errorf("another's silence: %d %s", a.status, a.body)
	}
	if a := s.do(t, http.MethodDelete, api.PathSilence(made.ID), shopToken, ""); a.status != 200 || fmt.Sprint(c.ended) != "["+made.ID+"]" {
		t.Errorf("%d %s, ended %v", a.status, a.body, c.ended)
	}
	for _, body := range []string{`{}`, `{"namespace":"shop","workload":"web"}`, asked("shop", ""), `{"namespace":"shop","workload":"web","why":"x","until":"soon"}`} {
		if a := s.do(t, http.MethodPost, api.PathSilences, shopToken, body); a.status != 422 {
			t.Errorf("%s: %d", body, a.status)
		}
	}
}

// Only who controls everything sends messages to receivers.
func TestReceiversAreTested(t *testing.T) {
	s, c := telling(t)
	path := api.PathReceiverTest("ops")
	if a := s.do(t, http.MethodPost, path, shopToken, ""); a.status != 403 || c.tested != nil {
		t.Errorf("%d", a.status)
	}
	var r api.ReceiverTest
	if s.do(t, http.MethodPost, path, adminToken, "").into(t, &r); r.Told || r.Detail != "404 Not Found" || fmt.Sprint(c.tested) != "[ada]" {
		t.Errorf("%+v, %v", r, c.tested)
	}
	if a := s.do(t, http.MethodPost, api.PathReceiverTest("nobody"), adminToken, ""); a.status != 404 {
		t.Errorf("%d", a.status)
	}
	nobody := start(t, true)
	if a := nobody.do(t, http.MethodPost, path, adminToken, ""); a.status != 404 {
		t.Errorf("without receivers: %d", a.status)
	}
	if a := nobody.do(t, http.MethodGet, api.PathSilences, adminToken, ""); a.status != 200 {
		t.Errorf("without receivers: %d", a.status)
	}
}
