package operations

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"sync"
	"sync/atomic"
	"time"

	"go.uber.org/zap"

	"github.com/gopprof/gopprof/pkg/api"
	"github.com/gopprof/gopprof/pkg/bus"
	"github.com/gopprof/gopprof/pkg/gopprof"
)

const (
	pauseKey = "pause"
	// tellAtOnce bounds how many agents are told at the same time.
	tellAtOnce = 64
	// pauseKept is how often the pause is written again: the bucket forgets old keys.
	pauseKept = 12 * time.Hour
)

// Paused tells whether nothing may be profiled now.
func (k *Keeper) Paused() bool { return k.paused.Load().Paused }

func pausedBecause(p gopprof.Pause) string {
	s := fmt.Sprintf("%s paused all profiling at %s", p.Who, p.At.UTC().Format(time.RFC3339))
	if p.Why != "" {
		s += ": " + p.Why
	}
	return s
}

// Pause returns the state of the switch, and how many agents are in it.
func (k *Keeper) Pause(context.Context) (api.PauseState, error) {
	s := api.PauseState{Pause: *k.paused.Load()}
	for _, n := range k.deps.Nodes.Nodes() {
		s.Agents++
		if n.Paused == s.Paused || k.obeyedSince(n) {
			s.Obeying++
		}
	}
	return s, nil
}

// SetPause stops all profiling, or lets it go on: it is written down, every agent that is
// known is told, and how many have said that they obey comes back. Those that did not are
// told again by the driver. What runs ends.
func (k *Keeper) SetPause(ctx context.Context, p gopprof.Pause) (api.PauseState, error) {
	p.At = k.deps.Now().UTC()
	value, err := json.Marshal(p)
	if err != nil {
		return api.PauseState{}, fmt.Errorf("writing the pause: %w", err)
	}
	revision, err := k.writePause(ctx, value)
	if err != nil {
		return api.PauseState{}, err
	}
	k.notePause(value, revision)
	k.log.Warn("profiling switched", zap.Bool("paused", p.Paused), zap.String("who", p.Who), zap.String("why", p.Why))
	s := api.PauseState{Pause: p}
	s.Agents, s.Obeying = k.tell(ctx, k.deps.Nodes.Nodes())
	if k.Paused() != p.Paused { // it was switched again meanwhile, and that is what they obey
		s.Obeying = 0
	}
	return s, nil
}

// writePause writes the switch whatever it was before.
func (k *Keeper) writePause(ctx context.Context, value []byte) (revision uint64, err error) {
	for range attempts {
		_, revision, err = k.deps.Control.Get(ctx, pauseKey)
		switch {
		case errors.Is(err, bus.ErrNoKey):
			revision, err = k.deps.Control.Create(ctx, pauseKey, value)
		case err == nil:
			revision, err = k.deps.Control.Update(ctx, pauseKey, value, revision)
		}
		if err == nil {
			return revision, nil
		}
		if !errors.Is(err, bus.ErrConflict) {
			return 0, away(fmt.Errorf("writing the pause: %w", err))
		}
	}
	return 0, fmt.Errorf("writing the pause: %d times in a row %w", attempts, bus.ErrConflict)
}

// Load reads what must be known before anything is answered: whether all profiling is
// paused.
func (k *Keeper) Load(ctx context.Context) error {
	value, revision, err := k.deps.Control.Get(ctx, pauseKey)
	if errors.Is(err, bus.ErrNoKey) {
		return nil
	}
	if err != nil {
		return fmt.Errorf("reading the pause: %w", err)
	}
	k.notePause(value, revision)
	return nil
}

// notePause remembers the switch as it was written at a revision; what is older than what
// is known is nothing new. It stays as it was where that cannot be read, or does not say.
func (k *Keeper) notePause(value []byte, revision uint64) {
	k.mu.Lock()
	defer k.mu.Unlock()
	if revision <= k.pauseAt {
		return
	}
	k.pauseAt = revision
	p := gopprof.Pause{}
	if value != nil {
		p.Paused = k.Paused()
		if err := json.Unmarshal(value, &p); err != nil {
			k.log.Error("record of the pause is unreadable", zap.Error(err))
			return
		}
	}
	if was := k.paused.Swap(&p); was.Paused != p.Paused {
		clear(k.told)
		clear(k.obeyed)
	}
	k.metrics.paused.Set(0)
	if p.Paused {
		k.metrics.paused.Set(1)
	}
	k.wake()
}

// tell tells agents how the switch is, many at a time, and returns how many there are and
// how many obey.
func (k *Keeper) tell(ctx context.Context, nodes []gopprof.NodeState) (agents, obeying int) {
	ctx, cancel := context.WithTimeout(context.WithoutCancel(ctx), 2*k.cfg.AgentTimeout)
	defer cancel()
	var obey atomic.Int64
	var telling sync.WaitGroup
	gate := make(chan struct{}, tellAtOnce)
	for _, n := range nodes {
		gate <- struct{}{}
		telling.Go(func() {
			defer func() { <-gate }()
			if k.tellNode(ctx, n) {
				obey.Add(1)
			}
		})
	}
	telling.Wait()
	return len(nodes), int(obey.Load())
}

// tellNode tells an agent how the switch is, and again when it was switched meanwhile: of
// two that tell, the later to arrive must not be the one that looked earlier. It tells
// whether the agent obeys.
func (k *Keeper) tellNode(ctx context.Context, n gopprof.NodeState) bool {
	for ctx.Err() == nil {
		paused := k.Paused()
		reply, err := k.deps.Agents.RequestPause(ctx, n.Cluster, n.Node, gopprof.PauseRequest{ID: k.deps.NewID(), Paused: paused})
		if k.Paused() != paused {
			continue
		}
		if err != nil || !reply.Accepted {
			k.log.Warn("agent not told of the pause", zap.String("node", n.Node), zap.Bool("paused", paused), zap.Error(err))
			return false
		}
		k.noteObeyed(n)
		return true
	}
	return false
}

// tellPause tells agents that say they are in another state than the switch: those that
// were away, or were restarted. It keeps a long pause from being forgotten, too.
func (k *Keeper) tellPause(ctx context.Context, now time.Time) {
	p := k.paused.Load()
	var others []gopprof.NodeState
	for _, n := range k.deps.Nodes.Nodes() {
		if k.isBusy("telling") {
			break
		}
		if n.Paused != p.Paused && k.toldBefore(n, now) {
			others = append(others, n)
		}
	}
	if len(others) > 0 {
		k.background("telling", func() { k.tell(ctx, others) })
	}
	if p.Paused && now.Sub(p.At) > pauseKept && now.Sub(k.kept) > pauseKept {
		k.kept = now
		k.background(pauseKey, func() { k.keepPause(ctx) })
	}
}

// toldBefore tells whether a node has spoken since it was told last, and notes that it is
// told now.
func (k *Keeper) toldBefore(n gopprof.NodeState, now time.Time) bool {
	key := nodeKey{n.Cluster, n.Node}
	k.mu.Lock()
	defer k.mu.Unlock()
	if last, ok := k.told[key]; ok && !n.At.After(last) {
		return false
	}
	k.told[key] = now
	return true
}

// noteObeyed remembers that a node said it is in the state of the switch.
func (k *Keeper) noteObeyed(n gopprof.NodeState) {
	k.mu.Lock()
	defer k.mu.Unlock()
	k.obeyed[nodeKey{n.Cluster, n.Node}] = k.deps.Now()
}

// obeyedSince tells whether a node said so after it told its state.
func (k *Keeper) obeyedSince(n gopprof.NodeState) bool {
	k.mu.Lock()
	defer k.mu.Unlock()
	at, ok := k.obeyed[nodeKey{n.Cluster, n.Node}]
	return ok && !at.Before(n.At)
}

func (k *Keeper) keepPause(ctx context.Context) {
	value, revision, err := k.deps.Control.Get(ctx, pauseKey)
	if err == nil {
		_, err = k.deps.Control.Update(ctx, pauseKey, value, revision)
	}
	if err != nil {
		k.log.Warn("pause not written again", zap.Error(err))
	}
}
