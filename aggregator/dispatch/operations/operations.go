// Package operations carries out what people ask for by hand: captures of one pod, of the
// pods of a workload, or of those whose labels match.
//
// Enter: manual requests, what becomes of their captures, the switch that pauses all
// profiling. Leave: requests to the agents of the pods' nodes, and operations, which say of
// every capture how far it is.
//
// An operation is a record in a key-value bucket, changed only at the revision that was
// read, so that it outlives every aggregator. Any replica takes requests in; one of them,
// which holds the lease, drives all operations: which captures start now is a pure function
// (schedule.go) of all records. What was asked of an agent is asked again after a restart
// under the same ID, which starts nothing twice. A capture must never stay without an end:
// whatever happens to its agent, its node, its pod or to us becomes a named reason. And all
// replicas of a workload must never be profiled at the same time, unless somebody asked
// for just that.
package operations

import (
	"context"
	"sync"
	"sync/atomic"
	"time"

	"github.com/google/uuid"
	"github.com/prometheus/client_golang/prometheus"
	"go.uber.org/zap"

	"github.com/gopprof/gopprof/aggregator/dispatch"
	"github.com/gopprof/gopprof/pkg/gopprof"
)

// KV is a bucket as dispatch knows it, of which keys can be watched and deleted.
type KV interface {
	dispatch.KV
	// Delete leaves a mark in the place of a key, by which those who watch are told. Forget takes
	// a key, or its mark, away and tells nobody.
	Delete(ctx context.Context, key string) error
	Forget(ctx context.Context, key string) error
	// Watch shows every key, calls shown, then shows every change, until ctx ends; nil is a
	// deleted key's value.
	Watch(ctx context.Context, show func(key string, value []byte, revision uint64), shown func()) error
}

// Agents carries requests to the agents. An agent that is not there is bus.ErrNoAgent.
type Agents interface {
	RequestCapture(ctx context.Context, cluster, node string, r gopprof.CaptureRequest) (gopprof.CaptureReply, error)
	RequestCancel(ctx context.Context, cluster, node string, r gopprof.CancelRequest) (gopprof.CaptureReply, error)
	RequestStatus(ctx context.Context, cluster, node string, r gopprof.StatusRequest) (gopprof.CaptureReply, error)
	RequestPause(ctx context.Context, cluster, node string, r gopprof.PauseRequest) (gopprof.CaptureReply, error)
}

// Selector reads a label selector as Kubernetes writes it.
type Selector func(selector string) (matches func(labels map[string]string) bool, err error)

// Deps are what a Keeper works with.
type Deps struct {
	Records  KV    // bucket gopprof-operations
	Keys     KV    // bucket gopprof-keys
	Control  KV    // bucket gopprof-control
	Room     int64 // bytes that Records may hold; the oldest ended operations give way. 0: no bound
	Agents   Agents
	Nodes    dispatch.Nodes
	Selector Selector
	// Alone tells that no other replica can be there: nobody waits for another's lease.
	Alone bool
	NewID func() string // UUIDv7; nil makes real ones
	Now   func() time.Time
}

// Keeper keeps operations and drives them. It is safe for concurrent use.
type Keeper struct {
	cfg     Config
	deps    Deps
	log     *zap.Logger
	metrics *metrics
	lease   lease
	clock   clock

	woken    chan struct{} // something may have to be done now
	paused   atomic.Pointer[gopprof.Pause]
	unsteady atomic.Int64 // when agents may last have been away because we or NATS were, in Unix nanoseconds
	caughtUp atomic.Bool  // has seen every operation that was there when it started
	leads    atomic.Bool  // holds the lease, as of the last turn
	working  sync.WaitGroup
	kept     time.Time // when a long pause was last written again; Run's only
	marks    []string  // operations that were deleted, the newest; that goroutine's only which deletes

	mu        sync.Mutex // guards what follows
	reserved  int        // captures that are being written down
	pauseAt   uint64     // revision of the switch as known
	sizes     map[string]size
	live      map[string]record
	past      map[string]record   // ended a while ago: news of before may still arrive
	recent    []gopprof.Operation // the newest, newest first
	alerted   map[string]alerted  // operations that alerts asked for within the last hour
	followers map[string]map[chan struct{}]bool
	busy      map[string]bool // captures that an agent is being asked about
	tried     map[string]trial
	told      map[nodeKey]time.Time // when a node was last told of the pause
	obeyed    map[nodeKey]time.Time // when it said that it obeys
}

// record is an operation as last seen.
type record struct {
	op       gopprof.Operation // of one that has not ended
	revision uint64
	at       time.Time // when it was seen to have ended
}

// size is what an operation's record takes.
type size struct {
	at    time.Time
	bytes int
	ended bool
}

type nodeKey struct{ cluster, node string }

// New returns a Keeper. It knows nothing until Load, and drives nothing until it runs.
func New(cfg Config, deps Deps, log *zap.Logger, reg prometheus.Registerer) *Keeper {
	if deps.Now == nil {
		deps.Now = time.Now
	}
	if deps.NewID == nil {
		deps.NewID = func() string { return uuid.Must(uuid.NewV7()).String() }
	}
	k := &Keeper{
		cfg: cfg, deps: deps, log: log, metrics: newMetrics(reg),
		lease: lease{holder: deps.NewID()}, woken: make(chan struct{}, 1),
		sizes: map[string]size{}, live: map[string]record{}, past: map[string]record{}, alerted: map[string]alerted{}, followers: map[string]map[chan struct{}]bool{},
		busy: map[string]bool{}, tried: map[string]trial{}, told: map[nodeKey]time.Time{}, obeyed: map[nodeKey]time.Time{},
	}
	k.paused.Store(&gopprof.Pause{})
	return k
}

// wake lets the driver look again.
func (k *Keeper) wake() {
	select {
	case k.woken <- struct{}{}:
	default:
	}
}
