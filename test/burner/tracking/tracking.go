// Package tracking tells customers where their parcels are. Who asks once is followed up
// for ever.
package tracking

import (
	"net/http"
	"sync"
)

// WaitingFunction is the name under which those who wait stand in a goroutine profile.
const WaitingFunction = "github.com/gopprof/gopprof/test/burner/tracking.(*Feed).follow"

// Feed is the carriers' news.
type Feed struct {
	mu     sync.Mutex // guards closed
	closed chan struct{}
}

type subscription struct {
	parcel string
	news   chan string
	page   [12 << 10]byte
}

// NewFeed returns a feed without news.
func NewFeed() *Feed { return &Feed{closed: make(chan struct{})} }

// ServeHTTP answers POST /tracking?parcel=…; news will be sent.
func (f *Feed) ServeHTTP(w http.ResponseWriter, r *http.Request) {
	f.mu.Lock()
	closed := f.closed
	f.mu.Unlock()
	s := &subscription{parcel: r.URL.Query().Get("parcel"), news: make(chan string)}
	for i := 0; i < len(s.page); i += 512 {
		s.page[i] = ' '
	}
	go f.follow(s, closed)
	w.WriteHeader(http.StatusAccepted)
}

func (f *Feed) follow(s *subscription, closed chan struct{}) {
	for {
		select {
		case news := <-s.news:
			copy(s.page[:], news)
		case <-closed:
			return
		}
	}
}

// Close ends everything that follows.
func (f *Feed) Close() {
	f.mu.Lock()
	defer f.mu.Unlock()
	close(f.closed)
	f.closed = make(chan struct{})
}
