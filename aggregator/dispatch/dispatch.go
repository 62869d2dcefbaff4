// Package dispatch decides which captures are made, and remembers what the nodes tell of
// their targets. Agents whose rules fire ask it, and the answer is an incident and go, or a
// named refusal. What people ask for by hand is its child's, operations.
//
// Enter: firings, node states, captures that have ended. Leave: decisions.
//
// The decision itself is pure (decide.go): what was granted before, the firing and the
// time go in. What was granted is kept in a key-value bucket and changed only at the
// revision that was read, so any number of replicas share one budget, which survives their
// restarts. A thousand replicas of a service in a traffic peak must never give a thousand
// captures, and asking twice about one capture must never cost twice.
package dispatch

import (
	"context"
	"sync"
	"sync/atomic"
	"time"

	"github.com/google/uuid"
	"github.com/prometheus/client_golang/prometheus"
	"go.uber.org/zap"

	"github.com/gopprof/gopprof/pkg/gopprof"
)

// KV is a bucket of keys that several replicas share. The sentinels are pkg/bus's:
// ErrNoKey when a key is not there, ErrConflict when it is there already (Create) or has
// another revision than the one given (Update). The bucket itself forgets old keys.
type KV interface {
	Get(ctx context.Context, key string) (value []byte, revision uint64, err error)
	Create(ctx context.Context, key string, value []byte) (revision uint64, err error)
	Update(ctx context.Context, key string, value []byte, revision uint64) (next uint64, err error)
}

// Nodes are what the agents told of their targets. *Dispatcher is one.
type Nodes interface {
	Nodes() []gopprof.NodeState
	StaleAfter() time.Duration // the silence after which a node is not believed any more
}

// Deps are what a Dispatcher works with.
type Deps struct {
	Budget KV            // one key: what was granted (bucket gopprof-budget)
	Paused func() bool   // whether nothing may be profiled now; nil: never
	NewID  func() string // UUIDv7; nil makes real ones
	Now    func() time.Time
}

// Dispatcher is safe for concurrent use.
type Dispatcher struct {
	cfg     Config
	deps    Deps
	log     *zap.Logger
	metrics *metrics

	ledgers    chan *readLedger // holds one: who takes it out may read and change the ledger
	budgetLost atomic.Bool      // whether that failed last time, to log only the change

	mu        sync.Mutex // guards what follows
	nodes     map[nodeKey]gopprof.NodeState
	forgotten time.Time // when silent nodes were last looked for
}

// New returns a Dispatcher. Nothing is read until it is asked something.
func New(cfg Config, deps Deps, log *zap.Logger, reg prometheus.Registerer) *Dispatcher {
	if deps.Now == nil {
		deps.Now = time.Now
	}
	if deps.Paused == nil {
		deps.Paused = func() bool { return false }
	}
	if deps.NewID == nil {
		deps.NewID = func() string { return uuid.Must(uuid.NewV7()).String() }
	}
	d := &Dispatcher{
		cfg: cfg, deps: deps, log: log, metrics: newMetrics(reg),
		ledgers: make(chan *readLedger, 1), nodes: map[nodeKey]gopprof.NodeState{},
	}
	d.ledgers <- &readLedger{}
	return d
}
