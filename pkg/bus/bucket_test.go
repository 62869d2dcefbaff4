package bus_test

import (
	"context"
	"errors"
	"slices"
	"testing"

	"github.com/gopprof/gopprof/pkg/bus"
	"github.com/gopprof/gopprof/pkg/bus/buckettest"
	"github.com/gopprof/gopprof/pkg/bus/bustest"
)

// records is what a bucket and its double in memory have in common.
type records interface {
	Get(ctx context.Context, key string) (value []byte, revision uint64, err error)
	Create(ctx context.Context, key string, value []byte) (revision uint64, err error)
	Update(ctx context.Context, key string, value []byte, revision uint64) (next uint64, err error)
	Delete(ctx context.Context, key string) error
	Watch(ctx context.Context, show func(key string, value []byte, revision uint64), shown func()) error
	ForgetUpTo(ctx context.Context, key string, revision uint64) error
}

// eachBucket checks a bucket, and its double.
func eachBucket(t *testing.T, name string, check func(*testing.T, records)) {
	t.Run("double", func(t *testing.T) { check(t, buckettest.NewKV()) })
	t.Run("JetStream", func(t *testing.T) {
		bucket, err := bustest.Start(t, bustest.Options{}).Aggregator().Bucket(within(t), name)
		if err != nil {
			t.Fatal(err)
		}
		check(t, bucket)
	})
}

func TestBucket(t *testing.T) { eachBucket(t, bus.BucketKeys, changes) }

func changes(t *testing.T, bucket records) {
	const key = "prod/shop/Deployment/cart.v2 *>ü"
	if _, _, err := bucket.Get(within(t), key); !errors.Is(err, bus.ErrNoKey) {
		t.Errorf("get before create: %v, want %v", err, bus.ErrNoKey)
	}
	if _, err := bucket.Update(within(t), key, nil, 7); !errors.Is(err, bus.ErrConflict) {
		t.Errorf("update before create: %v, want %v", err, bus.ErrConflict)
	}
	revision, err := bucket.Create(within(t), key, []byte("1"))
	if err != nil {
		t.Fatal(err)
	}
	if _, err := bucket.Create(within(t), key, []byte("2")); !errors.Is(err, bus.ErrConflict) {
		t.Errorf("create again: %v, want %v", err, bus.ErrConflict)
	}
	next, err := bucket.Update(within(t), key, []byte("2"), revision)
	if err != nil {
		t.Fatal(err)
	}
	if _, err := bucket.Update(within(t), key, []byte("3"), revision); !errors.Is(err, bus.ErrConflict) {
		t.Errorf("update of an old revision: %v, want %v", err, bus.ErrConflict)
	}
	if v, r, err := bucket.Get(within(t), key); err != nil || string(v) != "2" || r != next {
		t.Errorf("got %q at %d, %v; want 2 at %d", v, r, err, next)
	}
	for range 2 {
		if err := bucket.Delete(within(t), key); err != nil {
			t.Fatal(err)
		}
	}
	if _, _, err := bucket.Get(within(t), key); !errors.Is(err, bus.ErrNoKey) {
		t.Errorf("get after delete: %v, want %v", err, bus.ErrNoKey)
	}
	if _, err := bucket.Create(within(t), key, []byte("again")); err != nil {
		t.Errorf("create after delete: %v", err)
	}
}

// TestBucketForgets: a revision, without a trace, and none that was written after it.
func TestBucketForgets(t *testing.T) { eachBucket(t, bus.BucketTold, forgets) }

func forgets(t *testing.T, bucket records) {
	const key = "group.ops.a *>ü"
	first, err := bucket.Create(within(t), key, []byte("1"))
	if err != nil {
		t.Fatal(err)
	}
	other, err := bucket.Create(within(t), "other", []byte("1"))
	if err != nil {
		t.Fatal(err)
	}
	second, err := bucket.Update(within(t), key, []byte("2"), first)
	if err != nil {
		t.Fatal(err)
	}
	if err := bucket.ForgetUpTo(within(t), key, first); err != nil {
		t.Error(err)
	}
	if v, _, err := bucket.Get(within(t), key); err != nil || string(v) != "2" {
		t.Errorf("what was written later: %q, %v", v, err)
	}
	for range 2 {
		if err := bucket.ForgetUpTo(within(t), key, second); err != nil {
			t.Error(err)
		}
	}
	if _, _, err := bucket.Get(within(t), key); !errors.Is(err, bus.ErrNoKey) {
		t.Errorf("get after it was forgotten: %v, want %v", err, bus.ErrNoKey)
	}
	if _, err := bucket.Update(within(t), key, []byte("3"), second); !errors.Is(err, bus.ErrConflict) {
		t.Errorf("update of what was forgotten: %v, want %v", err, bus.ErrConflict)
	}
	if _, r, err := bucket.Get(within(t), "other"); err != nil || r != other {
		t.Errorf("another key: revision %d, %v", r, err)
	}
	if _, err := bucket.Create(within(t), key, []byte("again")); err != nil {
		t.Errorf("create after it was forgotten: %v", err)
	}
}

func TestBucketKeys(t *testing.T) {
	b := bustest.Start(t, bustest.Options{})
	agg := b.Aggregator()
	bucket, err := agg.Bucket(within(t), bus.BucketBudget)
	if err != nil {
		t.Fatal(err)
	}
	if keys, err := bucket.Keys(within(t), ""); err != nil || len(keys) != 0 {
		t.Errorf("keys of an empty bucket: %q, %v", keys, err)
	}
	for _, key := range []string{"a.b", "a.c", "b", "", "a/=%", "gone"} {
		if _, err := bucket.Create(within(t), key, []byte("x")); err != nil {
			t.Fatal(err)
		}
	}
	if err := bucket.Delete(within(t), "gone"); err != nil {
		t.Fatal(err)
	}
	for prefix, want := range map[string][]string{"": {"", "a.b", "a.c", "a/=%", "b"}, "a": {"a.b", "a.c", "a/=%"}, "a.": {"a.b", "a.c"}, "x": nil} {
		if keys, err := bucket.Keys(within(t), prefix); err != nil || !slices.Equal(keys, want) {
			t.Errorf("keys with %q: %q, %v; want %q", prefix, keys, err, want)
		}
	}
}

func TestBucketUnknownOrAway(t *testing.T) {
	b := bustest.Start(t, bustest.Options{})
	agg := b.Aggregator()
	if _, err := agg.Bucket(within(t), "gopprof-nothing"); err == nil {
		t.Error("a bucket that nobody made was found")
	}
	bucket, err := agg.Bucket(within(t), bus.BucketTold)
	if err != nil {
		t.Fatal(err)
	}
	b.Stop()
	if _, _, err := bucket.Get(within(t), "x"); !errors.Is(err, bus.ErrAway) {
		t.Errorf("%v, want %v", err, bus.ErrAway)
	}
	if _, err := bucket.Keys(within(t), ""); !errors.Is(err, bus.ErrAway) {
		t.Errorf("%v, want %v", err, bus.ErrAway)
	}
}

// TestBucketWatch: what was there before, then what changes, and what is deleted.
func TestBucketWatch(t *testing.T) { eachBucket(t, bus.BucketOperations, watched) }

func watched(t *testing.T, bucket records) {
	first, err := bucket.Create(within(t), "a.b", []byte("1"))
	if err != nil {
		t.Fatal(err)
	}
	type shown struct {
		key, value string
		deleted    bool
		revision   uint64
	}
	seen := make(chan shown, 8)
	background(t, "watch", func(ctx context.Context) error {
		return bucket.Watch(ctx, func(key string, value []byte, revision uint64) {
			seen <- shown{key, string(value), value == nil, revision}
		}, func() { seen <- shown{key: "that was all"} })
	})
	if got, want := <-seen, (shown{"a.b", "1", false, first}); got != want {
		t.Errorf("at first %+v, want %+v", got, want)
	}
	if got := <-seen; got.key != "that was all" {
		t.Errorf("then %+v", got)
	}
	second, err := bucket.Update(within(t), "a.b", []byte{}, first)
	if err != nil {
		t.Fatal(err)
	}
	if got, want := <-seen, (shown{"a.b", "", false, second}); got != want {
		t.Errorf("changed: %+v, want %+v", got, want)
	}
	if err := bucket.Delete(within(t), "a.b"); err != nil {
		t.Fatal(err)
	}
	if got := <-seen; !got.deleted || got.key != "a.b" {
		t.Errorf("deleted: %+v", got)
	}
}
