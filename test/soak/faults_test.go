package soak

import (
	"context"
	"errors"
	"math/rand/v2"
	"strings"
	"sync"
	"time"

	"github.com/nats-io/nkeys"
)

// fault is one thing that goes wrong. strike returns when it is mended. while ends when the
// load does: then a fault that lasts is mended at once.
type fault struct {
	kind   string
	strike func(ctx, while context.Context, random *rand.Rand) error
}

// The kinds of kills.
const (
	killedAgent      = "agent killed"
	killedAggregator = "aggregator killed"
	killedBoth       = "both killed"
)

// kills are the faults that end a program at once.
func (s *scene) kills() []fault {
	return []fault{{killedAgent, s.agentKilled}, {killedAggregator, s.aggregatorKilled}, {killedBoth, s.bothKilled}}
}

// others are the other faults that this machine can have.
func (s *scene) others() []fault {
	all := []fault{
		{"agent stopped", s.agentStopped},
		{"aggregator stopped", s.aggregatorStopped},
		{"aggregator frozen", s.aggregatorFrozen},
		{"target restarted", s.targetRestarted},
		{"target replaced", s.targetReplaced},
		{"pprof hangs", s.pprof("never")},
		{"pprof fails", s.pprof("error")},
		{"profiler in use", s.profilerInUse},
		{"owner refuses", s.ownerRefuses},
		{"agent's key unknown", s.keyUnknown},
	}
	if s.InfluxDB != nil {
		all = append(all, fault{"InfluxDB away", s.influxAway}, fault{"InfluxDB talks nonsense", s.influxNonsense})
	}
	if s.store != nil {
		all = append(all, fault{"store full", full(s.store)})
	}
	if s.state != nil {
		all = append(all, fault{"agent's disk full", full(s.state)})
	}
	return all
}

// last draws how long a fault lasts.
func last(random *rand.Rand) time.Duration { return spread(random, 4*time.Second) }

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

// influxNonsense has something else than InfluxDB answer at its address.
func (s *scene) influxNonsense(_, while context.Context, random *rand.Rand) error {
	for _, answer := range []string{"<html>log in</html>", `{"results":[{"statement_id":0,"ser`, "", `{"results":[{"series":[{"columns":["time"],"values":[[null,"x"]]}]}]}`} {
		s.influx.say(answer)
		wait(while, last(random)/2)
	}
	s.influx.pass()
	return nil
}

// keyUnknown has NATS refuse the agent: it is restarted with another key in its place.
func (s *scene) keyUnknown(ctx, while context.Context, random *rand.Rand) error {
	pair, err := nkeys.CreateUser()
	if err != nil {
		return err
	}
	another, err := pair.PublicKey()
	if err != nil {
		return err
	}
	known := s.AggregatorYAML
	s.AggregatorYAML = strings.ReplaceAll(known, "{{.AgentKey}}", another)
	err = errors.Join(s.stop(s.Aggregator), s.startAggregator(ctx))
	if err == nil {
		wait(while, 2*last(random))
	}
	s.AggregatorYAML = known
	return errors.Join(err, s.stop(s.Aggregator), s.startAggregator(ctx))
}

// profilerInUse has another tool take CPU profiles of a workload's pods, one after the other.
func (s *scene) profilerInUse(ctx, while context.Context, random *rand.Rand) error {
	long, cancel := context.WithTimeout(ctx, 3*last(random))
	defer cancel()
	var tools sync.WaitGroup
	for _, x := range s.fleet.sameWorkload(random) {
		tools.Go(func() {
			for long.Err() == nil && while.Err() == nil {
				if s.fleet.profile(long, x) != nil { // the agent has it, or the target is down
					wait(long, 100*time.Millisecond)
				}
			}
		})
	}
	tools.Wait()
	return nil
}

// pprof makes the pages of a workload's pods answer badly.
func (s *scene) pprof(how string) func(_, while context.Context, random *rand.Rand) error {
	return func(_, while context.Context, random *rand.Rand) error {
		sick := s.fleet.sameWorkload(random)
		for _, x := range sick {
			s.fleet.ask(x, "/answer?pprof="+how)
		}
		wait(while, 3*last(random))
		for _, x := range sick {
			s.fleet.ask(x, "/answer?pprof=well")
		}
		return nil
	}
}

// full leaves no room on a disk.
func full(d *disk) func(_, while context.Context, random *rand.Rand) error {
	return func(_, while context.Context, random *rand.Rand) error {
		if err := d.fill(); err != nil {
			return err
		}
		wait(while, 2*last(random))
		return d.free()
	}
}

func (s *scene) ownerRefuses(_, while context.Context, random *rand.Rand) error {
	s.Inbox.Refuse(true)
	wait(while, 2*last(random))
	s.Inbox.Refuse(false)
	return nil
}
