// Package payments charges cards. It writes to its journal whatever it does, in every
// detail.
package payments

import (
	"errors"
	"fmt"
	"io"
	"log/slog"
	"net/http"
	"os"
	"sync"
	"time"
)

// HotFunction is the name under which writing stands in a CPU profile.
const HotFunction = "github.com/gopprof/gopprof/test/burner/payments.(*Gateway).attempt"

// maxJournalBytes is where the journal begins anew.
const maxJournalBytes = 16 << 20

// Gateway charges cards.
type Gateway struct {
	journal *journal
	log     *slog.Logger
}

type card struct {
	Holder, Number, Network string
	Expires                 time.Time
	Limits                  map[string]int
}

// NewGateway returns a gateway with a journal in the directory for temporary files.
func NewGateway() (*Gateway, error) {
	f, err := os.CreateTemp("", "payments-journal-")
	if err != nil {
		return nil, fmt.Errorf("opening the journal: %w", err)
	}
	if err := os.Remove(f.Name()); err != nil { // it ends with the program
		return nil, errors.Join(fmt.Errorf("opening the journal: %w", err), f.Close())
	}
	j := &journal{file: f}
	return &Gateway{j, slog.New(slog.NewJSONHandler(j, &slog.HandlerOptions{AddSource: true, Level: slog.LevelDebug}))}, nil
}

// Close closes the journal.
func (g *Gateway) Close() error { return g.journal.file.Close() }

// ServeHTTP answers POST /payments?order=…
func (g *Gateway) ServeHTTP(w http.ResponseWriter, r *http.Request) {
	order := r.URL.Query().Get("order")
	c := card{Holder: "Ada", Number: "4000-0000-0000-0002", Network: "visa", Limits: map[string]int{"day": 1000, "month": 5000}}
	for i := range 10 {
		if g.attempt(order, c, i) {
			return
		}
	}
	http.Error(w, "not now", http.StatusServiceUnavailable)
}

// attempt tells the bank, who is busy until the last time.
func (g *Gateway) attempt(order string, c card, n int) bool {
	g.log.Debug("charging", "order", order, "card", c, "attempt", n, "deadline", time.Duration(n)*time.Second, "at", time.Now())
	done := n == 9
	g.log.Info(fmt.Sprintf("attempt %d of order %s with %+v", n, order, c), "done", done)
	return done
}

// journal is a file that begins anew when it is long.
type journal struct {
	mu      sync.Mutex // guards written
	file    *os.File
	written int
}

func (j *journal) Write(p []byte) (int, error) {
	j.mu.Lock()
	defer j.mu.Unlock()
	if j.written += len(p); j.written > maxJournalBytes {
		if err := j.file.Truncate(0); err != nil {
			return 0, err
		}
		if _, err := j.file.Seek(0, io.SeekStart); err != nil {
			return 0, err
		}
		j.written = len(p)
	}
	return j.file.Write(p)
}
