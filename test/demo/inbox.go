package main

import (
	"bytes"
	"context"
	"encoding/json"
	"fmt"
	"io"
	"net"
	"net/http"
	"sync"
)

// inbox is the owner's end of the webhook.
type inbox struct {
	mu       sync.Mutex // guards messages and news
	messages [][]byte
	news     chan struct{}
}

func (d *demo) startInbox(context.Context) error {
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		return err
	}
	d.inbox = &inbox{news: make(chan struct{})}
	server := &http.Server{Handler: d.inbox}
	go func() { _ = server.Serve(l) }()
	d.later(func() { _ = server.Close() })
	d.names.Inbox = "http://" + l.Addr().String() + "/hooks/gopprof"
	d.say("%-22s webhook %s", owner+" (you)", d.names.Inbox)
	return nil
}

// ServeHTTP takes one message.
func (i *inbox) ServeHTTP(w http.ResponseWriter, r *http.Request) {
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

// await returns the message about a capture, as it came but for being shortened: the
// functions of each profile beyond the third are left out.
func (i *inbox) await(ctx context.Context, capture string) (string, error) {
	for {
		i.mu.Lock()
		messages, news := i.messages, i.news
		i.mu.Unlock()
		for _, m := range messages {
			if bytes.Contains(m, []byte(capture)) {
				return short(m)
			}
		}
		select {
		case <-news:
		case <-ctx.Done():
			return "", fmt.Errorf("no message about capture %s reached %s", capture, owner)
		}
	}
}

// short prints the event's head and the report's first lines.
func short(message []byte) (string, error) {
	var event struct {
		SpecVersion string `json:"specversion"`
		ID          string `json:"id"`
		Type        string `json:"type"`
		Source      string `json:"source"`
		Subject     string `json:"subject"`
		Data        struct {
			Page        string
			Explanation struct{ Summary string }
		} `json:"data"`
	}
	if err := json.Unmarshal(message, &event); err != nil {
		return "", fmt.Errorf("reading the message: %w", err)
	}
	return fmt.Sprintf("CloudEvent %s  type %s\nid      %s\nsource  %s\nsubject %s\nsummary %s\npage    %s\n(%d bytes in all: the whole report as data)",
		event.SpecVersion, event.Type, event.ID, event.Source, event.Subject, event.Data.Explanation.Summary, event.Data.Page, len(message)), nil
}
