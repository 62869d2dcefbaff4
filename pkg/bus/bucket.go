package bus

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"strconv"
	"strings"
	"time"

	"github.com/nats-io/nats.go/jetstream"
)

// The buckets.
const (
	BucketOperations = "gopprof-operations" // manual requests and how far they are; kept 7 days
	BucketKeys       = "gopprof-keys"       // what idempotency keys stand for; kept a day
	BucketControl    = "gopprof-control"    // the pause, and who drives operations; small, so that there is always room
	BucketBudget     = "gopprof-budget"     // captures granted lately; kept a day
	BucketIncidents  = "gopprof-incidents"  // what is captured beside each hot pod, to compare with; kept a day
	BucketTold       = "gopprof-told"       // who was told of what; kept as long as the reports
	BucketSilences   = "gopprof-silences"   // whom to tell nothing for a while; kept 31 days, longer than any
	bucketStarts     = "gopprof-starts"     // how often a capture was begun and not ended; kept 7 days
)

// OperationsKept is how long BucketOperations keeps a record after it was written last. Who
// watches it is not told that one is forgotten then.
const OperationsKept = 7 * 24 * time.Hour

func bucketNames() []string {
	return []string{BucketOperations, BucketKeys, BucketControl, BucketBudget, BucketIncidents, BucketTold, BucketSilences, bucketStarts}
}

func (c StreamConfig) buckets() []jetstream.KeyValueConfig {
	const day = 24 * time.Hour
	bucket := func(name, description string, ttl time.Duration) jetstream.KeyValueConfig {
		return jetstream.KeyValueConfig{
			Bucket: name, Description: description, TTL: ttl, MaxBytes: c.BucketBytes,
			Storage: jetstream.FileStorage, Replicas: c.Replicas, History: 1,
		}
	}
	small := func(b jetstream.KeyValueConfig, most int64) jetstream.KeyValueConfig {
		b.MaxBytes = min(b.MaxBytes, most)
		return b
	}
	return []jetstream.KeyValueConfig{
		bucket(BucketOperations, "Manual requests", OperationsKept),
		small(bucket(BucketKeys, "What idempotency keys stand for", day), 16<<20),
		small(bucket(BucketControl, "The pause, and who drives operations", 7*day), 1<<20),
		bucket(BucketBudget, "Captures granted lately", day),
		bucket(BucketIncidents, "Siblings of hot captures", day),
		bucket(BucketTold, "Who was told of what", c.ReportsMaxAge),
		small(bucket(BucketSilences, "What nobody is told of for a while", 31*day), 4<<20),
		bucket(bucketStarts, "Captures that were begun and not ended", 7*day),
	}
}

// What every client of NATS calls a bucket's stream, and its messages.
const (
	bucketStream  = "KV_"
	bucketSubject = "$KV."
)

// Bucket is a small store of records with revisions. Keys are any names; values are small.
type Bucket struct {
	a    *Aggregator
	name string
	kv   jetstream.KeyValue
}

// Bucket returns the bucket of a name that EnsureStreams made.
func (a *Aggregator) Bucket(ctx context.Context, name string) (*Bucket, error) {
	a.mu.Lock()
	b := a.buckets[name]
	a.mu.Unlock()
	if b != nil {
		return b, nil
	}
	if !a.nc.IsConnected() {
		return nil, fmt.Errorf("bucket %q: %w", name, a.Connected())
	}
	ctx, done := a.guard(ctx, "", ackWait)
	defer done()
	kv, err := a.js.KeyValue(ctx, name)
	if err != nil {
		return nil, fmt.Errorf("bucket %q: %w", name, classify(ctx, err))
	}
	b = &Bucket{a, name, kv}
	a.mu.Lock()
	a.buckets[name] = b
	a.mu.Unlock()
	return b, nil
}

// do runs one exchange and names what it was about.
func (b *Bucket) do(ctx context.Context, verb, key string, f func(ctx context.Context) error) error {
	err := b.a.Connected()
	if err == nil || b.a.nc.IsConnected() {
		guarded, done := b.a.guard(ctx, "", ackWait)
		defer done()
		if err = f(guarded); err == nil {
			return nil
		}
		err = bucketError(guarded, err)
	}
	return fmt.Errorf("%s key %q of bucket %q: %w", verb, clip(key), b.name, err)
}

func bucketError(ctx context.Context, err error) error {
	switch {
	case errors.Is(err, jetstream.ErrKeyNotFound), errors.Is(err, jetstream.ErrKeyDeleted):
		return ErrNoKey
	case errors.Is(err, jetstream.ErrKeyExists), errors.Is(err, jetstream.ErrKeyRevisionMismatch), wrongLastSequence(err):
		return ErrConflict
	}
	return classify(ctx, err)
}

// Get returns a value and its revision; ErrNoKey if there is none.
func (b *Bucket) Get(ctx context.Context, key string) (value []byte, revision uint64, err error) {
	err = b.do(ctx, "reading", key, func(ctx context.Context) error {
		e, err := b.kv.Get(ctx, escapeKey(key))
		if err == nil {
			value, revision = e.Value(), e.Revision()
		}
		return err
	})
	return value, revision, err
}

// Create stores the first value of a key and returns its revision; ErrConflict if there
// is one already.
func (b *Bucket) Create(ctx context.Context, key string, value []byte) (revision uint64, err error) {
	err = b.do(ctx, "creating", key, func(ctx context.Context) (err error) {
		revision, err = b.kv.Create(ctx, escapeKey(key), value)
		return err
	})
	return revision, err
}

// Update replaces the value of that revision and returns the new one; ErrConflict if it
// was changed or deleted meanwhile.
func (b *Bucket) Update(ctx context.Context, key string, value []byte, revision uint64) (next uint64, err error) {
	err = b.do(ctx, "updating", key, func(ctx context.Context) (err error) {
		next, err = b.kv.Update(ctx, escapeKey(key), value, revision)
		return err
	})
	return next, err
}

// Delete removes a key; one that is not there is no error.
func (b *Bucket) Delete(ctx context.Context, key string) error {
	return b.do(ctx, "deleting", key, func(ctx context.Context) error {
		return b.kv.Delete(ctx, escapeKey(key))
	})
}

// Forget removes a key without a trace: Delete leaves a marker, as large as a small value, for
// as long as the bucket keeps anything, and a full bucket has no room for it. Nobody who
// watches is told.
func (b *Bucket) Forget(ctx context.Context, key string) error { return b.purge(ctx, key) }

// ForgetUpTo is Forget for a revision of a key and those before it, and for none that was
// written after it.
func (b *Bucket) ForgetUpTo(ctx context.Context, key string, revision uint64) error {
	return b.purge(ctx, key, jetstream.WithPurgeSequence(revision+1))
}

func (b *Bucket) purge(ctx context.Context, key string, opts ...jetstream.StreamPurgeOpt) error {
	s, err := b.a.stream(ctx, bucketStream+b.name)
	if err != nil {
		return err
	}
	return b.do(ctx, "forgetting", key, func(ctx context.Context) error {
		return s.Purge(ctx, append(opts, jetstream.WithPurgeSubject(bucketSubject+b.name+"."+escapeKey(key)))...)
	})
}

// Keys returns the keys that begin with a prefix, sorted. It asks for the subjects of the
// bucket's stream and then for each: a list by a watch waits for ever for a message that is
// purged meanwhile.
func (b *Bucket) Keys(ctx context.Context, prefix string) ([]string, error) {
	var keys []string
	err := b.do(ctx, "listing", prefix, func(ctx context.Context) error {
		s, err := b.a.stream(ctx, bucketStream+b.name)
		if err != nil {
			return err
		}
		info, err := s.Info(ctx, jetstream.WithSubjectFilter(bucketSubject+b.name+".>"))
		if err != nil {
			return err
		}
		for subject := range info.State.Subjects {
			key := strings.TrimPrefix(subject, bucketSubject+b.name+".")
			name, ok := unescapeKey(key)
			if !ok || !strings.HasPrefix(name, prefix) {
				continue
			}
			switch _, err := b.kv.Get(ctx, key); {
			case err == nil:
				keys = append(keys, name)
			case errors.Is(err, jetstream.ErrKeyNotFound), errors.Is(err, jetstream.ErrKeyDeleted):
			default:
				return err
			}
		}
		return nil
	})
	slices.Sort(keys)
	return keys, err
}

// shownWithin is how long the next of a bucket's keys may take, or the word that there is none.
const shownWithin = 30 * time.Second

// Watch shows every key that is in the bucket, calls shown, then shows every change, until
// ctx ends. A key that was deleted has a nil value. It fails when the bucket cannot be watched,
// or its keys come to no end, since the last one went before it came; while NATS is away there
// are no changes, and those made meanwhile are shown afterwards.
func (b *Bucket) Watch(ctx context.Context, show func(key string, value []byte, revision uint64), shown func()) error {
	w, err := b.kv.WatchAll(ctx)
	if err != nil {
		return fmt.Errorf("watching bucket %q: %w", b.name, bucketError(ctx, err))
	}
	defer w.Stop() //nolint:errcheck // nobody listens any more
	late := time.NewTimer(shownWithin)
	defer late.Stop()
	all := false
	for {
		select {
		case <-ctx.Done():
			return nil
		case <-late.C:
			return fmt.Errorf("watching bucket %q: %w: its keys came to no end", b.name, ErrAway)
		case e, ok := <-w.Updates():
			if !ok {
				return fmt.Errorf("watching bucket %q: %w", b.name, ErrAway)
			}
			if e == nil {
				all = true
				late.Stop()
				shown()
				continue
			}
			if !all {
				late.Reset(shownWithin)
			}
			name, ok := unescapeKey(e.Key())
			if !ok {
				continue
			}
			value := e.Value()
			if e.Operation() != jetstream.KeyValuePut {
				value = nil
			} else if value == nil {
				value = []byte{}
			}
			show(name, value, e.Revision())
		}
	}
}

// escapeKey makes any name a key: what a token escapes with "%", which keys may not hold,
// is escaped with "=".
func escapeKey(key string) string { return strings.ReplaceAll(Token(key), "%", "=") }

func unescapeKey(key string) (string, bool) {
	name, err := ParseToken(strings.ReplaceAll(key, "=", "%"))
	return name, err == nil
}

// count is a number kept in a bucket.
func parseCount(value []byte) int {
	n, err := strconv.Atoi(string(value))
	if err != nil || n < 0 {
		return 0
	}
	return n
}
