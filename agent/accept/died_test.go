package accept

import (
	"testing"
	"testing/synctest"

	"github.com/prometheus/client_golang/prometheus/testutil"

	"github.com/gopprof/gopprof/pkg/gopprof"
)

// A capture that an earlier agent had accepted has its end at once for whoever asks, before
// requests are let in, and is told to who waits for it; asked for again it starts nothing.
func TestAcceptedByAnEarlierAgent(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		f, p := newTaker(), &publisher{}
		a, stop := start(t, f, listed(cart), p)
		defer stop()
		died := &gopprof.Error{Reason: gopprof.ReasonAgentDied, Detail: "killed"}
		a.CameToNothing(gopprof.Order{Capture: id1, Incident: id2, Target: cart, Kinds: []gopprof.Kind{gopprof.KindCPU}}, died)
		wantReply(t, a.Status(t.Context(), gopprof.StatusRequest{Capture: id1}), gopprof.ReasonAgentDied)
		wantReply(t, a.Capture(t.Context(), request(id1)), gopprof.ReasonAgentDied)
		synctest.Wait()
		if len(f.orders) > 0 || len(p.got) != 1 || p.got[0].ID != id1 || len(p.got[0].Failures) != 1 || p.got[0].Failures[0].Reason != gopprof.ReasonAgentDied {
			t.Errorf("ordered %+v, published %+v", f.orders, p.got)
		}
		if n := testutil.ToFloat64(a.metrics.outcomes.WithLabelValues("agent_died")); n != 1 {
			t.Errorf("counted %v, want 1", n)
		}
	})
}
