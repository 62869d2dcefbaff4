package dispatch

import (
	"encoding/json"
	"fmt"
	"math/rand/v2"
	"strings"
	"testing"
	"time"

	"github.com/google/uuid"

	"github.com/gopprof/gopprof/pkg/gopprof"
)

var noon = time.Date(2026, 11, 22, 12, 0, 0, 0, time.UTC)

// idAt returns a UUIDv7 made at a time.
func idAt(t time.Time) string {
	u := uuid.New()
	ms := uint64(t.UnixMilli())
	for i := range 6 {
		u[i] = byte(ms >> (8 * (5 - i)))
	}
	u[6] = 0x70 | u[6]&0x0f
	return u.String()
}

func firing(workload, rule string, at time.Time) gopprof.Firing {
	return gopprof.Firing{
		Capture: idAt(at), Rule: rule, Resource: gopprof.ResourceCPU, Ratio: 0.93, At: at,
		Target: gopprof.Target{
			Cluster: "c", Node: "n", Namespace: "shop", Workload: gopprof.Workload{Kind: "Deployment", Name: workload},
			Pod: workload + "-1", Container: "main",
		},
	}
}

// asker is a ledger with a clock: what a Dispatcher is without its effects.
type asker struct {
	cfg    Config
	ledger ledger
}

func (a *asker) ask(f gopprof.Firing, now time.Time) gopprof.Decision {
	d, g := decide(a.cfg, a.ledger, f, now, func() string { return idAt(now) })
	if g != nil {
		a.ledger = a.ledger.with(*g, a.cfg, now)
	}
	return d
}

func (a *asker) end(capture string, now time.Time) { a.ledger, _ = a.ledger.ended(capture, now) }

func testConfig() Config {
	c := DefaultConfig()
	c.Budget = Budget{PerWorkloadAtOnce: 2, PerWorkloadPerHour: 4, TotalAtOnce: 3, TotalPerHour: 6}
	return c
}

// Each line of a scenario is "at workload rule → answer [incident]", or "at end N" for the
// end of the N-th granted capture. The incidents are named A, B, … as they appear.
func TestScenarios(t *testing.T) {
	for name, scenario := range map[string]string{
		"the same workload under the same rule is one incident": `
			0s web cpu → go A
			10s web cpu → go A
			10s api cpu → go B`,
		"another rule is another incident": `
			0s web cpu → go A
			10s web memory → go B`,
		"an incident goes on while captures follow within its window": `
			0s web cpu → go A
			29m web cpu → go A
			58m web cpu → go A
			90m web cpu → go B`,
		"a workload's captures at once": `
			0s web cpu → go A
			1s web cpu → go A
			2s web cpu → budget
			2s api cpu → go B
			30s end 1
			31s web cpu → go A`,
		"all captures at once": `
			0s web cpu → go A
			0s api cpu → go B
			0s db cpu → go C
			1s cache cpu → budget
			20s end 2
			21s cache cpu → go D`,
		"a capture of which nothing more is heard runs out": `
			0s web cpu → go A
			0s web cpu → go A
			4m59s web cpu → budget
			5m1s web cpu → go A`,
		"a workload's captures in an hour": `
			0s web cpu → go A
			6m web cpu → go A
			12m web cpu → go A
			18m web cpu → go A
			24m web cpu → budget
			59m web cpu → budget
			61m web cpu → go B`,
		"all captures in an hour": `
			0s a cpu → go A
			6m b cpu → go B
			12m c cpu → go C
			18m d cpu → go D
			24m e cpu → go E
			30m f cpu → go F
			36m g cpu → budget
			61m g cpu → go G
			62m h cpu → budget`,
	} {
		t.Run(name, func(t *testing.T) { play(t, scenario) })
	}
}

func play(t *testing.T, scenario string) {
	a, granted, incidents := &asker{cfg: testConfig()}, []string{}, map[string]string{}
	for line := range strings.Lines(strings.TrimSpace(scenario)) {
		words := strings.Fields(line)
		after, err := time.ParseDuration(words[0])
		if err != nil {
			t.Fatal(err)
		}
		now := noon.Add(after)
		if words[1] == "end" {
			var n int
			fmt.Sscan(words[2], &n)
			a.end(granted[n-1], now)
			continue
		}
		f := firing(words[1], words[2], now)
		d := a.ask(f, now)
		got := string(d.Reason)
		if d.Go {
			granted = append(granted, f.Capture)
			if incidents[d.Incident] == "" {
				incidents[d.Incident] = string(rune('A' + len(incidents)))
			}
			got = "go " + incidents[d.Incident]
		}
		if want := strings.Join(words[4:], " "); got != want {
			t.Fatalf("%s: got %s", strings.TrimSpace(line), got)
		}
	}
}

func TestAskingAgain(t *testing.T) {
	a := &asker{cfg: testConfig()}
	first, second, third := firing("web", "cpu", noon), firing("web", "cpu", noon), firing("web", "cpu", noon.Add(time.Second))
	d1 := a.ask(first, noon)
	a.ask(second, noon)
	before := len(a.ledger.Grants)
	if again := a.ask(first, noon.Add(time.Minute)); again != d1 {
		t.Errorf("the second answer to a granted capture is %+v, the first was %+v", again, d1)
	}
	if len(a.ledger.Grants) != before {
		t.Errorf("asking again cost the budget once more")
	}
	if d := a.ask(third, noon.Add(time.Second)); d.Go {
		t.Fatalf("third capture at once: %+v", d)
	}
	a.end(first.Capture, noon.Add(30*time.Second))
	third.At = noon.Add(time.Minute) // a new time of asking is not a new capture
	if d := a.ask(third, noon.Add(time.Minute)); d.Go {
		t.Error("a refused capture was granted when it was asked for again")
	}
	if d := a.ask(firing("web", "cpu", noon.Add(time.Minute)), noon.Add(time.Minute)); !d.Go {
		t.Errorf("a new capture after one ended: %+v", d)
	}
	if d := a.ask(first, noon.Add(2*time.Minute)); d != d1 {
		t.Errorf("the answer changed once the capture had ended: %+v", d)
	}
}

func TestAnotherCapturesID(t *testing.T) {
	a := &asker{cfg: testConfig()}
	f := firing("web", "cpu", noon)
	a.ask(f, noon)
	stolen := firing("api", "cpu", noon)
	stolen.Capture = f.Capture
	if d := a.ask(stolen, noon); d.Go || d.Reason != gopprof.ReasonBadInput {
		t.Errorf("a capture of another workload under a known ID: %+v", d)
	}
}

func TestForeignClocks(t *testing.T) {
	for name, skew := range map[string]time.Duration{"an hour ahead": time.Hour, "a year ahead": 8760 * time.Hour, "an hour behind": -time.Hour} {
		a := &asker{cfg: testConfig()}
		granted := 0
		for i := range 20 {
			now := noon.Add(time.Duration(i) * time.Second)
			if a.ask(firing("web", "cpu", now.Add(skew)), now).Go {
				granted++
			}
		}
		if want := a.cfg.Budget.PerWorkloadAtOnce; granted != want {
			t.Errorf("%s: %d captures granted, the budget is %d", name, granted, want)
		}
	}
}

// Whatever the order of firings and ends, no bound is passed at any time.
func TestBudgetIsNeverPassed(t *testing.T) {
	random := rand.New(rand.NewPCG(1, 2))
	a := &asker{cfg: testConfig()}
	a.cfg.CaptureLifetime = 2 * time.Minute
	type granted struct {
		workload string
		at, end  time.Time
	}
	var all []*granted
	open := map[string]*granted{}
	now := noon
	for range 4000 {
		now = now.Add(time.Duration(random.IntN(20)) * time.Second)
		if random.IntN(3) == 0 {
			for id, g := range open { // any one
				a.end(id, now)
				if now.Before(g.end) {
					g.end = now
				}
				delete(open, id)
				break
			}
			continue
		}
		f := firing(string(rune('a'+random.IntN(5))), "cpu", now.Add(time.Duration(random.IntN(10)-5)*time.Second))
		if a.ask(f, now).Go {
			g := &granted{f.Target.Workload.Name, now, now.Add(a.cfg.CaptureLifetime)}
			all, open[f.Capture] = append(all, g), g
		}
	}
	if len(all) < 50 {
		t.Fatalf("only %d captures were granted: the scenario shows nothing", len(all))
	}
	for _, g := range all {
		var atOnce, perHour, ofWorkload, ofWorkloadPerHour int
		for _, o := range all {
			if o.at.After(g.at) {
				continue
			}
			own, running, recent := o.workload == g.workload, o.end.After(g.at), o.at.After(g.at.Add(-time.Hour))
			atOnce += one(running)
			perHour += one(recent)
			ofWorkload += one(running && own)
			ofWorkloadPerHour += one(recent && own)
		}
		b := a.cfg.Budget
		if atOnce > b.TotalAtOnce || perHour > b.TotalPerHour || ofWorkload > b.PerWorkloadAtOnce || ofWorkloadPerHour > b.PerWorkloadPerHour {
			t.Fatalf("at %v: %d at once, %d per hour, of the workload %d and %d", g.at, atOnce, perHour, ofWorkload, ofWorkloadPerHour)
		}
	}
}

func TestLedgerIsBounded(t *testing.T) {
	a := &asker{cfg: DefaultConfig()}
	a.cfg.Budget = Budget{PerWorkloadAtOnce: 1000, PerWorkloadPerHour: 1000, TotalAtOnce: 1000, TotalPerHour: 1000}
	a.cfg.IncidentWindow = 6 * time.Hour
	long := strings.Repeat("x", 300)
	now := noon
	for i := range 2500 {
		now = now.Add(4 * time.Second)
		f := firing(fmt.Sprint(long, i), long, now)
		f.Target.Namespace = long
		a.ask(f, now)
	}
	data, err := json.Marshal(a.ledger)
	if err != nil {
		t.Fatal(err)
	}
	if len(a.ledger.Grants) > maxGrants || len(data) > 900<<10 {
		t.Errorf("%d grants in %d bytes", len(a.ledger.Grants), len(data))
	}
	now = now.Add(7 * time.Hour)
	a.ask(firing("web", "cpu", now), now)
	if n := len(a.ledger.Grants); n != 1 {
		t.Errorf("%d grants are left of a day that is over", n)
	}
}

func TestLongNamesStayApart(t *testing.T) {
	long := strings.Repeat("x", 200)
	one, two := clipKey(long+"1"), clipKey(long+"2")
	if one == two || len(one) > 120 {
		t.Errorf("%q and %q", one, two)
	}
}
