// Command inbox is the owner's end of a webhook, for the end-to-end test in a cluster: it
// keeps what is posted below /hooks/ and shows all of it, as one JSON list, at /messages.
package main

import (
	"encoding/json"
	"flag"
	"fmt"
	"io"
	"net/http"
	"os"
	"sync"
	"time"
)

// What is kept: a test tells a few dozen messages.
const (
	maxMessages     = 1000
	maxMessageBytes = 1 << 20
)

func main() {
	listen := flag.String("listen", "127.0.0.1:8080", "host:port")
	flag.Parse()
	server := &http.Server{Addr: *listen, Handler: new(inbox).handler(), ReadHeaderTimeout: 10 * time.Second}
	fmt.Fprintln(os.Stderr, "inbox:", server.ListenAndServe())
	os.Exit(1)
}

type inbox struct {
	mu       sync.Mutex // guards messages
	messages []json.RawMessage
}

func (i *inbox) handler() http.Handler {
	mux := http.NewServeMux()
	mux.HandleFunc("POST /hooks/", i.take)
	mux.HandleFunc("GET /messages", i.show)
	return mux
}

func (i *inbox) take(w http.ResponseWriter, r *http.Request) {
	body, err := io.ReadAll(http.MaxBytesReader(w, r.Body, maxMessageBytes))
	if err != nil || !json.Valid(body) {
		http.Error(w, "not a JSON message", http.StatusBadRequest)
		return
	}
	i.mu.Lock()
	defer i.mu.Unlock()
	if len(i.messages) == maxMessages {
		http.Error(w, "full", http.StatusInsufficientStorage)
		return
	}
	i.messages = append(i.messages, body)
}

func (i *inbox) show(w http.ResponseWriter, _ *http.Request) {
	i.mu.Lock()
	messages := append([]json.RawMessage{}, i.messages...)
	i.mu.Unlock()
	w.Header().Set("Content-Type", "application/json")
	_ = json.NewEncoder(w).Encode(messages)
}
