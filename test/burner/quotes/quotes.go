// Package quotes offers each customer prices of their own. It keeps a price list of many
// small parts, and makes many more of them for every customer, to be thrown away.
package quotes

import (
	"fmt"
	"net/http"
	"strconv"
	"sync"
)

// HotFunction is the name under which making offers stands in an allocs profile.
const HotFunction = "github.com/gopprof/gopprof/test/burner/quotes.(*Desk).offersFor"

// listed is how many prices the list has.
const listed = 120_000

// Desk makes offers.
type Desk struct {
	once   sync.Once
	prices []*price
}

type price struct {
	sku   *string
	cents *int
	next  *price // the one for more of it
}

type offer struct {
	price *price
	why   []*string
	next  *offer
}

// ServeHTTP answers GET /quotes?customer=… with the number of offers.
func (d *Desk) ServeHTTP(w http.ResponseWriter, r *http.Request) {
	d.once.Do(d.load)
	customer, err := strconv.Atoi(r.URL.Query().Get("customer"))
	if err != nil {
		http.Error(w, "customer must be a number", http.StatusBadRequest)
		return
	}
	_, _ = fmt.Fprintln(w, count(d.offersFor(customer)))
}

// Forget drops the price list.
func (d *Desk) Forget() { d.prices, d.once = nil, sync.Once{} }

func (d *Desk) load() {
	d.prices = make([]*price, listed)
	for i := range listed {
		d.prices[i] = newPrice(i, &price{})
	}
}

func newPrice(i int, next *price) *price {
	sku, cents := "sku-"+strconv.Itoa(i), 100+i%9000
	return &price{&sku, &cents, next}
}

func (d *Desk) offersFor(customer int) *offer {
	var first *offer
	for i := range 600 {
		p := d.prices[(customer*31+i)%listed]
		reduced := newPrice(*p.cents-customer%10, p)
		reason := "loyal"
		first = &offer{reduced, append(make([]*string, 0, 2), &reason), first}
	}
	return first
}

func count(first *offer) (n int) {
	for o := first; o != nil; o = o.next {
		n++
	}
	return n
}
