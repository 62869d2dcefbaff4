package store

import (
	"slices"
	"strings"
	"sync"
)

// index holds the newest reports. It is complete from its floor upwards: every committed
// report whose identifier is not below the floor is in it. What is below is in the store
// only. Until the index was filled, the floor lies above everything.
type index struct {
	most int

	mu      sync.RWMutex
	floor   string
	entries []*entry // newest (highest identifier) first
}

// Identifiers sort as strings. These lie below and above all of them.
const (
	lowestID  = ""
	highestID = "g"
)

func newIndex(most int) *index { return &index{most: most, floor: highestID} }

func (x *index) find(id string) (int, bool) {
	return slices.BinarySearchFunc(x.entries, id, func(e *entry, id string) int {
		return strings.Compare(id, e.id) // descending
	})
}

func (x *index) get(id string) (*entry, bool) {
	x.mu.RLock()
	defer x.mu.RUnlock()
	if i, ok := x.find(id); ok {
		return x.entries[i], true
	}
	return nil, false
}

// lacks tells whether a report should be in the index and is not.
func (x *index) lacks(id string) bool {
	x.mu.RLock()
	defer x.mu.RUnlock()
	_, ok := x.find(id)
	return !ok && id >= x.floor
}

func (x *index) ids() map[string]bool {
	x.mu.RLock()
	defer x.mu.RUnlock()
	ids := make(map[string]bool, len(x.entries))
	for _, e := range x.entries {
		ids[e.id] = true
	}
	return ids
}

func (x *index) len() int {
	x.mu.RLock()
	defer x.mu.RUnlock()
	return len(x.entries)
}

// add takes a committed report in, unless it is older than all that the index holds.
func (x *index) add(e *entry) {
	x.mu.Lock()
	defer x.mu.Unlock()
	x.insert(e)
	x.trim()
}

// fill takes in what was read from the store, which is everything from floor upwards.
func (x *index) fill(entries []*entry, floor string) {
	x.mu.Lock()
	defer x.mu.Unlock()
	for _, e := range entries {
		x.insert(e)
	}
	x.floor = min(x.floor, floor)
	x.trim()
}

func (x *index) insert(e *entry) {
	if i, ok := x.find(e.id); !ok {
		x.entries = slices.Insert(x.entries, i, e)
	}
}

func (x *index) trim() {
	if len(x.entries) <= x.most {
		return
	}
	clear(x.entries[x.most:])
	x.entries = x.entries[:x.most]
	x.floor = max(x.floor, x.entries[x.most-1].id)
}

func (x *index) remove(id string) {
	x.mu.Lock()
	defer x.mu.Unlock()
	if i, ok := x.find(id); ok {
		x.entries = slices.Delete(x.entries, i, i+1)
	}
}

// below returns the floor, and those reports from the floor upwards and below upper that
// match, newest first, at most n.
func (x *index) below(upper string, n int, match func(card) bool) (found []*entry, floor string) {
	x.mu.RLock()
	defer x.mu.RUnlock()
	i, ok := x.find(upper)
	if ok {
		i++
	}
	for ; i < len(x.entries) && len(found) < n && x.entries[i].id >= x.floor; i++ {
		if match(x.entries[i].card) {
			found = append(found, x.entries[i])
		}
	}
	return found, x.floor
}
