package siblings

import (
	"context"
	"encoding/json"
	"strings"
	"testing"
	"time"

	"github.com/prometheus/client_golang/prometheus"
	"go.uber.org/zap"

	"github.com/gopprof/gopprof/aggregator/dispatch"
	"github.com/gopprof/gopprof/pkg/bus/buckettest"
	"github.com/gopprof/gopprof/pkg/gopprof"
	"github.com/gopprof/gopprof/test/hostile"
)

const (
	fuzzIncident = "019a2b3c-4d5e-7f60-8a1b-000000000001"
	fuzzHot      = "019a2b3c-4d5e-7f60-8a1b-000000000002"
	fuzzSibling  = "019a2b3c-4d5e-7f60-8a1b-000000000003"
)

// FuzzRecord: whatever an incident's record has become, nobody is waited for longer than the
// longest capture takes, a report names few siblings, the next firing is written down with
// whom it is compared, and what is written then fits into a message.
func FuzzRecord(f *testing.F) {
	recordSeeds(f)
	f.Fuzz(func(t *testing.T, data []byte) {
		kv := buckettest.NewKV()
		if _, err := kv.Create(t.Context(), fuzzIncident, data); err != nil {
			t.Fatal(err)
		}
		now := noon
		k := New(dispatch.DefaultConfig().Siblings, Deps{Incidents: kv, NewID: newID, Now: func() time.Time { return now }}, zap.NewNop(), prometheus.NewRegistry())
		before := gopprof.Capture{ID: fuzzHot, Incident: fuzzIncident, Target: target("web-1", "n1", "b1"), Trigger: gopprof.Trigger{Kind: gopprof.TriggerRule}}
		checkWaits(t, k, before, &now)
		next := gopprof.Capture{ID: newID(), Incident: fuzzIncident, Target: before.Target, Trigger: before.Trigger}
		checkAdded(t, k, next)
		checkWaits(t, k, next, &now)
		checkEnds(t, k)
		if value, _, err := kv.Get(t.Context(), fuzzIncident); err != nil || kv.Writes() > 1 && len(value) > max(maxBytes, 6*len(data)) {
			t.Errorf("%d bytes made of %d, %v", len(value), len(data), err)
		}
	})
}

func recordSeeds(f *testing.F) {
	f.Helper()
	r := record{
		Hot: []hot{{Capture: fuzzHot, Cluster: "c", Node: "n1", At: noon, Until: noon.Add(45 * time.Second), Siblings: []string{fuzzSibling}, Pod: "web-1", Resource: gopprof.ResourceCPU, Threshold: 0.8}},
		Asked: []asked{{
			Sibling: gopprof.Sibling{Capture: fuzzSibling, Target: target("web-2", "n2", "b1"), Kinds: []gopprof.Kind{gopprof.KindCPU}, State: gopprof.SiblingAsked},
			For:     fuzzHot, At: noon, Until: noon.Add(15 * time.Second), CPUSeconds: 30,
		}},
	}
	data, err := json.Marshal(r)
	if err != nil {
		f.Fatal(err)
	}
	good := string(data)
	f.Add(data)
	f.Add(data[:len(data)/2])
	year := noon.Format("2006-")
	f.Add([]byte(strings.ReplaceAll(good, year, "9999-")))
	f.Add([]byte(strings.ReplaceAll(good, year, "0000-")))
	f.Add([]byte(strings.Replace(good, `"until":"`+year, `"until":"9999-`, 1)))
	f.Add([]byte(strings.ReplaceAll(good, `"`+fuzzSibling+`"]`, strings.Repeat(`"`+fuzzSibling+`",`, 1000)+`""]`)))
	f.Add([]byte(strings.ReplaceAll(good, fuzzSibling, fuzzHot)))
	for _, s := range []string{"null", "[]", `{"hot":null,"asked":[{}]}`, `{"hot":[{}],"asked":[null]}`, `{"hot":{}}`} {
		f.Add([]byte(s))
	}
	for _, name := range hostile.Names() {
		quoted, err := json.Marshal(name)
		if err != nil {
			f.Fatal(err)
		}
		f.Add([]byte(strings.ReplaceAll(good, `"web-2"`, string(quoted))))
		f.Add([]byte(strings.ReplaceAll(good, `"asked"`, string(quoted))))
	}
}

// checkWaits checks how long a capture waits, and that it does not for ever.
func checkWaits(t *testing.T, k *Keeper, c gopprof.Capture, now *time.Time) {
	t.Helper()
	was := *now
	left := k.Ready(t.Context(), c)
	if left < 0 || left > longestWait+clockMargin {
		t.Errorf("waits %s", left)
	}
	*now = was.Add(longestWait + clockMargin)
	if left := k.Ready(t.Context(), c); left != 0 {
		t.Errorf("waits %s still", left)
	}
	*now = was
	if _, all := k.Of(t.Context(), c); len(all) > maxAsked {
		t.Errorf("%d siblings of one capture", len(all))
	}
}

// checkAdded checks that a firing is written down, with whom it is compared, and once.
func checkAdded(t *testing.T, k *Keeper, c gopprof.Capture) {
	t.Helper()
	p := plan{
		firing: gopprof.Firing{Capture: c.ID, Target: c.Target}, kinds: []gopprof.Kind{gopprof.KindCPU}, now: noon, until: noon.Add(45 * time.Second), most: 2,
		fresh: []asked{{Sibling: gopprof.Sibling{Capture: newID(), Target: target("web-3", "n3", "b1"), State: gopprof.SiblingAsked}, For: c.ID, At: noon, Until: noon.Add(15 * time.Second)}},
	}
	for range 2 {
		if err := k.change(t.Context(), c.Incident, true, func(r *record) bool { return r.add(p) }); err != nil {
			t.Fatal(err)
		}
	}
	r, _, err := k.read(t.Context(), c.Incident)
	if err != nil {
		t.Fatal(err)
	}
	h := r.hotOne(c.ID, c.Target)
	if h == nil || len(h.Siblings) == 0 || len(h.Siblings) > p.most || len(r.of(*h)) != len(h.Siblings) {
		t.Fatalf("written down as %+v", h)
	}
	if len(r.Hot) > maxHot {
		t.Errorf("%d hot captures", len(r.Hot))
	}
}

// checkEnds checks that a sibling whose report is stored is so from then on.
func checkEnds(t *testing.T, k *Keeper) {
	t.Helper()
	c := gopprof.Capture{ID: fuzzSibling, Incident: fuzzIncident, Target: target("web-2", "n2", "b1"), Trigger: gopprof.Trigger{Kind: gopprof.TriggerSibling}}
	if err := k.Stored(context.Background(), gopprof.Report{ID: c.ID, Capture: c}); err != nil {
		t.Error(err)
	}
	r, _, err := k.read(t.Context(), fuzzIncident)
	if err != nil {
		t.Fatal(err)
	}
	if i := r.index(c.ID); i >= 0 && r.Asked[i].Target.Node == "n2" && r.Asked[i].Target.Cluster == "c" && r.Asked[i].State != gopprof.SiblingStored {
		t.Errorf("stored, and %+v", r.Asked[i])
	}
}
