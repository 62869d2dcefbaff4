// Package buckettest is a bucket in memory, for the tests of whatever keeps records: several
// replicas may share it, and its faults are a test's to choose. It does what bus.Bucket does;
// that is tested where JetStream runs (bucket_test.go of pkg/bus). No program imports it.
package buckettest

import (
	"cmp"
	"context"
	"fmt"
	"maps"
	"math"
	"slices"
	"strings"
	"sync"

	"github.com/gopprof/gopprof/pkg/bus"
)

// KV is a bucket in memory. It is safe for concurrent use.
type KV struct {
	mu       sync.Mutex // guards what follows
	revision uint64
	values   map[string]value
	watchers map[chan struct{}]bool // signalled when something changes
	broken   error
	lost     bool
	full     bool
	writes   int
}

type value struct {
	bytes    []byte // nil: the key was deleted
	revision uint64
}

// NewKV returns an empty bucket.
func NewKV() *KV { return &KV{values: map[string]value{}, watchers: map[chan struct{}]bool{}} }

// Copy returns another bucket with the same in it.
func (k *KV) Copy() *KV {
	k.mu.Lock()
	defer k.mu.Unlock()
	c := NewKV()
	c.revision, c.values = k.revision, maps.Clone(k.values)
	return c
}

// Get returns a value and its revision.
func (k *KV) Get(ctx context.Context, key string) ([]byte, uint64, error) {
	k.mu.Lock()
	defer k.mu.Unlock()
	v := k.values[key]
	switch {
	case k.broken != nil:
		return nil, 0, k.broken
	case v.bytes == nil:
		return nil, 0, bus.ErrNoKey
	}
	return slices.Clone(v.bytes), v.revision, ctx.Err()
}

// Create stores a first value.
func (k *KV) Create(_ context.Context, key string, b []byte) (uint64, error) { return k.put(key, b, 0) }

// Update replaces the value of a revision.
func (k *KV) Update(_ context.Context, key string, b []byte, revision uint64) (uint64, error) {
	return k.put(key, b, revision)
}

func (k *KV) put(key string, b []byte, revision uint64) (uint64, error) {
	k.mu.Lock()
	defer k.mu.Unlock()
	was := k.values[key]
	if was.bytes == nil {
		was.revision = 0
	}
	switch {
	case k.broken != nil:
		return 0, k.broken
	case was.revision != revision:
		return 0, bus.ErrConflict
	case k.full:
		return 0, fmt.Errorf("writing: %w", bus.ErrFull)
	}
	k.writes++
	k.store(key, append([]byte{}, b...))
	if k.lost {
		return 0, bus.ErrAway
	}
	return k.revision, nil
}

// Delete forgets a key.
func (k *KV) Delete(_ context.Context, key string) error {
	k.mu.Lock()
	defer k.mu.Unlock()
	if k.broken != nil || k.values[key].bytes == nil {
		return k.broken
	}
	k.store(key, nil)
	return nil
}

// Forget forgets a key, and nobody who watches is told.
func (k *KV) Forget(ctx context.Context, key string) error {
	return k.ForgetUpTo(ctx, key, math.MaxUint64)
}

// ForgetUpTo forgets a key unless it was written after that revision, and nobody who watches is
// told.
func (k *KV) ForgetUpTo(_ context.Context, key string, revision uint64) error {
	k.mu.Lock()
	defer k.mu.Unlock()
	if k.broken == nil && k.values[key].revision <= revision {
		delete(k.values, key)
	}
	return k.broken
}

// store changes a key and wakes those who watch; k.mu is held.
func (k *KV) store(key string, b []byte) {
	k.revision++
	k.values[key] = value{b, k.revision}
	for woken := range k.watchers {
		select {
		case woken <- struct{}{}:
		default:
		}
	}
}

// Watch shows every key, calls shown, then shows every change, until ctx ends, in the order of
// their revisions; of changes that follow each other quickly the last. A deleted key's value is
// nil.
func (k *KV) Watch(ctx context.Context, show func(key string, value []byte, revision uint64), shown func()) error {
	woken := make(chan struct{}, 1)
	all, at, err := k.watch(woken)
	if err != nil {
		return err
	}
	defer k.unwatch(woken)
	for first := true; ; first = false {
		for _, key := range all {
			show(key.name, key.bytes, key.revision)
		}
		if first {
			shown()
		}
		select {
		case <-ctx.Done():
			return nil
		case <-woken:
			all, at = k.since(at)
		}
	}
}

type named struct {
	name string
	value
}

// watch has a channel signalled from now on, and returns what there is.
func (k *KV) watch(woken chan struct{}) ([]named, uint64, error) {
	k.mu.Lock()
	broken := k.broken
	if broken == nil {
		k.watchers[woken] = true
	}
	k.mu.Unlock()
	all, at := k.since(0)
	return all, at, broken
}

func (k *KV) unwatch(woken chan struct{}) { k.set(func() { delete(k.watchers, woken) }) }

// since returns what was changed after a revision, and the newest one.
func (k *KV) since(revision uint64) (all []named, newest uint64) {
	k.mu.Lock()
	defer k.mu.Unlock()
	for name, v := range k.values {
		if v.revision > revision {
			all = append(all, named{name, value{slices.Clone(v.bytes), v.revision}})
		}
	}
	slices.SortFunc(all, func(a, b named) int { return cmp.Compare(a.revision, b.revision) })
	return all, k.revision
}

// Break makes every call fail; nil mends it.
func (k *KV) Break(err error) { k.set(func() { k.broken = err }) }

// Lose has what is written not confirmed, with bus.ErrAway, until it is called again.
func (k *KV) Lose(lost bool) { k.set(func() { k.lost = lost }) }

// Fill lets nothing more be written, with bus.ErrFull, until it is called again.
func (k *KV) Fill(full bool) { k.set(func() { k.full = full }) }

func (k *KV) set(f func()) {
	k.mu.Lock()
	defer k.mu.Unlock()
	f()
}

// Writes counts what was written, confirmed or not.
func (k *KV) Writes() int {
	k.mu.Lock()
	defer k.mu.Unlock()
	return k.writes
}

// Keys counts the keys that begin so.
func (k *KV) Keys(prefix string) (n int) {
	k.mu.Lock()
	defer k.mu.Unlock()
	for key, v := range k.values {
		if v.bytes != nil && strings.HasPrefix(key, prefix) {
			n++
		}
	}
	return n
}

// Dump returns all keys and values as one text.
func (k *KV) Dump() string {
	k.mu.Lock()
	defer k.mu.Unlock()
	s := ""
	for name, v := range k.values {
		if v.bytes != nil {
			s += name + "=" + string(v.bytes) + "\n"
		}
	}
	return s
}
