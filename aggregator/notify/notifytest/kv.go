package notifytest

import (
	"context"
	"sync"

	"github.com/gopprof/gopprof/pkg/bus"
)

// KV is a bucket in memory, which several notifiers may share.
type KV struct {
	mu       sync.Mutex
	revision uint64
	values   map[string]value
	broken   error
}

type value struct {
	bytes    []byte
	revision uint64
}

// NewKV returns an empty bucket.
func NewKV() *KV { return &KV{values: map[string]value{}} }

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
	return k.revision, nil
}
