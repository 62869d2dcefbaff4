package bus

import (
	"context"
	"errors"
	"fmt"
	"time"

	"github.com/nats-io/nats.go/jetstream"
	"go.uber.org/zap"

	"github.com/gopprof/gopprof/pkg/gopprof"
)

// StreamConfig is the bounds of gopprof's streams and buckets.
type StreamConfig struct {
	// Copies of every stream and bucket: 1 on the embedded server, 3 on an external
	// cluster. Default 1.
	Replicas int `yaml:"replicas"`
	// Most bytes of profiles that wait in NATS to be stored. At this bound agents keep
	// new captures in their spools, as they do where so many bytes of captures_max captures
	// come in more chunks than agents make of them. Default 1 GiB.
	WaitingBytes int64 `yaml:"waiting_bytes"`
	// How long profiles wait in NATS before they are given up: longer than any outage of
	// the aggregator that should lose nothing. Default 72h.
	WaitingMaxAge time.Duration `yaml:"waiting_max_age"`
	// Most captures that wait to be stored. At this bound agents keep new ones in their
	// spools. Default 10000.
	CapturesMax int64 `yaml:"captures_max"`
	// Most bytes of one capture's profiles that are taken into memory; above
	// what agents send (take.max_capture_bytes). Default 24 MiB.
	CaptureMaxBytes int64 `yaml:"capture_max_bytes"`
	// Most bytes of reports kept for consumers; the oldest go first. Default 512 MiB.
	ReportsBytes int64 `yaml:"reports_bytes"`
	// How long reports are kept for consumers, and what was told about them. Default 336h.
	ReportsMaxAge time.Duration `yaml:"reports_max_age"`
	// Most bytes of captures that could not be handled; the oldest go first. Default 128 MiB.
	DeadBytes int64 `yaml:"dead_bytes"`
	// How long captures that could not be handled are kept for a person to look at.
	// Default 720h.
	DeadMaxAge time.Duration `yaml:"dead_max_age"`
	// Most bytes of each bucket of small records (operations, incidents, budgets, what was
	// told). Default 64 MiB.
	BucketBytes int64 `yaml:"bucket_bytes"`
	// How long the message IDs are remembered by which NATS itself drops a repeat of a
	// report or dead letter. Later repeats, and those of captures, are dropped as well, only
	// later in the flow. Default 2m.
	DedupeWindow time.Duration `yaml:"dedupe_window"`
	// How long a capture or report may be worked on without a sign of life before another
	// worker gets it. Default 1m.
	AckWait time.Duration `yaml:"ack_wait"`
}

// DefaultStreamConfig returns the defaults.
func DefaultStreamConfig() StreamConfig {
	return StreamConfig{
		Replicas:        1,
		WaitingBytes:    1 << 30,
		WaitingMaxAge:   72 * time.Hour,
		CapturesMax:     10_000,
		CaptureMaxBytes: 24 << 20,
		ReportsBytes:    512 << 20,
		ReportsMaxAge:   14 * 24 * time.Hour,
		DeadBytes:       128 << 20,
		DeadMaxAge:      30 * 24 * time.Hour,
		BucketBytes:     64 << 20,
		DedupeWindow:    2 * time.Minute,
		AckWait:         time.Minute,
	}
}

// Check reports every mistake.
func (c StreamConfig) Check(report func(key, problem string)) {
	if c.Replicas != 1 && c.Replicas != 3 && c.Replicas != 5 {
		report("replicas", "must be 1, 3 or 5")
	}
	for key, n := range map[string]int64{
		"waiting_bytes": c.WaitingBytes, "capture_max_bytes": c.CaptureMaxBytes, "reports_bytes": c.ReportsBytes,
		"dead_bytes": c.DeadBytes, "bucket_bytes": c.BucketBytes,
	} {
		if n < 1<<20 {
			report(key, "must be 1048576 (1 MiB) or more")
		}
	}
	if c.CapturesMax < 1 {
		report("captures_max", "must be 1 or more")
	}
	for key, d := range map[string]time.Duration{
		"waiting_max_age": c.WaitingMaxAge, "reports_max_age": c.ReportsMaxAge, "dead_max_age": c.DeadMaxAge,
	} {
		if d < time.Minute {
			report(key, "must be 1m or more")
		}
	}
	if c.DedupeWindow < 100*time.Millisecond || c.DedupeWindow > time.Hour {
		report("dedupe_window", "must be between 100ms and 1h")
	}
	if c.AckWait < time.Second {
		report("ack_wait", "must be 1s or more")
	}
}

// Bytes is what the streams and buckets may hold together.
func (c StreamConfig) Bytes() int64 {
	var sum int64
	for _, s := range c.streams() {
		sum += s.MaxBytes
	}
	for _, b := range c.buckets() {
		sum += b.MaxBytes
	}
	return sum
}

// ensureWait is how long servers may take to make one stream or bucket.
const ensureWait = 5 * time.Second

// EnsureStreams makes the streams and buckets, or brings them to this configuration. It
// waits for NATS as long as ctx allows, also for servers that have not elected a leader.
func (a *Aggregator) EnsureStreams(ctx context.Context, c StreamConfig) error {
	if err := a.await(ctx); err != nil {
		return fmt.Errorf("making streams: %w", err)
	}
	for _, s := range c.streams() {
		if err := a.ensure(ctx, fmt.Sprintf("stream %q", s.Name), func(ctx context.Context) error { return a.ensureStream(ctx, s) }); err != nil {
			return err
		}
	}
	for _, b := range c.buckets() {
		if err := a.ensure(ctx, fmt.Sprintf("bucket %q", b.Bucket), func(ctx context.Context) error { return a.ensureBucket(ctx, b) }); err != nil {
			return err
		}
	}
	a.mu.Lock()
	a.cfg = c
	a.mu.Unlock()
	return nil
}

// ensure makes something, again and again while nobody answers who could.
func (a *Aggregator) ensure(ctx context.Context, what string, make func(context.Context) error) error {
	told := false
	for {
		err := a.ensureOnce(ctx, make)
		if err == nil || ctx.Err() != nil || !leaderless(err) {
			if err != nil {
				err = fmt.Errorf("making %s: %w", what, classify(ctx, err))
			}
			return err
		}
		if !told {
			a.log.Warn("nobody of nats answers yet, trying again", zap.String("what", what), zap.Error(err))
			told = true
		}
		pause(ctx, pullPause)
	}
}

func (a *Aggregator) ensureOnce(ctx context.Context, make func(context.Context) error) error {
	ctx, cancel := context.WithTimeout(ctx, ensureWait)
	defer cancel()
	return make(ctx)
}

// leaderless tells whether servers are there and have no leader who decides.
func leaderless(err error) bool {
	var api *jetstream.APIError
	return errors.Is(err, context.DeadlineExceeded) || errors.As(err, &api) && api.ErrorCode == codeNoLeader
}

func (a *Aggregator) ensureStream(ctx context.Context, c jetstream.StreamConfig) error {
	made, err := a.js.CreateOrUpdateStream(ctx, c)
	if err != nil {
		return err
	}
	a.mu.Lock()
	defer a.mu.Unlock()
	a.streams[c.Name] = made
	a.made[c.Name] = streamID{fmt.Sprintf("stream %q", c.Name), made.CachedInfo().Created}
	return nil
}

func (a *Aggregator) ensureBucket(ctx context.Context, c jetstream.KeyValueConfig) error {
	if _, err := a.js.CreateOrUpdateKeyValue(ctx, c); err != nil {
		return err
	}
	name := bucketStream + c.Bucket
	s, err := a.js.Stream(ctx, name)
	if err != nil {
		return err
	}
	a.mu.Lock()
	defer a.mu.Unlock()
	a.made[name] = streamID{fmt.Sprintf("bucket %q", c.Bucket), s.CachedInfo().Created}
	return nil
}

// capturesBytes bounds the queue of captures for whoever sends huge ones; CapturesMax usual
// ones, with all that both witnesses saw, take some half of it.
const capturesBytes = 512 << 20

// chunksMost is as many chunks as agents make of all captures that may wait: of each profile one
// for each chunkBytes, and one that is not full. Whoever sends empty ones takes no bytes, and the
// server remembers the subject of each.
func (c StreamConfig) chunksMost() int64 {
	return c.CapturesMax*int64(len(gopprof.Kinds())) + c.WaitingBytes/chunkBytes
}

func (c StreamConfig) streams() []jetstream.StreamConfig {
	return []jetstream.StreamConfig{
		{
			Name: StreamBytes, Description: "Bytes of profiles on their way to the store, in chunks",
			Subjects: []string{bytesChannel().Wildcard()}, Storage: jetstream.FileStorage, Replicas: c.Replicas,
			Retention: jetstream.LimitsPolicy, Discard: jetstream.DiscardNew, MaxMsgsPerSubject: 1,
			MaxMsgs: c.chunksMost(), MaxBytes: c.WaitingBytes, MaxAge: c.WaitingMaxAge, Duplicates: min(c.DedupeWindow, c.WaitingMaxAge),
			AllowMsgTTL: true, // for what is taken back
		},
		{
			Name: StreamCaptures, Description: "Captures that wait to be stored",
			Subjects: []string{capturesChannel().Wildcard()}, Storage: jetstream.FileStorage, Replicas: c.Replicas,
			Retention: jetstream.WorkQueuePolicy, Discard: jetstream.DiscardNew,
			MaxMsgs: c.CapturesMax, MaxBytes: capturesBytes, Duplicates: c.DedupeWindow,
		},
		{
			Name: StreamReports, Description: "Reports, for every consumer",
			Subjects: []string{reportsChannel().Wildcard()}, Storage: jetstream.FileStorage, Replicas: c.Replicas,
			Retention: jetstream.LimitsPolicy, Discard: jetstream.DiscardOld,
			MaxBytes: c.ReportsBytes, MaxAge: c.ReportsMaxAge, Duplicates: min(c.DedupeWindow, c.ReportsMaxAge),
		},
		{
			Name: StreamDead, Description: "Captures that could not be handled, for a person to look at",
			Subjects: []string{deadChannel().Wildcard()}, Storage: jetstream.FileStorage, Replicas: c.Replicas,
			Retention: jetstream.LimitsPolicy, Discard: jetstream.DiscardOld,
			MaxBytes: c.DeadBytes, MaxAge: c.DeadMaxAge, Duplicates: min(c.DedupeWindow, c.DeadMaxAge),
		},
	}
}
