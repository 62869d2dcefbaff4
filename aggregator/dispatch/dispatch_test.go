package dispatch

import (
	"context"
	"errors"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"testing/synctest"
	"time"

	"github.com/prometheus/client_golang/prometheus"
	"github.com/prometheus/client_golang/prometheus/testutil"
	"go.uber.org/zap"
	"go.uber.org/zap/zapcore"
	"go.uber.org/zap/zaptest/observer"

	"github.com/gopprof/gopprof/pkg/bus/buckettest"
	"github.com/gopprof/gopprof/pkg/gopprof"
)

// clock is a time that tests move.
type clock struct{ nanoseconds atomic.Int64 }

func newClock() *clock {
	c := &clock{}
	c.nanoseconds.Store(noon.UnixNano())
	return c
}

func (c *clock) now() time.Time      { return time.Unix(0, c.nanoseconds.Load()).UTC() }
func (c *clock) add(d time.Duration) { c.nanoseconds.Add(int64(d)) }
func (c *clock) newID() string       { return idAt(c.now()) }
func (c *clock) deps(budget *buckettest.KV) Deps {
	return Deps{Budget: budget, Now: c.now, NewID: c.newID}
}

func newDispatcher(cfg Config, deps Deps) *Dispatcher {
	return New(cfg, deps, zap.NewNop(), prometheus.NewRegistry())
}

func TestReplicasShareOneBudget(t *testing.T) {
	c, budget := newClock(), buckettest.NewKV()
	cfg := testConfig()
	cfg.Budget = Budget{PerWorkloadAtOnce: 7, PerWorkloadPerHour: 100, TotalAtOnce: 100, TotalPerHour: 100}
	var granted atomic.Int32
	incidents := sync.Map{}
	var all sync.WaitGroup
	for range 3 {
		d := newDispatcher(cfg, c.deps(budget))
		for range 100 {
			all.Go(func() {
				if a := d.Decide(t.Context(), firing("web", "cpu", noon)); a.Go {
					granted.Add(1)
					incidents.Store(a.Incident, true)
				}
			})
		}
	}
	all.Wait()
	if granted.Load() != 7 {
		t.Errorf("300 replicas of a workload got %d captures, the budget is 7", granted.Load())
	}
	n := 0
	incidents.Range(func(any, any) bool { n++; return true })
	if n != 1 {
		t.Errorf("they belong to %d incidents, not one", n)
	}
	if budget.Writes() != 7 {
		t.Errorf("the budget was written %d times: refusals must cost nothing", budget.Writes())
	}
}

func TestAnswersSurviveRestart(t *testing.T) {
	c, budget := newClock(), buckettest.NewKV()
	first := newDispatcher(testConfig(), c.deps(budget))
	asked := []gopprof.Firing{firing("web", "cpu", noon), firing("web", "cpu", noon), firing("web", "cpu", noon)}
	var answers []gopprof.Decision
	for _, f := range asked {
		answers = append(answers, first.Decide(t.Context(), f))
	}
	if answers[2].Go {
		t.Fatal("the third capture at once was granted")
	}
	c.add(time.Minute)
	second := newDispatcher(testConfig(), c.deps(budget))
	for i, f := range asked {
		if again := second.Decide(t.Context(), f); again != answers[i] {
			t.Errorf("capture %d: %+v before the restart, %+v after", i, answers[i], again)
		}
	}
}

// Whatever a workload and a rule are called, what was granted is known to those who read it.
func TestGrantsOfAnyName(t *testing.T) {
	umlauts := strings.Repeat("ü", 100)
	for _, name := range []string{"web", strings.Repeat("w", 200), umlauts, "w" + umlauts, "w\uFFFDb", strings.Repeat("\uFFFD", 60)} {
		for workload, rule := range map[string]string{name: "cpu", "web": name} {
			c, budget := newClock(), buckettest.NewKV()
			f := firing(workload, rule, noon)
			first := newDispatcher(testConfig(), c.deps(budget)).Decide(t.Context(), f)
			again := newDispatcher(testConfig(), c.deps(budget)).Decide(t.Context(), f)
			if !first.Go || again != first {
				t.Errorf("workload %q, rule %q: %+v, then by another replica %+v", workload, rule, first, again)
			}
		}
	}
}

func TestUnreachableBudget(t *testing.T) {
	c, budget := newClock(), buckettest.NewKV()
	core, logs := observer.New(zapcore.InfoLevel)
	reg := prometheus.NewRegistry()
	d := New(testConfig(), c.deps(budget), zap.New(core), reg)
	budget.Break(errors.New("away"))
	for range 3 {
		if a := d.Decide(t.Context(), firing("web", "cpu", noon)); a.Go || a.Reason != gopprof.ReasonNoAnswer {
			t.Errorf("answer without a budget: %+v", a)
		}
	}
	budget.Break(nil)
	if a := d.Decide(t.Context(), firing("web", "cpu", noon)); !a.Go {
		t.Errorf("answer once the budget is back: %+v", a)
	}
	if n := logs.FilterLevelExact(zapcore.ErrorLevel).Len(); n != 1 {
		t.Errorf("the loss of the budget was logged %d times", n)
	}
	if n := testutil.ToFloat64(d.metrics.decisions.WithLabelValues("no_answer")); n != 3 {
		t.Errorf("counted %v decisions without answer", n)
	}
}

func TestDecideEndsWithItsContext(t *testing.T) {
	c := newClock()
	d := newDispatcher(testConfig(), c.deps(buckettest.NewKV()))
	<-d.ledgers // somebody else works on it for ever
	ctx, cancel := context.WithTimeout(t.Context(), 10*time.Millisecond)
	defer cancel()
	if a := d.Decide(ctx, firing("web", "cpu", noon)); a.Reason != gopprof.ReasonNoAnswer {
		t.Errorf("answer when the time is over: %+v", a)
	}
}

func TestUnreadableBudgetStartsAnew(t *testing.T) {
	c, budget := newClock(), buckettest.NewKV()
	if _, err := budget.Create(t.Context(), ledgerKey, []byte("{broken")); err != nil {
		t.Fatal(err)
	}
	d := newDispatcher(testConfig(), c.deps(budget))
	for i, want := range []bool{true, true, false} {
		if a := d.Decide(t.Context(), firing("web", "cpu", noon)); a.Go != want {
			t.Errorf("answer %d: %+v", i, a)
		}
	}
}

func TestNotAnID(t *testing.T) {
	budget := buckettest.NewKV()
	d := newDispatcher(testConfig(), newClock().deps(budget))
	f := firing("web", "cpu", noon)
	f.Capture = "../../etc/passwd"
	if a := d.Decide(t.Context(), f); a.Go || a.Reason != gopprof.ReasonBadInput {
		t.Errorf("answer: %+v", a)
	}
	if budget.Writes() != 0 {
		t.Error("it cost the budget")
	}
}

func TestEndFreesAPlace(t *testing.T) {
	c := newClock()
	d := newDispatcher(testConfig(), c.deps(buckettest.NewKV()))
	f := firing("web", "cpu", noon)
	d.Decide(t.Context(), f)
	d.Decide(t.Context(), firing("web", "cpu", noon))
	c.add(40 * time.Second)
	for range 2 { // doing so again changes nothing
		if err := d.Ended(t.Context(), f.Capture); err != nil {
			t.Fatal(err)
		}
	}
	c.add(time.Second)
	if a := d.Decide(t.Context(), firing("web", "cpu", c.now())); !a.Go {
		t.Errorf("after one of two ended: %+v", a)
	}
	if a := d.Decide(t.Context(), firing("web", "cpu", c.now())); a.Go {
		t.Errorf("one end freed two places: %+v", a)
	}
}

// lagging reads from a replica of the bucket that is behind.
type lagging struct {
	*buckettest.KV
	behind *buckettest.KV
}

func (l *lagging) Get(ctx context.Context, key string) ([]byte, uint64, error) {
	if l.behind != nil {
		return l.behind.Get(ctx, key)
	}
	return l.KV.Get(ctx, key)
}

// A capture's end is not lost because the budget was read from where its grant had not arrived
// yet; a bucket that was made anew is taken as it is.
func TestBudgetReadFromAReplicaThatIsBehind(t *testing.T) {
	c, budget := newClock(), &lagging{KV: buckettest.NewKV()}
	deps := c.deps(nil)
	deps.Budget = budget
	d := newDispatcher(testConfig(), deps)
	d.Decide(t.Context(), firing("other", "cpu", noon)) // the key is there
	first := firing("web", "cpu", noon)
	before := budget.Copy()
	for range 2 {
		if a := d.Decide(t.Context(), first); !a.Go {
			t.Fatalf("refused: %+v", a)
		}
		budget.behind, before = before, budget.Copy()
		if err := d.Ended(t.Context(), first.Capture); err != nil {
			t.Fatal(err)
		}
		budget.behind = nil
		first = firing("web", "cpu", noon)
	}
	if a := d.Decide(t.Context(), firing("web", "cpu", noon)); !a.Go {
		t.Errorf("with nothing running: %+v", a)
	}
	budget.KV = buckettest.NewKV()
	if a := d.Decide(t.Context(), firing("api", "cpu", noon)); !a.Go {
		t.Errorf("of a bucket that was made anew: %+v", a)
	}
}

func TestNodes(t *testing.T) {
	c := newClock()
	d := newDispatcher(testConfig(), c.deps(buckettest.NewKV()))
	d.Observe(gopprof.NodeState{Cluster: "c", Node: "b", At: noon.Add(8760 * time.Hour)}) // its clock is a year ahead
	d.Observe(gopprof.NodeState{Cluster: "c", Node: "a"})
	if n := d.Nodes(); len(n) != 2 || n[0].Node != "a" || !n[1].At.Equal(noon) {
		t.Errorf("nodes: %+v", n)
	}
	c.add(10 * time.Minute)
	d.Observe(gopprof.NodeState{Cluster: "c", Node: "a"})
	c.add(6 * time.Minute)
	if n := d.Nodes(); len(n) != 1 || n[0].Node != "a" {
		t.Errorf("a node that is silent for 16 minutes: %+v", n)
	}
	if n := testutil.ToFloat64(d.metrics.nodes); n != 1 {
		t.Errorf("metric: %v nodes", n)
	}
}

func TestConfigMistakes(t *testing.T) {
	good := DefaultConfig()
	for key, mistake := range map[string]func(*Config){
		"incident_window":  func(c *Config) { c.IncidentWindow = 7 * time.Hour },
		"capture_lifetime": func(c *Config) { c.CaptureLifetime = time.Second },
		"stale_after":      func(c *Config) { c.StaleAfter = 0 },
		"forget_after":     func(c *Config) { c.ForgetAfter = time.Second },
	} {
		c := good
		mistake(&c)
		if got := mistakes(c.Check); len(got) != 1 || got[0] != key {
			t.Errorf("%s: reported %v", key, got)
		}
	}
	if got := mistakes(Budget{}.Check); len(got) != 4 {
		t.Errorf("an empty budget: %v", got)
	}
	if got := mistakes(Siblings{PerCapture: 6, Wait: time.Hour}.Check); len(got) != 2 {
		t.Errorf("too many siblings, waited for for ever: %v", got)
	}
	if got := mistakes(Siblings{Wait: time.Second}.Check); got != nil {
		t.Errorf("no siblings at all: %v", got)
	}
	for _, check := range []func(func(string, string)){good.Check, good.Budget.Check, good.Siblings.Check} {
		if got := mistakes(check); got != nil {
			t.Errorf("the defaults are mistaken: %v", got)
		}
	}
}

func mistakes(check func(report func(key, problem string))) (keys []string) {
	check(func(key, _ string) { keys = append(keys, key) })
	return keys
}

// slowly is a bucket that takes its time to read.
type slowly struct {
	*buckettest.KV
	reads atomic.Int32
}

func (s *slowly) Get(ctx context.Context, key string) ([]byte, uint64, error) {
	s.reads.Add(1)
	time.Sleep(100 * time.Millisecond) // synctest's time
	return s.KV.Get(ctx, key)
}

// Agents wait for a second: a thousand who ask in the same moment share a few looks at the
// budget, and none is left to decide alone.
func TestPeakIsAnsweredInTime(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		c, budget := newClock(), &slowly{KV: buckettest.NewKV()}
		deps := c.deps(nil)
		deps.Budget = budget
		d := newDispatcher(testConfig(), deps)
		for _, peak := range []string{"first", "second"} { // that finds the budget used up
			var silent, granted atomic.Int32
			var all sync.WaitGroup
			for range 1000 {
				all.Go(func() {
					a := d.Decide(t.Context(), firing("web", "cpu", noon))
					silent.Add(int32(one(a.Reason == gopprof.ReasonNoAnswer)))
					granted.Add(int32(one(a.Go)))
				})
			}
			all.Wait()
			want := int32(testConfig().Budget.PerWorkloadAtOnce * one(peak == "first"))
			if silent.Load() != 0 || granted.Load() != want {
				t.Errorf("%s peak: %d of 1000 not answered, %d captures, want %d", peak, silent.Load(), granted.Load(), want)
			}
			if n := budget.reads.Swap(0); n > 3 {
				t.Errorf("%s peak: the budget was read %d times", peak, n)
			}
		}
	})
}

// While profiling is paused nobody gets a capture, and nothing is used up.
func TestPausedDecisions(t *testing.T) {
	c, paused, budget := newClock(), true, buckettest.NewKV()
	deps := c.deps(budget)
	deps.Paused = func() bool { return paused }
	d := newDispatcher(testConfig(), deps)
	f := firing("web", "cpu", noon)
	if a := d.Decide(t.Context(), f); a.Go || a.Reason != gopprof.ReasonPaused || budget.Writes() != 0 {
		t.Errorf("paused: %+v, %d writes", a, budget.Writes())
	}
	paused = false
	if a := d.Decide(t.Context(), f); !a.Go {
		t.Errorf("afterwards: %+v", a)
	}
}
