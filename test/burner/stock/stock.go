// Package stock counts what is on the shelves, under one lock for all of them, and tells who
// orders new goods of every piece, still under it.
package stock

import (
	"net/http"
	"sync"
)

// HotFunction is the name under which waiting for the lock stands in a CPU profile.
const HotFunction = "github.com/gopprof/gopprof/test/burner/stock.(*Shelves).reserve"

// Shelves hold the stock.
type Shelves struct {
	mu    sync.Mutex // guards count and sold
	count [64]int
	sold  chan int // pieces
}

// ServeHTTP answers POST /stock by reserving all that is in a basket, piece by piece.
func (s *Shelves) ServeHTTP(w http.ResponseWriter, _ *http.Request) {
	for piece := range 64 {
		if s.reserve(piece) < 0 {
			http.Error(w, "sold out", http.StatusConflict)
			return
		}
	}
}

func (s *Shelves) reserve(piece int) int {
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.sold == nil {
		s.sold = make(chan int)
		go order(s.sold)
	}
	s.count[piece] = (s.count[piece] + 1) & (1<<20 - 1) // it never gets empty
	s.sold <- piece
	return s.count[piece]
}

// Close ends the ordering of new goods, until something is reserved again.
func (s *Shelves) Close() {
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.sold != nil {
		close(s.sold)
		s.sold = nil
	}
}

func order(sold chan int) {
	var needed [64]int
	for piece := range sold {
		needed[piece]++
	}
}
