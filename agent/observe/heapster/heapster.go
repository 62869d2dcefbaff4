// Package heapster is the second witness: what the containers of a node used, as Heapster
// wrote it into InfluxDB 1.x.
//
// The name of a node and a span of time enter, windows per container leave, one for each
// interval of the series. It asks at each call and keeps nothing between calls, so points
// that come late or change schema are seen by the next call. A missing point is never zero,
// a value that cannot be true is never used, a server that fails is an error with a name,
// never an empty answer, and no call outlives its context.
//
// The series know names, not lives: a container that restarted, or a pod recreated under its
// name, goes on in the same series. Windows that end before the container's start are
// another life's, and it is the caller who knows that start. (Heapster itself gives no
// usage_rate for the one or two intervals after a restart.)
//
// A minute of Heapster is only nearly its minute: the rate is between the kubelet's own
// stamps, up to some 15 s before the scrape, which is 5 s after the interval's end. A point
// can be asked for 5–25 s after its stamp.
package heapster

import (
	"context"
	"errors"
	"fmt"
	"math/rand/v2"
	"time"

	"github.com/prometheus/client_golang/prometheus"
	"go.uber.org/zap"

	"github.com/gopprof/gopprof/pkg/gopprof"
	"github.com/gopprof/gopprof/pkg/heapster"
)

// Source asks one InfluxDB. Safe for concurrent use.
type Source struct {
	config  Config
	server  *heapster.Server
	metrics *metrics
	status  status
	now     func() time.Time
	random  func(most int64) int64 // in [0, most)
}

// New makes a source. It reads the CA file and does not connect: an InfluxDB that is away at
// start is asked again by each call.
func New(c Config, log *zap.Logger, reg prometheus.Registerer) (*Source, error) {
	server, err := heapster.NewServer(heapster.Access{
		URL:            c.URL,
		Username:       c.Username,
		Password:       c.PasswordFile.Read,
		CAFile:         c.CAFile,
		Timeout:        c.Timeout,
		AnswerMaxBytes: c.MaxAnswerBytes,
	})
	if err != nil {
		return nil, fmt.Errorf("preparing the series: %w", err)
	}
	return &Source{
		config:  c,
		server:  server,
		metrics: newMetrics(reg),
		status:  status{log: log},
		now:     time.Now,
		random:  rand.Int64N,
	}, nil
}

// aheadMost is how far in the future points are looked for. Further ones are of a clock that
// is so wrong that its own points of these minutes have not been written by this one's.
const aheadMost = 24 * time.Hour

// Windows returns what the containers of a node used in each whole interval of the series
// that lies inside [from, to], oldest first. One query is sent, after a random part of
// Config.Jitter. Nothing of the future is returned.
//
// A window has its interval's stamp as End and is Config.Resolution long. HasCPU and
// HasMemory tell whether there was a point of the use in that very interval; the limit, which
// is a setting, is carried over a missing point of its own, and a use whose limit is not
// known at all counts as not reported. Limit 0 means that Heapster said so: there is none.
// Where both Heapster and gopprof's record stage wrote a container's series, Heapster's are
// returned. A container without any point is not in the map. Windows that report nothing,
// and say so by AbsurdPoints, are those of a container that has points of the future (one that
// ends with the span, where it has no other) or, for one interval, two values that differ.
//
// An error is of one of ReasonOf's reasons. Nothing to ask for (a span shorter than an
// interval) is an empty map.
func (s *Source) Windows(ctx context.Context, node string, from, to time.Time) (map[gopprof.SeriesKey][]gopprof.Window, error) {
	if err := s.pause(ctx); err != nil {
		return nil, s.failed(err)
	}
	span := s.span(from, to)
	if span.empty() {
		return map[gopprof.SeriesKey][]gopprof.Window{}, nil
	}
	tables, err := s.ask(ctx, node, span)
	if err != nil {
		return nil, s.failed(err)
	}
	found := assemble(tables, span)
	s.count(found)
	return found.windows, nil
}

// span bounds what is asked for by our clock. Who asks for the present looked at his own a
// moment ago: before the jitter, for one.
func (s *Source) span(from, to time.Time) span {
	now := s.now()
	of := span{from: from, to: to, resolution: s.config.Resolution}
	if to.After(now) {
		of.to = now
	}
	if now.Sub(to) <= s.config.Jitter+s.config.Resolution {
		of.now, of.future = now, now.Add(aheadMost)
	}
	return of
}

// Close gives the idle connections back.
func (s *Source) Close() { s.server.Close() }

// ReasonOf names the failure of Windows: series_unreachable, or cancelled when the caller's
// context was; empty for no error. How the server failed is the error's text.
func ReasonOf(err error) gopprof.Reason {
	switch {
	case err == nil:
		return ""
	case errors.Is(err, context.Canceled):
		return gopprof.ReasonCancelled
	}
	return gopprof.ReasonSeriesUnreachable
}

// TooLarge tells whether Windows failed because the answer is larger than Config allows: it
// may succeed for a shorter span.
func TooLarge(err error) bool {
	return errors.Is(err, errTooManyRows) || errors.Is(err, heapster.ErrTooLarge) || errors.Is(err, errCutByInfluxDB)
}

// pause waits for a random part of the jitter.
func (s *Source) pause(ctx context.Context) error {
	if s.config.Jitter <= 0 {
		return ctx.Err()
	}
	t := time.NewTimer(time.Duration(s.random(int64(s.config.Jitter))))
	defer t.Stop()
	select {
	case <-t.C:
		return nil
	case <-ctx.Done():
		return ctx.Err()
	}
}

func (s *Source) failed(err error) error {
	err = fmt.Errorf("asking InfluxDB: %w", err)
	reason := ReasonOf(err)
	s.metrics.failures.WithLabelValues(string(reason)).Inc()
	if reason != gopprof.ReasonCancelled {
		s.status.unreachable(err)
	}
	return err
}

func (s *Source) count(f found) {
	s.metrics.points.Add(float64(f.points))
	s.metrics.dropped.WithLabelValues(string(gopprof.ReasonSeriesAbsurd)).Add(float64(f.absurd))
	s.metrics.dropped.WithLabelValues(string(gopprof.ReasonUndecodable)).Add(float64(f.malformed))
	s.status.answered(f.schemas)
}
