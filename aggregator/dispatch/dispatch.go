// Package dispatch decides which captures are made. Agents whose rules fire ask it, and
// the answer is an incident and go, or a named refusal; people ask it for a capture of one
// target by name, and it asks that target's agent.
//
// Enter: firings, node states, manual requests, stored reports. Leave: decisions, capture
// and cancel requests to agents, operations.
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

// Agents carries requests to the agents. An agent that is not there is bus.ErrNoAgent.
type Agents interface {
	RequestCapture(ctx context.Context, cluster, node string, r gopprof.CaptureRequest) (gopprof.CaptureReply, error)
	RequestCancel(ctx context.Context, cluster, node string, r gopprof.CancelRequest) (gopprof.CaptureReply, error)
}

// Deps are what a Dispatcher works with.
type Deps struct {
	Budget     KV // one key: what was granted (bucket gopprof-budget)
	Operations KV // one key per operation, its ID (bucket gopprof-operations)
	Agents     Agents
	NewID      func() string // UUIDv7; nil makes real ones
	Now        func() time.Time
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

// Manual is a request for a capture by name.
type Manual = gopprof.Manual

// New returns a Dispatcher. Nothing is read until it is asked something.
func New(cfg Config, deps Deps, log *zap.Logger, reg prometheus.Registerer) *Dispatcher {
	if deps.Now == nil {
		deps.Now = time.Now
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
