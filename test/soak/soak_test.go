package soak

import (
	"context"
	"errors"
	"flag"
	"fmt"
	"math/rand/v2"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/gopprof/gopprof/pkg/api"
	"github.com/gopprof/gopprof/pkg/gopprof"
	"github.com/gopprof/gopprof/test/rig"
)

var (
	length = flag.Duration("soak.length", shortSoak, "how long targets go hot and cold and faults strike")
	seed   = flag.Uint64("soak.seed", 0, "seed of all that is drawn; 0 draws one. The same seed draws the same, and the machine makes of it what it will")
)

// patience is for what follows the load, and for a machine that does much else.
const patience = 6 * time.Minute

// Fifty targets go hot and cold, faults strike one after the other, and both programs are
// killed now and then. When all is over, every trigger is accounted for exactly once, and a
// soak in which nothing happened has failed.
func TestSoak(t *testing.T) {
	for *seed == 0 {
		*seed = rand.Uint64()
	}
	t.Logf("seed %d, length %s: `make soak SOAK=%s SEED=%d` does it again", *seed, *length, *length, *seed)
	ctx, cancel := context.WithTimeout(t.Context(), *length+patience)
	defer cancel()
	s := newScene(ctx, t)
	for _, what := range s.absent {
		t.Logf("left out: %s", what)
	}
	struck := s.load(ctx)
	s.settle(ctx)
	books, reports := s.close(ctx)
	account := Make(books, mayBe())
	s.audit(account)
	o := outcome{account, reports, books.Told, s.Inbox.Refuse(false), struck, s.peak}
	for _, what := range o.lacks(*length, s.kills(), s.others()) {
		t.Errorf("in %s there was not once: %s", *length, what)
	}
	t.Logf("\n%s", o.table())
}

// load has the fleet go hot and cold and faults strike, until the time is over and all
// targets are cold again.
func (s *scene) load(ctx context.Context) (struck map[string]int) {
	while, over := context.WithTimeout(ctx, *length)
	defer over()
	var loads sync.WaitGroup
	for w := range workloads {
		random := rand.New(rand.NewPCG(*seed, uint64(w)+1))
		loads.Go(func() { s.fleet.live(while, w, random, rest()) })
	}
	struck, err := s.suffer(ctx, while, rand.New(rand.NewPCG(*seed, 0)))
	over()
	loads.Wait()
	if err != nil {
		s.t.Fatal(err)
	}
	return struck
}

// mostPerHour is how many captures there may be in an hour, somewhat below what the
// aggregator's budget can be raised to: beyond it every trigger ends in the same way.
const mostPerHour = 900

// rest is the mean time for which a workload is cold.
func rest() time.Duration {
	const captures, hot = 2.5, 12 * time.Second // of one heat, as seen
	cycle := time.Duration(workloads * captures / mostPerHour * float64(min(*length, time.Hour)))
	return max(cycle-hot, 10*time.Second)
}

// settle waits until nothing is underway any more. When that does not come, the account
// says what is missing.
func (s *scene) settle(ctx context.Context) {
	ctx, cancel := context.WithTimeout(ctx, patience/2)
	defer cancel()
	err := rig.Poll(ctx, func() error {
		reports, err := s.list(ctx)
		if err != nil {
			return err
		}
		b := s.books()
		b.Silent = contradicted(reports)
		if way := b.Underway(); len(way) > 0 {
			return fmt.Errorf("underway: %s", strings.Join(way[:min(len(way), 5)], "; "))
		}
		if left := s.spooled(); len(left) > 0 {
			return fmt.Errorf("in the spool: %v", left)
		}
		return s.cold(ctx)
	})
	if err != nil {
		s.t.Errorf("settling: %v", err)
	}
}

// cold tells which rule is not below its threshold, as the agent sees it.
func (s *scene) cold(ctx context.Context) error {
	var state gopprof.NodeState
	if err := getJSON(ctx, s.Status, &state); err != nil {
		return err
	}
	if n := len(state.Targets); n != len(s.fleet.targets) {
		return fmt.Errorf("the agent sees %d targets, want %d", n, len(s.fleet.targets))
	}
	for _, t := range state.Targets {
		for _, rule := range t.Rules {
			if rule.Reason != gopprof.ReasonBelowThreshold {
				return fmt.Errorf("rule %s on %s is not cold: %s", rule.Rule, t.Target.Pod, rule.Reason)
			}
		}
	}
	return nil
}

// close ends both programs as an operator does, and looks at all that they leave behind.
func (s *scene) close(ctx context.Context) (b Books, reports []api.ReportSummary) {
	s.t.Helper()
	reports, err := s.list(ctx)
	must(s.t, err)
	s.compareMetrics(ctx)
	must(s.t, errors.Join(s.stop(s.Agent), s.stop(s.Aggregator)))
	b = s.books()
	b.Silent = contradicted(reports)
	for _, r := range reports {
		b.Listed = append(b.Listed, r.ID)
	}
	b.Stored = s.stored()
	b.Announced, b.Dead = s.streams()
	return b, reports
}
