package hostile

import (
	"net/http"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/gopprof/gopprof/agent/take"
	"github.com/gopprof/gopprof/pkg/gopprof"
	"github.com/gopprof/gopprof/test/hostile/victim/job"
)

// mostGood is how long a good target may take that answers at once, whatever the one beside
// it does: the machine is busy.
const mostGood = 5 * time.Second

// result is what came of a group of cases.
type result struct {
	taken []job.Taken
	err   error
}

// TestAgent has agents profile every target of the corpus, and a good one at the same time.
func TestAgent(t *testing.T) {
	t.Parallel()
	p := newPlace(t)
	cases := Cases(p.away)
	var slow [][]Case
	var waiting []chan result
	for _, c := range cases {
		if c.Slow { // they wait for each other's time together
			done := make(chan result, 1)
			slow, waiting = append(slow, []Case{c}), append(waiting, done)
			go func() { done <- p.take(c) }()
		}
	}
	for _, group := range groups(slices.DeleteFunc(cases, func(c Case) bool { return c.Slow })) {
		checkTaken(t, p, group, p.take(group...))
	}
	for i, done := range waiting {
		checkTaken(t, p, slow[i], <-done)
	}
	if n := p.reached.Load(); n != 0 {
		t.Errorf("%d connections to where targets tried to lead", n)
	}
}

// TestSilentTargetsHoldUpOthers: as many as are profiled at once, and then a good one. It
// waits no longer than one time-out, of however many kinds they were asked for, and is profiled.
func TestSilentTargetsHoldUpOthers(t *testing.T) {
	t.Parallel()
	p := newPlace(t)
	silent := answering("silent", func(_ http.ResponseWriter, r *http.Request) { <-r.Context().Done() }, timeout)
	kinds := []gopprof.Kind{gopprof.KindHeap, gopprof.KindGoroutine}
	j := job.Take{Hostile: p.start(silent), Good: p.good, Kinds: kinds, Timeout: 3 * time.Second, Patience: time.Minute}
	for range take.DefaultConfig().MaxAtOnce - 1 {
		j.Others = append(j.Others, p.start(silent))
	}
	most := 2 * j.Timeout // the victim connects for as long as it waits for a profile
	all, err := suffer[job.Take, job.Taken](t.Context(), "take", []job.Take{j})
	if err != nil {
		t.Fatal(err)
	}
	taken := all[0]
	t.Logf("the good one after %.1f s, of at most %v", taken.GoodTook, most)
	if taken.Good != "" || taken.GoodTook > (most+mostGood).Seconds() {
		t.Errorf("the good target: reason %q after %.1f s, want none and %v at most", taken.Good, taken.GoodTook, most)
	}
	if taken.GoodTook < most.Seconds()/2 {
		t.Error("nobody was in its way")
	}
	if taken.Reason != gopprof.ReasonTimeout {
		t.Errorf("the silent one: reason %q", taken.Reason)
	}
}

// take has one agent take them one after the other.
func (p *place) take(group ...Case) result {
	var jobs []job.Take
	for _, c := range group {
		j := job.Take{Hostile: p.start(c), Good: p.good, Kinds: c.Kinds(), Timeout: 2 * time.Minute}
		if c.Slow {
			j.Timeout = 3 * time.Second
		}
		if c.Identity != nil {
			j.CAFile = p.authorities()
		}
		jobs = append(jobs, j)
	}
	proxy := "http://" + p.away
	taken, err := suffer[job.Take, job.Taken](p.t.Context(), "take", jobs, "HTTP_PROXY="+proxy, "HTTPS_PROXY="+proxy, "ALL_PROXY="+proxy)
	return result{taken, err}
}

func checkTaken(t *testing.T, p *place, group []Case, r result) {
	t.Helper()
	if r.err != nil {
		t.Errorf("%s: %v", group[0].Name, r.err)
		return
	}
	for i, taken := range r.taken {
		t.Run(group[i].Name, func(t *testing.T) { checkOne(t, p, group[i], taken) })
	}
}

func checkOne(t *testing.T, p *place, c Case, taken job.Taken) {
	if testing.Verbose() {
		t.Logf("%q %s; %d bytes in %.1f s; the good one in %.1f s; %.1f MB", taken.Reason, taken.Detail, taken.Bytes, taken.Seconds, taken.GoodTook, float64(taken.Memory.Cost())/1e6)
	}
	if !c.Allows(taken.Reason) {
		t.Errorf("reason %q (%s), want one of %q", taken.Reason, taken.Detail, c.Reasons)
	}
	if cost := taken.Memory.Cost(); cost > mostBytes {
		t.Errorf("%d bytes of memory", cost)
	}
	if taken.Good != "" || taken.GoodTook > mostGood.Seconds() || c.Slow && taken.GoodTook >= taken.Seconds {
		t.Errorf("the good target: reason %q after %.1f s; the hostile one ended after %.1f s", taken.Good, taken.GoodTook, taken.Seconds)
	}
	checkLine(t, taken.Detail)
	if len(taken.Dialled) < 2 {
		t.Errorf("dialled %q, want both targets", taken.Dialled)
	}
	for _, address := range taken.Dialled {
		if !strings.HasPrefix(address, "127.0.0.1:") || address == p.away {
			t.Errorf("dialled %s", address)
		}
	}
}
