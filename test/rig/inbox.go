package rig

import (
	"bytes"
	"context"
	"fmt"
	"io"
	"maps"
	"net"
	"net/http"
	"sync"
)

// Inbox is the owner's end of a webhook.
type Inbox struct {
	URL string

	mu       sync.Mutex // guards the rest
	messages [][]byte
	told     map[string]int // messages of each report, by the ID in the header
	refusing bool
	refused  int
	news     chan struct{} // closed when there are more
}

// headerReport is the header in which a message has its report's ID.
const headerReport = "Gopprof-Report"

// StartInbox starts the owner's end of the webhook.
func (r *Rig) StartInbox() error {
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		return fmt.Errorf("starting the inbox: %w", err)
	}
	r.Inbox = &Inbox{URL: "http://" + l.Addr().String() + "/hooks/gopprof", told: map[string]int{}, news: make(chan struct{})}
	r.values.Inbox = r.Inbox.URL
	server := &http.Server{Handler: r.Inbox}
	done := make(chan struct{})
	go func() { defer close(done); _ = server.Serve(l) }()
	r.later(func() { _ = server.Close(); <-done })
	return nil
}

// ServeHTTP takes one message.
func (i *Inbox) ServeHTTP(w http.ResponseWriter, r *http.Request) {
	body, err := io.ReadAll(io.LimitReader(r.Body, 4<<20))
	if err != nil {
		http.Error(w, err.Error(), http.StatusBadRequest)
		return
	}
	i.mu.Lock()
	defer i.mu.Unlock()
	if i.refusing {
		i.refused++
		http.Error(w, "told to refuse", http.StatusInternalServerError)
		return
	}
	i.messages = append(i.messages, body)
	i.told[r.Header.Get(headerReport)]++
	close(i.news)
	i.news = make(chan struct{})
}

// Refuse makes it answer every message with status 500 from now on, or take them again. It
// returns how many were refused so far.
func (i *Inbox) Refuse(refuse bool) (refused int) {
	i.mu.Lock()
	defer i.mu.Unlock()
	i.refusing = refuse
	return i.refused
}

// Told returns how many messages were taken about each report.
func (i *Inbox) Told() map[string]int {
	i.mu.Lock()
	defer i.mu.Unlock()
	return maps.Clone(i.told)
}

// About returns the messages so far that are about a capture.
func (i *Inbox) About(capture string) (about [][]byte) {
	i.mu.Lock()
	defer i.mu.Unlock()
	for _, m := range i.messages {
		if bytes.Contains(m, []byte(capture)) {
			about = append(about, m)
		}
	}
	return about
}

// Await returns the first message about a capture.
func (i *Inbox) Await(ctx context.Context, capture string) ([]byte, error) {
	for {
		i.mu.Lock()
		news := i.news
		i.mu.Unlock()
		if about := i.About(capture); len(about) > 0 {
			return about[0], nil
		}
		select {
		case <-news:
		case <-ctx.Done():
			return nil, fmt.Errorf("no message about capture %s reached %s in time", capture, Owner)
		}
	}
}
