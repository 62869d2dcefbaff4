// Package notify tells a report to its owner: it routes, writes the message that the
// receiver's channel understands, brings it there, and keeps a record of what was told. Each
// channel is a child package (Poster, Sender).
//
// Enter: reports, each possibly many times. Leave: one HTTP POST or mail per message, and
// records in a key-value bucket. A report that a receiver took is never posted to it again; one
// whose fate is unknown (a crash or a lost answer after the post) is, under the same ID,
// and counted. Where a receiver is reached (its URL, its token) is a secret and must never
// stand in a log, an error or a record.
package notify

import (
	"context"
	"errors"
	"math/rand/v2"
	"net/http"
	"time"

	"github.com/prometheus/client_golang/prometheus"
	"go.uber.org/zap"

	"github.com/gopprof/gopprof/pkg/api"
	"github.com/gopprof/gopprof/pkg/gopprof"
)

// KV is the bucket of records (gopprof-told). The sentinels are pkg/bus's: ErrNoKey when a
// key is not there, ErrConflict when it is there already (Create) or has another revision
// than the one given (Update). Watch shows all keys, calls shown, then shows every change
// until ctx ends. The bucket itself forgets records, not before the stream forgets their
// reports.
type KV interface {
	Get(ctx context.Context, key string) (value []byte, revision uint64, err error)
	Create(ctx context.Context, key string, value []byte) (revision uint64, err error)
	Update(ctx context.Context, key string, value []byte, revision uint64) (next uint64, err error)
	Watch(ctx context.Context, show func(key string, value []byte, revision uint64), shown func()) error
	ForgetUpTo(ctx context.Context, key string, revision uint64) error
}

// Deps are what a Notifier works with.
type Deps struct {
	Told     KV
	Silences SilenceKV // nil: there are none
	Channels Channels
	Now      func() time.Time // nil is time.Now
	Rand     func() float64   // 0–1, spreads retries; nil is math/rand
}

// Notifier is safe for concurrent use.
type Notifier struct {
	cfg       Config
	deps      Deps
	client    *http.Client
	receivers map[string]*receiver
	routes    *node
	pending   *pending
	silences  silences
	troubles  troubles
	full      chan struct{} // signalled when a record finds no room in the bucket
	log       *zap.Logger
	metrics   *metrics
}

// New returns a Notifier. The configuration must have passed Check.
func New(cfg Config, deps Deps, log *zap.Logger, reg prometheus.Registerer) *Notifier {
	if deps.Now == nil {
		deps.Now = time.Now
	}
	if deps.Rand == nil {
		deps.Rand = rand.Float64
	}
	n := &Notifier{cfg: cfg, deps: deps, client: newClient(cfg.Timeout), receivers: map[string]*receiver{}, routes: newTree(cfg), pending: newPending(), silences: silences{all: map[string]api.Silence{}}, troubles: troubles{all: map[string]bool{}}, full: make(chan struct{}, 1), log: log, metrics: newMetrics(reg)}
	for _, r := range cfg.Receivers {
		n.receivers[r.Name] = newReceiver(r, cfg.AtOnce, deps.Channels.pace(r.Channel))
	}
	return n
}

// Handle takes a report for the receivers of its routes: it is told at once to those that
// get every report by itself, and written down for those that are told of several at once,
// whom Run tells. nil means that nothing more is to be done about it: told, written down, not
// to be told, or given up. An error means that it must be handed in again later; receivers
// that took it already are passed over then. The error is a *RetryError when it is known how
// long to wait; handing the report in earlier does no harm and posts nothing. Any other error
// is logged here, when it begins and when it is over.
func (n *Notifier) Handle(ctx context.Context, r gopprof.Report) error {
	ways, silence := n.routes.route(r)
	if silence != "" {
		n.metrics.silent.WithLabelValues(silence).Inc()
		return nil
	}
	if n.silenced(r) {
		return nil
	}
	var errs []error
	for _, w := range ways {
		to, err := n.receivers[w.receiver], error(nil)
		if to.grouped() {
			err = n.gather(ctx, to, w.route, r)
		} else {
			err = n.tell(ctx, to, r)
		}
		n.tried(ctx, to, r, err)
		errs = append(errs, err)
	}
	return errors.Join(errs...)
}

// RetryError says that a report was not told yet and when to hand it in again.
type RetryError struct {
	Receiver string
	After    time.Duration
	Err      error // why; without any secret
}

func (e *RetryError) Error() string {
	return "telling receiver \"" + e.Receiver + "\": " + e.Err.Error()
}

// Unwrap returns the cause.
func (e *RetryError) Unwrap() error { return e.Err }

// RetryAfter is how long to wait before trying again.
func (e *RetryError) RetryAfter() time.Duration { return e.After }
