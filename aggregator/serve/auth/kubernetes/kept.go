package kubernetes

import (
	"maps"
	"sync"
	"time"
)

// kept holds answers for a time, a bounded number of them.
type kept[K comparable, V any] struct {
	most int

	mu      sync.Mutex // guards answers
	answers map[K]remembered[V]
}

type remembered[V any] struct {
	value V
	until time.Time
}

func newKept[K comparable, V any](most int) *kept[K, V] {
	return &kept[K, V]{most: most, answers: map[K]remembered[V]{}}
}

func (k *kept[K, V]) get(key K, now time.Time) (V, bool) {
	k.mu.Lock()
	defer k.mu.Unlock()
	a, ok := k.answers[key]
	return a.value, ok && now.Before(a.until)
}

// put keeps an answer, if there is room once what is too old has gone.
func (k *kept[K, V]) put(key K, value V, now time.Time, lifetime time.Duration) {
	k.mu.Lock()
	defer k.mu.Unlock()
	if len(k.answers) >= k.most {
		maps.DeleteFunc(k.answers, func(_ K, a remembered[V]) bool { return !now.Before(a.until) })
	}
	if len(k.answers) < k.most {
		k.answers[key] = remembered[V]{value, now.Add(lifetime)}
	}
}
