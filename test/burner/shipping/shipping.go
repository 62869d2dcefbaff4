// Package shipping finds the carrier of each parcel. It puts all offers in order to find
// the cheapest, for every parcel again.
package shipping

import (
	"fmt"
	"net/http"
	"sort"
	"strconv"
)

// HotFunction is the name under which finding stands in a CPU profile.
const HotFunction = "github.com/gopprof/gopprof/test/burner/shipping.(*Desk).cheapest"

// Offer is what a carrier takes for a parcel up to a weight.
type Offer struct {
	Carrier string
	Grams   int
	Cents   int
}

// Desk knows the carriers' offers.
type Desk struct{ offers []Offer }

// NewDesk returns a desk with so many offers.
func NewDesk(n int) *Desk {
	d := &Desk{}
	for i := range n {
		d.offers = append(d.offers, Offer{fmt.Sprintf("carrier-%d", i*7919%n), 100 + i*104729%30000, 199 + i*1299709%5000})
	}
	return d
}

// ServeHTTP answers GET /shipping?grams=…&parcels=… with what it costs.
func (d *Desk) ServeHTTP(w http.ResponseWriter, r *http.Request) {
	grams, err := strconv.Atoi(r.URL.Query().Get("grams"))
	if err != nil {
		http.Error(w, "grams must be a number", http.StatusBadRequest)
		return
	}
	parcels, _ := strconv.Atoi(r.URL.Query().Get("parcels"))
	cents := 0
	for i := range max(parcels, 1) {
		cents += d.cheapest(grams + 50*i).Cents
	}
	_, _ = fmt.Fprintf(w, "%d.%02d\n", cents/100, cents%100)
}

func (d *Desk) cheapest(grams int) Offer {
	offers := append([]Offer(nil), d.offers...)
	sort.Slice(offers, func(i, j int) bool {
		if offers[i].Cents != offers[j].Cents {
			return offers[i].Cents < offers[j].Cents
		}
		return offers[i].Carrier < offers[j].Carrier
	})
	for _, o := range offers {
		if o.Grams >= grams {
			return o
		}
	}
	return Offer{}
}
