package notifytest

import (
	"context"
	"maps"
	"sync"

	"github.com/gopprof/gopprof/pkg/bus"
)

// KV is a bucket in memory, which several notifiers may share.
type KV struct {
	mu       sync.Mutex
	revision uint64
	values   map[string]value
	broken   error
	changed  chan struct{} // closed at the next change
}

type value struct {
	bytes    []byte
	revision uint64
}

// NewKV returns an empty bucket.
func NewKV() *KV { return &KV{values: map[string]value{}, changed: make(chan struct{})} }

// Copy returns another bucket with the same in it.
func (k *KV) Copy() *KV {
	k.mu.Lock()
	defer k.mu.Unlock()
	c := NewKV()
	c.revision = k.revision
	maps.Copy(c.values, k.values)
	return c
}

// Break makes every call fail; nil mends it.
func (k *KV) Break(err error) {
	k.mu.Lock()
	defer k.mu.Unlock()
	k.broken = err
}

// Dump returns all keys and values as one text.
func (k *KV) Dump() string {
	k.mu.Lock()
	defer k.mu.Unlock()
	s := ""
	for name, v := range k.values {
		s += name + "=" + string(v.bytes) + "\n"
	}
	return s
}

// Get returns a value and its revision.
func (k *KV) Get(_ context.Context, key string) ([]byte, uint64, error) {
	k.mu.Lock()
	defer k.mu.Unlock()
	v, ok := k.values[key]
	if k.broken != nil {
		return nil, 0, k.broken
	}
	if !ok {
		return nil, 0, bus.ErrNoKey
	}
	return v.bytes, v.revision, nil
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
	if k.broken != nil {
		return 0, k.broken
	}
	if k.values[key].revision != revision {
		return 0, bus.ErrConflict
	}
	k.revision++
	k.values[key] = value{append([]byte(nil), b...), k.revision}
	close(k.changed)
	k.changed = make(chan struct{})
	return k.revision, nil
}

// Watch shows all keys, and every change until ctx ends.
func (k *KV) Watch(ctx context.Context, show func(key string, value []byte, revision uint64), shown func()) error {
	seen := map[string]uint64{}
	for first := true; ; first = false {
		k.mu.Lock()
		changed, all := k.changed, map[string]value{}
		for name, v := range k.values {
			if seen[name] != v.revision {
				all[name], seen[name] = v, v.revision
			}
		}
		k.mu.Unlock()
		for name, v := range all {
			show(name, v.bytes, v.revision)
		}
		if first {
			shown()
		}
		select {
		case <-ctx.Done():
			return nil
		case <-changed:
		}
	}
}
