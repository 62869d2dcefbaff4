package rig

import (
	"bytes"
	"context"
	"fmt"
	"io"
	"net"
	"net/http"
	"sync"
)

// Inbox is the owner's end of a webhook.
type Inbox struct {
	URL string

	mu       sync.Mutex // guards messages and news
	messages [][]byte
	news     chan struct{} // closed when there are more
}

// StartInbox starts the owner's end of the webhook.
func (r *Rig) StartInbox() error {
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		return fmt.Errorf("starting the inbox: %w", err)
	}
	r.Inbox = &Inbox{URL: "http://" + l.Addr().String() + "/hooks/gopprof", news: make(chan struct{})}
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
	i.messages = append(i.messages, body)
	close(i.news)
	i.news = make(chan struct{})
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
