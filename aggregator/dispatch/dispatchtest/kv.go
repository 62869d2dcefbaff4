// Package dispatchtest is what the tests of dispatch and of its children share: a bucket of
// keys in memory, which several replicas may use at once, and whose faults are a test's to
// choose. It keeps dispatch.KV and operations.KV; that the real one keeps them too is shown
// where JetStream runs (bus_test.go). No program imports it.
package dispatchtest

import (
	"context"
	"fmt"
	"maps"
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
	watchers []func(key string, value []byte, revision uint64)
	broken   error
	lost     bool
	full     bool
	writes   int
}

type value struct {
	bytes    []byte
	revision uint64
}

// NewKV returns an empty bucket.
func NewKV() *KV { return &KV{values: map[string]value{}} }

// Get returns a value and its revision.
func (k *KV) Get(ctx context.Context, key string) ([]byte, uint64, error) {
	k.mu.Lock()
	defer k.mu.Unlock()
	if k.broken != nil {
		return nil, 0, k.broken
	}
	v, ok := k.values[key]
	if !ok {
		return nil, 0, bus.ErrNoKey
	}
	return v.bytes, v.revision, ctx.Err()
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
	switch {
	case k.broken != nil:
		return 0, k.broken
	case k.values[key].revision != revision:
		return 0, bus.ErrConflict
	case k.full:
		return 0, fmt.Errorf("writing: %w", bus.ErrFull)
	}
	k.revision++
	k.writes++
	k.values[key] = value{slices.Clone(b), k.revision}
	k.show(key, b)
	if k.lost {
		return 0, bus.ErrAway
	}
	return k.revision, nil
}

// Delete forgets a key.
func (k *KV) Delete(_ context.Context, key string) error {
	k.mu.Lock()
	defer k.mu.Unlock()
	if _, there := k.values[key]; k.broken != nil || !there {
		return k.broken
	}
	delete(k.values, key)
	k.revision++
	k.show(key, nil)
	return nil
}

// show tells those who watch; k.mu is held.
func (k *KV) show(key string, b []byte) {
	for _, show := range k.watchers {
		go show(key, slices.Clone(b), k.revision)
	}
}

// Watch shows changes in any order: revisions must be looked at.
func (k *KV) Watch(ctx context.Context, show func(key string, value []byte, revision uint64), shown func()) error {
	k.mu.Lock()
	if k.broken != nil {
		defer k.mu.Unlock()
		return k.broken
	}
	at := len(k.watchers)
	k.watchers = append(k.watchers, show)
	there := maps.Clone(k.values)
	k.mu.Unlock()
	for key, v := range there {
		show(key, v.bytes, v.revision)
	}
	shown()
	<-ctx.Done()
	k.mu.Lock()
	defer k.mu.Unlock()
	k.watchers[at] = func(string, []byte, uint64) {}
	return nil
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
	for key := range k.values {
		if strings.HasPrefix(key, prefix) {
			n++
		}
	}
	return n
}
