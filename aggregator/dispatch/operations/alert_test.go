package operations

import (
	"context"
	"fmt"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/gopprof/gopprof/pkg/bus"
	"github.com/gopprof/gopprof/pkg/gopprof"
)

func alertOf(pod string) gopprof.Manual {
	return gopprof.Manual{Who: "alertmanager", Namespace: "shop", Pod: pod, Key: pod,
		Alert: &gopprof.Alert{Name: "Hot", Fingerprint: "f-" + pod, Annotations: map[string]string{"summary": "at 0.91"}}}
}

// An alert is asked for once, whoever brings it, however it describes itself meanwhile, on
// whichever replica, and also after a restart; and its agent is told which alert it is.
func TestAlertIsAskedForOnce(t *testing.T) {
	bubble(t, func(t *testing.T, l *lab) {
		l.pods("web", 3, "a")
		k, stop := l.start()
		other := New(l.cfg, Deps{Records: l.kv, Keys: l.kv, Control: l.kv, Agents: l, Nodes: l, Selector: selector}, nop(), registry())
		var mu sync.Mutex
		ids, news := map[string]bool{}, 0
		var all sync.WaitGroup
		for i := range 8 {
			all.Go(func() {
				m, keeper := alertOf("web-0"), k
				if m.Who = fmt.Sprint("alertmanager-", i); i%2 == 1 {
					keeper = other
				}
				m.Alert.Annotations["summary"], m.Kinds = fmt.Sprint("at 0.9", i), []gopprof.Kind{gopprof.KindHeap}
				op, before, err := keeper.CaptureOnce(t.Context(), m)
				mu.Lock()
				defer mu.Unlock()
				if ids[op.ID] = true; err != nil {
					t.Error(err)
				}
				if !before {
					news++
				}
			})
		}
		all.Wait()
		if len(ids) != 1 || news != 1 {
			t.Fatalf("operations %v, %d of them new", ids, news)
		}
		for id := range ids {
			wait(t, k, id)
		}
		stop()
		k, stop = l.start()
		defer stop()
		if op, before, err := k.CaptureOnce(t.Context(), alertOf("web-0")); err != nil || !before || !ids[op.ID] {
			t.Errorf("after a restart: %s, %v, %v", op.ID, before, err)
		}
		l.mu.Lock()
		defer l.mu.Unlock()
		if len(l.asked) != 1 || l.asked[0].Kind != gopprof.TriggerAlert || l.asked[0].Alert == nil || l.asked[0].Alert.Fingerprint != "f-web-0" {
			t.Errorf("agents were asked %+v", l.asked)
		}
	})
}

// The same namespace, pod and alert of two clusters are two alerts: one does not use up the
// other.
func TestAlertsOfTwoClusters(t *testing.T) {
	bubble(t, func(t *testing.T, l *lab) {
		l.pods("web", 1, "a")
		elsewhere := target("b", "web-0", "web")
		elsewhere.Cluster = "d"
		l.mu.Lock()
		l.add("b", elsewhere)
		l.nodes[1].Cluster = "d"
		l.mu.Unlock()
		k, stop := l.start()
		defer stop()
		for _, cluster := range []string{"c", "d"} {
			m := alertOf("web-0")
			m.Cluster = cluster
			op, before, err := k.CaptureOnce(t.Context(), m)
			if err != nil || before || op.Cluster() != cluster {
				t.Errorf("the alert of cluster %s: captures in %q, asked before: %v, %v", cluster, op.Cluster(), before, err)
			}
			if again, before, err := k.CaptureOnce(t.Context(), m); err != nil || !before || again.ID != op.ID {
				t.Errorf("its repetition: %s, %v, %v", again.ID, before, err)
			}
		}
	})
}

// Each repetition keeps an alert's key, which is else forgotten sooner than its operation.
func TestKeyOfAnAlertIsKept(t *testing.T) {
	bubble(t, func(t *testing.T, l *lab) {
		l.pods("web", 3, "a")
		k, stop := l.start()
		defer stop()
		m := alertOf("web-0")
		if _, err := k.Capture(t.Context(), m); err != nil {
			t.Fatal(err)
		}
		_, first, _ := l.kv.Get(t.Context(), claimKey(m))
		if _, before, err := k.CaptureOnce(t.Context(), m); err != nil || !before {
			t.Fatal(before, err)
		}
		if _, again, err := l.kv.Get(t.Context(), claimKey(m)); err != nil || again == first {
			t.Errorf("revision %d, then %d, %v", first, again, err)
		}
	})
}

// What was not written down for want of NATS is asked for by the next try.
func TestAlertWhileNATSIsAway(t *testing.T) {
	bubble(t, func(t *testing.T, l *lab) {
		l.pods("web", 3, "a")
		k, stop := l.start()
		defer stop()
		l.kv.Break(bus.ErrAway)
		if _, _, err := k.CaptureOnce(t.Context(), alertOf("web-0")); gopprof.ReasonOf(err) != gopprof.ReasonNoAnswer {
			t.Errorf("while NATS is away: %v", err)
		}
		l.kv.Break(nil)
		if _, before, err := k.CaptureOnce(t.Context(), alertOf("web-0")); err != nil || before {
			t.Errorf("afterwards: %v, %v", before, err)
		}
	})
}

// A thousand replicas that all have their alert give a few captures; what people ask for is
// not counted, and an hour later there may be more.
func TestAlertsOfAWorkloadAreBounded(t *testing.T) {
	bubble(t, func(t *testing.T, l *lab) {
		l.pods("web", 30, "a", "b")
		l.pods("cart", 3, "a")
		k, stop := l.start()
		defer stop()
		ask(t, k, gopprof.Manual{Pod: "web-29"})
		asked := 0
		for i := range 25 {
			_, _, err := k.CaptureOnce(t.Context(), alertOf(fmt.Sprint("web-", i)))
			switch {
			case err == nil:
				asked++
			case gopprof.ReasonOf(err) != gopprof.ReasonCooldown:
				t.Errorf("pod %d: %v", i, err)
			}
		}
		if asked != l.cfg.AlertsPerWorkloadPerHour {
			t.Errorf("%d captures were asked for", asked)
		}
		if _, _, err := k.CaptureOnce(t.Context(), alertOf("cart-0")); err != nil {
			t.Errorf("another workload: %v", err)
		}
		if _, err := k.Capture(t.Context(), gopprof.Manual{Namespace: "shop", Pod: "web-28"}); err != nil {
			t.Errorf("by hand: %v", err)
		}
		if _, before, err := k.CaptureOnce(t.Context(), alertOf("web-0")); err != nil || !before {
			t.Errorf("one that was asked for: %v, %v", before, err)
		}
		time.Sleep(61 * time.Minute)
		if _, _, err := k.CaptureOnce(t.Context(), alertOf("web-24")); err != nil {
			t.Errorf("an hour later: %v", err)
		}
	})
}

// slow is a bucket whose writes take a while, so that what is asked for meanwhile meets.
type slow struct{ KV }

func (s slow) Create(ctx context.Context, key string, b []byte) (uint64, error) {
	time.Sleep(time.Second)
	return s.KV.Create(ctx, key, b)
}

// Alerts that come in the very same moment are bounded as those that follow each other.
func TestAlertsAtOnceAreBounded(t *testing.T) {
	bubble(t, func(t *testing.T, l *lab) {
		l.cfg.AlertsPerWorkloadPerHour = 4
		l.pods("web", 9, "a", "b")
		k := New(l.cfg, Deps{Records: slow{l.kv}, Keys: l.kv, Control: l.kv, Agents: l, Nodes: l, Selector: selector}, nop(), registry())
		var asked, refused atomic.Int32
		var all sync.WaitGroup
		for i := range 9 {
			all.Go(func() {
				switch _, err := k.Capture(t.Context(), alertOf(fmt.Sprint("web-", i))); {
				case err == nil:
					asked.Add(1)
				case gopprof.ReasonOf(err) == gopprof.ReasonCooldown:
					refused.Add(1)
				default:
					t.Error(err)
				}
			})
		}
		all.Wait()
		if asked.Load() != 4 || refused.Load() != 5 {
			t.Errorf("%d were asked for, %d refused", asked.Load(), refused.Load())
		}
	})
}

// The same alert from two senders in the same moment counts once.
func TestTheSameAlertAtOnceCountsOnce(t *testing.T) {
	bubble(t, func(t *testing.T, l *lab) {
		l.cfg.AlertsPerWorkloadPerHour = 1
		l.pods("web", 3, "a")
		k := New(l.cfg, Deps{Records: slow{l.kv}, Keys: l.kv, Control: l.kv, Agents: l, Nodes: l, Selector: selector}, nop(), registry())
		var all sync.WaitGroup
		for range 3 {
			all.Go(func() {
				if _, err := k.Capture(t.Context(), alertOf("web-0")); err != nil {
					t.Error(err)
				}
			})
		}
		all.Wait()
		if _, err := k.Capture(t.Context(), alertOf("web-1")); gopprof.ReasonOf(err) != gopprof.ReasonCooldown {
			t.Errorf("another: %v", err)
		}
	})
}

// What could not be written down is not counted.
func TestAlertsThatWereNotWrittenAreNotCounted(t *testing.T) {
	bubble(t, func(t *testing.T, l *lab) {
		l.cfg.AlertsPerWorkloadPerHour = 1
		l.pods("web", 3, "a")
		k, stop := l.start()
		defer stop()
		l.kv.Break(bus.ErrAway)
		for range 3 {
			if _, err := k.Capture(t.Context(), alertOf("web-0")); gopprof.ReasonOf(err) != gopprof.ReasonNoAnswer {
				t.Errorf("while NATS is away: %v", err)
			}
		}
		l.kv.Break(nil)
		if _, err := k.Capture(t.Context(), alertOf("web-0")); err != nil {
			t.Errorf("afterwards: %v", err)
		}
	})
}

// An alert that names a workload gets as many of its pods as there is room for.
func TestAlertOfAWorkloadIsBounded(t *testing.T) {
	bubble(t, func(t *testing.T, l *lab) {
		l.cfg.AlertsPerWorkloadPerHour = 4
		l.pods("web", 9, "a", "b")
		k, stop := l.start()
		defer stop()
		for i, want := range []int{3, 1, 0} {
			m := alertOf("")
			m.Key, m.Workload, m.MaxPods = fmt.Sprint("key-", i), gopprof.Workload{Kind: "Deployment", Name: "web"}, 3
			op, err := k.Capture(t.Context(), m)
			if len(op.Captures) != want || (want == 0) != (gopprof.ReasonOf(err) == gopprof.ReasonCooldown) {
				t.Errorf("alert %d: %d captures, want %d: %v", i, len(op.Captures), want, err)
			}
		}
	})
}

// The bound holds in a namespace that is so busy that the list of its operations is cut, and
// for a replica that starts within the hour.
func TestAlertsAreBoundedInABusyNamespace(t *testing.T) {
	bubble(t, func(t *testing.T, l *lab) {
		l.pods("web", 30, "a", "b")
		l.pods("cart", 2, "a")
		k, stop := l.start()
		for i := range l.cfg.AlertsPerWorkloadPerHour {
			if _, err := k.Capture(t.Context(), alertOf(fmt.Sprint("web-", i))); err != nil {
				t.Fatal(err)
			}
		}
		for range maxOfNamespace + 1 {
			time.Sleep(time.Second)
			ask(t, k, gopprof.Manual{Pod: "cart-0", Kinds: []gopprof.Kind{gopprof.KindHeap}})
		}
		if _, err := k.Capture(t.Context(), alertOf("web-29")); gopprof.ReasonOf(err) != gopprof.ReasonCooldown {
			t.Errorf("one more: %v", err)
		}
		stop()
		k, stop = l.start()
		defer stop()
		if _, err := k.Capture(t.Context(), alertOf("web-28")); gopprof.ReasonOf(err) != gopprof.ReasonCooldown {
			t.Errorf("one more, after a restart: %v", err)
		}
	})
}
