// Package record writes the use of an agent's targets into InfluxDB 1.x in Heapster's default
// schema, for clusters where no Heapster runs any more.
//
// What the local witness saw enters, points leave: integer millicores and bytes, Heapster's
// tags, and the mark source=gopprof. Unmarked, they would be taken for a second witness, which
// they are not: so no setting leaves the mark out. A failing InfluxDB never holds up the
// caller: Record only queues, Run writes, and what does not fit is dropped and counted. As
// with Heapster a write is not repeated: gaps are normal.
package record

import (
	"context"
	"fmt"
	"sync"
	"time"

	"github.com/prometheus/client_golang/prometheus"
	"go.uber.org/zap"

	"github.com/gopprof/gopprof/pkg/gopprof"
	"github.com/gopprof/gopprof/pkg/heapster"
)

// Point is one target's use over the interval of Config.Resolution that ends when it is
// recorded.
type Point struct {
	Target           gopprof.Target
	HasCPU           bool    // CPUCores is known; the limit is written without it too
	CPUCores         float64 // mean over the interval
	CPULimitCores    float64 // 0: none
	HasMemory        bool    // WorkingSetBytes is known
	WorkingSetBytes  float64 // at the interval's end
	MemoryLimitBytes float64 // 0: none
}

// batch is what is written at once: one stamp.
type batch struct {
	at     time.Time
	points []Point
}

// Recorder writes batches in their order. Safe for concurrent use.
type Recorder struct {
	config  Config
	server  *heapster.Server
	log     *zap.Logger
	metrics *metrics
	failing bool // used by Run only

	mu      sync.Mutex
	waiting []batch       // guarded by mu; oldest first, at most MaxBatches
	more    chan struct{} // holds one token when something waits
}

// New makes a recorder; it reads the CA file and does not connect.
func New(c Config, log *zap.Logger, reg prometheus.Registerer) (*Recorder, error) {
	const answerMaxBytes = 64 << 10 // a refusal in words
	server, err := heapster.NewServer(heapster.Access{
		URL:            c.URL,
		Username:       c.Username,
		Password:       c.PasswordFile.Read,
		CAFile:         c.CAFile,
		Timeout:        c.Timeout,
		AnswerMaxBytes: answerMaxBytes,
	})
	if err != nil {
		return nil, fmt.Errorf("preparing to record: %w", err)
	}
	return &Recorder{config: c, server: server, log: log, metrics: newMetrics(reg), more: make(chan struct{}, 1)}, nil
}

// Record queues the use of targets over the interval that ends now, to be written by Run. It
// returns at once. The points are the recorder's from then on.
func (r *Recorder) Record(_ context.Context, now time.Time, points []Point) {
	if len(points) == 0 {
		return
	}
	r.mu.Lock()
	defer r.mu.Unlock()
	if len(r.waiting) >= r.config.MaxBatches {
		r.waiting = r.waiting[1:]
		r.metrics.dropped.Inc()
	}
	r.waiting = append(r.waiting, batch{at: now, points: points})
	select {
	case r.more <- struct{}{}:
	default:
	}
}

// Run writes what is recorded until ctx ends.
func (r *Recorder) Run(ctx context.Context) error {
	defer r.server.Close()
	for {
		select {
		case <-ctx.Done():
			return nil
		case <-r.more:
		}
		for b, ok := r.next(); ok && ctx.Err() == nil; b, ok = r.next() {
			r.settle(ctx, b, r.write(ctx, b))
		}
	}
}

func (r *Recorder) next() (batch, bool) {
	r.mu.Lock()
	defer r.mu.Unlock()
	if len(r.waiting) == 0 {
		return batch{}, false
	}
	b := r.waiting[0]
	r.waiting = r.waiting[1:]
	return b, true
}

// settle counts a write and logs when writing begins to fail or to work again.
func (r *Recorder) settle(ctx context.Context, b batch, err error) {
	switch {
	case err == nil && r.failing:
		r.failing = false
		r.log.Info("recording works again")
	case err == nil || ctx.Err() != nil:
	default:
		r.metrics.failures.WithLabelValues(string(gopprof.ReasonSeriesUnreachable)).Inc()
		if !r.failing {
			r.failing = true
			r.log.Warn("recording failed", zap.String("reason", string(gopprof.ReasonSeriesUnreachable)), zap.Error(err))
		}
	}
}
