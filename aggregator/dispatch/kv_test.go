package dispatch

import (
	"context"
	"sync"

	"github.com/gopprof/gopprof/pkg/bus"
)

// memory is a bucket in memory. It may be shared by several dispatchers, as replicas do.
type memory struct {
	mu       sync.Mutex
	revision uint64
	values   map[string]value
	fail     error
	writes   int
}

type value struct {
	bytes    []byte
	revision uint64
}

func newMemory() *memory { return &memory{values: map[string]value{}} }

func (m *memory) Get(ctx context.Context, key string) ([]byte, uint64, error) {
	m.mu.Lock()
	defer m.mu.Unlock()
	if m.fail != nil {
		return nil, 0, m.fail
	}
	v, ok := m.values[key]
	if !ok {
		return nil, 0, bus.ErrNoKey
	}
	return v.bytes, v.revision, ctx.Err()
}

func (m *memory) Create(ctx context.Context, key string, b []byte) (uint64, error) {
	return m.put(key, b, 0)
}

func (m *memory) Update(ctx context.Context, key string, b []byte, revision uint64) (uint64, error) {
	return m.put(key, b, revision)
}

func (m *memory) put(key string, b []byte, revision uint64) (uint64, error) {
	m.mu.Lock()
	defer m.mu.Unlock()
	if m.fail != nil {
		return 0, m.fail
	}
	if m.values[key].revision != revision {
		return 0, bus.ErrConflict
	}
	m.revision++
	m.writes++
	m.values[key] = value{append([]byte(nil), b...), m.revision}
	return m.revision, nil
}

func (m *memory) broken(err error) {
	m.mu.Lock()
	defer m.mu.Unlock()
	m.fail = err
}
