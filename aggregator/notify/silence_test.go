package notify

import (
	"context"
	"errors"
	"strings"
	"testing"
	"time"

	"github.com/prometheus/client_golang/prometheus"
	"go.uber.org/zap"

	"github.com/gopprof/gopprof/pkg/api"
	"github.com/gopprof/gopprof/pkg/bus"
	"github.com/gopprof/gopprof/pkg/bus/buckettest"
	"github.com/gopprof/gopprof/pkg/gopprof"
	"github.com/gopprof/gopprof/test/poll"
)

func TestSilencing(t *testing.T) {
	r := gopprof.Report{MadeAt: noon}
	r.Capture.Target = gopprof.Target{Cluster: "prod", Namespace: "shop", Workload: gopprof.Workload{Kind: "Deployment", Name: "web"}}
	r.Explanation.Verdict = &gopprof.Verdict{Causes: []gopprof.Cause{{Kind: gopprof.CauseGCBound}, {Kind: gopprof.CauseTraffic}}}
	for name, x := range map[string]struct {
		s    api.Silence
		want bool
	}{
		"of the workload":          {api.Silence{Namespace: "shop", Workload: "Deployment/web"}, true},
		"by its name":              {api.Silence{Namespace: "shop", Workload: "web"}, true},
		"of the cluster":           {api.Silence{Cluster: "prod", Namespace: "shop", Workload: "web"}, true},
		"of another cluster":       {api.Silence{Cluster: "test", Namespace: "shop", Workload: "web"}, false},
		"of another kind":          {api.Silence{Namespace: "shop", Workload: "StatefulSet/web"}, false},
		"of another namespace":     {api.Silence{Namespace: "cart", Workload: "web"}, false},
		"of the cause":             {api.Silence{Namespace: "shop", Workload: "web", Cause: gopprof.CauseGCBound}, true},
		"that began before":        {api.Silence{Namespace: "shop", Workload: "web", At: noon.Add(-time.Second)}, true},
		"that began afterwards":    {api.Silence{Namespace: "shop", Workload: "web", At: noon.Add(time.Second)}, false},
		"of what is not the cause": {api.Silence{Namespace: "shop", Workload: "web", Cause: gopprof.CauseTraffic}, false},
	} {
		if _, got := silencing([]api.Silence{{Namespace: "x", Workload: "y"}, x.s}, r); got != x.want {
			t.Errorf("%s: %v", name, got)
		}
	}
}

// silent is a replica that keeps no records but silences.
func silent(t *testing.T, s *buckettest.KV, now *time.Time) *Notifier {
	t.Helper()
	c := DefaultConfig()
	c.Receivers, c.Default.Receivers = []Receiver{{Name: "ops", Channel: ChannelSlack, URL: "http://127.0.0.1:1"}}, []string{"ops"}
	n := New(c, Deps{Silences: s, Now: func() time.Time { return *now }}, zap.NewNop(), prometheus.NewRegistry())
	if err := n.Load(t.Context()); err != nil {
		t.Fatal(err)
	}
	go n.watch(t.Context(), "silences", s, n.silences.see)
	return n
}

// A silence holds in every replica, also in one that starts later, until it ends.
func TestSilencesOfReplicas(t *testing.T) {
	now := noon
	s := buckettest.NewKV()
	one := silent(t, s, &now)
	made, err := one.Silence(t.Context(), api.Silence{Namespace: "shop", Workload: "web", Who: "ada", Why: "test", Until: noon.Add(time.Hour)})
	if err != nil || made.ID == "" || !made.At.Equal(noon) {
		t.Fatalf("%+v, %v", made, err)
	}
	again, err := one.Silence(t.Context(), api.Silence{Namespace: "shop", Workload: "web", Who: "ada", Why: "test", Until: noon.Add(time.Hour)})
	if err != nil || again != made {
		t.Errorf("made twice: %+v, %v", again, err)
	}
	two := silent(t, s, &now)
	r := gopprof.Report{}
	r.Capture.Target = gopprof.Target{Namespace: "shop", Workload: gopprof.Workload{Kind: "Deployment", Name: "web"}}
	if !one.silenced(r) || !two.silenced(r) {
		t.Error("told all the same")
	}
	r.Capture.Trigger.Kind = gopprof.TriggerRule
	if err := two.Handle(t.Context(), r); err != nil { // without a bucket to write it down
		t.Error(err)
	}
	if err := two.EndSilence(t.Context(), made.ID); err != nil {
		t.Error(err)
	}
	poll.Until(t, "both know that it ended", func() bool { return !one.silenced(r) && !two.silenced(r) })
	if _, err := one.Silence(t.Context(), api.Silence{Namespace: "shop", Workload: "web", Who: "ada", Why: "test", Until: noon.Add(time.Hour)}); err != nil {
		t.Fatal(err)
	}
	now = noon.Add(time.Hour)
	if all, err := two.Silences(t.Context()); err != nil || len(all) != 0 || one.silenced(r) || two.silenced(r) {
		t.Errorf("silenced beyond its end: %v, %v", all, err)
	}
}

func TestSilencesThatAreRefused(t *testing.T) {
	now := noon
	s := buckettest.NewKV()
	n := silent(t, s, &now)
	good := api.Silence{Namespace: "shop", Workload: "web", Who: "ada", Why: "test", Until: noon.Add(time.Hour)}
	for want, change := range map[string]func(*api.Silence){
		"of one workload": func(s *api.Silence) { s.Workload = "" }, "why must": func(s *api.Silence) { s.Why = "" }, "no cause": func(s *api.Silence) { s.Cause = "whim" },
		"in the future": func(s *api.Silence) { s.Until = noon }, "30 days": func(s *api.Silence) { s.Until = noon.Add(31 * 24 * time.Hour) },
	} {
		x := good
		change(&x)
		if _, err := n.Silence(t.Context(), x); gopprof.ReasonOf(err) != gopprof.ReasonBadInput || !strings.Contains(err.Error(), want) {
			t.Errorf("%s: %v", want, err)
		}
	}
	for k := range mostSilences {
		x := good
		x.Until = x.Until.Add(time.Duration(k))
		if _, err := n.Silence(t.Context(), x); err != nil {
			t.Fatal(err)
		}
	}
	x := good
	x.Workload = "more"
	if _, err := n.Silence(t.Context(), x); gopprof.ReasonOf(err) != gopprof.ReasonBudget {
		t.Errorf("%v", err)
	}
	s.Break(errors.New("away"))
	if err := n.EndSilence(t.Context(), "x"); gopprof.ReasonOf(err) != gopprof.ReasonNoAnswer {
		t.Errorf("%v", err)
	}
	if err := New(DefaultConfig(), Deps{Silences: s}, zap.NewNop(), prometheus.NewRegistry()).Load(t.Context()); err == nil {
		t.Error("started without knowing what is silenced")
	}
}

// narrow is a bucket that has room for so many silences.
type narrow struct {
	*buckettest.KV
	room int
}

func (b narrow) Create(ctx context.Context, key string, value []byte) (uint64, error) {
	if b.Keys("") >= b.room {
		return 0, bus.ErrFull
	}
	return b.KV.Create(ctx, key, value)
}

// A bucket that is full of silences that have ended takes new ones; of those that hold it forgets
// none, and says what is missing.
func TestBucketFullOfSilencesThatEnded(t *testing.T) {
	now := noon
	b := narrow{buckettest.NewKV(), 5}
	n := New(DefaultConfig(), Deps{Silences: b, Now: func() time.Time { return now }}, zap.NewNop(), prometheus.NewRegistry())
	make := func(until time.Duration) error {
		_, err := n.Silence(t.Context(), api.Silence{Namespace: "shop", Workload: "web", Who: "ada", Why: "test", Until: now.Add(until)})
		return err
	}
	for k := range b.room {
		if err := make(time.Hour + time.Duration(k)); err != nil {
			t.Fatal(err)
		}
	}
	if err := make(2 * time.Hour); gopprof.ReasonOf(err) != gopprof.ReasonBudget {
		t.Errorf("while all hold: %v", err)
	}
	now = now.Add(3 * time.Hour)
	if err := make(2 * time.Hour); err != nil {
		t.Errorf("when all have ended: %v", err)
	}
	if all, err := n.Silences(t.Context()); err != nil || len(all) != 1 || b.Keys("") != 1 {
		t.Errorf("%d silences hold, %v, %d are kept", len(all), err, b.Keys(""))
	}
}
