package serve_test

import (
	"context"
	"errors"
	"net/http"
	"net/http/httptest"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/prometheus/client_golang/prometheus"
	"go.uber.org/zap"

	"github.com/gopprof/gopprof/aggregator/serve"
	"github.com/gopprof/gopprof/aggregator/serve/auth"
	"github.com/gopprof/gopprof/pkg/api"
	"github.com/gopprof/gopprof/pkg/gopprof"
)

// answers are the rights of somebody who is asked about again and again: each question has
// the next answer, the last one stays.
type answers struct {
	said []string
}

func (a *answers) Find(context.Context, string) (auth.Caller, bool, error) {
	return auth.Caller{Name: "ada", Rights: a}, true, nil
}

func (a *answers) May(_ context.Context, v auth.Verb, _ string) (bool, error) {
	if v != auth.View {
		return true, nil
	}
	said := a.said[0]
	a.said = a.said[min(1, len(a.said)-1):]
	if said == "silent" {
		return false, errors.New("timeout awaiting response headers")
	}
	return said == "yes", nil
}

// followed is a server whose caller's rights have these answers, and whose time goes on by a
// step with each look at it.
func followed(t *testing.T, step time.Duration, said ...string) *scene {
	t.Helper()
	s := &scene{shelf: &shelf{blobs: map[string][]byte{}}, desk: &desk{}, config: serve.DefaultConfig()}
	s.config.TokenReview = true
	now := noon
	clock := func() time.Time { now = now.Add(step); return now }
	server, err := serve.New(s.config, serve.Deps{Reports: s.shelf, Captures: s.desk, Groups: s.desk, Alerts: reader{2}, Tokens: &answers{said}, Now: clock}, zap.NewNop(), prometheus.NewRegistry())
	if err != nil {
		t.Fatal(err)
	}
	s.Server = httptest.NewServer(server)
	t.Cleanup(s.Close)
	return s
}

// A question about the caller's rights that has no answer while an operation is followed ends
// nothing at once; one that stays without, and a no, end it with that reason. A fresh profile
// that nobody waits for any more is cancelled.
func TestRightsWhileAnOperationIsFollowed(t *testing.T) {
	for name, x := range map[string]struct {
		step   time.Duration
		said   []string // the first two before it is taken, the third as it is first looked at
		status int
		body   string
	}{
		"one without an answer": {time.Second, []string{"yes", "yes", "yes", "silent", "yes"}, 200, ""},
		"none for long":         {20 * time.Second, []string{"yes", "yes", "yes", "silent"}, 504, "no_answer: nobody can say"},
		"none at the end":       {time.Millisecond, []string{"yes", "yes", "yes", "silent", "silent"}, 504, "no_answer: nobody can say"},
		"none from the start":   {20 * time.Second, []string{"yes", "yes", "silent"}, 504, "no_answer: nobody can say"},
		"taken away":            {time.Second, []string{"yes", "yes", "yes", "no"}, 404, "unknown: no such operation"},
	} {
		t.Run(name, func(t *testing.T) {
			s := followed(t, x.step, x.said...)
			done := operationOf("shop", gopprof.CaptureStored)
			done.Captures[0].Report = s.put("shop", "web-1").ID
			going := done
			going.Captures = []gopprof.OperationCapture{{State: gopprof.CaptureProfiling, Target: done.Captures[0].Target}}
			s.desk.op, s.desk.shows = going, []gopprof.Operation{going, going, done}
			a := s.do(t, http.MethodGet, api.PathPodProfile("shop", "web-1", "profile"), "token", "")
			if a.status != x.status || !strings.HasPrefix(a.body, x.body) {
				t.Errorf("%d %.100q, want %d %q", a.status, a.body, x.status, x.body)
			}
			var cancelled []string
			if x.status != 200 {
				cancelled = []string{done.ID}
			}
			if got := s.desk.cancelled(); !slices.Equal(got, cancelled) {
				t.Errorf("cancelled %v, want %v", got, cancelled)
			}
		})
	}
}

// Events of which the first may not be shown are no empty answer.
func TestEventsThatNobodyMaySee(t *testing.T) {
	for said, status := range map[string]int{"silent": 504, "no": 404} {
		s := followed(t, time.Minute, "yes", said)
		s.desk.op = operationOf("shop", gopprof.CaptureProfiling)
		s.desk.shows = []gopprof.Operation{s.desk.op}
		if p := s.do(t, http.MethodGet, api.PathEvents(s.desk.op.ID), "token", "").problem(t); p.Status != status {
			t.Errorf("%s: %+v", said, p)
		}
	}
}

// A fresh profile whose operation is not seen to its end is none, and cancels it.
func TestFreshProfileWithoutAnEnd(t *testing.T) {
	s := start(t, false)
	s.desk.op = operationOf("shop", gopprof.CaptureProfiling)
	s.desk.shows = []gopprof.Operation{s.desk.op}
	a := s.get(t, api.PathPodProfile("shop", "web-1", "profile"))
	if a.status != 504 || !strings.HasPrefix(a.body, "no_answer: ") {
		t.Errorf("%d %q", a.status, a.body)
	}
	if got := s.desk.cancelled(); !slices.Equal(got, []string{s.desk.op.ID}) {
		t.Errorf("cancelled %v", got)
	}
}
