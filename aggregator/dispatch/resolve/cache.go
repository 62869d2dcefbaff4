package resolve

import (
	"container/list"
	"sync"
	"sync/atomic"
	"time"
)

// cache remembers facts, those that were used last.
type cache[K comparable] struct {
	max     int
	failing atomic.Bool // the last question about such an object was not answered

	mu    sync.Mutex // guards what follows
	known map[K]*list.Element
	order *list.List // of *entry[K], the last used first
}

type entry[K comparable] struct {
	key   K
	facts facts
	until time.Time
}

func newCache[K comparable](most int) *cache[K] {
	return &cache[K]{max: most, known: map[K]*list.Element{}, order: list.New()}
}

// get returns what is remembered, and whether it may still be believed.
func (c *cache[K]) get(key K, now time.Time) (facts, bool) {
	c.mu.Lock()
	defer c.mu.Unlock()
	e, ok := c.known[key]
	if !ok {
		return facts{}, false
	}
	c.order.MoveToFront(e)
	v := e.Value.(*entry[K])
	return v.facts, now.Before(v.until)
}

func (c *cache[K]) put(key K, f facts, until time.Time) {
	c.mu.Lock()
	defer c.mu.Unlock()
	if e, ok := c.known[key]; ok {
		c.order.Remove(e)
	}
	c.known[key] = c.order.PushFront(&entry[K]{key, f, until})
	if c.order.Len() > c.max {
		oldest := c.order.Back()
		c.order.Remove(oldest)
		delete(c.known, oldest.Value.(*entry[K]).key)
	}
}
