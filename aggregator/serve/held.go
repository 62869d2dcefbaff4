package serve

import (
	"context"
	"net/http"
	"strconv"
	"sync"
	"time"

	"golang.org/x/sync/semaphore"

	"github.com/gopprof/gopprof/aggregator/serve/auth"
	"github.com/gopprof/gopprof/pkg/api"
	"github.com/gopprof/gopprof/pkg/gopprof"
)

// What callers may have in memory of stored files, in bytes. A file is there until its caller
// has taken it, which is as slow as he likes within request_timeout.
const (
	heldMost   = 256 << 20 // all of them together
	heldShare  = 96 << 20  // one of them: a slow one must leave room for the others
	heldUnread = 24 << 20  // reckoned for a file whose size is not known yet
)

// What callers may have of whole reports: each, with its answer, is some MB where its target
// made it so.
const (
	wholeMost  = 32 // all of them together
	wholeShare = 8  // one of them
)

// How many operations callers may follow, which they do for as long as these go on; one caller
// leaves room for the others.
const (
	followMost  = 1000 // all of them together
	followShare = 500  // one of them
)

// heldPatience is how long a file, or a request, waits for room.
const heldPatience = 10 * time.Second

var errHeld = &gopprof.Error{Reason: gopprof.ReasonBudget, Detail: "too much is on its way to callers, or to you: ask again later"}

// held bounds what requests hold until they end.
type held struct {
	all              *semaphore.Weighted
	ofOne, forUnread int64

	mu sync.Mutex        // guards of
	of map[string]*share // by caller; those who hold something, or wait
}

// share is what one caller holds.
type share struct {
	*semaphore.Weighted
	users int // guarded by held.mu
}

func newHeld(all, ofOne, forUnread int64) *held {
	return &held{all: semaphore.NewWeighted(all), ofOne: ofOne, forUnread: forUnread, of: map[string]*share{}}
}

// one lets a request be answered once there is room for it.
func (h *held) one(refuse func(http.ResponseWriter, *http.Request, api.Problem), next http.Handler) http.Handler {
	return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		caller := auth.From(r.Context()).Name
		own := h.enter(caller)
		defer h.leave(caller, own)
		if h.take(r.Context(), own) != nil {
			w.Header().Set("Retry-After", strconv.Itoa(int(heldPatience.Seconds())))
			refuse(w, r, api.Problem{Status: http.StatusTooManyRequests, Reason: errHeld.Reason, Detail: errHeld.Detail})
			return
		}
		defer h.give(own, h.forUnread)
		next.ServeHTTP(w, r)
	})
}

// within ends what a request holds with its answer.
func (h *held) within(next http.Handler) http.Handler {
	return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		ctx, done := context.WithCancel(r.Context())
		defer done()
		next.ServeHTTP(w, r.WithContext(ctx))
	})
}

// read reads a file once there is room for it; the caller holds it until ctx ends.
func (h *held) read(ctx context.Context, caller string, read func() ([]byte, error)) ([]byte, error) {
	own := h.enter(caller)
	if err := h.take(ctx, own); err != nil {
		h.leave(caller, own)
		return nil, err
	}
	data, err := read()
	size := min(int64(len(data)), h.forUnread)
	h.give(own, h.forUnread-size)
	context.AfterFunc(ctx, func() { h.give(own, size); h.leave(caller, own) })
	return data, err
}

func (h *held) give(own *share, n int64) {
	h.all.Release(n)
	own.Release(n)
}

// take waits for room. The error is why there was none.
func (h *held) take(ctx context.Context, own *share) error {
	waiting, stop := context.WithTimeout(ctx, heldPatience)
	defer stop()
	err := own.Acquire(waiting, h.forUnread)
	if err == nil {
		if err = h.all.Acquire(waiting, h.forUnread); err != nil {
			own.Release(h.forUnread)
		}
	}
	if err != nil && ctx.Err() == nil {
		return errHeld
	}
	return err
}

func (h *held) enter(caller string) *share {
	h.mu.Lock()
	defer h.mu.Unlock()
	s := h.of[caller]
	if s == nil {
		s = &share{Weighted: semaphore.NewWeighted(h.ofOne)}
		h.of[caller] = s
	}
	s.users++
	return s
}

func (h *held) leave(caller string, s *share) {
	h.mu.Lock()
	defer h.mu.Unlock()
	if s.users--; s.users == 0 {
		delete(h.of, caller)
	}
}
