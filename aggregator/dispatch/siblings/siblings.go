// Package siblings has quiet pods captured beside a hot one, so that its report can say what
// is different there.
//
// Enter: firings that dispatch lets go, what the nodes told of their targets, captures that
// have ended. Leave: requests to the agents of one or two quiet pods of the same workload and
// build, and where one cannot be captured to that of another; for the hot capture, how long to
// wait for them, what became of each, and how many pods of the workload were hot.
//
// What was asked is a record of the incident in a key-value bucket, written before the firing
// agent gets its go, changed only at the revision that was read: whichever replica gets the
// hot capture knows whom it waits for, also after a restart. A sibling must never cost the
// hot pod its capture, nor hold its report up beyond the time that is set. And a capture is a
// sibling's only when it was asked for here, under its ID and of that node: what an agent
// calls itself is not believed.
package siblings

import (
	"context"
	"sync"
	"time"

	"github.com/google/uuid"
	"github.com/prometheus/client_golang/prometheus"
	"go.uber.org/zap"

	"github.com/gopprof/gopprof/aggregator/dispatch"
	"github.com/gopprof/gopprof/pkg/gopprof"
)

// Agents carries requests to the agents. An agent that is not there is bus.ErrNoAgent.
type Agents interface {
	RequestCapture(ctx context.Context, cluster, node string, r gopprof.CaptureRequest) (gopprof.CaptureReply, error)
}

// Budget gives siblings their places. *dispatch.Dispatcher is one.
type Budget interface {
	// Sibling returns why a capture has no place, or "".
	Sibling(ctx context.Context, capture, incident string) (gopprof.Reason, error)
	Ended(ctx context.Context, capture string) error
}

// Reports are those that are stored. *store.Store is one.
type Reports interface {
	Committed(ctx context.Context, capture gopprof.Capture) (gopprof.Report, bool, error)
}

// Deps are what a Keeper works with.
type Deps struct {
	Incidents dispatch.KV // bucket gopprof-incidents
	Agents    Agents
	Nodes     dispatch.Nodes
	Budget    Budget
	Reports   Reports       // nil: of what is stored only the records tell
	Paused    func() bool   // whether nothing may be profiled now; nil: never
	NewID     func() string // UUIDv7; nil makes real ones
	Now       func() time.Time
}

// Keeper keeps the records of incidents and has siblings captured. It is safe for concurrent
// use, beside those of other replicas.
type Keeper struct {
	cfg     dispatch.Siblings
	deps    Deps
	log     *zap.Logger
	metrics *metrics
	asking  sync.WaitGroup

	mu    sync.Mutex           // guards begun
	begun map[string]time.Time // firings whose siblings were asked for a moment ago
}

// New returns a Keeper.
func New(cfg dispatch.Siblings, deps Deps, log *zap.Logger, reg prometheus.Registerer) *Keeper {
	if deps.Now == nil {
		deps.Now = time.Now
	}
	if deps.Paused == nil {
		deps.Paused = func() bool { return false }
	}
	if deps.NewID == nil {
		deps.NewID = func() string { return uuid.Must(uuid.NewV7()).String() }
	}
	return &Keeper{cfg: cfg, deps: deps, log: log, metrics: newMetrics(reg), begun: map[string]time.Time{}}
}

// Run returns when ctx has ended and the agents that were being asked then have answered, or
// failed to: each has a few seconds. Neither Asked nor Failed must be called any more by then.
func (k *Keeper) Run(ctx context.Context) error {
	<-ctx.Done()
	k.asking.Wait()
	return nil
}
