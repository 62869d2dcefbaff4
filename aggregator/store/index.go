package store

import (
	"slices"
	"strings"
	"sync"

	"github.com/gopprof/gopprof/pkg/gopprof"
)

// index holds the newest reports. It is complete from its floor upwards: every committed
// report whose identifier is not below the floor is in it. What is below is in the store
// only. Until the index was filled, the floor lies above everything.
type index struct {
	most int

	mu      sync.RWMutex
	floor   string
	reports []gopprof.Report // newest (highest identifier) first
}

// Identifiers sort as strings. These lie below and above all of them.
const (
	lowestID  = ""
	highestID = "g"
)

func newIndex(most int) *index { return &index{most: most, floor: highestID} }

func (x *index) find(id string) (int, bool) {
	return slices.BinarySearchFunc(x.reports, id, func(r gopprof.Report, id string) int {
		return strings.Compare(id, r.ID) // descending
	})
}

func (x *index) get(id string) (gopprof.Report, bool) {
	x.mu.RLock()
	defer x.mu.RUnlock()
	if i, ok := x.find(id); ok {
		return x.reports[i], true
	}
	return gopprof.Report{}, false
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
	ids := make(map[string]bool, len(x.reports))
	for _, r := range x.reports {
		ids[r.ID] = true
	}
	return ids
}

func (x *index) len() int {
	x.mu.RLock()
	defer x.mu.RUnlock()
	return len(x.reports)
}

// add takes a committed report in, unless it is older than all that the index holds.
func (x *index) add(r gopprof.Report) {
	x.mu.Lock()
	defer x.mu.Unlock()
	x.insert(r)
	x.trim()
}

// fill takes in what was read from the store, which is everything from floor upwards.
func (x *index) fill(reports []gopprof.Report, floor string) {
	x.mu.Lock()
	defer x.mu.Unlock()
	for _, r := range reports {
		x.insert(r)
	}
	x.floor = min(x.floor, floor)
	x.trim()
}

func (x *index) insert(r gopprof.Report) {
	if i, ok := x.find(r.ID); !ok {
		x.reports = slices.Insert(x.reports, i, r)
	}
}

func (x *index) trim() {
	if len(x.reports) <= x.most {
		return
	}
	clear(x.reports[x.most:])
	x.reports = x.reports[:x.most]
	x.floor = max(x.floor, x.reports[x.most-1].ID)
}

func (x *index) remove(id string) {
	x.mu.Lock()
	defer x.mu.Unlock()
	if i, ok := x.find(id); ok {
		x.reports = slices.Delete(x.reports, i, i+1)
	}
}

// below returns the floor, and those reports from the floor upwards and below upper that
// match, newest first, at most n.
func (x *index) below(upper string, n int, match func(gopprof.Report) bool) (found []gopprof.Report, floor string) {
	x.mu.RLock()
	defer x.mu.RUnlock()
	i, ok := x.find(upper)
	if ok {
		i++
	}
	for ; i < len(x.reports) && len(found) < n && x.reports[i].ID >= x.floor; i++ {
		if match(x.reports[i]) {
			found = append(found, x.reports[i])
		}
	}
	return found, x.floor
}
