package dispatch

import (
	"errors"
	"testing"
	"time"

	"github.com/gopprof/gopprof/pkg/bus/buckettest"
	"github.com/gopprof/gopprof/pkg/gopprof"
)

// Siblings have places of their own in the totals: none of their workload's, at most half of
// all, and one for each capture however often it is asked for.
func TestSiblingsInTheBudget(t *testing.T) {
	c, budget := newClock(), buckettest.NewKV()
	cfg := testConfig()
	cfg.Budget = Budget{PerWorkloadAtOnce: 2, PerWorkloadPerHour: 2, TotalAtOnce: 4, TotalPerHour: 10}
	d, other := newDispatcher(cfg, c.deps(budget)), newDispatcher(cfg, c.deps(budget))
	incident := d.Decide(t.Context(), firing("web", "cpu", noon)).Incident
	ask := func(capture string, want gopprof.Reason) {
		t.Helper()
		for _, replica := range []*Dispatcher{d, other, d} {
			if got, err := replica.Sibling(t.Context(), capture, incident); got != want || err != nil {
				t.Errorf("%q, %v; want %q", got, err, want)
			}
		}
	}
	first, second, third := idAt(noon), idAt(noon), idAt(noon)
	ask(first, "")
	ask(second, "")
	ask(third, gopprof.ReasonBudget) // half of the places
	if budget.Writes() != 3 {
		t.Errorf("%d writes, want 3", budget.Writes())
	}
	again := d.Decide(t.Context(), firing("web", "cpu", noon))
	if !again.Go || again.Incident != incident {
		t.Errorf("the second hot pod: %+v", again)
	}
	if a := d.Decide(t.Context(), firing("api", "cpu", noon)); a.Go {
		t.Errorf("a fifth capture at once: %+v", a)
	}
	c.add(10 * time.Second)
	if err := d.Ended(t.Context(), first); err != nil {
		t.Fatal(err)
	}
	c.add(time.Second)
	ask(idAt(c.now()), "")
	if a := d.Decide(t.Context(), gopprof.Firing{Capture: second, Rule: "", Target: firing("web", "cpu", noon).Target}); a.Go {
		t.Errorf("a firing under a sibling's ID: %+v", a)
	}
}

// Their part of an hour is used up by them alone, and an incident is not prolonged by them.
func TestSiblingsInAnHour(t *testing.T) {
	c, budget := newClock(), buckettest.NewKV()
	cfg := testConfig() // 6 in an hour
	d := newDispatcher(cfg, c.deps(budget))
	incident := d.Decide(t.Context(), firing("web", "cpu", noon)).Incident
	for i, want := range []gopprof.Reason{"", "", "", gopprof.ReasonBudget} {
		c.add(6 * time.Minute)
		if got, err := d.Sibling(t.Context(), idAt(c.now()), incident); got != want || err != nil {
			t.Errorf("sibling %d: %q, %v", i, got, err)
		}
	}
	c.add(20 * time.Minute)
	if a := d.Decide(t.Context(), firing("web", "cpu", c.now())); !a.Go || a.Incident == incident {
		t.Errorf("44 minutes after the last hot pod: %+v", a)
	}
}

func TestSiblingsWhilePausedOrAway(t *testing.T) {
	c, budget, paused := newClock(), buckettest.NewKV(), true
	deps := c.deps(budget)
	deps.Paused = func() bool { return paused }
	d := newDispatcher(testConfig(), deps)
	if got, err := d.Sibling(t.Context(), idAt(noon), idAt(noon)); got != gopprof.ReasonPaused || err != nil || budget.Writes() != 0 {
		t.Errorf("paused: %q, %v", got, err)
	}
	paused = false
	budget.Break(errors.New("away"))
	if got, err := d.Sibling(t.Context(), idAt(noon), idAt(noon)); got != gopprof.ReasonNoAnswer || err == nil {
		t.Errorf("away: %q, %v", got, err)
	}
}
