// Package carts holds what is about to be bought, for the length of a sale. Carts are taken
// out again, but the table in which they stood stays as large as it was.
package carts

import (
	"net/http"
	"strconv"
	"sync"
)

// GrowingFunction is the name under which the table stands in a heap profile.
const GrowingFunction = "github.com/gopprof/gopprof/test/burner/carts.(*Table).put"

// CartBytes is about how much a cart takes in a table that is full: the table grows by
// doubling, so 800 000 carts take 140 MiB, and a few more half as much again.
const CartBytes = 160

// crowd is how many carts one request brings.
const crowd = 1024

// RequestBytes is about how much one request leaves in the table.
const RequestBytes = crowd * CartBytes

// Table is where carts stand.
type Table struct {
	mu     sync.Mutex // guards byNumber
	carts  map[uint64]cart
	number uint64
}

type cart struct {
	items [15]uint64
}

// NewTable returns an empty one.
func NewTable() *Table { return &Table{carts: map[uint64]cart{}} }

// ServeHTTP answers POST /carts, which brings carts, and DELETE /carts, which takes all out.
func (t *Table) ServeHTTP(w http.ResponseWriter, r *http.Request) {
	t.mu.Lock()
	defer t.mu.Unlock()
	if r.Method == http.MethodDelete {
		for n := range t.carts {
			delete(t.carts, n)
		}
		w.WriteHeader(http.StatusNoContent)
		return
	}
	sku, _ := strconv.ParseUint(r.URL.Query().Get("sku"), 10, 64)
	for range crowd {
		t.put(sku)
	}
}

func (t *Table) put(sku uint64) {
	t.number++
	t.carts[t.number] = cart{[15]uint64{sku}}
}

// Clear replaces the table.
func (t *Table) Clear() {
	t.mu.Lock()
	defer t.mu.Unlock()
	t.carts = map[uint64]cart{}
}
