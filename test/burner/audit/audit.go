// Package audit writes down who did what, one entry at a time, while everybody else waits.
package audit

import (
	"fmt"
	"net/http"
	"sync"
	"time"
)

// WaitingFunction is the name under which those who wait stand in a goroutine profile.
const WaitingFunction = "github.com/gopprof/gopprof/test/burner/audit.(*Trail).Append"

// EntryBytes is how large an entry is.
const EntryBytes = 32 << 10

// Trail is where entries go.
type Trail struct {
	mu      sync.Mutex // guards entries and left
	entries chan []byte
	left    chan struct{} // closed when those who wait are sent away
}

// NewTrail returns a trail that nobody writes to yet.
func NewTrail() *Trail { return &Trail{left: make(chan struct{})} }

// ServeHTTP answers POST /audit?… when what was asked has been written down.
func (t *Trail) ServeHTTP(_ http.ResponseWriter, r *http.Request) {
	entry := make([]byte, 0, EntryBytes)
	for len(entry) < EntryBytes-256 {
		entry = fmt.Appendf(entry, "%s %s %.100s\n", r.Method, r.URL.Path, r.URL.RawQuery)
	}
	t.Append(entry)
}

// Append adds an entry.
func (t *Trail) Append(entry []byte) {
	entries, left := t.open()
	select {
	case entries <- entry:
	case <-left:
	}
}

// Dismiss sends away all who wait.
func (t *Trail) Dismiss() {
	t.mu.Lock()
	defer t.mu.Unlock()
	close(t.left)
	t.left, t.entries = make(chan struct{}), nil
}

func (t *Trail) open() (chan []byte, chan struct{}) {
	t.mu.Lock()
	defer t.mu.Unlock()
	if t.entries == nil {
		t.entries = make(chan []byte, 16)
		go write(t.entries, t.left)
	}
	return t.entries, t.left
}

// write is as slow as a disk far away.
func write(entries chan []byte, left chan struct{}) {
	written := 0
	for {
		select {
		case e := <-entries:
			written += len(e)
			time.Sleep(200 * time.Millisecond)
		case <-left:
			return
		}
	}
}
