package soak

import (
	"context"
	"errors"
	"fmt"
	"math/rand/v2"
	"time"

	"github.com/gopprof/gopprof/test/rig"
)

// fault is one thing that goes wrong. strike returns when it is mended. while ends when the
// load does: then a fault that lasts is mended at once.
type fault struct {
	kind   string
	strike func(ctx, while context.Context, random *rand.Rand) error
}

// faults are those that this machine can have.
func (s *scene) faults() []fault {
	all := []fault{
		{"agent killed", s.agentKilled},
		{"aggregator killed", s.aggregatorKilled},
		{"both killed", s.bothKilled},
		{"agent stopped", s.agentStopped},
		{"aggregator stopped", s.aggregatorStopped},
		{"aggregator frozen", s.aggregatorFrozen},
		{"target restarted", s.targetRestarted},
		{"target replaced", s.targetReplaced},
		{"pprof hangs", s.pprof("never")},
		{"pprof fails", s.pprof("error")},
		{"owner refuses", s.ownerRefuses},
	}
	if s.InfluxDB != nil {
		all = append(all, fault{"InfluxDB away", s.influxAway})
	}
	if s.disk != nil {
		all = append(all, fault{"store full", s.storeFull})
	}
	return all
}

// quiet is the mean time between the end of one fault and the next one.
const quiet = 4 * time.Second

// suffer lets one fault after the other strike until while ends, each kind once before any
// comes again. It returns how often each kind did.
func (s *scene) suffer(ctx, while context.Context, random *rand.Rand) (struck map[string]int, err error) {
	struck = map[string]int{}
	var deck []fault
	for wait(while, spread(random, quiet)) {
		if len(deck) == 0 {
			deck = s.faults()
			random.Shuffle(len(deck), func(i, j int) { deck[i], deck[j] = deck[j], deck[i] })
		}
		f := deck[0]
		deck = deck[1:]
		began := time.Now()
		if err := f.strike(ctx, while, random); err != nil {
			return struck, fmt.Errorf("%s: %w", f.kind, err)
		}
		struck[f.kind]++
		s.t.Logf("%s  %s, for %.1f s", began.Format("15:04:05.000"), f.kind, time.Since(began).Seconds())
	}
	return struck, nil
}

// last draws how long a fault lasts.
func last(random *rand.Rand) time.Duration { return spread(random, 4*time.Second) }

// strikes waits for the moment at which a program is killed: any, or when the log says that
// something has just happened, or a little later.
func (s *scene) strikes(ctx context.Context, random *rand.Rand) {
	moments := []struct {
		of      *rig.Process
		message string
	}{
		{}, {s.Agent, lineFired}, {s.Agent, lineAsked}, {s.Agent, "capture taken"}, {s.Agent, lineSpooled}, {s.Agent, linePublished},
		{s.Aggregator, "capture granted"}, {s.Aggregator, lineCommitted}, {s.Aggregator, "report announced"}, {s.Aggregator, lineAcknowledged},
	}
	m := moments[random.IntN(len(moments))]
	later := []time.Duration{0, time.Duration(random.Int64N(int64(time.Second)))}[random.IntN(2)]
	if m.of != nil {
		within, cancel := context.WithTimeout(ctx, 10*time.Second)
		defer cancel()
		_, _ = m.of.AwaitWhere(within, m.message, fresh(m.of, m.message)) // it need not happen
	}
	wait(ctx, later)
}

// fresh matches what a program says from now on.
func fresh(p *rig.Process, message string) func(rig.Line) bool {
	lines, _ := p.Lines()
	old := 0
	for _, l := range lines {
		if l.Text("msg") == message {
			old++
		}
	}
	return func(rig.Line) bool { old--; return old < 0 }
}

func (s *scene) agentKilled(ctx, while context.Context, random *rand.Rand) error {
	s.strikes(while, random)
	s.killAgent()
	wait(while, last(random)/2)
	return s.startAgent(ctx)
}

func (s *scene) aggregatorKilled(ctx, while context.Context, random *rand.Rand) error {
	s.strikes(while, random)
	s.killAggregator()
	wait(while, last(random))
	return s.startAggregator(ctx)
}

func (s *scene) bothKilled(ctx, while context.Context, random *rand.Rand) error {
	s.strikes(while, random)
	s.killAgent()
	s.killAggregator()
	wait(while, last(random)/2)
	if random.IntN(2) == 0 {
		return errors.Join(s.startAggregator(ctx), s.startAgent(ctx))
	}
	return errors.Join(s.startAgent(ctx), s.startAggregator(ctx))
}

func (s *scene) agentStopped(ctx, while context.Context, random *rand.Rand) error {
	s.strikes(while, random)
	return errors.Join(s.stop(s.Agent), s.startAgent(ctx))
}

func (s *scene) aggregatorStopped(ctx, while context.Context, random *rand.Rand) error {
	s.strikes(while, random)
	return errors.Join(s.stop(s.Aggregator), s.startAggregator(ctx))
}

func (s *scene) aggregatorFrozen(_, while context.Context, random *rand.Rand) error {
	thaw, err := s.freeze()
	if err != nil {
		return err
	}
	wait(while, 2*last(random))
	return thaw()
}

func (s *scene) influxAway(ctx, while context.Context, random *rand.Rand) error {
	if err := s.InfluxDB.Stop(); err != nil {
		return err
	}
	wait(while, 2*last(random))
	return s.StartInfluxDB(ctx)
}

// targetRestarted is a container that crashes and comes back: same cgroup, another address.
func (s *scene) targetRestarted(_, while context.Context, random *rand.Rand) error {
	x := s.fleet.some(random)
	if err := s.fleet.down(x); err != nil {
		return err
	}
	wait(while, last(random))
	return errors.Join(s.fleet.up(x), s.fleet.tell())
}

// targetReplaced is another container under the same name: for a while there is none.
func (s *scene) targetReplaced(ctx, while context.Context, random *rand.Rand) error {
	x := s.fleet.some(random)
	if err := errors.Join(s.fleet.down(x), x.removeCgroup(), s.fleet.tell()); err != nil {
		return err
	}
	wait(while, last(random))
	err := errors.Join(s.fleet.place(x), s.fleet.up(x), s.fleet.tell())
	s.fleet.watch(ctx, x)
	return err
}

// pprof makes the pages of a workload's pods answer badly.
func (s *scene) pprof(how string) func(_, while context.Context, random *rand.Rand) error {
	return func(_, while context.Context, random *rand.Rand) error {
		var sick []*target
		name := s.fleet.some(random).workload
		for _, x := range s.fleet.targets {
			if x.workload == name {
				sick = append(sick, x)
				s.fleet.ask(x, "/answer?pprof="+how)
			}
		}
		wait(while, 3*last(random))
		for _, x := range sick {
			s.fleet.ask(x, "/answer?pprof=well")
		}
		return nil
	}
}

func (s *scene) storeFull(_, while context.Context, random *rand.Rand) error {
	if err := s.disk.fill(); err != nil {
		return err
	}
	wait(while, 2*last(random))
	return s.disk.free()
}

func (s *scene) ownerRefuses(_, while context.Context, random *rand.Rand) error {
	s.Inbox.Refuse(true)
	wait(while, 2*last(random))
	s.Inbox.Refuse(false)
	return nil
}
